"""The compiled scans of a page, built from the current source."""

from pathlib import Path
from types import ModuleType

import pytest

from tests.support.compiled import build


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    from data.sources.commoncrawl import scan

    return build(Path(scan.__file__).with_name("c"), tmp_path_factory.mktemp("native"))
