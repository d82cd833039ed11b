"""What a refusal to export proposes can be done, and the weights come back."""

import re
import shlex
import shutil
from dataclasses import replace

import pytest
import torch

from data.tokens.tokenizer import Tokenizer
from data.tokens.train_tokenizer import train_tokenizer
from launch import cli
from model.config import LlamaConfig
from model.formats.huggingface import write_huggingface
from tests.support.formats import CONFIG, FAMILY, drawn, weights_of
from train.weights import export
from train.weights.open import open_weights, tokenizer_of


@pytest.fixture
def made(corpora, tmp_path):
    """A function that writes weights of a shape to the folder `weights`, in Hugging Face's format."""
    tokenizer = Tokenizer(corpora / "python_code" / "tokens" / "tokenizer.model")

    def write(config: LlamaConfig) -> LlamaConfig:
        shape = replace(config, vocab_size=tokenizer.vocab_size)
        extra: dict[str, str | bytes] = {"tokenizer.model": tokenizer.path.read_bytes()}
        write_huggingface(
            weights_of(drawn(shape)),
            tmp_path / "weights",
            dtype=torch.float32,
            shard_bytes=10**9,
            extra=extra,
        )
        return shape

    return write


def exported(tmp_path, *words: str) -> int:
    return export.main([f"weights={tmp_path / 'weights'}", *words])


@pytest.mark.parametrize(
    ("shape", "refused"),
    [
        ("wide heads", r"model\.head_size=24: params\.json cannot hold it; use (format=hf)"),
        ("llama 3.2", r"model\.rope_scaling=32: params\.json only holds Llama 3\.1's .*; use (format=hf)"),
    ],
)
def test_a_shape_that_metas_format_cannot_hold_is_exported_in_the_one_that_is_named(
    shape, refused, made, tmp_path, capsys
):
    config = made(FAMILY[shape])
    assert exported(tmp_path, "format=meta", f"output={tmp_path / 'out'}") == 1
    (mend,) = re.findall(refused, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()
    assert exported(tmp_path, mend, f"output={tmp_path / 'out'}") == 0
    found = open_weights(tmp_path / "out").config
    assert (found.head_size, found.rope_scaling) == (config.head_size, config.rope_scaling)


def test_shards_are_for_metas_format_and_the_other_has_a_key_for_the_size(made, tmp_path, capsys):
    made(CONFIG)
    words = ["format=hf", "shards=2", f"output={tmp_path / 'hf'}"]
    assert exported(tmp_path, *words) == 1
    assert "shards=2: only for format=meta; for hf use max_shard_gb=" in capsys.readouterr().err
    assert exported(tmp_path, "format=hf", "max_shard_gb=0.0002", f"output={tmp_path / 'hf'}") == 0
    assert len(list((tmp_path / "hf").glob("*.safetensors"))) > 1
    assert exported(tmp_path, "format=meta", "shards=2", f"output={tmp_path / 'meta'}") == 0


def test_an_output_that_exists_is_moved_away_or_another_one_is_given(made, tmp_path, capsys):
    made(CONFIG)
    words = ["format=hf", f"output={tmp_path / 'out'}"]
    assert exported(tmp_path, *words) == 0
    assert exported(tmp_path, *words) == 1
    assert "already exists; choose another folder, or remove it" in capsys.readouterr().err
    assert exported(tmp_path, "format=hf", f"output={tmp_path / 'other'}") == 0
    shutil.rmtree(tmp_path / "out")
    assert exported(tmp_path, *words) == 0


@pytest.mark.parametrize("there", ["none", "another"])
def test_weights_without_their_tokenizer_are_exported_with_the_one_that_is_given(
    there, made, corpora, tmp_path, capsys
):
    made(CONFIG)
    own = tmp_path / "weights" / "tokenizer.model"
    own.rename(tmp_path / "own.model")
    if there == "another":
        train_tokenizer((f"words and more words {n} are here" for n in range(500)), own, vocab_size=300)
    words = ["format=hf", f"output={tmp_path / 'out'}"]
    assert exported(tmp_path, *words) == 1
    said = capsys.readouterr().err
    assert "set tokenizer=PATH" in said and not (tmp_path / "out").exists()
    assert exported(tmp_path, *words, f"tokenizer={tmp_path / 'own.model'}") == 0
    weights = open_weights(tmp_path / "out")
    assert tokenizer_of(weights).vocab_size == weights.config.vocab_size


def test_rows_without_a_piece_are_removed_by_the_import_that_is_named(corpora, tmp_path, capsys):
    tokenizer = Tokenizer(corpora / "python_code" / "tokens" / "tokenizer.model")
    shape = replace(CONFIG, vocab_size=tokenizer.vocab_size + 8)
    extra: dict[str, str | bytes] = {"tokenizer.model": tokenizer.path.read_bytes()}
    folder = tmp_path / "with rows"
    write_huggingface(weights_of(drawn(shape)), folder, dtype=torch.float32, shard_bytes=10**9, extra=extra)
    typed = [f"weights={folder}", "format=hf", f"output={tmp_path / 'out'}"]
    assert export.main(typed) == 1
    (mend,) = re.findall(r"; (relama import .*) removes the rows without a piece", capsys.readouterr().err)
    assert cli.main(shlex.split(mend.replace("FOLDER", str(tmp_path / "cut")))[1:]) == 0
    assert export.main([f"weights={tmp_path / 'cut'}", *typed[1:]]) == 0
    assert open_weights(tmp_path / "out").config.vocab_size == tokenizer.vocab_size
