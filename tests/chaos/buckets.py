"""`python -m tests.chaos.buckets [FAULTS] [SEED]`: a bucket that breaks what it sends and refuses requests.

Half of the faults meet a reader, each of whose batches is compared with that of the local folder. The others
meet a run whose tokens and checkpoints are in the bucket, and which loses its disk at every stop: it must end
bitwise like a local one, with its checkpoints at the URL complete. The last lines count the faults by kind.
"""

import logging
import os
import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

import torch

from data.bucket import Bucket
from data.cache.config import CacheConfig
from data.cache.store import open_store
from data.loader import Loader
from data.order import Order
from data.prepare.sample import prepare_sample
from tests.support.buckets import Chaos, credentials, make_bucket, moto, random_store, upload
from tests.support.runs import learned, same_tensors, succeed
from train.checkpoint.transfer import download_step, remote_steps

SEQ_LEN, BATCH, STEPS = 512, 16, 20
SOURCES = ("python_code", "python_docs")
EVERY, LAST = 2, 12  # steps of a run: between saves, and in all


def reading(folder: Path, proxy: Chaos, wanted: int) -> int:
    """How many batches were wrong."""
    local = random_store(folder / "c4/tokens", "c4", 900_000)
    upload(folder / "c4", "corpus", "c4")
    sizes = {"c4": local.n_sequences(SEQ_LEN)}
    order = Order.start(seed=0, weights={"c4": 1}, n_sequences=sizes, seq_len=SEQ_LEN)
    batches = wrong = attempts = 0
    proxy.random_faults(0.3, most=wanted)
    while sum(proxy.done.values()) < wanted:
        attempts += 1
        gib = (0.5e6 if attempts % 2 else 1e8) / 2**30  # every other time less than the tokens
        store = open_store("s3://corpus/c4/tokens", cache=CacheConfig(f"{folder}/{attempts}", gib))
        with (
            Loader(order, {"c4": store}, micro_batch=4, global_batch=BATCH) as there,
            Loader(order, {"c4": local}, micro_batch=4, global_batch=BATCH) as here,
        ):
            first = attempts * STEPS
            pairs = zip(there.batches(first, first + STEPS), here.batches(first, first + STEPS))
            for (tokens, labels), (same, too) in pairs:
                batches += 1
                wrong += not (torch.equal(tokens, same) and torch.equal(labels, too))
    print(f"reading: {_counted(proxy.done)}, {batches} batches, {wrong} wrong", flush=True)
    return wrong


def training(folder: Path, proxy: Chaos, wanted: int) -> int:
    """How many runs ended otherwise, or lost a checkpoint."""
    corpora, url = folder / "corpora", "s3://corpus/mix"
    prepare_sample(corpora)
    for source in SOURCES:
        upload(corpora / source, "corpus", f"mix/{source}")
    keys = (
        *("data=mix", "data.weights.python_code=60", "data.weights.python_docs=40"),
        *(f"data.sources=[{','.join(SOURCES)}]", f"steps={LAST}", f"checkpoint.every={EVERY}"),
        f"cache.path={folder / 'cache'}",
    )
    expected, run = folder / "expected", folder / "run"
    succeed(*keys, f"corpora={corpora}", f"run={expected}")
    before, wrong, runs = Counter(proxy.done), 0, 0
    proxy.random_faults(0.1, most=before.total() + wanted, methods=("GET", "PUT"))
    while proxy.done.total() < before.total() + wanted:
        runs += 1
        remote = f"s3://corpus/runs/{runs}"
        for stop in range(4, LAST + 1, 4):
            shutil.rmtree(run, ignore_errors=True)
            shutil.rmtree(folder / "cache", ignore_errors=True)
            more = (f"corpora={url}", f"run={run}", f"checkpoint.remote={remote}", f"stop_at={stop}")
            succeed(*keys, *more, env=dict(os.environ), timeout=600)
        bucket, copy = Bucket(remote), folder / f"copy-{runs}"
        is_there = remote_steps(bucket)[-1:] == [LAST]
        if not is_there or not download_step(bucket, f"checkpoints/step-{LAST:06d}", copy):
            print(f"{remote}: its last checkpoint is not there")
            wrong += 1
            continue
        if [row[:5] for row in learned(run)] != [row[:5] for row in learned(expected)]:
            print(f"{remote}: other losses")
            wrong += 1
        same_tensors(copy, expected / f"checkpoints/step-{LAST:06d}")
    print(f"training: {_counted(proxy.done - before)}, {runs} runs of 3 starts, {wrong} wrong")
    return wrong


def _counted(done: Counter[str]) -> str:
    return f"{done.total()} faults ({', '.join(f'{kind} {count}' for kind, count in sorted(done.items()))})"


def main(wanted: int, seed: int) -> int:
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as name, moto() as place:
        os.environ.update(credentials(place))
        make_bucket("corpus")
        with Chaos(place, seed=seed) as proxy:
            os.environ["AWS_ENDPOINT_URL"] = "http://{}:{}".format(*proxy.place)
            wrong = reading(Path(name), proxy, wanted // 2)
            proxy.faults = lambda method, path: None
            return wrong + training(Path(name), proxy, wanted - wanted // 2)


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    sys.exit(main(*(given + [100, 0][len(given) :])) > 0)
