"""`relama prepare recipe=github input=…` (or `python data/main.py …`): parse the keys and run the recipe."""

import sys
from pathlib import Path

from configs.load import ConfigError, entry, load
from data.errors import DataError
from data.prepare.config import PrepareConfig, renamed_key
from data.prepare.inputs import recipe_module


def run(argv: list[str]) -> None:
    for argument in argv:
        _refuse_old_key(argument)
    prepare(load("prepare", PrepareConfig, argv))


def prepare(config: PrepareConfig) -> None:
    """Run one source's recipe, or one of `MAKERS`. Raises DataError."""
    config.engine.check()
    if config.download:
        recipe_module(config)  # report a missing package before downloading anything
        from data.download.main import download, downloaded

        folder = download(config.recipe, config.name, config.dumps)
        config.input = [*downloaded(folder, config.name), *config.input]
    if config.recipe == "sample":
        from data.prepare.sample import prepare_sample  # each branch imports only the packages it needs

        prepare_sample(Path(config.corpora), replace=config.replace)
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


def _refuse_old_key(argument: str) -> None:
    key, equals, value = argument.partition("=")
    renamed = renamed_key(key.lstrip("+"))
    if renamed:
        raise ConfigError(f"{argument}: now {renamed}{equals}{value}")


if __name__ == "__main__":
    sys.exit(main())
