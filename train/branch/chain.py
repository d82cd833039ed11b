"""The configuration of a branch: its parent's phases up to a step, then what was typed.

Keys that a phase can set (the mixture, seq_len, global_batch, model.rope_theta) say what the parent was
trained on, so they keep their values, and a phase after the step has the new ones.
"""

import re
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

from train.config import RunError, TrainConfig
from train.phases.config import PhaseConfig
from train.phases.timeline import Phase, end_by_share, free_name

FIXED = ("seed", "data_seed", "init", "restart")  # what a branch cannot change
PAST = "past"  # the name of a parent's steps that had no phase name


def branched_config(
    parent: TrainConfig,
    typed: TrainConfig,
    phases: dict[str, PhaseConfig],
    at: int,
    name: str,
    words: Sequence[str] = (),
) -> TrainConfig:
    """`parent` up to step `at`, then `typed` and its `phases`, as one chain; a new phase is called `name`.

    `typed` is without phases; `words` are its arguments that are not the parent's. Raises RunError, or
    ValueError for phases that contradict the run.
    """
    for key in FIXED:
        kept = getattr(parent, key)
        if kept != getattr(typed, key):
            raise RunError(
                f"{key}={getattr(typed, key)}: a branch keeps its parent's "
                f"({'null' if kept is None else kept}); for a "
                "new run that starts from these weights, use relama train init=RUN@STEP"
            )
    _refuse_other_text(parent, typed)
    if typed.steps <= at:
        raise RunError(f"steps={typed.steps}: expected more than the {at} steps before the branch")
    given, past = _given(parent, typed, at, words), _past(parent, at)
    if late := [key for key in phases if key in past]:
        raise RunError(
            f"phases.{late[0]}: began before step {at}, where the branch begins; name another phase"
        )
    ended = {
        key: replace(phase, **_until(min(end, at)))
        for key, (phase, end) in past.items()
        if _is_over(phase, end, parent.steps, typed.steps, at)
    }
    if given or any(key not in parent.phases for key in phases):
        ended |= {key: replace(phase, **_until(min(end, at))) for key, (phase, end) in past.items()}
        goes_on = parent.phases.get(parent.timeline.at(at + 1).name, PhaseConfig())
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", name)  # of the characters that a key may have
        alone = {f"{name}-{at}" if name in ended else name: replace(goes_on, **_until(None))}
        chain = ended | {
            key: _overlaid(given or PhaseConfig(), phase) if phases else _overlaid(phase, given)
            for key, phase in (phases or alone).items()
        }
    else:  # the same chain, in which phases to come may differ
        chain = {
            key: ended.get(key) or _overlaid(phase, phases.get(key)) for key, phase in parent.phases.items()
        }
    return replace(
        typed,
        data=replace(
            parent.data,
            max_epochs=typed.data.max_epochs,
            vocab_size=(typed if typed.data.name == parent.data.name else parent).data.vocab_size,
        ),
        input=parent.input,
        source=parent.source,
        seq_len=parent.seq_len,
        global_batch=parent.global_batch,
        model=replace(typed.model, rope_theta=parent.model.rope_theta),
        phases=chain,
        # auto: as the parent began, like a run that resumes
        precision=parent.precision if typed.precision == "auto" else typed.precision,
        stop_at=None,
        restart=False,
    )


def _refuse_other_text(parent: TrainConfig, typed: TrainConfig) -> None:
    """Raise RunError if both read data=text, and not the same."""
    for key in ("input", "source") if parent.data.name == typed.data.name == "text" else ():
        before, now = getattr(parent, key), getattr(typed, key)
        if before != now:
            shown = [",".join(value) if isinstance(value, list) else value for value in (now, before)]
            raise RunError(
                f"{key}={shown[0]}: a branch keeps its parent's ({shown[1]}); to read another text too, "
                "prepare it with the run's tokenizer (relama prepare recipe=text source=NAME input=… "
                "tokenizer=…) and give data.weights.NAME=1"
            )


def _given(parent: TrainConfig, typed: TrainConfig, at: int, words: Sequence[str]) -> PhaseConfig | None:
    """The phase keys that the branch changes, with their new values; None if it changes none.

    A key changes if its value is not the parent's own. One that is typed also changes if its value is not
    that of the parent's phase: it may bring back the parent's own.
    """
    phase = parent.timeline.at(at + 1)
    keys = [word.partition("=")[0].lstrip("+") for word in words]
    now, before = _own(typed), _own(parent)
    now["weights"] = _mixture(typed, phase, keys)
    named = {key for key in keys if key in now}
    named |= {"weights" for key in keys if re.fullmatch(r"data|data\.sources|data\.weights(\..+)?", key)}
    named |= {"rope_theta" for key in keys if key == "model.rope_theta"}
    changed = {
        key: value
        for key, value in now.items()
        if value != before[key] or (key in named and value != getattr(phase, key))
    }
    return PhaseConfig(**changed) if changed else None


def _own(config: TrainConfig) -> dict[str, Any]:
    """The run's own values of what a phase can set."""
    return {
        "weights": dict(config.data.chosen()),
        "seq_len": config.sequence_length,
        "global_batch": config.global_batch,
        "rope_theta": config.model.rope_theta,
    }


def _mixture(typed: TrainConfig, phase: Phase, keys: list[str]) -> dict[str, float]:
    """The mixture that is typed. If single weights are, the others stay as in the parent's phase."""
    chosen = dict(typed.data.chosen())
    names = [name for name in chosen if f"data.weights.{name}" in keys]
    is_subset = "data.sources" in keys
    if {"data", "data.weights"} & {*keys} or not (names or is_subset):
        return chosen
    kept = chosen if is_subset else phase.weights | {name: chosen[name] for name in names}
    return {name: chosen[name] if name in names else phase.weights.get(name, kept[name]) for name in kept}


def _past(parent: TrainConfig, at: int) -> dict[str, tuple[PhaseConfig, int]]:
    """The parent's phases that began before `at`, each with its end in the parent."""
    return {
        phase.name if phase.name in parent.phases else free_name(PAST, parent.phases): (
            parent.phases.get(phase.name, PhaseConfig()),
            phase.end,
        )
        for phase in parent.timeline.phases
        if phase.start < at
    }


def _is_over(phase: PhaseConfig, end: int, old_steps: int, steps: int, at: int) -> bool:
    """Whether a phase of the past has no steps after `at`. The run's last one goes on, unless it says where
    it ends; an end by share may be earlier in a shorter branch."""
    if phase.until_share is not None and end_by_share(phase.until_share, steps) <= at:
        return True
    is_open = end == old_steps and phase.until_step is None and phase.until_tokens is None
    return end <= at and not is_open


def _overlaid(phase: PhaseConfig, given: PhaseConfig | None) -> PhaseConfig:
    """`phase` with the values of `given`; another end or mixture replaces the old one entirely."""
    if given is None:
        return phase
    values = {field.name: getattr(given, field.name) for field in fields(given)}
    values = {key: value for key, value in values.items() if value is not None}
    ends = _until(None) if given.ends else {}
    sources = {"sources": None} if given.weights else {}
    return replace(phase, **(ends | sources | values))


def _until(step: int | None) -> dict:
    return {"until_step": step, "until_tokens": None, "until_share": None}
