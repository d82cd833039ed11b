"""Prepares your own files for training in one go: text, a tokenizer for it, tokens, a held-out part.

In: files that `recipe=text` can read. Out: in `corpora/<source>/`, what the separate commands would make
(`relama prepare recipe=text`, `relama tokenizer`, `relama prepare stage=tokens`). Each step follows its own
rules for resuming and reuse; a marker says that a source is complete.
"""

import json
from functools import partial
from pathlib import Path

from data.errors import DataError, OtherSettings
from data.folders import locked, write_whole
from data.mixture import DataConfig
from data.prepare.config import PrepareConfig
from data.prepare.inputs import find_inputs
from data.progress import Progress
from data.remote import completed, stamp

HELDOUT = 0.01  # share of the documents; with only a few long ones, the end of one


def prepare_text(corpora: Path, source: str, inputs: list[str], vocab_size: int) -> None:
    """Make `source` under `corpora` unless it is complete; if several processes ask, only one makes it.

    Raises DataError if an input cannot be read, if there is too little text for `vocab_size`, or if the
    existing source was made from other inputs.
    """
    config = _request(corpora, source, inputs)
    made = {
        "input": [[str(path), *stamp(path)] for path in find_inputs(config)],
        "vocab_size": vocab_size,
    }
    marker = config.folder / "own_text.json"
    if _holds(marker, made):
        return
    wait = partial(Progress(source).say, "waiting for another process that is preparing it")
    with locked(corpora / f".{source}.lock", waiting=wait):
        if not _holds(marker, made):
            _make(config, vocab_size)
            write_whole(marker, json.dumps(made, indent=1))


def refuse_unreadable(corpora: Path, source: str, inputs: list[str]) -> None:
    """Raise DataError if `inputs` are missing, empty, or not in a format that recipe=text reads."""
    find_inputs(_request(corpora, source, inputs))


def _request(corpora: Path, source: str, inputs: list[str]) -> PrepareConfig:
    return PrepareConfig(
        DataConfig(name="text", weights={source: 1}),
        recipe="text",
        source=source,
        input=inputs,
        corpora=str(corpora),
        tokenizer=str(corpora / source / "tokenizer.model"),
        heldout=HELDOUT,
    )


def _holds(marker: Path, made: dict) -> bool:
    try:
        found = json.loads(marker.read_text())
        found["input"] = completed(found["input"], made["input"])
        return found == json.loads(json.dumps(made))
    except (OSError, ValueError, KeyError, TypeError):  # TypeError: not an object
        return False


def _make(config: PrepareConfig, vocab_size: int) -> None:
    from data.prepare.source import make  # a slow import, and needed only here
    from data.tokens.train_tokenizer import TokenizerConfig, make_tokenizer

    tokenizer, config.stage = config.tokenizer, "text"
    try:
        make(config)
        make_tokenizer(
            TokenizerConfig(config.data, corpora=config.corpora, output=tokenizer, vocab_size=vocab_size),
            key="data.vocab_size",
        )
        made_before = (config.folder / "tokens" / "manifest.json").is_file()
        config.stage = "all" if made_before else "tokens"  # "all" also reports that the text already exists
        make(config)
    except OtherSettings as error:
        raise DataError(
            f"{error.args[0]}; give the original settings, source=NAME for another source, "
            f"or move {config.folder} away"
        ) from None
    except DataError as error:
        line = str(error)
        is_of_a_disk = isinstance(error.__context__, OSError)
        raise DataError(line if is_of_a_disk else f"{line}; source=NAME prepares another source") from None
