"""`relama explain run=NAME step=S`: what any step of any run was trained on, down to the file and record.

In: the run's order.json, which the trainer wrote. Out: for each sequence of the step its source, epoch,
shard, documents and text. Nothing was logged for this: the order is a function of the sample number.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from configs.load import entry, load
from data.documents import read_row
from data.errors import DataError
from data.order import Order
from data.store import TokenStore
from data.tokenizer import Tokenizer


@dataclass
class ExplainConfig:
    """Which step of which run, and how much of it to show."""

    run: str  # a name under runs/, or a path
    step: int  # 1, 2, …
    limit: int | None = 4  # sequences; null: all of the global batch
    width: int | None = 400  # characters of text of each; null: all

    def __post_init__(self) -> None:
        for key in ("limit", "width"):
            if getattr(self, key) is not None and getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)}: expected null or at least 1")


def explain(folder: Path, step: int, limit: int | None = None, width: int | None = None) -> Iterator[str]:
    """Lines on each sequence of `step`. Raises DataError for a step, run or store that is not there."""
    known = _read_order(folder)
    order, batch = Order.from_json(known["order"]), known["global_batch"]
    if step < 1:
        raise DataError(f"step={step}: expected 1 or above; a run's first step is 1")
    stores = {source: TokenStore.open(Path(path)) for source, path in known["stores"].items()}
    for source, store in stores.items():
        if store.fingerprint != known["fingerprints"][source]:
            raise DataError(f"{store.folder}: not the tokens that {folder} was trained on (fingerprint)")
    tokenizer = Tokenizer(next(iter(stores.values())).folder / "tokenizer.model")
    first = (step - 1) * batch
    shown = min(batch, limit or batch)
    yield f"step {step}: samples {first:,} to {first + batch - 1:,}" + (
        f", the first {shown} shown (limit=null shows all)" if shown < batch else ""
    )
    for n in range(first, first + shown):
        sample, seq_len = order.locate(n), order.seq_len(n)
        store, start = stores[sample.source], sample.index * seq_len
        shard, offset = store.place_of(start)
        yield f"\nsample {n:,}: {sample.source}, epoch {sample.epoch}, sequence {sample.index:,}"
        yield f"  tokens {offset:,} to {offset + seq_len:,} of {shard}"
        for span in store.documents(start, start + seq_len + 1):
            document = read_row(span.text_file, span.row)
            about = ", ".join(part for part in (document.url, document.licence) if part)
            yield f"  document {document.id}: record {document.record} of {document.file}" + (f" ({about})" if about else "")
            yield f"    row {span.row} of {span.text_file}"
        text = tokenizer.decode(store.sequence(sample.index, seq_len).tolist())
        yield "  text: " + repr(text if width is None else text[:width])


def _read_order(folder: Path) -> dict:
    path = folder / "order.json"
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise DataError(f"{path}: missing; expected the folder of a training run (run=NAME or a path)") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: not readable ({error})") from None


def run(argv: list[str]) -> None:
    config = load("explain", ExplainConfig, argv)
    folder = Path(config.run) if "/" in config.run else Path("runs") / config.run
    for line in explain(folder, config.step, config.limit, config.width):
        print(line)


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(DataError,))
