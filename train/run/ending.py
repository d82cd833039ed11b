"""How a run ends, other than by an error: its marker, its last line and its exit code."""

import signal
from pathlib import Path

from data.folders import run_word
from train.config import TrainConfig
from train.ranks import identity, placement
from train.run import markers
from train.run.attempts import account


def already_finished(path: Path, config: TrainConfig, step: int) -> int:
    """Nothing is left to train; returns the exit code."""
    identity.say(f"{path} has finished: {step} of {config.last_step} steps are done")
    _mark(path, markers.FINISHED, step)
    return 0


def conclude(path: Path, config: TrainConfig, step: int, stopped_by: int | None) -> int:
    """Report the end after `step`, at the last one or by the signal `stopped_by`; returns the exit code."""
    if identity.is_first() and (life := account(path)) and life["starts"] > 1:
        identity.say(
            f"goodput {life['goodput']:.1%} of {life['seconds']:,.0f} s since the first start: "
            f"{life['starts']} starts, {life['steps_repeated']} steps trained again, "
            f"{life['seconds_down']:,.0f} s down"
        )
    if stopped_by and step < config.last_step:
        name = signal.Signals(stopped_by).name
        if stopped_by != signal.SIGINT:  # a person's Ctrl-C is not a preemption
            _mark(path, markers.PREEMPTED, step, signal=name)
        identity.say(f"stopped by {name} after step {step}, saved; run the same command to resume")
        return 128 + stopped_by
    _mark(path, markers.FINISHED, step)
    word = run_word(path)
    identity.say(
        f"{path}: step {step} of {config.steps} done. Next:",
        f"relama generate weights={word} prompt='The'",
        f"relama report run={word}",
    )
    return 0


def _mark(path: Path, name: str, step: int, **details: object) -> None:
    if placement.writes():  # a job script looks at its machine's folder
        markers.leave(path, name, step=step, **details)
