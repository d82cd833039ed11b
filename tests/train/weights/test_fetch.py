"""Weights at a URL."""

import pytest

from train.config import RunError
from train.weights.fetch import fetched


def test_a_folder_of_something_else_is_named_by_its_url_and_not_downloaded(tmp_path, monkeypatch):
    monkeypatch.setenv("RELAMA_CACHE", str(tmp_path / "cache"))
    other = tmp_path / "other"
    other.mkdir()
    (other / "photo.jpg").write_bytes(bytes(1000))
    with pytest.raises(RunError, match=f"file://{other}: neither a run nor a checkpoint"):
        fetched(f"file://{other}")
    assert not (tmp_path / "cache").exists()
    (other / "config.json").write_text("{}")
    assert (fetched(f"file://{other}") / "photo.jpg").stat().st_size == 1000
