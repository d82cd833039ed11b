"""A run that was stopped, in whatever way, ends like one that was never stopped."""

import os
import random
import signal
import subprocess
import sys

import pytest

from tests.support.runs import (
    SMALL,
    command,
    end,
    learned,
    metrics,
    run,
    same_tensors,
    start,
    steps_done,
    succeed,
    wait_for_step,
    workers_of,
)

# No run that is to be stopped ends by itself first, however fast the machine or late the stop.
SETTINGS = ("steps=100000", "optim.warmup_steps=2", "checkpoint.every=6", "validate.every=10")
SETTINGS += ("global_batch=256",)  # several micro-batches for each of two ranks
STEPS = 28
END = f"stop_at={STEPS}"

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def undisturbed(corpora, tmp_path_factory):
    """One undisturbed run of each world size."""
    folders = {}
    for ranks in (0, 2):
        folders[ranks] = tmp_path_factory.mktemp("undisturbed") / str(ranks)
        succeed(f"corpora={corpora}", f"run={folders[ranks]}", *SETTINGS, END, ranks=ranks)
    return folders


def stop(how: str, process) -> None:
    if how == "kill -9 of a worker":
        os.kill(random.choice(workers_of(process)), signal.SIGKILL)
    elif how == "Ctrl-C in a terminal":  # reaches the agent and its workers
        os.killpg(process.pid, signal.SIGINT)
    else:
        names = {"SIGTERM": signal.SIGTERM, "a lost terminal": signal.SIGHUP, "kill -9": signal.SIGKILL}
        os.kill(process.pid, names[how])


@pytest.mark.parametrize(
    ("how", "ranks"),
    [
        ("Ctrl-C in a terminal", 0),
        ("SIGTERM", 0),
        ("kill -9", 0),
        ("Ctrl-C in a terminal", 2),
        ("SIGTERM", 2),
        ("a lost terminal", 2),
        ("kill -9", 2),
        ("kill -9 of a worker", 2),
    ],
)
def test_a_run_stopped_anywhere_and_resumed_equals_the_one_never_stopped(
    how, ranks, undisturbed, corpora, tmp_path
):
    folder = tmp_path / "run"
    overrides = (f"corpora={corpora}", f"run={folder}", *SETTINGS)
    at = random.randint(1, STEPS - 8)
    print(f"stopped once step {at} was logged")  # shown if the test fails
    process = start(*overrides, ranks=ranks)
    try:
        wait_for_step(folder, at, process)
        stop(how, process)
        process.wait(timeout=240)
    finally:
        end(process)
    assert process.returncode != 0
    done, last, whole = len(metrics(folder)), STEPS, undisturbed[ranks]
    if done >= STEPS:  # the stop came late
        last, whole = done + 6, tmp_path / "whole"
        succeed(f"corpora={corpora}", f"run={whole}", *SETTINGS, f"stop_at={last}", ranks=ranks)
    succeed(*overrides, f"stop_at={last}", ranks=ranks)
    assert learned(folder) == learned(whole)
    assert [m.get("validation") for m in metrics(folder)] == [m.get("validation") for m in metrics(whole)]
    newest = f"checkpoints/step-{last:06d}"
    same_tensors(folder / newest, whole / newest)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
def test_a_graceful_stop_loses_no_step(signum, corpora, tmp_path):
    folder = tmp_path / "run"
    overrides = (f"corpora={corpora}", f"run={folder}", "steps=100000", "checkpoint.every=100000")
    process = start(*overrides)
    try:
        wait_for_step(folder, 5, process)
        process.send_signal(signum)
        assert process.wait(timeout=240) == 128 + signum, process.tail()
    finally:
        end(process)
    last = metrics(folder)[-1]["step"]
    assert (folder / "checkpoints" / "latest").read_text().strip() == f"step-{last:06d}"


def test_another_world_size_sees_the_same_samples(undisturbed, corpora, tmp_path):
    """The loss of a step is a function of its samples: equal at every step on 1, 2 and 3 ranks."""
    one = learned(undisturbed[0])
    two = learned(undisturbed[2])
    three = tmp_path / "three"
    finished = succeed(f"corpora={corpora}", f"run={three}", *SETTINGS, END, ranks=3)
    assert "using 2, leaving 1 idle" in finished.stderr  # of 3 ranks, only 2 can share 4 sequences equally
    assert learned(three) == two
    for here, there in zip(one, two, strict=True):
        assert here[0] == there[0] and here[1] == pytest.approx(there[1], rel=2e-5)


