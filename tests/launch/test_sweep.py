"""--multirun: as Hydra sweeps, with a folder for each run."""

import pytest

from launch import cli
from launch.sweep import commands, values
from tests.support.runs import SMALL, metrics
from train.config import TrainConfig
from train.run.configuration import read_run_config


def test_values_are_swept_as_hydra_does():
    assert values("optim.lr=1e-4,3e-4") == ["optim.lr=0.0001", "optim.lr=0.0003"]
    assert values("seed=range(1,4)") == ["seed=1", "seed=2", "seed=3"]
    assert values("model=tiny,small") == ["model=tiny", "model=small"]
    for alone in ("data.sources=c4,books", "optim.betas=0.9,0.95", "logger=wandb,tensorboard", "run='a,b'"):
        assert values(alone) == [alone]
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["steps=2"], "--multirun: nothing to sweep"),
        (["seed=1,x"], "seed=x: expected an integer"),
        (["seed=1,1"], "--multirun: two runs would be in tiny-sample/seed=1"),
        (["sed=1,2"], "sed: unknown key"),
    ],
)
def test_mistakes_are_one_line_before_the_first_run(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "--multirun", *arguments]) == 1
    error = capsys.readouterr().err
    assert message in error and len(error.splitlines()) == 1 and not list(tmp_path.iterdir())


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
