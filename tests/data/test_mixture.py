"""The mixture: which sources, at what weight, and what is missing."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from data.errors import DataError
from data.mixture import DataConfig, find_stores

CONFIGS = Path(__file__).resolve().parents[2] / "configs" / "data"


def mixture(name: str, **changes) -> DataConfig:
    return DataConfig(**yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()) | changes)


def test_mix_has_the_weights_of_table_1():
    weights = mixture("mix").chosen()
    assert list(weights.values()) == [67.0, 15.0, 4.5, 4.5, 4.5, 2.5, 2.0] and sum(weights.values()) == 100
    assert list(weights) == ["commoncrawl", "c4", "github", "wikipedia", "books", "arxiv", "stackexchange"]


def test_a_subset_keeps_its_weights_relative_to_each_other():
    assert mixture("mix", sources=["books", "c4"]).chosen() == {"c4": 15.0, "books": 4.5}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sources": ["wiki"]}, ["data.sources", "'wiki'", "wikipedia"]),
        ({"sources": []}, ["data.sources", "wikipedia"]),
        ({"weights": {}}, ["data.weights"]),
        ({"weights": {"c4": 0.0}}, ["data.weights.c4=0.0"]),
        ({"weights": {"c4": -1.0}}, ["data.weights.c4=-1.0"]),
        ({"weights": {"c4": float("nan")}}, ["data.weights.c4=nan"]),
        ({"weights": {"c4": float("inf")}}, ["data.weights.c4=inf"]),
        ({"vocab_size": 17}, ["data.vocab_size=17", "300"]),
    ],
)
def test_invalid_mixtures_are_refused_in_one_line_that_names_the_key(changes, words):
    with pytest.raises(ValueError) as refusal:
        mixture("mix", **changes)
    assert "\n" not in str(refusal.value) and all(word in str(refusal.value) for word in words)


def test_all_missing_stores_are_named_at_once_with_the_command_that_makes_them(tmp_path):
    with pytest.raises(DataError) as refusal:
        find_stores(tmp_path, mixture("mix"))
    line = str(refusal.value)
    assert all(source in line for source in mixture("mix").weights) and "\n" not in line
    assert "relama prepare recipe=commoncrawl input=" in line and "recipe=text source=NAME" in line


def test_only_missing_sources_are_named_and_present_ones_are_offered(tmp_path):
    for source in ("c4", "github"):
        (tmp_path / source / "tokens").mkdir(parents=True)
        (tmp_path / source / "tokens" / "manifest.json").write_text("{}")
    with pytest.raises(DataError) as refusal:
        find_stores(tmp_path, mixture("mix", sources=["c4", "github", "books"]))
    assert "no token store for books;" in str(refusal.value)
    assert "recipe=books" in str(refusal.value)
    assert "data.sources=c4,github" in str(refusal.value)
    found = find_stores(tmp_path, mixture("mix", sources=["github", "c4"]))
    assert found == {source: tmp_path / source / "tokens" for source in ("c4", "github")}


def test_a_store_without_a_manifest_is_missing(tmp_path):
    (tmp_path / "c4" / "tokens").mkdir(parents=True)
    with pytest.raises(DataError, match="no token store for c4"):
        find_stores(tmp_path, mixture("mix", sources=["c4"]))


def test_the_mixture_is_light_to_import():
    heavy = "('numpy', 'pyarrow', 'torch', 'hydra')"
    code = f"import data.mixture, sys; print([name for name in {heavy} if name in sys.modules])"
    root = Path(__file__).resolve().parents[2]
    ran = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (["python_code", "python_docs"], "or choose what is there with data=sample"),
        (["mine"], "or choose what is there with data=mix data.weights.mine=1 data.sources=mine"),
        (["books", "c4"], "or choose what is there with data=mix data.sources=books,c4"),
        (
            ["mine", "python_code", "python_docs", "yours"],
            "or choose from what is there (mine, python_code, python_docs, yours), such as data=mix "
            "data.weights.mine=1 data.sources=mine",
        ),
    ],
)
def test_sources_that_are_there_are_proposed_with_few_keys(there, said, tmp_path):
    for source in there:
        (tmp_path / source / "tokens").mkdir(parents=True)
        (tmp_path / source / "tokens" / "manifest.json").touch()
    with pytest.raises(DataError) as refused:
        find_stores(tmp_path, DataConfig("mix", {"arxiv": 1.0}))
    assert str(refused.value).endswith(said)
