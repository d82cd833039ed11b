"""`relama ladder`, from its arguments to its page. Run folders that obey a known law replace training."""

import json
import math
import os
import signal
import subprocess
import sys
import threading
from dataclasses import replace

import pytest

from configs.load import save
from model.config import LlamaConfig
from model.flops import n_params
from tests.support.ladders import LAW, RULE, WORDS, config_of, leave_run
from tests.support.runs import REPOSITORY
from train.config import RunError, TrainConfig
from train.ladder import family, main, page, results, training
from train.ladder.config import LadderConfig
from train.phases.config import PhaseConfig


def read(path="runs/ladder/ladder.json"):
    with open(path) as file:
        return json.load(file)


def test_the_next_size_is_predicted_before_it_is_trained_and_found_there(world, capsys, tmp_path):
    assert main.main(WORDS) == 0
    out, document = capsys.readouterr().out, read()
    assert len(world) == 12
    assert sorted(document["predictions"]) == sorted(world[9:])
    for run in document["runs"][9:]:
        found = document["predictions"][run["name"]]
        assert found["runs"] == 9
        assert abs(run["error"]) < 0.02
        assert found["low"] < LAW.loss(run["parameters"], run["tokens"]) < found["high"]
        assert out.index(f"{run['name']}: predicted before") < out.index(f"{run['name']}: measured")
    assert document["advice"]["parameters"] * document["advice"]["tokens"] * 6 == pytest.approx(
        document["advice"]["flops"]
    )
    served = document["advice"]["serving"]
    assert served[-1]["parameters"] < served[0]["parameters"]
    page = (tmp_path / "runs/ladder/ladder.html").read_text()
    assert page.count("<svg") == 4 and world[-1] in page and "nan" not in page.lower()


def test_the_same_command_trains_nothing_again_and_keeps_its_predictions(world):
    assert main.main(WORDS) == 0
    first = read()
    assert main.main(WORDS) == 0
    assert len(world) == 12
    assert read() == first


def test_it_stops_when_the_next_interval_is_as_narrow_as_asked(world, capsys):
    assert main.main([*WORDS, "until=0.5"]) == 0
    document = read()
    assert len(world) == 9 and len(document["planned"]) == 3
    assert "within until=0.5" in document["stopped"]
    assert len(document["predictions"]) == 3


def test_a_diverged_run_is_named_and_left_out(world, monkeypatch, capsys):
    honest = training.train

    def train(rungs, config, folder, typed, say):
        honest(rungs[1:] if rungs[0].parameters < 70e3 else rungs, config, folder, typed, say)
        if rungs[0].parameters < 70e3:
            losses = [3.0] * (rungs[0].steps - 20) + [5.0] * 20
            leave_run(folder / rungs[0].name, rungs[0], 5.5, train=losses)

    monkeypatch.setattr(training, "train", train)
    assert main.main(WORDS) == 0
    (name,) = read()["excluded"]
    assert f"{name} is left out of the fit: diverged: its training loss ended at" in capsys.readouterr().out


def test_runs_of_different_data_are_not_fitted_together(world, tmp_path, capsys):
    made = [rung for size in family.rungs([60e3, 130e3, 280e3], [5, 10], **RULE) for rung in size]
    for number, rung in enumerate(made):
        leave_run(tmp_path / "runs" / rung.name, rung, 3.0, data="other" if number == 5 else "one")
    names = ",".join(rung.name for rung in made)
    assert main.main([f"fit={names}"]) == 1
    error = capsys.readouterr().err
    assert f"runs/{made[5].name}: not the same tokens as runs/{made[0].name}" in error
    assert "books: other, one there" in error


