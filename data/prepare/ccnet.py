"""From the keys of `relama prepare` to CCNet's stages, their models and the recorded settings.

In: the request and its inputs. Out: the stages (`CCNet`) and the settings to record in report.json. Every
model is loaded once here, so that a missing or damaged one is refused before the first page is read.
"""

import json
from itertools import combinations
from pathlib import Path

import xxhash

from data.ccnet import fasttext_file, language, references
from data.ccnet.refine import CCNet
from data.documents import file_name
from data.errors import DataError
from data.prepare.config import PrepareConfig
from data.remote import named, stamp
from data.sources.commoncrawl import scan

CARD = "card.json"
_BLOCK = 1 << 20


def ccnet_of(config: PrepareConfig, inputs: list[Path]) -> CCNet:
    """The requested stages. Raises DataError if a model is missing or damaged, or a dump is given twice."""
    keys = config.ccnet
    refuse_unfit(config, inputs, is_trained=(config.models_folder / CARD).is_file())
    sets = {file_name(named(path)): place // keys.group for place, path in enumerate(inputs) if keys.group}
    ccnet = CCNet(
        models=config.models_folder,
        languages=tuple(keys.languages),
        min_language=keys.min_language,
        cutoffs=(keys.cutoffs[0], keys.cutoffs[1]) if keys.cutoffs else None,
        min_reference=keys.min_reference,
        skip=frozenset(keys.skip),
        sets=sets,
    )
    ccnet.check()
    return ccnet


def refuse_unfit(config: PrepareConfig, inputs: list[Path], *, is_trained: bool) -> None:
    """Raise DataError for other models' thresholds if ours are trained here, or for a dump given twice."""
    if config.ccnet.cutoffs and is_trained:
        raise DataError(
            f"ccnet.cutoffs={config.ccnet.cutoffs}: another model's thresholds do not apply to the model "
            f"trained in {config.models_folder}; leave this key out to use the corpus's own percentiles"
        )
    _refuse_copies(inputs)


def settings_of(config: PrepareConfig) -> dict:
    """The settings that decide which pages are kept, for the report and for resuming unfinished work."""
    keys, folder, used = config.ccnet, config.models_folder, []
    if "language" not in keys.skip:
        used.append(language.model_file(folder))
    if "perplexity" not in keys.skip:
        used += [folder / f"{name}.{kind}" for name in keys.languages for kind in ("sp.model", "arpa.bin")]
    if "references" not in keys.skip:
        used.append(folder / references.FILE)
    card = json.loads((folder / CARD).read_text()) if (folder / CARD).is_file() else {}
    return {
        "languages": keys.languages,
        "min_language": keys.min_language,
        "group": keys.group,
        "cutoffs": keys.cutoffs,
        "min_reference": keys.min_reference,
        "skip": sorted(keys.skip),
        "models": [[path.name, *stamp(path)] for path in used],
        "stand_in": card.get("stand_in", False) and "references" not in keys.skip,
    }


def uncompiled() -> str | None:
    """What to say if our C code is not compiled, or older than the code here. It costs time, not text."""
    code = {"data/sources/commoncrawl/c": scan.native, "data/ccnet/c": fasttext_file.native}
    if missing := [folder for folder, native in code.items() if native is None]:
        return (
            f"{' and '.join(missing)}: not compiled, or from older sources, so slower code does the same; "
            "`make install` compiles it (pip install -e . without make), with a C compiler"
        )
    return None


def _refuse_copies(inputs: list[Path]) -> None:
    """Refuse a file that is given twice: all its paragraphs would count as repeated and be dropped."""
    by_size: dict[int, list[Path]] = {}
    for path in inputs:
        by_size.setdefault(stamp(path)[0], []).append(path)
    for alike in by_size.values():
        for one, other in combinations(alike, 2):
            if _digest(one, _BLOCK) == _digest(other, _BLOCK) and _digest(one) == _digest(other):
                raise DataError(
                    f"input: {one} and {other} have the same content, so every paragraph would count as "
                    "repeated and be dropped; give only one of them"
                )


def _digest(path: Path, most: int | None = None) -> str:
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            if most and file.tell() >= most:
                break
    return digest.hexdigest()
