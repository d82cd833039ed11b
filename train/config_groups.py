"""A training run's keys in groups (`optim.lr`, `checkpoint.every`, …), each group a dataclass that refuses
contradictory values."""

import re
from dataclasses import dataclass, field
from math import inf

from configs.checks import one_of, require
from model.parallelize.schedules import refuse_schedule, refuse_stages


@dataclass
class OptimConfig:
    """AdamW and its schedule (paper §2.2, Table 2)."""

    lr: float = 3.0e-4  # the peak learning rate
    schedule: str = "cosine"  # after the warm-up: cosine (the paper's) | linear | wsd | constant
    min_lr_ratio: float = 0.1  # the schedule ends at this share of the peak
    decay_steps: int | None = None  # wsd: the length of its decay; null: steps // 10
    decay_shape: str = "linear"  # wsd: linear | cosine | 1-sqrt
    warmup_steps: int | None = None  # null: min(2000, steps // 10)
    betas: list[float] = field(default_factory=lambda: [0.9, 0.95])  # AdamW's
    eps: float = 1.0e-8  # AdamW's
    weight_decay: float = 0.1  # of matrices, not of the norms' scales
    clip: float = 1.0  # maximum gradient norm

    def __post_init__(self) -> None:
        require(0 < self.lr <= 1, "optim.lr", self.lr, "above 0 and at most 1")
        require(0 <= self.min_lr_ratio <= 1, "optim.min_lr_ratio", self.min_lr_ratio, "between 0 and 1")
        require(
            len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
            "optim.betas",
            self.betas,
            "two numbers from 0 up to, not including, 1",
        )
        one_of("optim.schedule", self.schedule, ("cosine", "linear", "wsd", "constant"))
        one_of("optim.decay_shape", self.decay_shape, ("linear", "cosine", "1-sqrt"))
        require(
            self.decay_steps is None or self.schedule == "wsd",
            "optim.decay_steps",
            self.decay_steps,
            "optim.schedule=wsd with it",
        )
        require(0 < self.eps < inf, "optim.eps", self.eps, "above 0, and finite")
        require(
            0 <= self.weight_decay < inf, "optim.weight_decay", self.weight_decay, "0 or above, and finite"
        )
        require(self.clip > 0, "optim.clip", self.clip, "above 0")


@dataclass
class ParallelConfig:
    """How the model is spread over the ranks."""

    dp_replicate: int | None = None  # HSDP replicas; null: 1, or the fewest that avoid padding (mesh.py)
    dp_shard: int = -1  # FSDP2 ranks; -1, in any one of these five keys: whatever fills the world
    cp: int = 1  # ranks that share each sequence
    tp: int = 1  # ranks that share each matrix and the activations in between
    tensor: str = "dtensor"  # for tp: dtensor (with sequence parallelism) | fairscale (as LLaMA was trained)
    pp: int = 1  # ranks that share the layers; micro-batches flow through them
    schedule: str = "1f1b"  # for pp: gpipe | 1f1b | interleaved | zero_bubble | zbv | dualpipe
    stages_per_rank: int | None = None  # for pp; null: the schedule's default (interleaved, zbv, dualpipe: 2)
    reshard: str = "auto"  # free a block's weights after forward: auto | always | never
    activation_checkpointing: str = "none"  # none | selective (paper §2.4) | full; auto if parallel=auto
    compile: bool = False  # torch.compile each block
    auto: bool = False  # parallel=auto: choose the sizes that are -1 so that the model fits

    def __post_init__(self) -> None:
        for key in ("dp_replicate", "dp_shard", "cp", "tp", "pp"):
            size = getattr(self, key)
            fits = size is None or size == -1 or size >= 1
            require(fits, f"parallel.{key}", size, "-1 (to fill the world) or at least 1")
        one_of("parallel.tensor", self.tensor, ("dtensor", "fairscale"))
        one_of("parallel.reshard", self.reshard, ("auto", "always", "never"))
        modes = ("none", "selective", "full") + ("auto",) * self.auto
        one_of("parallel.activation_checkpointing", self.activation_checkpointing, modes)
        refuse_stages(self.schedule, self.stages_per_rank)
        if self.pp != 1 and self.no_pipeline:
            raise ValueError(self.no_pipeline)

    @property
    def no_pipeline(self) -> str | None:
        """Why these keys take no pp above 1, as a line that names one of them; None if they do."""
        try:
            refuse_schedule(
                self.schedule,
                self.stages_per_rank,
                activation_checkpointing=self.activation_checkpointing,
                compile=self.compile,
                reshard=self.reshard,
            )
        except ValueError as error:
            return str(error)
        return None


@dataclass
class CheckpointConfig:
    """When the run is saved, and how many checkpoints are kept."""

    every: int = 1000  # steps; the last step is always saved
    keep: int = 3  # how many of the newest are kept
    keep_every: int = 0  # keep the checkpoints of steps divisible by this for good; 0: none
    asynchronous: bool = True  # write while training continues, from a copy of the state in memory
    verify: int = 0  # replay this many steps from each save and compare; 0: none
    remote: str | None = (
        None  # a URL for this run alone (s3://…): saves are copied there, and restored if the disk is lost
    )
    upload_mbps: float | None = None  # a machine's upload limit in megabits per second; null: unlimited

    def __post_init__(self) -> None:
        require(self.every >= 1, "checkpoint.every", self.every, "at least 1")
        require(self.keep >= 1, "checkpoint.keep", self.keep, "at least 1")
        remote = self.remote is None or "://" in self.remote
        require(remote, "checkpoint.remote", self.remote, "a URL (s3://BUCKET/RUN)")
        fast = self.upload_mbps is None or 0 < self.upload_mbps < inf
        require(fast, "checkpoint.upload_mbps", self.upload_mbps, "a number above 0, or null")
        require(
            self.keep_every >= 0 and self.keep_every % self.every == 0,
            "checkpoint.keep_every",
            self.keep_every,
            f"0 (none), or a multiple of checkpoint.every={self.every}",
        )
        require(
            0 <= self.verify < self.every,
            "checkpoint.verify",
            self.verify,
            f"0 (none), or fewer steps than checkpoint.every={self.every}",
        )


