"""A run under a real Slurm, with a controller and two nodes on this machine."""

import os
import re
import subprocess
import time

import pytest

from launch import cli
from launch.main import main
from tests.support.runs import REPOSITORY, SMALL, learned, metrics, same_tensors, steps_done, succeed
from tests.support.slurm import cluster, require_slurm

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    require_slurm()
    with cluster(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


@pytest.fixture
def login(slurm, tmp_path, monkeypatch):
    """This process as a login node, in a folder that the nodes share."""
    for key in [key for key in os.environ if key.startswith("SLURM_")]:
        monkeypatch.delenv(key)
    for key in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(key, slurm[key])
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def ask(*arguments: str) -> str:
    return subprocess.run(arguments, capture_output=True, text=True, check=True).stdout.strip()


def wait(what, log, timeout: float = 400) -> None:
    deadline = time.monotonic() + timeout
    while not what():
        text = log.read_text()[-3000:] if log.exists() else "no log"
        assert time.monotonic() < deadline, f"{ask('squeue')}\n{text}"
        time.sleep(0.1)


def test_a_run_that_is_warned_preempted_and_stopped_ends_as_the_undisturbed_one(login, corpora, capsys):
    settings = [*SMALL, f"corpora={corpora}", "steps=100000", "checkpoint.every=100000"]
    arguments = [
        "cluster=slurm",
        "nodes=2",
        "cluster.time=30",
        "cluster.grace=600",
        *settings,
        "run=preempted",
    ]
    run = login / "runs" / "preempted"
    steps = lambda: steps_done(run)  # noqa: E731
    assert main(["launch", *arguments][1:]) == 0
    output = capsys.readouterr().out
    job = output.split("Slurm job ")[1].split()[0]
    log = run / "launch" / f"job-{job}.log"
    assert (
        f"log: runs/preempted/launch/job-{job}.log" in output and "relama launch stop run=preempted" in output
    )

    def grown(by: int):
        before = steps()
        return lambda: steps() >= before + by

    def resumed(times: int):
        return lambda: log.read_text().count("relama: resuming") >= times

    wait(grown(5), log)
    assert main(arguments) == 1  # refused while it runs
    assert f"job {job} (RUNNING) is already training it" in capsys.readouterr().err
    ask("scancel", "--batch", "--signal=USR1", job)  # as Slurm does before the time limit
    wait(resumed(1), log)
    assert "stopped by SIGUSR1" in log.read_text()
    wait(grown(5), log)
    ask("sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=true")
    wait(resumed(2), log)
    assert "stopped by SIGTERM" in log.read_text()
    wait(grown(5), log)

    assert main(["status", "run=preempted"]) == 0
    output = capsys.readouterr().out
    assert f"Slurm job {job}: RUNNING" in output and "steps are done" in output
    assert main(["stop", "run=preempted"]) == 0
    assert "it saves first" in capsys.readouterr().out
    wait(lambda: job not in ask("squeue", "--noheader", "--format=%i"), log)
    assert "stopped as asked" in log.read_text() and steps() >= 15
    assert log.read_text().count("relama: resuming") == 2
    assert (run / "preempted.json").exists()

    end = steps() + 10
    assert main([*arguments, f"stop_at={end}"]) == 0
    last = run / "launch" / f"job-{int(job) + 2}.log"  # the urgent one came between
    wait(lambda: (run / "finished.json").exists(), last)
    assert not (run / "preempted.json").exists()
    assert len(metrics(run)) == end
    undisturbed, final = login / "undisturbed", f"checkpoints/step-{end:06d}"
    succeed(*settings, f"run={undisturbed}", f"stop_at={end}", ranks=2)
    assert learned(run) == learned(undisturbed)
    same_tensors(run / final, undisturbed / final)
    wait(lambda: "the run has finished" in last.read_text(), last)
    capsys.readouterr()
    assert main(["status", "run=preempted"]) == 0
    assert "the run has finished" in capsys.readouterr().out


def test_a_missing_partition_is_refused_with_slurms_message(login, capsys):
    assert main(["cluster=slurm", "cluster.partition=nowhere", "run=r"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("relama: error: sbatch refused the job: ") and "invalid partition" in error
    assert len(error.splitlines()) == 1 and not (login / "runs").exists()


def test_the_log_is_in_the_runs_folder_whatever_its_name(login):
    name = 'a b"; $(touch canary) #'
    assert main(["cluster=slurm", "nodes=2", "cluster.sbatch.hold=''", f"run='{name}'"]) == 0
    shown = ask("scontrol", "--oneliner", "show", "job")
    ask("scancel", "--state=PENDING")
    assert f"StdOut={login}/runs/{name}/launch/job-" in shown
    assert not list(login.rglob("canary"))


def test_a_sweep_is_one_array_whose_runs_are_those_that_are_trained_by_hand(
    login, corpora, capfd, monkeypatch
):
    pytest.importorskip("submitit", reason="pip install -e '.[sweep]'")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))  # of the jobs, which begin in another folder
    settings = [*SMALL, f"corpora={corpora}", "steps=2"]
    launcher = ["hydra/launcher=submitit_slurm", "hydra.launcher.timeout_min=5"]
    assert cli.main(["train", "-m", *settings, "run=swept", "data_seed=1,2", *launcher]) == 0
    output = capfd.readouterr().out
    ids = re.search(r"submitted (\d+)_0, (\d+)_1", output)
    assert ids and ids[1] == ids[2], output
    for seed in (1, 2):
        succeed(*settings, f"data_seed={seed}", f"run={login / f'by-hand-{seed}'}")
        assert learned(login / f"runs/swept/data_seed={seed}") == learned(login / f"by-hand-{seed}")
