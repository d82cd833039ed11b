"""Train the runs of a ladder by the existing trainer, each in its own process and folder, some at once.

A run that is interrupted resumes with the ladder: its command is the same each time.
"""

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from train.config import RunError
from train.ladder.config import LadderConfig
from train.ladder.family import MULTIPLE_OF, Rung
from train.run import markers

REPOSITORY = Path(__file__).resolve().parents[2]
POLL = 0.2  # seconds
MICRO_BATCH = 8  # sequences, at most
# What a ladder sets by its rule; and what it sets unless it is typed.
ITS_OWN = ("model", "steps", "stop_at", "init", "checkpoint.keep")
HEARD = (signal.SIGINT, signal.SIGTERM)


def arguments_of(rung: Rung, config: LadderConfig, folder: Path, typed: Sequence[str]) -> list[str]:
    """Train's arguments for one run: the rule's, then those that were typed."""
    shape = rung.model
    given = {argument.partition("=")[0] for argument in typed}
    defaults = {
        "micro_batch": math.gcd(MICRO_BATCH, max(1, rung.global_batch // shape.max_seq_len)),
        "checkpoint.every": max(1, rung.steps // 4),
        "validate.every": 0,
        "validate.sequences": 1024,
        "optim.lr": f"{rung.lr:g}",
        "global_batch": rung.global_batch,
    }
    if not config.launch:
        defaults["threads"] = max(1, _cores() // config.runs_at_once)
    return [
        f"run={folder / rung.name if folder.is_absolute() else './' + str(folder / rung.name)}",
        "model=tiny",
        *(f"model.{key}={getattr(shape, key)}" for key in ("dim", "n_layers", "n_heads", "max_seq_len")),
        f"model.multiple_of={MULTIPLE_OF}",
        f"seq_len={shape.max_seq_len}",
        f"steps={rung.steps}",
        "checkpoint.keep=1",
        *(f"{key}={value}" for key, value in defaults.items() if key not in given),
        *(_its_own(word, rung.name) for word in typed),
    ]


def _its_own(word: str, name: str) -> str:
    """A typed argument, for one run: a URL belongs to one, so each gets its folder below it."""
    key, _, url = word.partition("=")
    return f"{key}={url.rstrip('/')}/{name}" if key == "checkpoint.remote" and "://" in url else word


def train(
    rungs: Sequence[Rung],
    config: LadderConfig,
    folder: Path,
    typed: Sequence[str],
    say: Callable[[str], None],
) -> None:
    """Train these runs to their ends. Raises RunError for the first that fails, once the others are saved."""
    waiting, running, failed = list(rungs), dict[str, subprocess.Popen](), ""
    (folder / "logs").mkdir(parents=True, exist_ok=True)
    with _listening() as received:
        while running or (waiting and not failed and not received):
            while waiting and len(running) < config.runs_at_once and not failed and not received:
                rung = waiting.pop(0)
                say(
                    f"training {rung.name}: dim {rung.model.dim}, {rung.model.n_layers} layers, "
                    f"{rung.steps:,} steps of {rung.global_batch:,} tokens, rate {rung.lr:g}"
                )
                arguments = arguments_of(rung, config, folder, typed)
                running[rung.name] = _start(arguments, config, folder, rung.name)
            time.sleep(POLL)
            if received or failed:
                _end(running, received[0] if received else signal.SIGTERM)
            for name in [name for name, process in running.items() if process.poll() is not None]:
                code = running.pop(name).returncode
                failed = failed or _problem(folder, name, code)
        if signal.SIGINT in received[:1]:
            raise KeyboardInterrupt
        if received:
            raise RunError(f"stopped by {signal.Signals(received[0]).name}; run the same command to resume")
        if failed:
            raise RunError(failed)


@contextmanager
def _listening() -> Iterator[list[int]]:
    """The signals of HEARD that arrive during the block, in order; they do nothing else."""
    received: list[int] = []
    before = {number: signal.signal(number, lambda got, _: received.append(got)) for number in HEARD}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(running: Mapping[str, subprocess.Popen], number: int) -> None:
    """Have all runs save at the same time, and wait for them."""
    for process in running.values():
        process.send_signal(number)
    for process in running.values():
        process.wait()


def _start(arguments: list[str], config: LadderConfig, folder: Path, name: str) -> subprocess.Popen:
    if config.launch:
        command = [sys.executable, "-m", "launch.cli", "launch", "wait=true", *config.launch, *arguments]
    else:
        command = [sys.executable, str(REPOSITORY / "train" / "main.py"), *arguments]
    with open(folder / "logs" / f"{name}.log", "ab") as log:
        # In its own session, so that a Ctrl-C reaches it once, from here.
        return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)


def _problem(folder: Path, name: str, code: int) -> str:
    """Why the ladder cannot continue after a run ended with `code`; empty if it can."""
    if code == 0 or (folder / name / markers.STOPPED).exists():  # stopped by recovery: left out of the fit
        return ""
    log = folder / "logs" / f"{name}.log"
    last = [line for line in log.read_text(errors="replace").splitlines() if line.strip()][-1:]
    why = last[0].removeprefix("relama: ").removeprefix("error: ") if last else "it printed nothing"
    return (
        f"{name} ended with exit code {code}: {why} (log: {log}); "
        "once that is mended, the same command resumes"
    )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
