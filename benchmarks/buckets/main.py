"""The loader on tokens in a bucket: `python benchmarks/buckets/main.py`.

moto's S3 server behind a proxy with 30 ms of latency and a bandwidth of 50 MB/s. One epoch of random tokens,
with a cache that holds them and then one that holds half. Compare the speed with what benchmarks/loader.py
prints for the small model's step. Run it from the repository's root, installed editable.
"""

import logging
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from data.cache.config import CacheConfig
from data.cache.store import open_store
from data.loader import Loader
from data.order import Order
from tests.support.buckets import Chaos, credentials, make_bucket, moto, random_store, upload

SEQ_LEN, MICRO_BATCH, GLOBAL_BATCH = 512, 4, 16  # of the small model
TOKENS = 2_000_000
LATENCY, BANDWIDTH = 0.03, 50e6  # seconds, bytes/s


def own_memory() -> float:
    """MiB of this process's private memory."""
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1024


def measure(cache: CacheConfig, steps: int) -> str:
    begin = time.perf_counter()
    store = open_store("s3://corpus/c4/tokens", cache=cache)
    sizes = {"c4": store.n_sequences(SEQ_LEN)}
    order = Order.start(seed=0, weights={"c4": 1}, n_sequences=sizes, seq_len=SEQ_LEN)
    memory = []
    with Loader(order, {"c4": store}, micro_batch=MICRO_BATCH, global_batch=GLOBAL_BATCH) as loader:
        batches = loader.batches(0, steps)
        next(batches)
        first = time.perf_counter() - begin
        for _ in batches:
            memory.append(own_memory())
    seconds = time.perf_counter() - begin
    trained = steps * GLOBAL_BATCH * (SEQ_LEN + 1) * 2
    fetched = store.bucket.traffic.bytes  # type: ignore[attr-defined]
    return (
        f"{steps * GLOBAL_BATCH * SEQ_LEN / seconds:12,.0f}{first:14.2f}{fetched / trained:17.2f}"
        f"{memory[len(memory) // 4]:14.0f}{memory[-1]:10.0f}"
    )


def main() -> None:
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder, moto() as place:
        os.environ.update(credentials(place))
        random_store(Path(folder, "c4/tokens"), "c4", TOKENS)
        make_bucket("corpus")
        upload(Path(folder, "c4"), "corpus", "c4")
        steps = TOKENS // SEQ_LEN // GLOBAL_BATCH
        with Chaos(place, latency=LATENCY, bytes_per_second=BANDWIDTH) as proxy:
            os.environ["AWS_ENDPOINT_URL"] = "http://{}:{}".format(*proxy.place)
            print(
                f"{'cache':>18}{'tokens/s':>12}{'first batch s':>14}"
                f"{'fetched/trained':>17}{'MiB, 1/4':>14}{'end':>10}"
            )
            for name, gib in (("all tokens", 1.0), ("half of them", TOKENS / 2**30)):
                print(f"{name:>18}{measure(CacheConfig(f'{folder}/{gib}', gib), steps)}")


if __name__ == "__main__":
    main()
