"""What a refusal of `relama audit` proposes is accepted."""

import re
import shutil

import pytest

from configs.load import load, save
from tests.support.runs import SMALL
from train.config import TrainConfig
from train.recipe.audit import main


@pytest.fixture
def run(corpora, tmp_path, monkeypatch) -> str:
    """The run that `relama audit` is given: its configuration and its tokenizer."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "mine"
    folder.mkdir(parents=True)
    save(load("train", TrainConfig, [*SMALL, f"corpora={corpora}", "steps=1"]), folder / "config.yaml")
    shutil.copy(corpora / "python_code" / "tokens" / "tokenizer.model", folder)
    return "run=mine"


def refusal(words: list[str], capsys) -> str:
    assert main(words) == 1
    return capsys.readouterr().err.strip()


def test_a_size_gets_the_run_or_the_keys_that_it_needs(run, capsys):
    said = refusal(["size=13b"], capsys)
    (keys,) = re.findall(r"give run=NAME, or keys of relama train \((\S+)\)$", said)
    for given in (run, keys):
        assert main(["size=13b", given]) == 0
        assert "compared with LLaMA-13B" in capsys.readouterr().out


def test_each_size_that_is_named_instead_of_another_is_known(run, capsys):
    (sizes,) = re.findall(r"expected one of (.*)$", refusal(["size=8b", run], capsys))
    for size in sizes.split(", "):
        assert main([f"size={size}", run]) == 0
        assert f"compared with LLaMA-{size.upper()}" in capsys.readouterr().out


@pytest.mark.parametrize("key", ["model=7b", "steps=5", "optim.lr=0.1", "data=mix"])
def test_a_run_and_keys_of_its_own_are_given_apart(key, run, corpora, capsys):
    assert "give either run= or keys of relama train" in refusal([run, key], capsys)
    assert main([run]) == 0
    assert main([key, f"corpora={corpora}"]) == 0


def test_a_length_is_given_once(run, corpora, capsys):
    words = ["data=sample", f"corpora={corpora}"]
    assert "give either tokens or steps, not both" in refusal([*words, "tokens=1e6", "steps=5"], capsys)
    for one in ("tokens=1e6", "steps=5"):
        assert main([*words, one]) == 0


def test_a_runs_phases_are_audited_at_the_shares_that_they_come_to(corpora, tmp_path, monkeypatch, capsys):
    """The shares of the phases together need not fit into one block of samples, as a mixture's must."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "annealed"
    folder.mkdir(parents=True)
    phases = ["phases=anneal", "optim.schedule=constant"]
    config = load("train", TrainConfig, [*SMALL, *phases, f"corpora={corpora}", "steps=10"])
    save(config, folder / "config.yaml")
    shutil.copy(corpora / "python_code" / "tokens" / "tokenizer.model", folder)
    assert main(["run=annealed"]) == 0
    shares = dict(re.findall(r"^(python_\w+) .*?([\d.]+)%", capsys.readouterr().out, re.MULTILINE))
    assert shares == {"python_code": "52.0", "python_docs": "48.0"}  # 8 steps of 60:40, 2 of 20:80
