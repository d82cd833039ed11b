"""A run as a chain of phases, each with its steps, mixture, length, batch and piece of the schedule.

A run without `phases` is one phase. Nothing here knows where a run stands: the phase of a step is a function
of the configuration alone.
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, count

from configs.checks import one_of, require
from data.mixture import DataConfig, has_manifest
from data.order import block_of
from data.phases.steps import Steps
from train.phases.config import PhaseConfig

SHAPES = ("constant", "linear", "cosine", "1-sqrt")
MOST_TOKENS = 10**15  # of a step: seven hundred times LLaMA's whole training
REST = "rest"  # what follows the last phase that is named


@dataclass(frozen=True)
class Phase:
    """Steps `start` + 1 to `end`."""

    name: str
    start: int
    end: int
    weights: dict[str, float]
    seq_len: int
    global_batch: int  # tokens
    rope_theta: float
    first_token: int  # of the run
    schedule: str | None = None
    lr: float | None = None

    @property
    def batch(self) -> int:
        """Sequences in a global batch."""
        return self.global_batch // self.seq_len


@dataclass(frozen=True)
class Timeline:
    """The phases of a run, in order and without gaps."""

    phases: tuple[Phase, ...]

    def at(self, step: int) -> Phase:
        """The phase of `step` (1, 2, …); of steps beyond the run, the last."""
        return next((phase for phase in self.phases if step <= phase.end), self.phases[-1])

    def tokens(self, steps_done: int) -> int:
        phase = self.at(steps_done)
        return phase.first_token + (steps_done - phase.start) * phase.global_batch

    @property
    def steps(self) -> Steps:
        """What maps steps to samples."""
        stretches: list[tuple[int, int]] = []
        for phase in self.phases:
            if not stretches or stretches[-1][1] != phase.batch:
                stretches.append((phase.start, phase.batch))
        return Steps(tuple(stretches))

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each source over all tokens of the run, from all phases."""
        return self.phases[0].weights if len(self.phases) == 1 else self.tokens_by_source(self.phases[-1].end)

    def tokens_by_source(self, steps_done: int) -> dict[str, float]:
        """How many tokens of each source the mixtures of all phases call for, up to `steps_done`."""
        found: dict[str, float] = {}
        for phase in self.phases:
            tokens = max(0, min(steps_done, phase.end) - phase.start) * phase.global_batch
            for source, weight in phase.weights.items():
                found[source] = found.get(source, 0.0) + tokens * weight / sum(phase.weights.values())
        return found

    def needed(self, corpora: str, at: int) -> dict[str, float]:
        """The sources of a run that continues after step `at`, each with a weight.

        Sources that only its past used are included if they are still in `corpora`: they explain its steps.
        """
        coming = [phase for phase in self.phases if phase.end > at]
        weights: dict[str, float] = {}
        for phase in [*coming, *self.phases]:
            for source, weight in phase.weights.items():
                if phase in coming or has_manifest(f"{corpora.rstrip('/')}/{source}/tokens"):
                    weights.setdefault(source, weight)
        return weights

    def sentences(self) -> list[str]:
        """A line about each phase, for people."""
        lines = []
        for phase in self.phases:
            total = sum(phase.weights.values())
            shares = ", ".join(f"{source} {weight / total:.0%}" for source, weight in phase.weights.items())
            lines.append(
                f"{phase.name}: steps {phase.start + 1:,} to {phase.end:,}, {shares}; "
                f"{phase.batch:,} sequences of {phase.seq_len:,} tokens per step"
            )
        return lines

    @property
    def longest(self) -> int:
        return max(phase.seq_len for phase in self.phases)

    def micro_batches(self, micro_batch: int) -> tuple[int, ...]:
        """How many each phase's global batch has."""
        return tuple(phase.batch // micro_batch for phase in self.phases)


def timeline(
    phases: Mapping[str, PhaseConfig],
    *,
    steps: int,
    data: DataConfig,
    seq_len: int,
    most_seq_len: int,
    global_batch: int,
    micro_batch: int,
    rope_theta: float,
) -> Timeline:
    """The run's phases. Raises ValueError, in one line that names the phase's key."""
    found: list[Phase] = []
    for number, (name, phase) in enumerate(phases.items(), 1):
        start = found[-1].end if found else 0
        first_token = _tokens(found)
        length = phase.seq_len or seq_len
        batch = phase.global_batch or global_batch
        if start == 0:
            _refuse_rates(name, phase)
        _check(name, phase, number == len(phases))
        _check_sizes(name, length, batch, most_seq_len, micro_batch)
        end = _end(name, phase, steps, first_token, start, batch)
        found.append(
            Phase(
                name,
                start,
                end,
                _mixture(name, phase, data),
                length,
                batch,
                rope_theta if phase.rope_theta is None else phase.rope_theta,
                first_token,
                phase.schedule,
                phase.lr,
            )
        )
    if not found or found[-1].end < steps:
        start = found[-1].end if found else 0
        weights = dict(data.chosen())
        name = free_name(REST, phases)
        found.append(Phase(name, start, steps, weights, seq_len, global_batch, rope_theta, _tokens(found)))
    return Timeline(tuple(found))


def free_name(name: str, taken: Collection[str]) -> str:
    """`name`, with a number if it is taken."""
    names = chain([name], (f"{name}-{number}" for number in count(2)))
    return next(each for each in names if each not in taken)


def _tokens(phases: list[Phase]) -> int:
    return sum((phase.end - phase.start) * phase.global_batch for phase in phases)


def _end(name: str, phase: PhaseConfig, steps: int, first_token: int, start: int, batch: int) -> int:
    """The phase's last step. Refuses one that is not after its start, or after the run's end."""
    if phase.until_tokens is not None:
        given = f"until_tokens={phase.until_tokens:.15g}"
        end = start + math.ceil((phase.until_tokens - first_token) / batch)
    elif phase.until_share is not None:
        given = f"until_share={phase.until_share}"
        end = end_by_share(phase.until_share, steps)
    else:
        end = steps if phase.until_step is None else phase.until_step
        given = f"until_step={end}"
    if end <= start:
        raise ValueError(
            f"phases.{name}.{given}: ends with step {end:,}, but the phase starts after step {start:,}; "
            "expected a later end"
        )
    if end > steps:
        raise ValueError(f"phases.{name}.{given}: ends with step {end:,}, but the run has steps={steps}")
    return end


def end_by_share(share: float, steps: int) -> int:
    """The last step of a phase that ends after this share of `steps`."""
    return round(Fraction(str(share)) * steps)


def _check_sizes(name: str, length: int, batch: int, most_seq_len: int, micro_batch: int) -> None:
    """Refuse a length or a batch in tokens that does not fit the model or the micro-batch."""
    require(
        1 <= length <= most_seq_len,
        f"phases.{name}.seq_len",
        length,
        f"at most model.max_seq_len={most_seq_len}",
    )
    require(batch <= MOST_TOKENS, f"phases.{name}.global_batch", batch, f"at most {MOST_TOKENS:,}")
    row = length * micro_batch
    require(
        batch >= row and batch % row == 0,
        f"phases.{name}.global_batch",
        batch,
        f"a multiple of seq_len × micro_batch = {length} × {micro_batch} = {row} tokens",
    )


def _refuse_rates(name: str, phase: PhaseConfig) -> None:
    """Refuse a schedule or rate of the first phase, naming the run's own keys."""
    runs = {"1-sqrt": "optim.schedule=wsd optim.decay_shape=1-sqrt"}
    keys = [("lr", "optim.lr and optim.min_lr_ratio")] if phase.lr is not None else []
    if phase.schedule in SHAPES:
        keys.insert(0, ("schedule", runs.get(phase.schedule, f"optim.schedule={phase.schedule}")))
    if keys:
        its = " ".join(f"phases.{name}.{key}={getattr(phase, key)}" for key, _ in keys)
        raise ValueError(
            f"{its}: the first phase begins with the warm-up; set {', '.join(mend for _, mend in keys)} "
            "instead, or set these for a later phase"
        )


def _check(name: str, phase: PhaseConfig, is_last: bool) -> None:
    """Refuse values that are wrong on their own."""
    if len(phase.ends) > 1:
        raise ValueError(
            f"phases.{name}: {' and '.join(phase.ends)} both say where it ends; give one of them"
        )
    if not phase.ends and not is_last:
        raise ValueError(
            f"phases.{name}: does not say where it ends; give until_step, until_tokens or until_share "
            "(only the last phase may omit them)"
        )
    for key in ("until_tokens", "until_share", "lr", "rope_theta"):
        value = getattr(phase, key)
        require(
            value is None or 0 <= value < float("inf"), f"phases.{name}.{key}", value, "a number from 0 on"
        )
    require(
        phase.until_share is None or phase.until_share <= 1,
        f"phases.{name}.until_share",
        phase.until_share,
        "0 to 1",
    )
    for key in ("seq_len", "global_batch"):
        value = getattr(phase, key)
        require(value is None or value >= 1, f"phases.{name}.{key}", value, "at least 1")
    if phase.schedule is not None:
        one_of(f"phases.{name}.schedule", phase.schedule, SHAPES)
    require(phase.lr is None or phase.lr <= 1, f"phases.{name}.lr", phase.lr, "at most 1")
    require(
        phase.lr is None or phase.schedule is not None, f"phases.{name}.lr", phase.lr, "schedule= with it"
    )


def _mixture(name: str, phase: PhaseConfig, data: DataConfig) -> dict[str, float]:
    key, weights = f"phases.{name}", phase.weights or data.chosen()
    if lost := [source for source in phase.sources or [] if source not in weights]:
        raise ValueError(
            f"{key}.sources: {lost[0]!r} has no weight; the choices are: {', '.join(weights)} (for others "
            f"give {key}.weights.NAME=… for each of the phase's sources)"
        )
    try:
        chosen = DataConfig("phase", weights, phase.sources).chosen()
        block_of(chosen)
    except ValueError as error:
        raise ValueError(str(error).replace("data.", f"{key}.")) from None
    return dict(chosen)
