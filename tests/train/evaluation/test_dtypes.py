"""`dtype=` of each verb: what its model computes in, or what its files hold."""

import pytest
import torch
from torch import nn

import train.evaluation.main
import train.evaluation.validate
import train.generation.main
import train.weights.export
from train import precision
from train.weights.open import open_weights

pytest.importorskip("lm_eval")

VERBS = {
    "generate": (train.generation.main.main, "prompt=The max_tokens=2"),
    "evaluate": (
        train.evaluation.main.main,
        "benchmarks={benchmarks} tasks=piqa protocols=usual output={out} batch=4",
    ),
    "validate": (
        train.evaluation.validate.main,
        "data=sample corpora={corpora} seq_len=64 sequences=2 micro_batch=1",
    ),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("requested", "times_as_fast", "used"),
    [
        ("fp32", 9.0, torch.float32),
        ("bf16", 0.1, torch.bfloat16),
        ("auto", 9.0, torch.bfloat16),
        ("auto", 0.1, torch.float32),
    ],
)
def test_a_verb_computes_in_the_requested_dtype(
    folder, benchmarks, corpora, tmp_path, monkeypatch, capsys, verb, requested, times_as_fast, used
):
    monkeypatch.setattr(precision, "bf16_speedup", lambda rows, width: times_as_fast)
    seen = set()

    def see(module: nn.Module, _, output: torch.Tensor) -> None:
        if isinstance(module, nn.Linear):
            seen.update({module.weight.dtype, output.dtype})

    main, words = VERBS[verb]
    words = words.format(benchmarks=benchmarks, corpora=corpora, out=tmp_path)
    hook = nn.modules.module.register_module_forward_hook(see)
    try:
        assert main([f"weights={folder}", f"dtype={requested}", *words.split()]) in (0, None)
    finally:
        hook.remove()
    assert seen == {used}
    told = "dtype=bf16 (this model's products are 9.00 times as fast" in capsys.readouterr().err
    assert told == (requested == "auto" and used == torch.bfloat16)


@pytest.mark.parametrize(("requested", "written"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_an_export_holds_the_requested_dtype(folder, tmp_path, requested, written):
    arguments = [f"weights={folder}", f"output={tmp_path / 'out'}", "format=hf", f"dtype={requested}"]
    assert train.weights.export.main(arguments) == 0
    exact, stored = (open_weights(path).read("output.weight") for path in (folder, tmp_path / "out"))
    assert stored.dtype == written and torch.equal(stored, exact.to(written))