def test_finished_runs_of_any_name_can_be_fitted(world, tmp_path):
    made = [rung for size in family.rungs([60e3, 130e3, 280e3], [5, 10, 20], **RULE) for rung in size]
    for rung in made:
        leave_run(tmp_path / "runs" / rung.name, rung, LAW.loss(rung.parameters, rung.tokens))
    assert main.main([f"fit={','.join(rung.name for rung in made)}", "run=mine", "replicates=60"]) == 0
    assert read("runs/mine/ladder.json")["law"]["alpha"] == pytest.approx(LAW.alpha, rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "sizes: expected parameters such as sizes=1.5M"),
        (["sizes=1M,2M"], "sizes=1M,2M: a fit needs at least 3 different sizes"),
        (["sizes=1M,2M,x"], "sizes=x: expected parameters, such as 800k"),
        (["sizes=1M,2M,4M", "tokens_per_parameter=20"], "tokens_per_parameter=20: expected at least 2"),
        (["sizes=1M,2M,4M", "fit=a"], "give sizes= or fit=, not both"),
        ([*WORDS, "steps=10"], "steps=10: the ladder sets this for each run; leave it out"),
        ([*WORDS, "model.dim=64"], "model.dim=64: the ladder sets this"),
        ([*WORDS, "until=2"], "until=2.0: expected a share such as 0.02"),
        (["sizes=60k,61k,280k", *WORDS[1:]], "has the same nearest shape as the size before it"),
        (["sizes=1k,60k,280k", *WORDS[1:]], "sizes: 1k: the nearest have"),
        ([*WORDS[:3], "tokens_per_parameter=0.1,1"], "tokens per parameter are"),
        (["fit=nowhere"], "fit=nowhere: no such run"),
    ],
)
def test_bad_input_is_one_line_that_names_it(world, arguments, message, capsys):
    assert main.main(arguments) == 1
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert world == []


def test_a_size_without_enough_tokens_is_refused_by_name_before_any_training(world, monkeypatch, capsys):
    whole = main.open_once

    def little(config, typed):
        data = whole(config, typed)
        data.stores["books"].n_tokens = 1_000_000
        return data

    monkeypatch.setattr(main, "open_once", little)
    assert main.main(WORDS) == 1
    error = capsys.readouterr().err
    assert "needs" in error and "tokens of books" in error and "epochs=" in error
    assert world == []


def test_a_run_made_by_another_command_is_not_taken_for_this_ladders(world, tmp_path):
    rung = family.rungs([60e3], [5], **RULE)[0][0]
    leave_run(tmp_path / "runs" / "ladder" / rung.name, replace(rung, lr=0.5), 3.0)
    data = main.open_once(LadderConfig(sizes=["60k", "130k", "280k"]), [])
    with pytest.raises(RunError, match=r"made with a different optim.lr"):
        main._read(tmp_path / "runs" / "ladder", rung, data)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("seed=1", "seed: 0 there, 1 requested"),
        ("optim.weight_decay=0.2", "optim.weight_decay: 0.1 there, 0.2 requested"),
        ("optim.lr=0.5", "optim.lr: "),
    ],
)
def test_nor_are_those_that_have_finished_with_other_keys(key, words, world, capsys):
    assert main.main(WORDS) == 0
    assert main.main([*WORDS, key]) == 1
    refusal = capsys.readouterr().err
    assert len(world) == 12 and f"made with a different {words.partition(':')[0]}; choose another" in refusal
    assert f"the command that made it ({words}" in refusal


def test_a_ladder_is_not_made_inside_a_training_run(world, tmp_path, capsys):
    rung = family.rungs([60e3], [5], **RULE)[0][0]
    leave_run(tmp_path / "runs" / "mine", rung, 3.0)
    assert main.main([*WORDS, "run=mine"]) == 1
    assert "run=mine: a training run, not a ladder" in capsys.readouterr().err
    assert world == []


def test_the_rule_gives_llamas_own_shapes():
    for size, layers in ((6.738e9, 32), (13.016e9, 40)):
        shape = family.shape_of(size, vocab_size=32000, width_per_layer=128, seq_len=2048)
        assert (shape.dim, shape.n_layers, shape.n_heads) == (128 * layers, layers, layers)
        assert n_params(shape) == pytest.approx(size, rel=0.01)


def test_the_rules_rate_and_batch_are_deepseeks_where_they_fitted_them():
    """Their 7B on 2T tokens (arXiv 2401.02954, Table 2): 4.2e-4 and 2304 sequences of 4096 tokens."""
    rung = family.rungs([6.9e9], [2e12 / 6.9e9], vocab_size=102400, width_per_layer=128, seq_len=4096)[0][0]
    assert rung.lr == pytest.approx(4.2e-4, rel=0.25)
    assert rung.global_batch == pytest.approx(2304 * 4096, rel=0.3)


def test_a_run_below_a_uniform_guess_has_diverged(tmp_path):
    rung = family.rungs([60e3], [5], **RULE)[0][0]
    leave_run(tmp_path / "run", rung, math.log(512) + 0.1)
    result = results.read(tmp_path / "run", "run")
    assert result and result.excluded.startswith("diverged: its held-out loss of 6.338 is not below")


