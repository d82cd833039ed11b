"""What another streaming loader does with the same tokens: benchmarks/buckets/main.py starts this file.

It runs in the environment of `--streaming PYTHON`, which has mosaicml-streaming, and prints JSON. Its shards
of raw tokens, uncompressed, hold sequences of `length` + 1 tokens, which it shuffles in its default way.
"""

import json
import sys
import time

import numpy as np
from streaming import MDSWriter, StreamingDataset  # type: ignore[import-not-found] (of another environment)


def write(folder: str, tokens: str, length: int) -> None:
    stream = np.fromfile(tokens, np.uint16)
    with MDSWriter(out=folder, columns={"tokens": "ndarray:uint16"}, size_limit=1 << 20) as writer:
        for start in range(0, len(stream) - length, length):
            writer.write({"tokens": stream[start : start + length + 1]})


def read(remote: str, cache: str, length: int, micro_batch: int) -> None:
    import torch
    from torch.utils.data import DataLoader

    begin = time.perf_counter()
    data = StreamingDataset(remote=remote, local=cache, shuffle=True, batch_size=micro_batch)
    batches = iter(DataLoader(data, batch_size=micro_batch, num_workers=1))
    n, first = 0, 0.0
    for batch in batches:
        rows = torch.as_tensor(batch["tokens"])
        assert rows.shape[1] == length + 1
        n += len(rows)
        first = first or time.perf_counter() - begin
    seconds = time.perf_counter() - begin
    print(json.dumps({"tokens_per_second": n * length / seconds, "first": first, "sequences": n}))


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        read(sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))
