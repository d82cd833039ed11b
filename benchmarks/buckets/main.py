"""The loader on tokens in a bucket: `python benchmarks/buckets/main.py [--streaming PYTHON]`.

moto's S3 server behind a proxy with 30 ms of latency and a bandwidth of 50 MB/s; each reader is a process.
One epoch of random tokens, with a cache that holds them and then with one that holds half; for both the least
that a cache of blocks can fetch (Belady's rule, without room to read ahead). With `--streaming`, the Python
of an environment that has mosaicml-streaming reads the same tokens. Compare the speed with what
benchmarks/loader.py prints for the small model's step. Run it from the repository's root, installed editable.
"""

import argparse
import heapq
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import obstore.store  # noqa: F401 - as the other reader has imported its client before its clock starts

from data.cache.config import CacheConfig
from data.cache.store import BucketStore, open_store
from data.loader import Loader
from data.order import Order
from data.tokens.sums import BLOCK
from tests.support.buckets import Chaos, credentials, make_bucket, moto, random_store, upload

MICRO_BATCH, GLOBAL_BATCH = 4, 16  # of the small model
LENGTHS = (512, 2048)  # of the small model, and of LLaMA
TOKENS = 2_000_000
LATENCY, BANDWIDTH = 0.03, 50e6  # seconds, bytes/s
URL = "s3://corpus/c4/tokens"


def own_memory() -> float:
    """MiB of this process's private memory."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def order_of(length: int, n_sequences: int) -> Order:
    return Order.start(seed=0, weights={"c4": 1}, n_sequences={"c4": n_sequences}, seq_len=length)


def read(folder: str, gib: float, length: int) -> dict[str, float]:
    """One epoch through a new cache."""
    begin = time.perf_counter()
    store = open_store(URL, cache=CacheConfig(folder, gib))
    assert isinstance(store, BucketStore)
    order, steps = order_of(length, store.n_sequences(length)), TOKENS // length // GLOBAL_BATCH
    memory = []
    with Loader(order, {"c4": store}, micro_batch=MICRO_BATCH, global_batch=GLOBAL_BATCH) as loader:
        batches = loader.batches(0, steps)
        next(batches)
        first = time.perf_counter() - begin
        for _ in batches:
            memory.append(own_memory())
    seconds = time.perf_counter() - begin
    return {
        "tokens_per_second": steps * GLOBAL_BATCH * length / seconds,
        "first": first,
        "fetched": store.bucket.traffic.bytes / (steps * GLOBAL_BATCH * (length + 1) * 2),
        "quarter": memory[len(memory) // 4],
        "end": memory[-1],
    }


def least(length: int, capacity: int) -> float:
    """Bytes fetched / trained on by Belady's rule, in blocks, without reading ahead."""
    order, steps = order_of(length, (TOKENS - 2) // length), TOKENS // length // GLOBAL_BATCH
    reads: list[int] = []
    for n in range(steps * GLOBAL_BATCH):
        low = order.locate(n).index * length * 2
        reads += range(low // BLOCK, (low + 2 * length + 1) // BLOCK + 1)
    later, next_read = [len(reads)] * len(reads), {}
    for at in range(len(reads) - 1, -1, -1):
        later[at], next_read[reads[at]] = next_read.get(reads[at], len(reads)), at
    kept: dict[int, int] = {}
    furthest: list[tuple[int, int]] = []
    fetched = 0
    for at, block in enumerate(reads):
        fetched += block not in kept
        kept[block] = later[at]
        heapq.heappush(furthest, (-later[at], block))
        while len(kept) > capacity // BLOCK:
            need, other = heapq.heappop(furthest)
            if kept.get(other) == -need:
                del kept[other]
    return fetched * BLOCK / (steps * GLOBAL_BATCH * (length + 1) * 2)


def asked(*command: object) -> dict[str, float]:
    done = subprocess.run([*map(str, command)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def show(name: str, length: int, found: dict[str, float], bound: float | None = None) -> None:
    rest = (f"{found[key]:12,.2f}" if key in found else f"{'':12}" for key in ("fetched", "quarter", "end"))
    known = f"{bound:9.2f}" if bound else ""
    print(
        f"{name:>20}{length:8}{found['tokens_per_second']:12,.0f}{found['first']:10.2f}{''.join(rest)}{known}"
    )


def main(streaming: str | None) -> None:
    logging.disable(logging.INFO)
    other = Path(__file__).with_name("mosaic.py")
    with tempfile.TemporaryDirectory() as folder, moto() as place:
        os.environ.update(credentials(place))
        random_store(Path(folder, "c4/tokens"), "c4", TOKENS)
        make_bucket("corpus")
        upload(Path(folder, "c4"), "corpus", "c4")
        if streaming:
            raw = Path(folder, "raw")
            raw.write_bytes(b"".join(p.read_bytes() for p in sorted(Path(folder, "c4/tokens").glob("*.bin"))))
            subprocess.run(
                [streaming, "-I", other, "write", f"{folder}/mds", raw, str(LENGTHS[0])], check=True
            )
            upload(Path(folder, "mds"), "corpus", "mds")
        with Chaos(place, latency=LATENCY, bytes_per_second=BANDWIDTH) as proxy:
            endpoint = "http://{}:{}".format(*proxy.place)
            os.environ |= {"AWS_ENDPOINT_URL": endpoint, "S3_ENDPOINT_URL": endpoint}
            print(
                f"{'cache':>20}{'length':>8}{'tokens/s':>12}{'first, s':>10}{'fetched':>12}"
                f"{'MiB, 1/4':>12}{'end':>12}{'least':>9}"
            )
            for name, size in (("all tokens", 2**30), ("half of them", TOKENS)):
                for length in LENGTHS:
                    cache = f"{folder}/{size}-{length}"
                    found = asked(sys.executable, __file__, "--read", cache, size / 2**30, length)
                    show(name, length, found, least(length, size))
            if streaming:
                keys = (LENGTHS[0], MICRO_BATCH)
                found = asked(streaming, "-I", other, "read", "s3://corpus/mds", f"{folder}/cache", *keys)
                show("mosaicml-streaming", LENGTHS[0], found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--streaming", help="a Python that has mosaicml-streaming")
    parser.add_argument("--read", nargs=3, metavar=("CACHE", "GIB", "LENGTH"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.read:
        print(json.dumps(read(given.read[0], float(given.read[1]), int(given.read[2]))))
    else:
        main(given.streaming)
