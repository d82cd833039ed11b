"""Workers die repeatedly, machines join and leave: the samples stay the same and the run continues."""

import os
import signal
import time
from pathlib import Path

import pytest

from launch.torchrun import ENVIRONMENT, TRAIN
from tests.support.fork_server import Forked, fork
from tests.support.ports import free_port
from tests.support.runs import SMALL, end, learned, metrics, steps_done, succeed, wait_for_step, workers_of

pytestmark = pytest.mark.distributed


def agent(log: Path, *arguments: str) -> Forked:
    """A torchrun with one or more workers, in its own session."""
    env = {**os.environ, **(ENVIRONMENT if "--standalone" not in arguments else {})}
    words = ("-m", "torch.distributed.run", "--max-restarts=10", *arguments)
    with log.open("a") as out:
        return fork(*words, out=out, err=out, env=env, new_session=True)


def wait_for(what: str, times: int, logs: list[Path], process: Forked, timeout: float = 400) -> None:
    """Wait until `what` occurs a number of times in the logs: any machine may have the rank that speaks."""
    deadline = time.monotonic() + timeout
    while (text := "".join(log.read_text() for log in logs if log.exists())).count(what) < times:
        assert process.poll() is None, text[-3000:]
        assert time.monotonic() < deadline, text[-3000:]
        time.sleep(0.1)


# The trainer, which in its first starts waits at a step after a new checkpoint, until a rank was killed.
HELD = """
import os, sys, time
from pathlib import Path

import train.integrity.computation as computation
from train.main import main

place, starts, newest = Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]) / "checkpoints" / "latest"
start, rank = os.environ["TORCHELASTIC_RESTART_COUNT"], os.environ["RANK"]
real, calls = computation.forward_backward, iter(range(10**6))
read = lambda: newest.read_text() if newest.exists() else ""
before = read()

def forward_backward(*given):
    if int(start) < starts and next(calls) >= 6 and read() != before:
        (place / f"held-{start}-{rank}").touch()
        while not (place / f"killed-{start}").exists():
            time.sleep(0.02)
    return real(*given)

computation.forward_backward = forward_backward
sys.exit(main([*sys.argv[4:], f"run={sys.argv[3]}"]))
"""


def held(place: Path, starts: int) -> list[str]:
    """The arguments of torchrun for HELD, held in so many starts; its run is place/run."""
    (place / "held.py").write_text(HELD)
    return [str(place / "held.py"), str(place), str(starts), str(place / "run")]


def wait_until_held(place: Path, start: int, log: Path, process: Forked) -> None:
    deadline = time.monotonic() + 400
    while not list(place.glob(f"held-{start}-*")):
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.02)


def test_three_restarts_in_a_row_end_like_no_restart(corpora, tmp_path):
    """Torchrun's agent keeps its store through all restarts."""
    folder, log = tmp_path / "run", tmp_path / "log"
    arguments = [*SMALL, f"corpora={corpora}", "global_batch=128", "steps=30", "checkpoint.every=4"]
    process = agent(log, "--standalone", "--nproc-per-node=2", *held(tmp_path, 3), *arguments)
    try:
        for kill in range(3):
            wait_until_held(tmp_path, kill, log, process)
            os.kill(workers_of(process)[kill % 2], signal.SIGKILL)
            (tmp_path / f"killed-{kill}").touch()
        assert process.wait(timeout=400) == 0, log.read_text()[-3000:]
    finally:
        end(process)
    assert log.read_text().count("relama: resuming") == 3
    assert (folder / "finished.json").exists()
    succeed(*arguments, f"run={tmp_path / 'undisturbed'}", ranks=2)
    assert learned(folder) == learned(tmp_path / "undisturbed")


def test_a_machine_without_work_waits_so_that_the_others_can_restart(corpora, tmp_path):
    """If its torchrun ended first, it would close the rendezvous for all."""
    folder = tmp_path / "run"
    batch_of_one = [*SMALL, f"corpora={corpora}", "global_batch=64", "steps=30", "checkpoint.every=4"]
    start = [
        *("--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=idle"),
        f"--rdzv-endpoint=localhost:{free_port()}",
        *held(tmp_path, 1),
        *batch_of_one,
    ]
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    agents = [agent(log, *start) for log in logs]
    try:
        wait_until_held(tmp_path, 0, logs[0], agents[0])
        trains = int((folder / ".lock").read_text().split()[1])
        assert {trains} < {worker for process in agents for worker in workers_of(process)}
        os.kill(trains, signal.SIGKILL)
        (tmp_path / "killed-0").touch()
        assert [process.wait(timeout=400) for process in agents] == [0, 0], logs[0].read_text()[-3000:]
    finally:
        for process in agents:
            end(process)
    assert "".join(log.read_text() for log in logs).count("relama: resuming") == 1
    succeed(*batch_of_one, f"run={tmp_path / 'alone'}")
    assert learned(folder) == learned(tmp_path / "alone")


def test_the_samples_are_the_same_when_a_machine_joins_and_is_lost(corpora, tmp_path):
    folder = tmp_path / "run"
    port = free_port()
    arguments = [*SMALL, f"corpora={corpora}", "global_batch=128", "steps=100000", "checkpoint.every=5"]
    start = [
        *("--nnodes=1:2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=elastic"),
        f"--rdzv-endpoint=localhost:{port}",
        # Lost after 15 s without a sign of life: each call of a rendezvous takes seconds on a busy machine.
        "--rdzv-conf=last_call_timeout=2,keep_alive_interval=3,keep_alive_max_attempt=5",
        *(str(TRAIN), *arguments, f"run={folder}"),
    ]
    logs = [tmp_path / "first.log", tmp_path / "second.log"]
    agents = [agent(logs[0], *start)]
    try:
        wait_for_step(folder, 8, agents[0], log=logs[0])
        agents.append(agent(logs[1], *start))
        wait_for(
            "× 2 ranks", 1, logs, agents[0]
        )  # if it was late for the round held for it, there is another
        assert "stopped by SIGTERM" in logs[0].read_text()  # to admit the second, after saving
        together = steps_done(folder)
        wait_for_step(folder, together + 8, agents[0], log=logs[0])
        assert len(workers_of(agents[1])) == 1
        resumed = "".join(log.read_text() for log in logs).count("relama: resuming")
        os.kill(agents[1].pid, signal.SIGKILL)
        wait_for("relama: resuming", resumed + 1, logs, agents[0])
        wait_for_step(folder, steps_done(folder) + 5, agents[0], log=logs[0])
        agents[0].send_signal(signal.SIGTERM)
        agents[0].wait(timeout=400)
    finally:
        for process in agents:
            end(process)
    done = metrics(folder)
    assert [line["step"] for line in done] == list(range(1, len(done) + 1))
    assert (folder / "preempted.json").exists()

    alone = tmp_path / "alone"
    succeed(*arguments, f"run={alone}", f"stop_at={len(done)}")
    assert (folder / "order.json").read_text() == (alone / "order.json").read_text()
    for here, there in zip(done, metrics(alone), strict=True):
        assert here["loss"] == pytest.approx(there["loss"], rel=2e-4)
        assert (here["tokens"], here["epochs"]) == (there["tokens"], there["epochs"])
