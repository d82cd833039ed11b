"""One phase of a run as a config gives it: where it ends and what it sets."""

from dataclasses import dataclass


@dataclass
class PhaseConfig:
    """A stretch of steps. What it leaves null comes from the run's own keys."""

    until_step: int | None = None  # its last step; give at most one of the three until_… (none: to the end)
    until_tokens: float | None = None  # it ends with the step that reaches this many tokens of the run
    until_share: float | None = None  # it ends after this share of the run's steps
    weights: dict[str, float] | None = None  # its mixture, instead of data.weights
    sources: list[str] | None = None  # a subset of the sources in its mixture
    seq_len: int | None = None  # at most model.max_seq_len
    rope_theta: float | None = None  # instead of model.rope_theta, for longer sequences
    global_batch: int | None = None  # tokens per step
    schedule: str | None = (
        None  # how the rate gets to `lr`: constant | linear | cosine | 1-sqrt; null: optim.schedule continues
    )
    lr: float | None = (
        None  # the rate of its last step (constant: of all its steps); null: optim.lr × optim.min_lr_ratio
    )

    @property
    def ends(self) -> dict[str, float]:
        """Those of the three until_… that are given."""
        keys = ("until_step", "until_tokens", "until_share")
        return {key: getattr(self, key) for key in keys if getattr(self, key) is not None}
