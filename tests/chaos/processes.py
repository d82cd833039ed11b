"""Faults of processes: killed, crashed, stopped, preempted, or started twice."""

import os
import random
import signal
import subprocess
import time

from tests.chaos.run import VALIDATE_EVERY, Run, kill


def kill_a_rank(run: Run, rng: random.Random) -> None:
    for worker in some(run, rng):
        kill(worker, signal.SIGKILL)


def crash_a_rank(run: Run, rng: random.Random) -> None:
    for worker in some(run, rng):
        kill(worker, signal.SIGSEGV)


def kill_every_rank(run: Run, rng: random.Random) -> None:
    for worker in run.workers:
        kill(worker, signal.SIGKILL)


def kill_while_starting(run: Run, rng: random.Random) -> None:
    """Kill twice: the second time at any point between the imports and the first steps."""
    kill_every_rank(run, rng)
    again = time.monotonic() + rng.uniform(1, 12)
    while time.monotonic() < again:
        run.keep_alive()
        time.sleep(0.05)
    kill_a_rank(run, rng)


def kill_the_agent(run: Run, rng: random.Random) -> None:
    """The loss of a node, as far as one machine can simulate it: nothing is left to restart the workers."""
    kill(run.agent.pid, signal.SIGKILL)


def preempt(run: Run, rng: random.Random) -> None:
    kill(run.agent.pid, signal.SIGTERM)


def interrupt(run: Run, rng: random.Random) -> None:
    """Ctrl-C in a terminal, which reaches both torchrun and its workers."""
    os.killpg(run.agent.pid, signal.SIGINT)


def stop_a_rank(run: Run, rng: random.Random) -> None:
    """A hang: the other ranks wait in a collective forever unless the watchdog ends them."""
    for worker in some(run, rng):
        kill(worker, signal.SIGSTOP)


def pause(run: Run, rng: random.Random) -> None:
    """Everything pauses for a moment (a suspended machine, a stalled file system)."""
    workers = run.workers
    for worker in workers:
        kill(worker, signal.SIGSTOP)
    time.sleep(rng.uniform(0.2, 1.5))
    for worker in workers:
        kill(worker, signal.SIGCONT)


def kill_during_a_save(run: Run, rng: random.Random) -> None:
    wait_for_a_save(run, rng)
    kill_every_rank(run, rng)


def lose_the_terminal(run: Run, rng: random.Random) -> None:
    kill(run.agent.pid, signal.SIGHUP)


def bus_error(run: Run, rng: random.Random) -> None:
    """As when a page of a mapped token file cannot be read."""
    for worker in some(run, rng):
        kill(worker, signal.SIGBUS)


def kill_a_rank_during_a_save(run: Run, rng: random.Random) -> None:
    wait_for_a_save(run, rng)
    kill_a_rank(run, rng)


def stop_a_rank_during_a_save(run: Run, rng: random.Random) -> None:
    """The saver's threads wait in a collective of their own."""
    wait_for_a_save(run, rng)
    stop_a_rank(run, rng)


def preempt_one_rank(run: Run, rng: random.Random) -> None:
    """A signal to one process, which torchrun knows nothing of."""
    for worker in some(run, rng):
        kill(worker, signal.SIGTERM)


def preempt_during_validation(run: Run, rng: random.Random) -> None:
    """The line of a validated step is logged last, so this strikes shortly after the one before."""
    deadline = time.monotonic() + 30
    while run.last_step() % VALIDATE_EVERY != VALIDATE_EVERY - 1 and run.agent.poll() is None:
        if time.monotonic() > deadline:
            break
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.05))
    preempt_one_rank(run, rng)


def preempt_impatiently(run: Run, rng: random.Random) -> None:
    """SIGTERM, and SIGKILL for all after a grace that may be too short to save in."""
    workers = run.workers
    preempt(run, rng)
    time.sleep(rng.uniform(0, 1))
    for process in (run.agent.pid, *workers):
        kill(process, signal.SIGKILL)


def start_a_second_time(run: Run, rng: random.Random) -> None:
    """The same command by hand while the run trains: it must be refused and must touch nothing."""
    if not run.workers:
        return
    second = subprocess.run(run.command_of_one_rank, capture_output=True, text=True, env=run.environment)
    said = second.stdout + second.stderr
    refused = second.returncode != 0 and "being trained by another process" in said
    assert refused or "has finished" in said, said  # it ended meanwhile


def some(run: Run, rng: random.Random) -> list[int]:
    """One of the ranks; none if all of them have just ended."""
    workers = run.workers
    return [rng.choice(workers)] if workers else []


def wait_for_a_save(run: Run, rng: random.Random) -> None:
    deadline = time.monotonic() + 20
    while not run.is_saving() and run.agent.poll() is None and time.monotonic() < deadline:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.05))


KINDS = {
    "a rank killed (SIGKILL)": kill_a_rank,
    "a rank crashed (SIGSEGV)": crash_a_rank,
    "a rank gets SIGBUS": bus_error,
    "every rank killed": kill_every_rank,
    "killed again while starting": kill_while_starting,
    "torchrun killed": kill_the_agent,
    "preempted (SIGTERM)": preempt,
    "preempted, killed within a second": preempt_impatiently,
    "one rank gets SIGTERM": preempt_one_rank,
    "SIGTERM around a validation": preempt_during_validation,
    "Ctrl-C": interrupt,
    "terminal lost (SIGHUP)": lose_the_terminal,
    "a rank hangs (SIGSTOP)": stop_a_rank,
    "a rank hangs during a save": stop_a_rank_during_a_save,
    "all ranks pause, then continue": pause,
    "killed during a save": kill_during_a_save,
    "a rank killed during a save": kill_a_rank_during_a_save,
    "started a second time": start_a_second_time,
}
