"""The compiled module, built from the current source."""

from pathlib import Path
from types import ModuleType

import pytest

from data.ccnet import fasttext_file
from tests.support.compiled import build


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return build(Path(fasttext_file.__file__).with_name("c"), tmp_path_factory.mktemp("native"))
