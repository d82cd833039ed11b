"""Benchmarks scored while a run trains: the scores of `relama evaluate`, and the same training."""

import json

import pytest
import torch

import train.report.main
from model.config import LlamaConfig
from model.initialize import initialize
from model.llama import Llama
from model.parallelize.mesh import Layout
from tests.support.evaluation import run as evaluate
from tests.support.fork_server import python
from tests.support.runs import SMALL, metrics, run, succeed
from train.evaluation.in_loop import _copy
from train.ranks.setup import set_up, tear_down

lm_eval = pytest.importorskip("lm_eval")

EVERY = ("evaluate.every=2", "evaluate.tasks=piqa,hellaswag", "evaluate.limit=null")


@pytest.fixture(scope="module")
def plain(corpora, tmp_path_factory):
    """A run without evaluation."""
    folder = tmp_path_factory.mktemp("plain") / "run"
    succeed(f"corpora={corpora}", f"run={folder}", "steps=4")
    return folder


def losses(folder) -> list[tuple[float, float]]:
    return [(line["loss"], line["grad_norm"]) for line in metrics(folder)]


@pytest.mark.parametrize(
    ("ranks", "arguments"),
    [
        (0, ()),
        pytest.param(2, ("parallel.dp_shard=2",), marks=pytest.mark.distributed),
        pytest.param(2, ("parallel.tp=2",), marks=pytest.mark.distributed),
    ],
)
def test_scores_are_those_of_the_checkpoint_and_training_is_the_same(
    corpora, benchmarks, plain, tmp_path, ranks, arguments
):
    keys = (f"corpora={corpora}", f"run={tmp_path / 'run'}", "steps=4", *arguments)
    done = succeed(*keys, *EVERY, f"evaluate.benchmarks={benchmarks}", "checkpoint.every=2", ranks=ranks)
    lines = metrics(tmp_path / "run")
    assert [line["step"] for line in lines if "evaluation" in line] == [2, 4]
    assert f"evaluated after step 4: piqa {lines[-1]['evaluation']['piqa']:.4g}" in done.stderr
    if ranks == 0:
        assert losses(tmp_path / "run") == losses(plain)
        page = tmp_path / "page.html"
        assert train.report.main.main([f"run={tmp_path / 'run'}", f"output={page}", "samples=never"]) == 0
        assert "Benchmarks during training" in page.read_text()
    for step in (2, 4):
        weights = tmp_path / "run" / "checkpoints" / f"step-{step:06}"
        output = tmp_path / f"{step}"
        assert evaluate(weights, benchmarks, output, "tasks=piqa,hellaswag", "protocols=paper") == 0
        for task, score in lines[step - 1]["evaluation"].items():
            kept = json.loads((output / f"{task}-0shot-paper.json").read_text())
            assert score == pytest.approx(kept["score"])


# SIGTERM while the first benchmark is scored, after the held-out losses.
STRUCK = """
import os, signal, sys
import train.evaluation.in_loop as in_loop
from train.main import main

real = in_loop._score_paper

def score(*arguments):
    os.kill(os.getpid(), signal.SIGTERM)
    return real(*arguments)

in_loop._score_paper = score
sys.exit(main(sys.argv[1:]))
"""


def test_scores_that_a_signal_prevents_are_measured_at_the_next_start(corpora, benchmarks, tmp_path):
    keys = (f"corpora={corpora}", "steps=4", "checkpoint.every=2", "validate.every=2", *EVERY)
    keys += (f"evaluate.benchmarks={benchmarks}",)
    succeed(f"run={tmp_path / 'whole'}", *keys)
    assert python("-c", STRUCK, *SMALL, f"run={tmp_path / 'run'}", *keys).returncode == 143
    succeed(f"run={tmp_path / 'run'}", *keys)
    for line, whole in zip(metrics(tmp_path / "run"), metrics(tmp_path / "whole"), strict=True):
        assert line.get("evaluation") == whole.get("evaluation")
        assert line.get("validation") == whole.get("validation")


COUNTED = """
import json, sys
from collections import Counter
from train.main import main
from train.ranks.watchdog import Watchdog

told, real = Counter(), Watchdog.beat

def beat(self, doing, patience=1.0):
    told[doing] += 1
    real(self, doing, patience)

Watchdog.beat = beat
code = main(sys.argv[1:])
print(json.dumps(told))
sys.exit(code)
"""


def test_long_measurements_look_alive_with_each_batch(corpora, benchmarks, tmp_path):
    """Or the watchdog would end a run whose validation or benchmarks take hours, at each start."""
    keys = (f"corpora={corpora}", f"run={tmp_path / 'run'}", "steps=1", "validate.sequences=5", *EVERY)
    keys += (f"evaluate.benchmarks={benchmarks}", "evaluate.batch=1")
    done = python("-c", COUNTED, *SMALL, *keys)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["validating after step 1"] == 5 * 2  # of both sources
    assert min(told["evaluating piqa"], told["evaluating hellaswag"]) > 4


def test_the_copy_turns_positions_as_the_live_model_does():
    """A phase may have changed rope_theta since the start."""
    ranks = set_up(Layout(), "cpu")
    try:
        live = Llama(LlamaConfig(dim=32, n_layers=1, n_heads=2, vocab_size=64, max_seq_len=32))
        initialize(live, seed=0)
        live.set_rope_theta(50.0)
        tokens = torch.arange(32)[None]
        with torch.no_grad():
            torch.testing.assert_close(
                _copy(live, torch.float32, ranks)(tokens), live(tokens), rtol=0, atol=0
            )
    finally:
        tear_down()


def test_a_task_that_fails_does_not_end_the_run(corpora, benchmarks, plain, tmp_path):
    keys = (f"corpora={corpora}", f"run={tmp_path / 'run'}", "steps=4", "evaluate.limit=1")
    broken = tmp_path / "benchmarks" / "piqa"
    broken.mkdir(parents=True)
    (broken / "validation.jsonl").write_text("{")
    done = succeed(*keys, "evaluate.every=4", "evaluate.tasks=piqa", f"evaluate.benchmarks={broken.parent}")
    assert "warning: evaluation of piqa: " in done.stdout and "training continues" in done.stdout
    assert metrics(tmp_path / "run")[-1]["evaluation"] == {}
    assert losses(tmp_path / "run") == losses(plain)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("evaluate.every=2",), "evaluate.tasks="),
        (
            ("evaluate.every=2", "evaluate.tasks=piqa", "evaluate.benchmarks=nowhere"),
            "nowhere: no such folder",
        ),
        (("evaluate.every=2", "evaluate.tasks=mine.yaml"), "mine.yaml: no such file"),
    ],
)
def test_an_impossible_evaluation_is_refused_before_training(corpora, tmp_path, arguments, message):
    done = run(f"corpora={corpora}", f"run={tmp_path / 'run'}", "steps=4", *arguments)
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("relama: error")]
    assert message in line
    assert not (tmp_path / "run").exists()
