"""Judges whether a page looks like those that Wikipedia cites, with a linear fastText classifier.

In: text, and a model with RedPajama's labels, `__label__wiki` and `__label__cc`. Out: the probability of the
first. The model comes from floret (as `recipe=ccnet-models` trains it) or from fastText.
"""

from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

from data.errors import DataError

FILE = "references.bin"
CITED, OTHER = "__label__wiki", "__label__cc"


def as_line(text: str) -> str:
    """The text as the one line that the classifier reads, in training and in prediction."""
    return " ".join(text.split())


def probability(text: str, model: Path) -> float:
    """The probability that Wikipedia would cite the page."""
    return score(as_line(text), load(model))


def score(line: str, classifier: Any) -> float:
    """The same probability, for a line and a loaded model."""
    # `.f`: floret's own predict() fails with NumPy 2.
    found = classifier.f.predict(line + "\n", 2, 0.0, "strict")
    return next((min(float(share), 1.0) for share, label in found if label == CITED), 0.0)


def floret() -> Any:
    """The package that trains the classifier. Raises DataError if it is not installed."""
    try:
        return import_module("floret")
    except ModuleNotFoundError:
        raise DataError(
            "the classifier of references needs the package floret (pip install -e '.[data]'; from Python "
            "3.13 on pip install floret, with a compiler); or leave the step out with ccnet.skip=references"
        ) from None


@lru_cache(maxsize=2)
def load(model: Path) -> Any:
    """The classifier, loaded once per process. Raises DataError if the file is not one."""
    if not model.is_file():
        raise DataError(
            f"{model}: no such model; `relama prepare recipe=ccnet-models` trains it "
            "(docs/guides/commoncrawl.md)"
        )
    for library in (floret(), import_module("fasttext")):
        try:
            classifier = library.load_model(str(model))
            labels = [label for _, label in classifier.f.predict("a\n", 2, 0.0, "strict")]
        except (ValueError, MemoryError, RuntimeError):
            continue
        if {*labels} <= {CITED, OTHER} and labels:
            return classifier
        raise DataError(
            f"{model}: expected the labels {CITED} and {OTHER}, found {', '.join(labels) or 'none'}"
        )
    raise DataError(f"{model}: not a fastText or floret classifier")
