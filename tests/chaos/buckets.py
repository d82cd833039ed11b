"""`python -m tests.chaos.buckets [FAULTS]`: a bucket that breaks what it sends, until 100 faults were met.

Every batch is compared with that of the local folder; the last line counts the faults of each kind.
"""

import logging
import os
import sys
import tempfile
from pathlib import Path

import torch

from data.cache.config import CacheConfig
from data.cache.store import open_store
from data.loader import Loader
from data.order import Order
from tests.support.buckets import Chaos, credentials, make_bucket, moto, random_store, upload

SEQ_LEN, BATCH, STEPS = 512, 16, 20


def main(wanted: int) -> None:
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder, moto() as place:
        os.environ.update(credentials(place))
        local = random_store(Path(folder, "c4/tokens"), "c4", 900_000)
        make_bucket("corpus")
        upload(Path(folder, "c4"), "corpus", "c4")
        sizes = {"c4": local.n_sequences(SEQ_LEN)}
        order = Order.start(seed=0, weights={"c4": 1}, n_sequences=sizes, seq_len=SEQ_LEN)
        batches = wrong = attempts = 0
        with Chaos(place) as proxy:
            os.environ["AWS_ENDPOINT_URL"] = "http://{}:{}".format(*proxy.place)
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
        print(f"{dict(proxy.done)}: {sum(proxy.done.values())} faults, {batches} batches, {wrong} wrong")
    sys.exit(wrong > 0)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
