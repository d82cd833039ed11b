"""Shared by all tests: where the real samples lie, if they do; and the embedded sample, prepared once."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real samples, which lies beside the clone on some machines only."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real samples are not on this machine ({SHARED_DATA})")
    return SHARED_DATA


@pytest.fixture(scope="session")
def corpora(tmp_path_factory) -> Path:
    """The embedded sample, prepared once."""
    from data.prepare.sample import prepare_sample

    folder = tmp_path_factory.mktemp("corpora")
    prepare_sample(folder)
    return folder
