"""Weights at a URL."""

import re
from pathlib import Path

import pytest

from train.checkpoint import folder as checkpoints
from train.config import RunError
from train.weights.fetch import fetched
from train.weights.open import find_checkpoint


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("RELAMA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def run(tmp_path) -> Path:
    """A run with checkpoints of steps 2, 4 and 6, whose content is their step."""
    for step in (2, 4, 6):
        aside = tmp_path / "run" / "checkpoints" / f"step-{step:06d}.tmp"
        aside.mkdir(parents=True)
        (aside / "__0_0.distcp").write_bytes(bytes([step]) * 10_000)
        (aside / ".metadata").write_bytes(b"meta")
        sums = checkpoints.describe([aside / "__0_0.distcp"])
        final = checkpoints.step_folder(aside.parent, step)
        checkpoints.commit(aside, final, {"step": step}, sums, keep=9)
    return tmp_path / "run"


def step_at(url: str) -> int:
    return find_checkpoint(Path(url))[1]["step"]


def test_a_folder_of_something_else_is_named_by_its_url_and_not_downloaded(tmp_path, cache):
    other = tmp_path / "other"
    other.mkdir()
    (other / "photo.jpg").write_bytes(bytes(1000))
    with pytest.raises(RunError, match=f"file://{other}: neither a run nor a checkpoint"):
        fetched(f"file://{other}")
    assert not cache.exists()
    (other / "config.json").write_text("{}")
    assert (fetched(f"file://{other}") / "photo.jpg").stat().st_size == 1000


def test_a_step_that_is_not_there_gives_way_to_each_that_is_named(run):
    with pytest.raises(RunError, match="no checkpoint of this step; the nearest kept: ") as refused:
        fetched(f"file://{run}@5")
    named = re.findall(r"\d+", str(refused.value).rpartition(":")[2])
    assert [step_at(f"file://{run}@{step}") for step in named] == [2, 4, 6]
    assert step_at(f"file://{run}") == 6


def test_a_checkpoint_that_is_damaged_where_it_is_gives_way_to_another_of_the_run(run):
    (run / "checkpoints" / "step-000006" / "__0_0.distcp").write_bytes(bytes(10_000))
    for url in (f"file://{run}", f"file://{run}@6", f"file://{run}/checkpoints/step-000006"):
        with pytest.raises(RunError, match="step-000006: damaged; choose another checkpoint of the run"):
            fetched(url)
    assert step_at(f"file://{run}@4") == step_at(f"file://{run}/checkpoints/step-000004") == 4


@pytest.mark.parametrize("name", ["__0_0.distcp", ".metadata", "state.json"])
@pytest.mark.parametrize("harm", ["altered", "cut", "gone"])
def test_a_copy_of_a_checkpoint_that_is_damaged_in_the_cache_is_downloaded_again(name, harm, run, cache):
    url = f"file://{run}@4"
    copy, _ = find_checkpoint(Path(url))
    assert copy.is_relative_to(cache)
    content = bytearray((copy / name).read_bytes())
    (copy / name).unlink()
    if harm != "gone":
        content[len(content) // 2] ^= 1
        (copy / name).write_bytes(content if harm == "altered" else content[:-1])
    again, state = find_checkpoint(Path(url))
    assert again == copy and state["step"] == 4 and checkpoints.damage(copy) == []


@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_a_copy_of_other_weights_that_is_cut_in_the_cache_is_downloaded_again(harm, tmp_path):
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "config.json").write_text("{}")
    (weights / "model.safetensors").write_bytes(bytes(1000))
    copy = fetched(f"file://{weights}") / "model.safetensors"
    copy.write_bytes(bytes(10)) if harm == "cut" else copy.unlink()
    assert fetched(f"file://{weights}") == copy.parent and copy.stat().st_size == 1000
