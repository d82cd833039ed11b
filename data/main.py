"""`python data/main.py recipe=github input=…` or `relama prepare …`: parse, choose what to run, run it."""

import sys
from pathlib import Path

from configs.load import ConfigError, entry, load
from data.errors import DataError
from data.prepare.config import PrepareConfig, renamed_key


def run(argv: list[str]) -> None:
    for word in argv:
        _refuse_old_key(word)
    prepare(load("prepare", PrepareConfig, argv))


def prepare(config: PrepareConfig) -> None:
    """Run the recipe of one source, or the maker that was asked for. Raises DataError."""
    config.engine.check()
    if config.recipe == "sample":
        from data.prepare.sample import prepare_sample  # each imports what only it needs

        prepare_sample(Path(config.corpora))
    elif config.recipe == "all":
        from data.prepare.everything import prepare_all

        prepare_all(config)
    elif config.recipe == "ccnet-models":
        from data.prepare.ccnet_models import train_models

        train_models(config)
    else:
        from data.prepare.source import prepare as prepare_source

        prepare_source(config)


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(DataError,))


def _refuse_old_key(word: str) -> None:
    key, equals, value = word.partition("=")
    renamed = renamed_key(key.lstrip("+"))
    if renamed:
        raise ConfigError(f"{word}: now {renamed}{equals}{value}")


if __name__ == "__main__":
    sys.exit(main())
