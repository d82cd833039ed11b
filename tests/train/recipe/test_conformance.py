"""Each of the paper's sizes conforms; a changed value is reported, and nothing else."""

import copy
import json
from typing import Any

import pytest

from configs.load import load
from data.audit import TABLE_1
from data.tokens.llama import SETTINGS, VOCAB_SIZE
from tests.support.runs import SMALL
from train.config import TrainConfig
from train.recipe.audit import main
from train.recipe.conformance import (
    COMMON,
    SIZES,
    TOKENIZER_SETTINGS,
    conformance,
    nearest_size,
    published,
    tokenizer_settings,
)

OURS = SETTINGS | {"vocab_size": VOCAB_SIZE}


def config_of(size: str) -> TrainConfig:
    return load("train", TrainConfig, [f"model={size}", "data=mix"])


def other(value: Any) -> Any:
    """A value that is not `value`."""
    if value is None:
        return 2
    if isinstance(value, bool):
        return not value
    if isinstance(value, list):
        return [value[0], other(value[1])]
    if isinstance(value, str):
        return value + "x"
    return value * 2 or 1


@pytest.mark.parametrize("size", SIZES)
def test_each_size_conforms_as_it_is_configured(size):
    found = conformance(config_of(size), OURS)
    assert found.size == size and found.deviations == []
    assert any("optim.eps" in line for line in found.silent)


@pytest.mark.parametrize("size", SIZES)
def test_any_published_value_that_is_changed_is_named_alone(size):
    config = config_of(size)
    assert published(size).keys() >= {
        *(f"model.{key}" for key in ("dim", "n_heads", "n_layers", "vocab_size", "norm_eps", "rope_theta")),
        *(
            f"optim.{key}"
            for key in ("lr", "betas", "weight_decay", "clip", "warmup_steps", "schedule", "min_lr_ratio")
        ),
        "seq_len",
    }
    for key, (value, where) in published(size).items():
        changed = copy.deepcopy(config)
        *parents, name = key.split(".")
        place = changed
        for parent in parents:
            place = getattr(place, parent)
        setattr(place, name, other(value))  # bypasses the checks, because some of these values cannot be run
        (line,) = conformance(changed, OURS).deviations
        assert line.key == key and line.where == where
        assert str(line).startswith(f"{key}: ") and "LLaMA: " in str(line)
    for source in TABLE_1:
        for weights in (
            {s: w * (1.05 if s == source else 1) for s, w in config.data.weights.items()},
            {s: w for s, w in config.data.weights.items() if s != source},
        ):
            changed = copy.deepcopy(config)
            changed.data.weights = weights
            (line,) = conformance(changed, OURS).deviations
            assert line.key == f"data.weights.{source}"
    for key, value in TOKENIZER_SETTINGS.items():
        (line,) = conformance(config, OURS | {key: other(value)}).deviations
        assert line.key == f"tokenizer {key}"
    changed = copy.deepcopy(config)
    changed.global_batch, changed.steps = config.global_batch * 2, config.steps // 2
    assert [line.key for line in conformance(changed, OURS).deviations] == ["global_batch"]
    changed = copy.deepcopy(config)
    changed.steps //= 2
    assert [line.key for line in conformance(changed, OURS).deviations] == ["steps"]
    changed = copy.deepcopy(config)
    changed.data.weights["mine"] = 1
    assert [line.key for line in conformance(changed, OURS).deviations] == ["data.weights.mine"]


def test_relative_weights_and_rounded_totals_are_not_deviations():
    config = config_of("7b")
    config.data.weights = {source: weight * 2 for source, weight in config.data.weights.items()}
    config.global_batch, config.steps = 1953 * 2048, 250_016  # 4.0M read as a decimal, 1.0T tokens of them
    config.optim.eps, config.seed, config.micro_batch = 1e-6, 3, 1  # not published
    found = conformance(config, OURS)
    assert found.deviations == [] and "optim.eps: 1e-06" in found.silent


