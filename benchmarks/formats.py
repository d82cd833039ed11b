"""Peak memory of the conversions on a model of a few GB: `python benchmarks/formats.py`.

Random fp32 weights are made tensor by tensor; each conversion runs in its own process. Its resident memory
includes torch itself (0.3 GB) and the pages of mapped files, which the system can reclaim.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
import xxhash

from model.config import LlamaConfig
from model.formats.huggingface import open_huggingface, write_huggingface
from model.formats.meta import open_meta, write_meta
from model.formats.weights import Weights, parameter_shapes
from train.checkpoint.tensors import save_weights
from train.weights.open import open_weights

CONFIG = LlamaConfig(dim=2048, n_layers=12, n_heads=16, vocab_size=32000)
SHARD = 500_000_000
WAYS = ("make hf", "hf to meta, 4 files", "meta to hf", "hf to checkpoint", "checkpoint to hf")


def random_tensor(name: str) -> torch.Tensor:
    generator = torch.Generator().manual_seed(xxhash.xxh32_intdigest(name.encode()))
    return torch.randn(parameter_shapes(CONFIG)[name], generator=generator)


def convert(way: str, root: Path) -> None:
    start = time.perf_counter()
    if way == WAYS[0]:
        memory = Weights(Path("memory"), CONFIG, random_tensor)
        write_huggingface(memory, root / "hf", dtype=torch.float32, shard_bytes=SHARD)
    elif way == WAYS[1]:
        write_meta(open_huggingface(root / "hf"), root / "meta", shards=4, dtype=torch.float32)
    elif way == WAYS[2]:
        write_huggingface(open_meta(root / "meta"), root / "back", dtype=torch.float32, shard_bytes=SHARD)
    elif way == WAYS[3]:
        weights = open_huggingface(root / "hf")
        state = {"step": 0, "model": vars(CONFIG), "tokenizer": "none", "fingerprints": {}}
        save_weights(root / "run" / "checkpoints", parameter_shapes(CONFIG), weights.read, state)
    else:
        write_huggingface(open_weights(root / "run"), root / "again", dtype=torch.float32, shard_bytes=SHARD)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"{way:<24}{time.perf_counter() - start:>8.0f} s{peak:>10.2f} GB resident at most", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--way", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.way:
        convert(arguments.way[0], Path(arguments.way[1]))
        return
    size = sum(torch.Size(shape).numel() for shape in parameter_shapes(CONFIG).values()) * 4 / 1e9
    print(f"a model of {size:.2f} GB; files of {SHARD / 1e9:.1f} GB (hf) and {size / 4:.2f} GB (meta)")
    with tempfile.TemporaryDirectory() as place:
        for way in WAYS:
            subprocess.run([sys.executable, __file__, "--way", way, place], check=True)
        for folder in ("back", "again"):
            for path in sorted((Path(place) / "hf").glob("*.safetensors")):
                other = Path(place) / folder / path.name
                assert subprocess.run(["cmp", path, other]).returncode == 0, other
        print("bit-equal: what came back through Meta's files and through a checkpoint")


if __name__ == "__main__":
    main()