@dataclass
class ValidateConfig:
    """Held-out loss per source, during training."""

    every: int = 1000  # steps; 0: only at the end
    sequences: int = 64  # per source, at most

    def __post_init__(self) -> None:
        require(self.every >= 0, "validate.every", self.every, "0 or above")
        require(self.sequences >= 1, "validate.sequences", self.sequences, "at least 1")


@dataclass
class InLoopConfig:
    """Benchmarks, scored on the live weights during training."""

    every: int = 0  # steps, and at the end; 0: never
    tasks: list[str] = field(default_factory=list)  # as for relama evaluate
    limit: int | None = 100  # documents of each task; null: all
    benchmarks: str | None = None  # a folder of NAME/SPLIT.jsonl instead of the Hub's data
    batch: int = 8  # requests computed at once

    def __post_init__(self) -> None:
        require(self.every >= 0, "evaluate.every", self.every, "0 or above")
        require(not self.every or bool(self.tasks), "evaluate.tasks", "", "tasks, such as piqa,hellaswag")
        require(self.limit is None or self.limit >= 1, "evaluate.limit", self.limit, "at least 1, or null")
        require(self.batch >= 1, "evaluate.batch", self.batch, "at least 1")

    def conflict(self, other: str) -> str:
        """The refusal of another key's value, with which the live weights cannot be copied."""
        later = "set evaluate.every=0, and run relama evaluate weights=RUN@STEP"
        return f"evaluate.every={self.every}: not with {other}; {later}"


@dataclass
class LoggerConfig:
    """Where metrics are logged in addition to metrics.jsonl."""

    wandb: str = "off"  # off | offline | online
    tensorboard: bool = False  # event files in the run's folder
    mlflow: str = "off"  # off | auto ($MLFLOW_TRACKING_URI, or mlruns/ here) | a folder | a server's URL
    prometheus: str = "off"  # off | file (metrics.prom in the run's folder) | PATH.prom | PORT | HOST:PORT
    project: str = "relama"  # wandb's project, MLflow's experiment

    def __post_init__(self) -> None:
        one_of("logger.wandb", self.wandb, ("off", "offline", "online"))
        require(self.mlflow != "", "logger.mlflow", self.mlflow, "off, auto, a folder or a server's URL")
        require(
            self.prometheus in ("off", "file")
            or self.prometheus.endswith(".prom")
            or bool(re.fullmatch(r"([\w.-]+:|\[[0-9a-fA-F:]+\]:)?\d{1,5}", self.prometheus)),
            "logger.prometheus",
            self.prometheus,
            "off, file, PATH.prom, PORT (on loopback) or HOST:PORT",
        )
        require(
            bool(re.fullmatch(r"[^/\\#?%:,]{1,128}", self.project)),
            "logger.project",
            self.project,
            r"1 to 128 characters without / \ # ? % : and commas",
        )


@dataclass
class RecoveryConfig:
    """What to do about spikes and non-finite values of the loss or gradient norm (train/recovery.py)."""

    policy: str = "warn"  # warn | skip (leave the update out) | rewind (go back, leave the samples out)
    sigma: float = 6.0  # a spike: standard deviations above the mean (OLMo-core's SkipStepAdamW)
    window: int = 128  # steps in the mean and deviation; judging starts at half (OLMo-core too)
    back: int = 100  # steps before a spike whose samples are left out (PaLM, arXiv 2204.02311 §5.1)
    limit: int = 10  # before the run stops: skipped updates in a window, or rewinds in the run

    def __post_init__(self) -> None:
        one_of("recovery.policy", self.policy, ("warn", "skip", "rewind"))
        require(self.sigma > 0, "recovery.sigma", self.sigma, "above 0")
        for key in ("window", "back", "limit"):
            require(getattr(self, key) >= 1, f"recovery.{key}", getattr(self, key), "at least 1")


@dataclass
class WatchdogConfig:
    """When a hung run is ended, and how often ranks are compared."""

    timeout: float = 600.0  # seconds without progress (ten times that outside steps); 0: off
    compare_every: int = 100  # steps; 0: never
    communication_every: int = 1000  # steps between those that torch's profiler watches; 0: never
    integrity: float = 0.01  # share of a step for checking the state for flipped bits; 0: off, 1: check all

    def __post_init__(self) -> None:
        longest = 10**8  # three years; far beyond, timers overflow
        wanted = f"0 (off) to {longest} (seconds)"
        require(0 <= self.timeout <= longest, "watchdog.timeout", self.timeout, wanted)
        require(self.integrity >= 0, "watchdog.integrity", self.integrity, "0 or above (share of a step)")
        for key in ("compare_every", "communication_every"):
            require(getattr(self, key) >= 0, f"watchdog.{key}", getattr(self, key), "0 or above (steps)")
