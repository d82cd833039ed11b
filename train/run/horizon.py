"""Another number of steps for a run that has started: allowed while its trained steps keep their rates.

Under cosine and linear, every rate depends on `steps`; under wsd only the decay's, under constant none.
"""

from dataclasses import replace

from train.config import TrainConfig
from train.optimizer import rate_of
from train.phases.timeline import Phase
from train.ranks import identity

FREE = ("wsd", "constant")


def moved(saved: TrainConfig, config: TrainConfig, step: int) -> TrainConfig | None:
    """`saved`, trained up to `step`, with the horizon of `config`.

    None if the horizon is the same, or a trained step would change.
    """
    if saved.steps == config.steps or saved.optim.schedule not in FREE or step > config.steps:
        return None
    optim = replace(saved.optim, decay_steps=config.optim.decay_steps)
    try:
        after = replace(saved, steps=config.steps, stop_at=None, optim=optim)
    except ValueError:  # its warm-up or its phases do not fit
        return None
    before, timelines = saved, (saved.timeline, after.timeline)
    same = all(
        rate_of(n, before, timelines[0]) == rate_of(n, after, timelines[1]) for n in range(1, step + 1)
    )
    trained = [[_until(phase, step) for phase in line.phases if phase.start < step] for line in timelines]
    return after if same and trained[0] == trained[1] else None


def with_warmup_of(saved: TrainConfig, config: TrainConfig) -> TrainConfig:
    """`config` with the warm-up of `saved`, unless it asks for one that its steps do not imply."""
    warmup = saved.optim.warmup_steps
    implied = config.optim.warmup_steps == min(2000, config.steps // 10)
    if warmup is None or warmup == config.optim.warmup_steps or not implied or warmup >= config.steps:
        return config
    identity.say(f"optim.warmup_steps={warmup}, as this run began")
    return replace(config, optim=replace(config.optim, warmup_steps=warmup))


def _until(phase: Phase, step: int) -> Phase:
    return replace(phase, end=min(phase.end, step))
