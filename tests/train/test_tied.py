"""`model.tie_word_embeddings=true`: one matrix as embedding and output, in every layout and format."""

import os
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.support.narrow import as_a
from tests.support.runs import learned, run, same_tensors, succeed, tensors
from train.weights import export, import_
from train.weights.open import load_model, open_weights

TIED = "model.tie_word_embeddings=true"


@pytest.fixture(scope="module")
def alone(corpora, tmp_path_factory) -> Path:
    """A tied run of one process."""
    folder = tmp_path_factory.mktemp("tied") / "alone"
    succeed(f"corpora={corpora}", f"run={folder}", TIED, "steps=5")
    return folder


def logits(folder: Path) -> torch.Tensor:
    with torch.no_grad():
        return load_model(open_weights(folder), torch.device("cpu"))(torch.arange(40)[None])


@pytest.mark.distributed
def test_a_tied_run_moves_from_layout_to_layout(alone, corpora, tmp_path):
    ways = ("parallel.tp=2", "parallel.cp=2", "parallel.dp_shard=2", "parallel.dp_replicate=2")
    settings = (f"corpora={corpora}", f"run={tmp_path / 'run'}", TIED, "steps=5")
    for stop, way in enumerate(ways, start=1):
        succeed(*settings, f"stop_at={stop}", way, ranks=2)
    succeed(*settings, "parallel.tp=2", "parallel.tensor=fairscale", ranks=2)
    for here, there in zip(learned(tmp_path / "run"), learned(alone), strict=True):
        assert here[0] == there[0]
        assert here[1:3] == pytest.approx(there[1:3], rel=1e-4)


def test_a_checkpoint_has_the_matrix_once_and_resumes_to_the_bit(alone, corpora, tmp_path):
    kept = tensors(alone / "checkpoints" / "step-000005")
    assert "model.tok_embeddings.weight" in kept and not [name for name in kept if "output" in name]
    settings = (f"corpora={corpora}", f"run={tmp_path / 'run'}", TIED, "steps=5")
    succeed(*settings, "stop_at=3")
    succeed(*settings)
    same_tensors(tmp_path / "run" / "checkpoints" / "step-000005", alone / "checkpoints" / "step-000005")


def test_it_goes_to_transformers_and_comes_back_tied(alone, corpora, tmp_path):
    theirs, back = tmp_path / "hf", tmp_path / "back"
    assert export.main([f"weights={alone}", "format=hf", f"output={theirs}"]) == 0
    loaded = AutoModelForCausalLM.from_pretrained(theirs, output_loading_info=True)
    model, info = as_a(tuple, loaded)
    assert model.lm_head.weight is model.model.embed_tokens.weight and not info["unexpected_keys"]
    with torch.no_grad():
        torch.testing.assert_close(logits(alone), model(torch.arange(40)[None]).logits, rtol=1e-5, atol=1e-5)
    assert import_.main([f"weights={theirs}", f"output={back}"]) == 0
    assert open_weights(back).config == open_weights(alone).config
    assert torch.equal(logits(back), logits(alone))
    started = succeed(f"corpora={corpora}", f"run={tmp_path / 'new'}", f"init={back}", TIED, "steps=1")
    assert "warning" not in started.stdout


@pytest.mark.parametrize("way", ["checkpoint", "hf", "meta"])
def test_tied_weights_also_train_as_two_matrices_and_equal_ones_as_one(way, alone, corpora, tmp_path):
    given = alone
    if way != "checkpoint":
        given = tmp_path / way
        assert export.main([f"weights={alone}", f"format={way}", f"output={given}"]) == 0
    settings = (f"corpora={corpora}", "steps=1", "optim.warmup_steps=0")
    two = succeed(*settings, f"run={tmp_path / 'two'}", f"init={given}")
    assert ("which train separately" in two.stdout) == (way != "meta")
    one = succeed(*settings, f"run={tmp_path / 'one'}", f"init={given}", TIED)
    assert "which train separately" not in one.stdout
    assert learned(tmp_path / "one")[0][1] == learned(tmp_path / "two")[0][1]  # the loss of the same weights
    refused = run(*settings, f"run={tmp_path / 'three'}", f"init={tmp_path / 'two'}", TIED)
    assert refused.returncode == 1 and "its output differs from its embedding" in refused.stderr


def test_a_run_does_not_continue_tied_if_it_was_not(alone, corpora):
    refused = run(f"corpora={corpora}", f"run={alone}", "steps=5")
    assert refused.returncode == 1 and "model.tie_word_embeddings" in refused.stderr


def test_a_pipeline_cannot_share_the_matrix(corpora, tmp_path):
    environment = os.environ | {"RANK": "0", "WORLD_SIZE": "2"}  # no process group is needed to refuse
    refused = run(f"corpora={corpora}", f"run={tmp_path / 'run'}", TIED, "parallel.pp=2", env=environment)
    assert refused.returncode == 1 and "parallel.pp=2: its first and last stages" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1 and "parallel.dp_shard=2" in refused.stderr
    assert not (tmp_path / "run").exists()
