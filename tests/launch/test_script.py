"""The job script, run by a real bash, with Slurm's commands replaced by ones that record their arguments."""

import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

import launch.main
from configs.load import load
from launch.config import LaunchConfig
from launch.main import main
from launch.slurm import script

NASTY = [
    "a b",
    "it's",
    'say "so"',
    "$(touch canary)",
    "`touch canary`",
    "; touch canary #",
    "$HOME",
    "*",
    "é{a,b}",
]


def make(tmp_path: Path, *launch: str, run: str = "run", arguments: list[str] | None = None) -> Path:
    """The script of a run in `tmp_path`, saved."""
    config = load("launch", LaunchConfig, ["cluster=slurm", "nodes=2", *launch])
    path = tmp_path / "job.sh"
    path.write_text(script(config, tmp_path / run, arguments or [], [*launch, *(arguments or [])]))
    return path


def fake(tmp_path: Path, name: str, body: str) -> None:
    """Make a command `name` that appends its arguments to `name.called` and then runs `body`."""
    (tmp_path / "bin").mkdir(exist_ok=True)
    path = tmp_path / "bin" / name
    called = shlex.quote(str(tmp_path / f"{name}.called"))
    path.write_text(f'#!/bin/bash\nprintf "%s\\0" "$@" >> {called}\n{body}\n')
    path.chmod(0o755)


def called(tmp_path: Path, name: str) -> list[str]:
    """The arguments of the calls of `name`; empty if it was not called."""
    path = tmp_path / f"{name}.called"
    return path.read_text().split("\0")[:-1] if path.exists() else []


