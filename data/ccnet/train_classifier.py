"""Trains the classifier of CCNet's last step: pages Wikipedia cites against other pages of the same lengths.

In: pages from the dumps, each cited or drawn at random. Out: `references.bin` (floret with fastText's default
settings) and the figures for its card. Unlike RedPajama's classifier, it trains on each text only once, its
negatives are a random sample, and both classes have equally many pages of each length (in powers of two), so
it cannot learn from the length.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xxhash

from data import folders
from data.ccnet import references
from data.documents import Document
from data.errors import DataError

HELDOUT = 10  # hold out one example in ten
MOST = 1_000_000  # most examples of a class


@dataclass(frozen=True)
class Example:
    """A page without its text."""

    cited: bool
    digest: int  # of the text
    length: int  # bit_length of the number of characters
    place: int  # number in the order of reading


def examples(pages: Iterable[Document]) -> list[Example]:
    """One example for each different text, cited if any page with that text is."""
    found: dict[int, Example] = {}
    for place, page in enumerate(pages):
        line = references.as_line(page.text)
        digest = xxhash.xxh3_64_intdigest(line.encode())
        cited = bool(json.loads(page.meta).get("cited"))
        if digest not in found or (cited and not found[digest].cited):
            found[digest] = Example(cited, digest, len(line).bit_length(), place)
    return list(found.values())


def balanced(found: list[Example], seed: int, most: int = MOST) -> list[Example]:
    """A sample drawn by `seed`, with equally many of both classes at each length, in reading order."""
    draw = sorted(found, key=lambda one: xxhash.xxh3_64_intdigest(f"{seed}/{one.digest}".encode()))
    chosen: list[Example] = []
    total = min(most, sum(one.cited for one in found)) or 1
    for length in sorted({one.length for one in found}):
        classes = [
            [one for one in draw if one.length == length and one.cited is cited] for cited in (True, False)
        ]
        share = -(-total * len(classes[0]) // max(1, sum(one.cited for one in found)))
        n_each = min(share, *map(len, classes))
        chosen += [one for each in classes for one in each[:n_each]]
    return sorted(chosen, key=lambda one: one.place)


def train_classifier(
    pages: Iterable[Document], chosen: list[Example], folder: Path, threshold: float
) -> dict[str, float | None]:
    """Train on nine tenths, write `references.bin`, and measure on the last tenth. Raises DataError."""
    floret = references.floret()
    wanted = {one.place: one for one in chosen}
    heldout: list[tuple[bool, str]] = []
    training = folders.own(folder / "training.txt")
    try:
        with training.open("w", encoding="utf-8") as out:
            for place, page in enumerate(pages):
                one = wanted.get(place)
                if one is None:
                    continue
                line = references.as_line(page.text)
                if one.digest % HELDOUT == 0:
                    heldout.append((one.cited, line))
                else:
                    out.write(f"{references.CITED if one.cited else references.OTHER} {line}\n")
        model = floret.train_supervised(input=str(training), thread=1, verbose=0)
    except (ValueError, RuntimeError) as error:
        raise DataError(f"{folder / references.FILE}: the classifier cannot be trained ({error})") from None
    finally:
        training.unlink(missing_ok=True)
    scores = np.array([references.score(line, model) for _, line in heldout])
    cited = np.array([is_cited for is_cited, _ in heldout], bool)
    with folders.replacing(folder / references.FILE) as temporary:
        model.save_model(str(temporary))
    return {
        "examples": len(chosen),
        "held_out": len(heldout),
        "accuracy": _share((scores >= 0.5) == cited),
        "kept_of_cited": _share(scores[cited] >= threshold),
        "kept_of_others": _share(scores[~cited] >= threshold),
        "threshold": threshold,
    }


def _share(truth: np.ndarray) -> float | None:
    return round(float(truth.mean()), 4) if len(truth) else None
