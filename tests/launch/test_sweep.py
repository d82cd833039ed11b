"""--multirun: as Hydra sweeps, with a folder for each run."""

import os
import signal
import subprocess
import sys
import time

import pytest

from launch import cli
from launch.job import keep, launched
from launch.sweep.main import commands, values
from tests.support.runs import REPOSITORY, SMALL, metrics
from train.config import TrainConfig
from train.run.configuration import read_run_config


def test_values_are_swept_as_hydra_does():
    assert values("optim.lr=1e-4,3e-4") == ["optim.lr=0.0001", "optim.lr=0.0003"]
    assert values("seed=range(1,4)") == ["seed=1", "seed=2", "seed=3"]
    assert values("model=tiny,small") == ["model=tiny", "model=small"]
    for alone in ("data.sources=c4,books", "optim.betas=0.9,0.95", "logger=wandb,tensorboard", "run='a,b'"):
        assert values(alone) == [alone]
    for alone in ("phases.end.sources=c4,books", "cluster.exclude=n1,n2", "launch.volumes=a:/a,b:/b"):
        assert values(alone) == [alone]
    assert values("phases.end.lr=0,1e-5") == ["phases.end.lr=0", "phases.end.lr=1e-05"]
    assert values("optim.betas=choice([0.9,0.95],[0.9,0.99])") == [
        "optim.betas=[0.9,0.95]",
        "optim.betas=[0.9,0.99]",
    ]


def test_hydras_own_sweeper_makes_the_same_combinations():
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    arguments = ["seed=1,2", "optim.lr=1e-4,3e-4", "steps=5"]
    (theirs,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(arguments), None)
    assert [line[:-1] for line in commands(arguments)] == theirs


def test_each_run_has_a_folder_named_by_its_overrides():
    names = [line[-1] for line in commands(["model=tiny", "seed=1,2", "init=x/y,z", "run=exp"])]
    assert names == [
        "run=exp/seed=1+init=x-y",
        "run=exp/seed=1+init=z",
        "run=exp/seed=2+init=x-y",
        "run=exp/seed=2+init=z",
    ]
    assert [line[-1] for line in commands(["model=tiny,small"])] == [
        "run=tiny-sample/model=tiny",
        "run=small-sample/model=small",
    ]


def test_each_run_uploads_to_a_url_of_its_own():
    lines = commands(["seed=1,2", "checkpoint.remote=s3://bucket/sweep/", "run=exp"])
    assert lines == [
        ["seed=1", "checkpoint.remote=s3://bucket/sweep/seed=1", "run=exp/seed=1"],
        ["seed=2", "checkpoint.remote=s3://bucket/sweep/seed=2", "run=exp/seed=2"],
    ]
    chosen = commands(["checkpoint.remote=s3://a/x,s3://b/y", "run=exp"])
    words = [line[0].replace("\\", "") for line in chosen]  # as Hydra's grammar writes them
    assert words == ["checkpoint.remote=s3://a/x", "checkpoint.remote=s3://b/y"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["steps=2"], "--multirun: nothing to sweep"),
        (["seed=1,x"], "seed=x: expected an integer"),
        (["seed=1,1"], "--multirun: two runs would be in tiny-sample/seed=1"),
        (["sed=1,2"], "sed: unknown key"),
        (["seed=1,2", "hydra/launcher=ray"], "hydra/launcher=ray: expected one of basic, joblib"),
        (["seed=1,2", "hydra.launcher.n_jobs=2"], "hydra/launcher=basic takes no options"),
        (["seed=1,2", "hydra/launcher=joblib", "hydra.launcher.jobs=2"], "takes hydra.launcher.n_jobs"),
        (["seed=1,2", "hydra/launcher=joblib", "hydra.launcher.n_jobs=0"], "n_jobs=0: expected a number"),
        (["seed=1,2", "hydra/launcher=submitit_local", "hydra.launcher.x=1"], "submitit_local: "),
    ],
)
def test_mistakes_are_one_line_before_the_first_run(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "--multirun", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1 and not list(tmp_path.iterdir())


def test_the_launches_of_a_sweep_are_found_with_the_others(tmp_path):
    for run in ("alone", "group/seed=1"):
        keep(tmp_path / run, "local", "1", "host", "", [])
    assert launched(tmp_path) == [tmp_path / "alone", tmp_path / "group" / "seed=1"]


def test_an_array_that_slurm_refuses_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, capsys):
    pytest.importorskip("submitit", reason="pip install -e '.[sweep]'")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    arguments = ["train", "-m", "seed=1,2", "hydra/launcher=submitit_slurm", "hydra.launcher.partition=gpu"]
    assert cli.main(arguments) == 1
    error = capsys.readouterr().err
    assert "hydra/launcher=submitit_slurm: Could not detect" in error and error.count("\n") == 1
    for name, text in (("srun", "exit 0"), ("sbatch", "echo 'sbatch: error: invalid partition' >&2; exit 1")):
        (tmp_path / "bin").mkdir(exist_ok=True)
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    assert cli.main(arguments) == 1
    assert "relama: error: hydra/launcher=submitit_slurm: sbatch: error: invalid partition" in (
        capsys.readouterr().err
    )
    assert not list((tmp_path / "here").iterdir())


