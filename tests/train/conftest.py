"""One prepared sample for all tests of the trainer."""

from pathlib import Path

import pytest

from data.sample import prepare_sample


@pytest.fixture(scope="session")
def corpora(tmp_path_factory) -> Path:
    """The embedded sample, prepared once."""
    folder = tmp_path_factory.mktemp("corpora")
    prepare_sample(folder)
    return folder