def test_the_tokens_of_a_run_with_phases_are_those_that_it_read(tmp_path):
    rung = family.rungs([60e3], [5], **RULE)[0][0]
    leave_run(tmp_path / "run", rung, 5.0)
    half, batch = rung.steps // 2, rung.global_batch
    phases = {"a": PhaseConfig(until_step=half), "b": PhaseConfig(global_batch=2 * batch)}
    save(replace(config_of(rung), phases=phases), tmp_path / "run" / "config.yaml")
    result = results.read(tmp_path / "run", "run")
    assert result and result.point.tokens == (half + 2 * (rung.steps - half)) * batch
    (line,) = page._training([result], {result.point.parameters: "red"})
    assert line.xs[-1] == result.point.tokens


@pytest.mark.slow
def test_a_rung_is_trained_by_the_trainer_and_a_failure_is_reported_with_its_log(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rung = replace(family.rungs([60e3], [5], **RULE)[0][0], steps=2, global_batch=512)
    config = LadderConfig(sizes=["60k", "130k", "280k"])
    with pytest.raises(RunError, match=r"65.7k-5 ended with exit code 1: .*no token store for books"):
        training.train([rung], config, tmp_path / "lad", ["data=mix", "data.sources=books"], print)
    assert (tmp_path / "lad" / "logs" / f"{rung.name}.log").exists()
    assert (REPOSITORY / "train" / "main.py").exists()


# It has saved once all three were told to: if they were told one after the other, none would ever end.
SAVES = """
import pathlib, signal, sys, time

def save(*_):
    pathlib.Path(f"told-{sys.argv[1]}").touch()
    while len([*pathlib.Path().glob("told-*")]) < 3:
        time.sleep(0.01)
    sys.exit(143)

signal.signal(signal.SIGTERM, save)
print("ready", flush=True)
time.sleep(600)
"""


def test_runs_that_are_stopped_save_at_the_same_time(tmp_path, monkeypatch):
    started: list[subprocess.Popen] = []

    def start(*_) -> subprocess.Popen:
        command = [sys.executable, "-c", SAVES, str(len(started))]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=tmp_path)
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        if len(started) == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        return process

    monkeypatch.setattr(training, "_start", start)
    monkeypatch.setattr(training, "_problem", lambda *_: "stopped")
    rungs = family.rungs([60e3], [5, 10, 20], **RULE)[0]
    config = LadderConfig(sizes=["60k", "130k", "280k"], at_once=3)
    hangs = threading.Timer(120, lambda: [process.kill() for process in started])
    hangs.start()
    try:
        with pytest.raises(RunError, match="stopped by SIGTERM; run the same command to resume"):
            training.train(rungs, config, tmp_path, [], print)
    finally:
        hangs.cancel()
    assert [process.wait() for process in started] == [143] * 3


@pytest.mark.parametrize("launch, at_once", [([], 1), (["gpus=8"], 1), (["cluster=slurm", "gpus=8"], 3)])
def test_a_cluster_gets_all_runs_of_a_size_and_each_is_waited_for(launch, at_once, tmp_path, monkeypatch):
    commands: list[list[str]] = []
    most = running = 0

    class Process:
        returncode = 0

        def __init__(self, command: list[str], **_: object) -> None:
            nonlocal most, running
            commands.append(command)
            running += 1
            most = max(most, running)

        def poll(self) -> int:
            nonlocal running
            running -= 1
            return 0

    monkeypatch.setattr(training.subprocess, "Popen", Process)
    monkeypatch.setattr(training, "POLL", 0)
    rungs = family.rungs([60e3], [5, 10, 20], **RULE)[0]
    config = LadderConfig(sizes=["60k", "130k", "280k"], tokens_per_parameter=[5, 10, 20], launch=launch)
    training.train(rungs, config, tmp_path, [], lambda _: None)
    assert most == at_once
    assert len(commands) == 3 and all(("wait=true" in command) == bool(launch) for command in commands)


def test_train_accepts_each_rungs_arguments(tmp_path):
    from configs.load import load

    rung = family.rungs([60e3], [5], **RULE)[0][0]
    config = LadderConfig(sizes=["60k", "130k", "280k"], at_once=2)
    typed = ["data=mix", "micro_batch=4", "checkpoint.remote=s3://b/lad/"]
    arguments = training.arguments_of(rung, config, tmp_path / "lad", typed)
    train = load("train", TrainConfig, arguments)
    assert train.model == LlamaConfig(**{**vars(rung.model), "vocab_size": -1})
    assert (train.steps, train.global_batch, train.micro_batch) == (rung.steps, rung.global_batch, 4)
    assert train.checkpoint.remote == f"s3://b/lad/{rung.name}"  # a URL is for one run
    assert train.optim.lr == pytest.approx(rung.lr, rel=1e-5)