def test_a_changed_shape_is_still_compared_with_its_own_size():
    for size in SIZES:
        for key in ("dim", "n_layers"):
            model = config_of(size).model
            setattr(model, key, getattr(model, key) * 2)
            assert nearest_size(model) == size
    assert nearest_size(load("train", TrainConfig, []).model) == "7b"


def test_llamas_own_tokenizer_conforms(shared_data):
    settings = tokenizer_settings(shared_data / "tokenizer" / "llama-tokenizer.model")
    assert conformance(config_of("7b"), settings).deviations == []


def outcome(arguments: list[str], capsys) -> tuple[int, str, str]:
    code = main(arguments)
    return code, *capsys.readouterr()


def test_a_future_run_is_compared_by_its_keys(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = outcome(["model=13b", "optim.clip=2", "data.weights.c4=20"], capsys)
    assert (code, err) == (0, "")
    marked = [line for line in out.splitlines() if line.startswith("! ")]
    assert [line.split(":")[0] for line in marked] == ["! corpora", "! optim.clip", "! data.weights.c4"]
    assert "LLaMA-13B" in out and f"2 deviations in {len(COMMON) + 5 + 2 + 7 + 22} published values" in out
    code, out, err = outcome(["model=7b", "strict=true", "optim.clip=2"], capsys)
    assert code == 1 and "optim.clip: 2; LLaMA: 1 (§2.2)" in err and err.count("\n") == 1
    code, out, _ = outcome(["model=7b", "json=true", "size=65b", "output=a.json"], capsys)
    account = json.loads(out)["conformance"]
    assert account["size"] == "65b" and {d["key"] for d in account["deviations"]} >= {"model.dim", "optim.lr"}
    assert (tmp_path / "a.json").read_text() == out


def test_a_run_is_compared_by_its_own_config_and_tokenizer(corpora, tmp_path, capsys):
    from tests.support.runs import succeed

    run = tmp_path / "run"
    succeed(f"corpora={corpora}", f"run={run}", "steps=1")
    code, out, _ = outcome([f"run={run}"], capsys)
    assert code == 0 and "the mixture over 512 tokens" in out and f"{run}/tokenizer.model" in out
    assert "! model.dim: 32; LLaMA: 4096 (Table 2)" in out
    assert "! tokenizer vocab_size: 4096; LLaMA: 32000" in out and "! model.vocab_size: 4096" in out
    assert "! model.n_layers" in out and "! optim.betas" not in out
    (tmp_path / "audit.yaml").write_text(f"run: {run}\n")
    assert outcome([f"config={tmp_path / 'audit.yaml'}"], capsys)[:2] == (code, out)
    (run / "tokenizer.model").write_bytes(b"\xff")
    code, _, err = outcome([f"run={run}"], capsys)
    assert code == 1 and "tokenizer.model: not a readable SentencePiece model" in err


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["run=nowhere"], "run=nowhere: no such run"),
        (["run=nowhere", "model=7b"], "model=7b: run=nowhere has its own"),
        (["run=nowhere", "steps=5"], "steps=5: run=nowhere has its own"),
        (["size=7b"], "size=7b: needs a config"),
        (["model=7b", "nonsense=1"], "nonsense: unknown key"),
        (["size=8b", "model=7b"], "size=8b: expected one of 7b, 13b, 33b, 65b"),
        (["model=9b"], "model is one of"),
        (["model=7b", "optim.lrr=1"], "did you mean optim.lr"),
        (["model=7b", "corpora=nowhere"], "corpora=nowhere: no such folder"),
    ],
)
def test_a_comparison_that_cannot_be_made_is_refused_in_one_line(arguments, part, capsys):
    code, _, err = outcome(arguments, capsys)
    assert code == 1 and part in err and err.count("\n") == 1


def test_the_small_test_run_deviates_from_llama():
    assert len(conformance(load("train", TrainConfig, SMALL), OURS).deviations) > 10