@pytest.mark.slow
def test_a_sweep_trains_and_its_runs_are_listed_and_compared(corpora, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    arguments = [*SMALL, f"corpora={corpora}", "steps=2", "run=lr"]
    arguments.remove("optim.lr=0.003")
    assert cli.main(["train", "-m", *arguments, "optim.lr=1e-3,3e-3"]) == 0
    output = capfd.readouterr().out
    names = ["lr/optim.lr=0.001", "lr/optim.lr=0.003"]
    assert f"next: relama report run={','.join(names)}" in output
    for name, rate in zip(names, (1e-3, 3e-3)):
        config = read_run_config(tmp_path / "runs" / name)
        assert isinstance(config, TrainConfig) and config.optim.lr == rate
        assert len(metrics(tmp_path / "runs" / name)) == 2
    assert cli.main(["runs"]) == 0
    listed = capfd.readouterr().out
    assert all(name in listed for name in names)
    assert cli.main(["report", f"run={','.join(names)}"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "launcher", [["joblib", "hydra.launcher.n_jobs=2"], ["submitit_local", "hydra.launcher.timeout_min=5"]]
)
def test_hydras_launchers_run_the_same_sweep_and_report_a_failure(
    launcher, corpora, tmp_path, monkeypatch, capfd
):
    pytest.importorskip(launcher[0].partition("_")[0], reason="pip install -e '.[sweep]'")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))  # of the jobs, which begin in another folder
    arguments = [*SMALL, f"corpora={corpora}", "run=lr", "data_seed=1,2", f"hydra/launcher={launcher[0]}"]
    other = tmp_path / "runs/lr/data_seed=2"
    other.mkdir(parents=True)
    (other / "notes.txt").write_text("not a run folder")
    assert cli.main(["train", "-m", *arguments, *launcher[1:], "steps=2"]) == 1
    error = capfd.readouterr().err
    assert "1 of 2 runs did not finish (run=lr/data_seed=2)" in error
    assert "not empty and not a run folder" in (other / "launch/sweep.log").read_text()
    (other / "notes.txt").unlink()
    assert cli.main(["train", "-m", *arguments, *launcher[1:], "steps=2"]) == 0
    for seed in (1, 2):
        folder = tmp_path / f"runs/lr/data_seed={seed}"
        assert len(metrics(folder)) == 2 and "step 2" in (folder / "launch/sweep.log").read_text()


RUN = """
import signal, sys, time

def save(*_):
    time.sleep(1)
    open("saved", "w").close()
    sys.exit(130)

signal.signal(signal.SIGINT, save)
open("begun", "w").close()
time.sleep(300)
"""
SWEEP = f"""
import os, subprocess, sys, time
from launch.sweep import launchers

def late(*given, real=subprocess.Popen._execute_child):
    real(*given)
    while sys.argv[1] == "while it starts" and not os.path.exists("told"):
        time.sleep(0.01)

subprocess.Popen._execute_child = late
launchers._command = lambda verb, line: [sys.executable, "-c", {RUN!r}]
print(launchers.start("basic", {{}}, "train", [["run=a"], ["run=b"]]))
"""


@pytest.mark.parametrize("when", ["while it starts", "while it runs"])
def test_ctrl_c_lets_the_run_save_and_ends_the_sweep(when, tmp_path):
    """A terminal sends the signal to both; the run takes a second to save."""
    process = subprocess.Popen(
        [sys.executable, "-c", SWEEP, when],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not (tmp_path / "begun").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    (tmp_path / "told").touch()
    assert process.communicate(timeout=120)[0] == "relama: 1 of 2: run=a\n[130]\n"
    assert (tmp_path / "saved").exists()
