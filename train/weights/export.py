"""`relama export weights=PATH format=hf|meta output=FOLDER`: convert weights for other tools.

A checkpoint's fp32 tensors are written unchanged, or rounded once to the requested dtype. The input may
have any format, so it also converts Meta's files to Hugging Face's and back. A failure leaves nothing
behind.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from configs.load import entry, load
from configs.overrides import as_key
from configs.sizes import decimal
from configs.waiting import waiting
from data.errors import DataError
from data.tokens.tokenizer import Tokenizer
from data.tokens.tokenizer_json import hugging_face_files, why_not_exportable
from model.formats.errors import FormatError
from model.formats.huggingface import write_huggingface
from model.formats.meta import META_CONTEXT, SHARDS, write_meta
from model.formats.weights import DTYPES, Weights
from train.config import RunError
from train.weights.open import open_weights, tokenizer_of

# The names that other keys use, and torch's.
DTYPE_NAMES = {
    "auto": None,
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    **DTYPES,
}


@dataclass
class ExportConfig:
    """What to write, and how."""

    weights: str  # a run's folder or name, RUN@STEP, a Hugging Face folder or a Meta folder
    format: str  # hf | meta
    output: str  # the folder to create
    dtype: str = "fp32"  # fp32 | bf16 | fp16 | auto (as stored)
    shards: int = 1  # meta: number of files (model-parallel ranks): 1 | 2 | 4 | 8
    max_shard_gb: float = 5.0  # hf: maximum size of a file
    tokenizer: str | None = None  # null: the one that came with the weights

    def __post_init__(self) -> None:
        for key, choices in (("format", ("hf", "meta")), ("dtype", DTYPE_NAMES), ("shards", SHARDS)):
            if getattr(self, key) not in choices:
                expected = ", ".join(str(choice) for choice in choices if choice not in DTYPES)
                raise ValueError(f"{key}={getattr(self, key)}: expected one of {expected}")
        if self.format == "hf" and self.shards != 1:
            raise ValueError(f"shards={self.shards}: only for format=meta; for hf use max_shard_gb=")
        if not 0 < self.max_shard_gb < float("inf"):
            raise ValueError(f"max_shard_gb={self.max_shard_gb}: expected above 0, and finite")


def run(argv: list[str]) -> None:
    config = load("export", ExportConfig, as_key("weights", argv))
    weights = open_weights(Path(config.weights))
    tokenizer = tokenizer_of(weights, config.tokenizer)
    output = Path(config.output)
    dtype = DTYPE_NAMES[config.dtype] or weights.dtype
    with waiting(f"writing {output}"):
        _write(config, weights, tokenizer, output, dtype)
    if config.format == "meta" and (context := weights.config.max_seq_len) != META_CONTEXT:
        print(f"params.json cannot hold the context length: set max_seq_len={context} when importing it")
    sizes = [path.stat().st_size for path in output.iterdir()]
    name = str(dtype).removeprefix("torch.")
    print(f"{output}: {weights.path} in {name}, {len(sizes)} files, {decimal(sum(sizes))}")


def _write(
    config: ExportConfig, weights: Weights, tokenizer: Tokenizer, output: Path, dtype: torch.dtype
) -> None:
    if config.format == "hf":
        write_huggingface(
            weights,
            output,
            dtype=dtype,
            shard_bytes=int(config.max_shard_gb * 1e9),
            extra=_tokenizer_files(tokenizer, weights.config.max_seq_len),
            bos_id=tokenizer.bos_id,
            eos_id=tokenizer.eos_id,
        )
    else:
        write_meta(weights, output, shards=config.shards, dtype=dtype, tokenizer=tokenizer.path)


def _tokenizer_files(tokenizer: Tokenizer, max_length: int) -> dict[str, str | bytes]:
    """What AutoTokenizer loads; if that would give other ids, the SentencePiece model alone."""
    if why := why_not_exportable(tokenizer):
        print(f"warning: {why}; the weights are exported with tokenizer.model alone")
        return {"tokenizer.model": tokenizer.path.read_bytes()}
    return hugging_face_files(tokenizer, max_length)


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError, FormatError))