def test_a_run_resumes_at_another_world_size_and_micro_batch(undisturbed, corpora, tmp_path):
    folder = tmp_path / "run"
    overrides = (f"corpora={corpora}", f"run={folder}", *SETTINGS)
    succeed(*overrides, "stop_at=11", ranks=2)
    succeed(*overrides, "stop_at=23")
    succeed(*overrides, "micro_batch=2", END, ranks=2)
    for here, there in zip(learned(folder), learned(undisturbed[0]), strict=True):
        assert here[1] == pytest.approx(there[1], rel=2e-4)


def test_starting_a_finished_run_again_reports_that_it_is_finished_and_not_what_it_needs(
    undisturbed, corpora
):
    again = succeed(f"corpora={corpora}", f"run={undisturbed[0]}", *SETTINGS, END)
    assert "has finished" in again.stdout
    assert "precision:" not in again.stdout and "memory:" not in again.stdout
    assert len(metrics(undisturbed[0])) == STEPS


def test_a_run_folder_that_holds_another_run_is_refused(undisturbed, corpora):
    before = (undisturbed[0] / "config.yaml").read_text()
    refused = run(f"corpora={corpora}", f"run={undisturbed[0]}", *SETTINGS, "optim.lr=0.001")
    assert refused.returncode == 1
    assert "holds another run (optim.lr: 0.003 there, 0.001 requested)" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert (undisturbed[0] / "config.yaml").read_text() == before


def test_a_run_has_one_owner(corpora, tmp_path):
    folder = tmp_path / "run"
    overrides = (f"corpora={corpora}", f"run={folder}", "steps=100000")
    process = start(*overrides)
    try:
        wait_for_step(folder, 1, process)
        process.send_signal(signal.SIGSTOP)  # it keeps the lock, and would train for nothing
        refused = run(*overrides)
        assert refused.returncode == 1
        assert f"being trained by another process (pid {process.pid}" in refused.stderr
    finally:
        end(process)


def test_init_takes_only_the_weights(undisturbed, corpora, tmp_path):
    fresh = succeed(
        f"corpora={corpora}", f"run={tmp_path / 'new'}", "steps=3", "seed=5", f"init={undisturbed[0]}"
    )
    assert "from the weights of" in fresh.stdout and "data_seed" not in fresh.stdout  # seed=5: other samples
    first = metrics(tmp_path / "new")[0]
    assert first["step"] == 1
    assert first["loss"] < metrics(undisturbed[0])[0]["loss"] - 0.5  # it has learned something already


def test_a_lost_terminal_ends_nothing_under_nohup(corpora, tmp_path):
    """For one process, and for torchrun as `relama launch` starts it."""
    arguments = [f"corpora={corpora}", "steps=100000", "checkpoint.every=100000"]
    torchrun = [sys.executable, "-m", "launch.cli", "launch", "processes=2", *SMALL, *arguments]
    for number, typed in enumerate((command(*arguments), torchrun)):
        folder, log = tmp_path / str(number), tmp_path / f"{number}.log"
        with log.open("w") as file:
            nohup = ["nohup", *typed, f"run={folder}"]
            process = subprocess.Popen(nohup, stdout=file, stderr=file, start_new_session=True)
        try:
            wait_for_step(folder, 3, process, log=log)
            os.killpg(process.pid, signal.SIGHUP)
            wait_for_step(folder, steps_done(folder) + 5, process, log=log)
            process.send_signal(signal.SIGTERM)
            code = process.wait(timeout=400)
        finally:
            end(process)
        # A run, and torchrun, end by the first signal that they do not ignore.
        assert code == 128 + signal.SIGTERM, log.read_text()[-3000:]
        assert "stopped by SIGTERM" in log.read_text() and (folder / "preempted.json").exists()


def test_a_run_survives_failures_to_write_its_logs(corpora, tmp_path):
    """As on a full disk: the failure is reported, and the run ends as without it."""
    arguments = (f"corpora={corpora}", f"run={tmp_path / 'run'}", "steps=6", "checkpoint.every=3")
    succeed(*arguments, "stop_at=3")
    (tmp_path / "run/starts.jsonl").unlink()
    for name in ("starts.jsonl", "finished.json.tmp"):
        (tmp_path / "run" / name).mkdir()
    output = succeed(*arguments).stdout
    for name in ("starts.jsonl", "finished.json"):
        assert [line for line in output.splitlines() if "warning" in line and name in line]
    assert "step 6 of 6 done" in output and not (tmp_path / "run/finished.json").exists()