def start(tmp_path: Path, path: Path) -> subprocess.Popen:
    """Start the script as Slurm would on the job's first machine."""
    fake(tmp_path, "scontrol", "")
    if not (tmp_path / "bin" / "squeue").exists():
        fake(tmp_path, "squeue", "echo RUNNING")
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "SLURM_JOB_ID": "20017"}
    return subprocess.Popen(
        ["bash", str(path)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(tmp_path: Path, path: Path) -> tuple[int, str]:
    process = start(tmp_path, path)
    out, err = process.communicate(timeout=120)
    assert err == ""
    return process.returncode, out


def test_every_argument_reaches_torchrun_as_typed_and_none_is_executed(tmp_path, monkeypatch):
    monkeypatch.setattr(signal, "getsignal", lambda _: signal.SIG_DFL)  # as if not under nohup
    setup = tmp_path / "set up'$(touch canary).sh"
    setup.write_text("export SET_UP=yes\n")
    arguments = [f"corpora={nasty}" for nasty in NASTY]
    launch = [f"cluster.environment.E{i}='{n}'" for i, n in enumerate(NASTY) if "'" not in n]
    quoted = str(setup).replace("'", "\\'")
    folder = "run " + " ".join(NASTY)
    path = make(tmp_path, *launch, f"cluster.setup='{quoted}'", run=folder, arguments=arguments)
    fake(tmp_path, "srun", 'printf \'%s\\0\' "$SET_UP" "$E0" "$E3" >> environment')
    assert subprocess.run(["bash", "-n", path]).returncode == 0
    code, out = finish(tmp_path, path)
    assert (code, "the run has finished" in out) == (0, True)
    got = called(tmp_path, "srun")
    assert got[-len(arguments) :] == arguments
    assert f"--rdzv-endpoint={os.uname().nodename}:10017" in got
    assert "--signals-to-handle=SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1" in got
    assert (tmp_path / "environment").read_text().split("\0") == ["yes", "a b", "$(touch canary)", ""]
    assert not list(tmp_path.rglob("canary"))


def test_the_trainings_marker_decides_whether_the_job_is_requeued(tmp_path):
    run = tmp_path / "run"
    (run / "checkpoints").mkdir(parents=True)
    (run / "launch").mkdir()
    latest = run / "checkpoints" / "latest"
    path = make(tmp_path)
    cases = [  # what srun leaves, whether Slurm says RUNNING, the exit code, whether it is requeued
        ("touch run/finished.json; exit 1", "RUNNING", 0, False),
        ("touch run/preempted.json; exit 1", "RUNNING", 1, True),
        ("touch run/preempted.json; exit 1", "COMPLETING", 1, False),  # scancel, or Slurm requeues it itself
        ("exit 1", "RUNNING", 1, False),
        ("echo step-000007 > run/checkpoints/latest; exit 3", "RUNNING", 3, True),
        ("touch run/preempted.json run/launch/stop; exit 1", "RUNNING", 0, False),
        ("touch run/launch/stop; exit 1", "RUNNING", 1, False),  # could not save
        ("echo step-000007 > run/checkpoints/latest; touch run/stopped.json; exit 1", "RUNNING", 1, False),
        ("touch run/preempted.json run/stopped.json; exit 0", "RUNNING", 0, False),
    ]
    for body, state, expected, requeued in cases:
        latest.write_text("step-000003\n")
        for name in ("finished.json", "preempted.json", "stopped.json"):
            (run / name).touch()  # markers of the previous job must not count for this one
        (run / "launch" / "stop").unlink(missing_ok=True)
        (tmp_path / "scontrol.called").unlink(missing_ok=True)
        fake(tmp_path, "srun", body)
        fake(tmp_path, "squeue", f"echo {state}")
        code, out = finish(tmp_path, path)
        assert (code, called(tmp_path, "scontrol")) == (expected, ["requeue", "20017"] if requeued else []), (
            body
        )
        assert out.startswith("relama: job 20017: ") and len(out.splitlines()) == 1


def test_a_busy_controller_is_asked_again(tmp_path):
    (tmp_path / "run").mkdir()
    path = make(tmp_path)
    fake(tmp_path, "srun", "touch run/preempted.json; exit 1")
    fake(tmp_path, "squeue", "[ -e asked ] && echo RUNNING || { touch asked; exit 1; }")
    assert finish(tmp_path, path)[0] == 1
    assert called(tmp_path, "scontrol") == ["requeue", "20017"]


@pytest.mark.parametrize("leaves", ["touch run/preempted.json; ", ""])
def test_a_warning_is_passed_on_and_waited_for(leaves, tmp_path):
    """Even if training had not saved yet: nothing was lost, and the job starts again."""
    (tmp_path / "run").mkdir()
    fake(
        tmp_path, "srun", f"trap 'sleep 0.5; {leaves}exit 1' USR1; touch ready; while :; do sleep 0.05; done"
    )
    process = start(tmp_path, make(tmp_path))
    try:
        deadline = time.monotonic() + 120
        while not (tmp_path / "ready").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)  # Slurm ends the job; the script waits for the training
        process.send_signal(signal.SIGUSR1)
        process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 1
    assert called(tmp_path, "scontrol") == ["requeue", "20017"]


def test_a_warning_before_the_training_is_known_is_passed_on_too(tmp_path):
    (tmp_path / "run").mkdir()
    fake(tmp_path, "srun", "trap 'exit 1' USR1; touch ready; while :; do sleep 0.05; done")
    path = make(tmp_path)
    late = "until [ -e ready ]; do sleep 0.05; done; kill -USR1 $$\ntraining=$!\n"
    path.write_text(path.read_text().replace("training=$!\n", late, 1))
    assert finish(tmp_path, path)[0] == 1
    assert called(tmp_path, "scontrol") == ["requeue", "20017"]


def test_the_options_of_sbatch_are_in_the_script(tmp_path):
    text = make(
        tmp_path, "gpus=8", "cpus=64", "cluster.partition=big", "cluster.sbatch.account='a \"b'"
    ).read_text()
    lines = text.splitlines()
    for option in (
        "requeue",
        "signal=B:USR1@300",
        "open-mode=append",
        "nodes=2",
        "gpus-per-node=8",
        "cpus-per-task=64",
        "partition=big",
        'account="a \\"b"',
        f"output={tmp_path}/run/launch/job-%j.log",
    ):
        assert f"#SBATCH --{option}" in lines
    assert "    --nproc-per-node=8 \\" in lines and "    --cpus-per-task=64 \\" in lines


def test_dry_run_prints_the_script_and_touches_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["model=tiny", "data=mix", "run=r", "corpora=nowhere"]
    assert main(["cluster=slurm", "nodes=1:2", "processes=2", "dry_run=true", *arguments]) == 0
    printed = capsys.readouterr().out
    assert (
        "#SBATCH --nodes=1-2" in printed
        and "--nnodes=1:2" in printed
        and "    corpora=nowhere &\n" in printed
    )
    assert main(["processes=2", "dry_run=true", *arguments]) == 0
    command = shlex.split(capsys.readouterr().out)
    assert command[-len(arguments) :] == arguments and "--nproc-per-node=2" in command
    assert list(tmp_path.iterdir()) == []


def test_the_record_of_a_launch_shows_no_secret(tmp_path, monkeypatch, capsys):
    """Except job.sh, which must set the secret and is readable only by its owner."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    fake(tmp_path, "sbatch", "cat > /dev/null; echo 7")
    secret = "cluster.environment.WANDB_API_KEY='old hunter22'"
    assert main(["cluster=slurm", secret, "run=r"]) == 0
    job = tmp_path / "runs/r/launch/job.sh"
    assert job.stat().st_mode & 0o777 == 0o600
    assert [line for line in job.read_text().splitlines() if "hunter" in line] == [
        "export WANDB_API_KEY='old hunter22'"
    ]
    kept = [path for path in (tmp_path / "runs").rglob("*") if path.is_file() and path != job]
    assert kept and not any("hunter" in path.read_text() for path in kept)
    printed = capsys.readouterr()
    assert "hunter" not in printed.out + printed.err


@pytest.fixture
def queue(tmp_path, monkeypatch):
    """A Slurm: `sbatch` gives job 7, and `squeue` runs what it is told, one answer after another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    for name, seconds in (("POLL", 0.02), ("POLL_MARKER", 0.02), ("NFS_DELAY", 0.1)):
        monkeypatch.setattr(launch.main, name, seconds)
    fake(tmp_path, "sbatch", "cat > /dev/null; echo 7")

    def answers(*bodies: str) -> None:
        cases = "\n".join(f"{number}) {body} ;;" for number, body in enumerate(bodies))
        count = f"n=$(cat {tmp_path}/asked 2>/dev/null || echo 0); echo $((n + 1)) > {tmp_path}/asked"
        fake(tmp_path, "squeue", f'{count}\ncase "$n" in\n{cases}\n*) ;;\nesac')

    return answers


WAIT = ["cluster=slurm", "wait=true", "run=r", "model=tiny", "data=sample"]


def test_a_launch_that_waits_returns_when_the_run_has_finished(queue, capsys):
    queue(
        "echo PENDING",
        "echo RUNNING",
        "echo 'Socket timed out' >&2; exit 1",  # the controller restarts
        "echo 'Socket timed out' >&2; exit 1",
        "echo RUNNING; touch runs/r/finished.json",
    )
    assert main(WAIT) == 0
    printed = capsys.readouterr()
    assert printed.out.splitlines()[-1] == "relama: job 7 has ended: the run has finished"
    assert printed.err.count("squeue does not answer (Socket timed out); try again; still waiting") == 1


@pytest.mark.parametrize(
    "left, message",
    [
        ("true", "job 7 ended before the run had finished; log: {log}"),
        (
            "touch runs/r/preempted.json",
            "job 7 ended after saving before the run had finished; log: {log}",
        ),
        ("touch runs/r/stopped.json", "recovery ended the run (see stopped.json); log: {log}"),
    ],
)
def test_a_job_that_ends_early_is_reported_with_its_log(left, message, queue, capsys):
    queue(f"{left}; echo RUNNING")
    assert main(WAIT) == 1
    log = "runs/r/launch/job-7.log"
    assert capsys.readouterr().err.splitlines() == [f"relama: error: runs/r: {message.format(log=log)}"]


def test_a_job_that_is_there_already_is_waited_for_and_not_submitted_again(queue, tmp_path, capsys):
    queue("echo RUNNING", "echo RUNNING; touch runs/r/finished.json")
    assert main([word for word in WAIT if word != "wait=true"]) == 0
    submitted = called(tmp_path, "sbatch")
    assert main(WAIT) == 0
    assert called(tmp_path, "sbatch") == submitted
    assert "relama: waiting for job 7, launched at " in capsys.readouterr().out
