"""The average of checkpoints: torch's own averages, in every format; what cannot be averaged is refused."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from data.tokens.tokenizer import Tokenizer
from data.tokens.tokenizer_json import hugging_face_files
from model.config import LlamaConfig
from model.formats.huggingface import write_huggingface
from model.initialize import initialize
from model.llama import Llama
from tests.support.formats import weights_of
from train.checkpoint.tensors import save_weights
from train.weights.average import main, shares
from train.weights.open import open_weights


@pytest.fixture(scope="module")
def tokenizer(corpora) -> Tokenizer:
    return Tokenizer(corpora / "python_docs" / "tokens" / "tokenizer.model")


def llama(tokenizer: Tokenizer, seed: int, dim: int = 32) -> Llama:
    config = LlamaConfig(dim=dim, n_layers=2, n_heads=2, vocab_size=tokenizer.vocab_size, multiple_of=64)
    model = Llama(config)
    initialize(model, seed)
    return model


def keep(model: Llama, run: Path, step: int, tokenizer: Tokenizer) -> None:
    """`model` as the checkpoint of a step of `run`."""
    state = {
        "step": step,
        "model": vars(model.config),
        "tokenizer": tokenizer.fingerprint,
        "fingerprints": {},
    }
    shapes = {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}
    save_weights(run / "checkpoints", shapes, weights_of(model).read, state)
    (run / "tokenizer.model").write_bytes(tokenizer.path.read_bytes())


@pytest.fixture
def models(tokenizer, tmp_path) -> list[Llama]:
    """A step of each of two runs, and weights in Hugging Face's format, all in fp32."""
    three = [llama(tokenizer, seed) for seed in range(3)]
    keep(three[0], tmp_path / "A", 5000, tokenizer)
    keep(three[1], tmp_path / "B", 6000, tokenizer)
    extra = hugging_face_files(tokenizer, three[2].config.max_seq_len)
    write_huggingface(
        weights_of(three[2]), tmp_path / "hf", dtype=torch.float32, shard_bytes=10**9, extra=extra
    )
    return three


@pytest.mark.parametrize("ema", [None, 0.9, 0.25])
def test_the_average_is_torchs(models, tmp_path, ema):
    argument = f"weights={tmp_path}/A@5000,{tmp_path}/B@6000,{tmp_path}/hf"
    assert main([argument, f"output={tmp_path}/mean", *([f"ema={ema}"] if ema else [])]) == 0
    theirs = AveragedModel(models[0], multi_avg_fn=get_ema_multi_avg_fn(ema) if ema else None)
    for model in models:  # the first call copies
        theirs.update_parameters(model)
    ours = open_weights(tmp_path / "mean")
    assert isinstance(theirs.module, nn.Module)
    for name, parameter in theirs.module.named_parameters():
        torch.testing.assert_close(ours.read(name), parameter.detach(), rtol=1e-6, atol=1e-7)


def test_copies_of_one_checkpoint_average_to_it_bitwise(models, tmp_path):
    copies = [shutil.copytree(tmp_path / "B", tmp_path / f"B{number}") for number in range(3)]
    same = ",".join(f"{copy}@6000" for copy in copies)
    assert main([f"weights={same}", f"output={tmp_path}/same"]) == 0
    ours = open_weights(tmp_path / "same")
    assert all(torch.equal(ours.read(name), p.detach()) for name, p in models[1].named_parameters())


@pytest.mark.parametrize("ema", [None, 0.5, 0.999])
@pytest.mark.parametrize("count", [2, 3, 50])
def test_the_shares_sum_to_one(count, ema):
    assert sum(shares(count, ema)) == pytest.approx(1)


def test_what_cannot_be_averaged_is_refused_in_one_line(models, tokenizer, tmp_path, capsys):
    keep(llama(tokenizer, 0, dim=64), tmp_path / "C", 10, tokenizer)
    other = SimpleNamespace(fingerprint="0" * 64, path=tokenizer.path)
    keep(llama(tokenizer, 0), tmp_path / "D", 10, cast(Tokenizer, other))
    for arguments, expected in {
        ("weights={0}/B@6000,{0}/D@10",): "step-000010: trained with another tokenizer than",
        ("weights={0}/B@6000,{0}/C@10",): "model.dim: 64, not 32",
        ("weights={0}/B@6000",): "expected two or more",
        ("weights={0}/B@6000,{0}/A@5500",): "A@5500: no checkpoint of this step; the nearest kept: 5000",
        ("weights={0}/B@6000,{0}/A@5000", "ema=1"): "ema=1.0: expected a number between 0 and 1",
        ("weights={0}/B@6000,{0}/nothing",): "nothing: no such file or folder",
    }.items():
        assert main([each.format(tmp_path) for each in arguments] + [f"output={tmp_path}/out"]) == 1
        error = capsys.readouterr().err
        assert expected in error and error.count("\n") == 1, error
        assert not (tmp_path / "out").exists()


def test_a_folder_with_something_else_does_not_hide_the_run_of_its_name(
    models, tokenizer, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "A").rename(tmp_path / "runs" / "A")
    (tmp_path / "A" / "text").mkdir(parents=True)  # corpora, say
    assert open_weights(Path("A@5000")).step == open_weights(Path("A")).step == 5000
    (tmp_path / "A").rename(tmp_path / "other")
    keep(models[1], tmp_path / "A", 7, tokenizer)
    assert open_weights(Path("A")).step == 7  # a run here is found first, as before
