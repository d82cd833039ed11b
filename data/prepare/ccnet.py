"""From `relama prepare`'s keys to CCNet's stages: the models they need, and what is recorded of them.

In: the request and the units it reads. Out: the stages (`CCNet`) with every model already tried, so that a
missing or damaged one is refused before the first page is read; and the settings that tell one run from
another.
"""

import json
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import xxhash

from data.ccnet import language, references
from data.ccnet.refine import CCNet
from data.errors import DataError
from data.remote import stamp

if TYPE_CHECKING:
    from data.prepare.source import PrepareConfig

CARD = "card.json"
_BLOCK = 1 << 20


def ccnet_of(config: "PrepareConfig", units: list[Path]) -> CCNet:
    """The stages asked for. Raises DataError if a model is missing or is none, or a dump is given twice."""
    if config.cutoffs and (config.models_folder / CARD).is_file():
        raise DataError(
            f"cutoffs={config.cutoffs}: thresholds of another model mean nothing for the one trained in "
            f"{config.models_folder}; leave them out and the corpus's own percentiles are taken"
        )
    _refuse_copies(units)
    sets = {str(unit): place // config.group for place, unit in enumerate(units)} if config.group else {}
    ccnet = CCNet(
        models=config.models_folder,
        languages=tuple(config.languages),
        min_language=config.min_language,
        cutoffs=tuple(config.cutoffs) if config.cutoffs else None,
        min_reference=config.min_reference,
        skip=frozenset(config.skip),
        sets=sets,
    )
    ccnet.check()
    return ccnet


def settings_of(config: "PrepareConfig") -> dict:
    """What decides which pages stay, for the report and for going on with an unfinished run."""
    folder, used = config.models_folder, []
    if "language" not in config.skip:
        used.append(language.model_file(folder))
    if "perplexity" not in config.skip:
        used += [folder / f"{name}.{kind}" for name in config.languages for kind in ("sp.model", "arpa.bin")]
    if "references" not in config.skip:
        used.append(folder / references.FILE)
    card = json.loads((folder / CARD).read_text()) if (folder / CARD).is_file() else {}
    return {
        "languages": config.languages,
        "min_language": config.min_language,
        "group": config.group,
        "cutoffs": config.cutoffs,
        "min_reference": config.min_reference,
        "skip": sorted(config.skip),
        "models": [[path.name, *stamp(path)] for path in used],
        "stand_in": card.get("stand_in", False) and "references" not in config.skip,
    }


def _refuse_copies(units: list[Path]) -> None:
    """Every paragraph of a file that is read twice is repeated: nothing of it would be left."""
    by_size: dict[int, list[Path]] = {}
    for unit in units:
        by_size.setdefault(stamp(unit)[0], []).append(unit)
    for alike in by_size.values():
        for one, other in combinations(alike, 2):
            if _digest(one, _BLOCK) == _digest(other, _BLOCK) and _digest(one) == _digest(other):
                raise DataError(
                    f"input: {one} and {other} are the same file: every paragraph of both would be repeated, "
                    "and go; give it once"
                )


def _digest(unit: Path, most: int | None = None) -> str:
    digest = xxhash.xxh3_128()
    with unit.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            if most and file.tell() >= most:
                break
    return digest.hexdigest()
