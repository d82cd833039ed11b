"""The mixture's sources, their weights and their token stores, without heavy imports.

In: the configuration's `data` group. Out: each chosen source's weight and the folder of its tokens. One error
names all missing stores and the command that makes them.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from data.errors import DataError
from data.folders import is_plain
from data.remote import is_remote, refuse_half_a_url

Place = str | Path  # a URL, or a folder
# The paper's sources; each has its own recipe.
RECIPES = ("commoncrawl", "c4", "github", "wikipedia", "books", "arxiv", "stackexchange")
SAMPLE = ("python_code", "python_docs")  # the sources of recipe=sample


@dataclass
class DataConfig:
    """A mixture. Weights are relative: they need not sum to 1."""

    name: str  # mix | sample | text
    weights: dict[str, float]  # source: its weight in the sampled tokens
    sources: list[str] | None = None  # a subset of the weights' names; null: all of them
    max_epochs: float | None = None  # refuse a run that would read a source more often; null: no limit
    vocab_size: int | None = (
        None  # pieces of the tokenizer that data=sample or text trains; null: 4096 for text, else the stores'
    )

    def __post_init__(self) -> None:
        if not self.weights:
            raise ValueError("data.weights: expected at least one source and its weight")
        for source, weight in self.weights.items():
            if not is_plain(source):
                raise ValueError(f"data.weights: {source!r}: expected a folder's plain name, without slashes")
            if not 0 < weight < float("inf"):
                raise ValueError(
                    f"data.weights.{source}={weight}: expected a weight above 0 "
                    "(leave a source out with data.sources=A,B)"
                )
        for source in self.sources or []:
            if source not in self.weights:
                raise ValueError(
                    f"data.sources: {source!r} has no weight; the choices are: {', '.join(self.weights)} "
                    f"(add your own with data.weights.{source}=…)"
                )
        if self.sources == []:
            raise ValueError(f"data.sources: expected some of: {', '.join(self.weights)}")
        if self.max_epochs is not None and not 0 < self.max_epochs < float("inf"):
            raise ValueError(f"data.max_epochs={self.max_epochs}: expected a number above 0, or null")
        if self.vocab_size is not None and self.vocab_size < 300:  # bytes and control pieces take 259
            raise ValueError(f"data.vocab_size={self.vocab_size}: expected at least 300")

    def chosen(self) -> dict[str, float]:
        """The chosen sources' relative weights, in the order of `weights`."""
        return {s: w for s, w in self.weights.items() if self.sources is None or s in self.sources}


def source_name(path: str) -> str:
    """The name of the source whose first input is `path`: `~/My novels.txt` → `My_novels`."""
    return re.sub(r"\W+", "_", Path(path).name.partition(".")[0]).strip("_") or "text"


def keys_of(sources: list[str]) -> str:
    """The keys that choose these sources, including a weight for each of the user's own."""
    own = [f"data.weights.{source}=1" for source in sources if source not in RECIPES]
    return " ".join(["data=mix", *own, f"data.sources={','.join(sources)}"])


def some_of(there: list[str]) -> str:
    """For a message: the sources that can be chosen, and the keys for all or some of them."""
    if all(source in SAMPLE for source in there):
        return "what is there with data=sample"
    some = [source for source in there if source in RECIPES]
    some = some or [source for source in there if source not in SAMPLE][:1]
    if len(some) == len(there):
        return f"what is there with {keys_of(some)}"
    return f"from what is there ({', '.join(there)}), such as {keys_of(some)}"


def folder_hint(corpora: Place) -> str:
    """What to give instead, if `corpora` is a single source's own folder; else nothing."""
    is_source = not is_remote(corpora) and any(Path(corpora, part).is_dir() for part in ("text", "tokens"))
    return f"; {corpora} is one source: give the folder that it is in" if is_source else ""


def find_stores(corpora: str | Path, config: DataConfig) -> dict[str, Place]:
    """The tokens folder, or URL, of each chosen source. Raises DataError that names all missing ones."""
    stores = {source: tokens_of(corpora, source) for source in config.chosen()}
    missing = [source for source, place in stores.items() if not has_manifest(place)]
    if not missing:
        return stores
    if str(corpora).startswith(("http://", "https://")):  # few servers list a folder, and none takes files
        raise DataError(
            f"{corpora}: no {missing[0]}/tokens/manifest.json there; put the folder {missing[0]} there that "
            "`relama prepare` makes, or correct the URL"
        )
    if is_remote(corpora) and not sources_in(str(corpora)):
        raise DataError(
            f"{corpora}: empty, or no such folder; `relama prepare … output={corpora}/NAME` fills it"
        )
    remedy = _remedy(config, missing, sources_in(str(corpora))) + folder_hint(corpora)
    raise DataError(f"{corpora}/: no token store for {', '.join(missing)}; {remedy}")


def tokens_of(corpora: str | Path, source: str) -> Place:
    """Where a source's store belongs, whether or not it exists."""
    refuse_half_a_url(corpora)
    if is_remote(corpora):
        return f"{str(corpora).rstrip('/')}/{source}/tokens"
    return Path(corpora) / source / "tokens"


def has_manifest(place: Place) -> bool:
    """Whether this folder or URL holds a store. Raises DataError if a bucket does not answer."""
    if not is_remote(place):
        return Path(place, "manifest.json").is_file()
    from data.bucket import Bucket

    return Bucket(str(place)).exists("manifest.json")


def sources_in(corpora: str) -> list[str]:
    """The sources that have a store in a folder or at a URL, sorted."""
    if not is_remote(corpora):
        return sorted(path.parent.parent.name for path in Path(corpora).glob("*/tokens/manifest.json"))
    from data.bucket import Bucket

    names = [name for name in Bucket(corpora).names() if name[0] != "."]
    return [name for name in names if has_manifest(f"{corpora.rstrip('/')}/{name}/tokens")]


def _remedy(config: DataConfig, missing: list[str], there: list[str]) -> str:
    if all(source in SAMPLE for source in missing):
        return "make it with `relama prepare recipe=sample`"
    recipe = next((source for source in missing if source in RECIPES), f"text source={missing[0]}")
    hint = "" if "text" in recipe else " (recipe=text source=NAME for text that is already cleaned)"
    ready = [source for source in config.chosen() if source not in missing]
    subset = f"what is there with data.sources={','.join(ready) or 'A,B'}"
    return (
        f"make each with `relama prepare recipe={recipe} input=… tokenizer=…`{hint}, "
        f"or choose {some_of(there) if there and not ready else subset}"
    )
