"""Every key of a training run, as typed dataclasses that `configs/train.yaml` fills.

Contradictory values are refused here, before anything starts, each in one line that names the key. A
resumed run may not change the keys in `RUN_IDENTITY`.
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from data.cache.config import CacheConfig
from data.mixture import DataConfig, source_name
from data.order import block_of
from model.llama import LlamaConfig
from model.parallelize.schedules import refuse_schedule
from train.phases.config import PhaseConfig
from train.phases.timeline import Timeline, timeline

# What a resumed run must keep; everything else (layout, logging, stop_at, …) may change.
RUN_IDENTITY = (
    "model",
    "data.weights",
    "data.sources",
    "optim",
    "seed",
    "data_seed",
    "steps",
    "seq_len",
    "global_batch",
    "phases",
    "init",
    "precision",
)


class RunError(Exception):
    """A run cannot start, continue or be read: one line that names the folder or key and how to fix it."""


@dataclass
class OptimConfig:
    """AdamW and its schedule (paper §2.2, Table 2)."""

    lr: float = 3.0e-4  # the peak learning rate
    schedule: str = "cosine"  # after the warm-up: cosine (the paper's) | linear | wsd | constant
    min_lr_ratio: float = 0.1  # the schedule ends at this share of the peak
    decay_steps: int | None = None  # wsd: the length of its decay; null: steps // 10
    decay_shape: str = "linear"  # wsd: linear | cosine | 1-sqrt
    warmup_steps: int | None = None  # null: min(2000, steps // 10)
    betas: list[float] = field(default_factory=lambda: [0.9, 0.95])
    eps: float = 1.0e-8
    weight_decay: float = 0.1
    clip: float = 1.0  # maximum gradient norm

    def __post_init__(self) -> None:
        _require(0 < self.lr <= 1, "optim.lr", self.lr, "above 0 and at most 1")
        _require(0 <= self.min_lr_ratio <= 1, "optim.min_lr_ratio", self.min_lr_ratio, "between 0 and 1")
        _require(
            len(self.betas) == 2 and all(0 <= beta < 1 for beta in self.betas),
            "optim.betas",
            self.betas,
            "two numbers from 0 up to, not including, 1",
        )
        _one_of("optim.schedule", self.schedule, ("cosine", "linear", "wsd", "constant"))
        _one_of("optim.decay_shape", self.decay_shape, ("linear", "cosine", "1-sqrt"))
        _require(
            self.decay_steps is None or self.schedule == "wsd",
            "optim.decay_steps",
            self.decay_steps,
            "optim.schedule=wsd with it",
        )
        _require(self.eps > 0, "optim.eps", self.eps, "above 0")
        _require(self.weight_decay >= 0, "optim.weight_decay", self.weight_decay, "0 or above")
        _require(self.clip > 0, "optim.clip", self.clip, "above 0")


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
            _require(fits, f"parallel.{key}", size, "-1 (to fill the world) or at least 1")
        _one_of("parallel.tensor", self.tensor, ("dtensor", "fairscale"))
        _one_of("parallel.reshard", self.reshard, ("auto", "always", "never"))
        modes = ("none", "selective", "full") + ("auto",) * self.auto
        _one_of("parallel.activation_checkpointing", self.activation_checkpointing, modes)
        if self.pp != 1:
            refuse_schedule(
                self.schedule,
                self.stages_per_rank,
                activation_checkpointing=self.activation_checkpointing,
                compile=self.compile,
                reshard=self.reshard,
            )


@dataclass
class CheckpointConfig:
    """When the run is saved, and how many checkpoints are kept."""

    every: int = 1000  # steps; the last step is always saved
    keep: int = 3  # how many of the newest are kept
    keep_every: int = 0  # keep the checkpoints of steps divisible by this for good; 0: none
    asynchronous: bool = True  # write while training continues, from a copy of the state in memory
    verify: int = 0  # replay this many steps from each save and compare; 0: none
    remote: str | None = None  # a URL of this run's own (s3://…): each save is copied there, and resumed from

    def __post_init__(self) -> None:
        _require(self.every >= 1, "checkpoint.every", self.every, "at least 1")
        _require(self.keep >= 1, "checkpoint.keep", self.keep, "at least 1")
        remote = self.remote is None or "://" in self.remote
        _require(remote, "checkpoint.remote", self.remote, "a URL (s3://BUCKET/RUN)")
        _require(
            self.keep_every >= 0 and self.keep_every % self.every == 0,
            "checkpoint.keep_every",
            self.keep_every,
            f"0 (none), or a multiple of checkpoint.every={self.every}",
        )
        _require(
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
        _require(self.every >= 0, "validate.every", self.every, "0 or above")
        _require(self.sequences >= 1, "validate.sequences", self.sequences, "at least 1")


@dataclass
class InLoopConfig:
    """Benchmarks, scored on the live weights during training."""

    every: int = 0  # steps, and at the end; 0: never
    tasks: list[str] = field(default_factory=list)  # as of relama evaluate
    limit: int | None = 100  # documents of each task; null: all
    benchmarks: str | None = None  # a folder of NAME/SPLIT.jsonl instead of the Hub's data
    batch: int = 8

    def __post_init__(self) -> None:
        _require(self.every >= 0, "evaluate.every", self.every, "0 or above")
        _require(not self.every or bool(self.tasks), "evaluate.tasks", "", "tasks, such as piqa,hellaswag")
        _require(self.limit is None or self.limit >= 1, "evaluate.limit", self.limit, "at least 1, or null")
        _require(self.batch >= 1, "evaluate.batch", self.batch, "at least 1")


@dataclass
class LoggerConfig:
    """Where metrics are logged in addition to metrics.jsonl."""

    wandb: str = "off"  # off | offline | online
    tensorboard: bool = False  # event files in the run's folder
    mlflow: str = "off"  # off | auto ($MLFLOW_TRACKING_URI, or mlruns/ here) | a folder | a server's URL
    prometheus: str = "off"  # off | file (metrics.prom in the run's folder) | PATH.prom | PORT | HOST:PORT
    project: str = "relama"  # wandb's project, MLflow's experiment

    def __post_init__(self) -> None:
        _one_of("logger.wandb", self.wandb, ("off", "offline", "online"))
        _require(self.mlflow != "", "logger.mlflow", self.mlflow, "off, auto, a folder or a server's URL")
        _require(
            self.prometheus in ("off", "file")
            or self.prometheus.endswith(".prom")
            or bool(re.fullmatch(r"([\w.-]+:|\[[0-9a-fA-F:]+\]:)?\d{1,5}", self.prometheus)),
            "logger.prometheus",
            self.prometheus,
            "off, file, PATH.prom, PORT (on loopback) or HOST:PORT",
        )
        _require(
            bool(re.fullmatch(r"[^/\\#?%:,]{1,128}", self.project)),
            "logger.project",
            self.project,
            r"1 to 128 characters without / \ # ? % : and commas",
        )


@dataclass
class RecoveryConfig:
    """What to do about spikes and non-finite values of the loss or gradient norm (train/recovery.py)."""

    policy: str = "warn"  # warn | skip (leave the update out) | rewind (go back, leave the samples out)
    sigma: float = 6.0  # a spike: so many standard deviations above the mean (OLMo-core's SkipStepAdamW)
    window: int = 128  # steps in the mean and deviation; judging starts at half (OLMo-core too)
    back: int = 100  # steps before a spike whose samples are left out (PaLM, arXiv 2204.02311 §5.1)
    limit: int = 10  # before the run stops: skipped updates in a window, or rewinds in the run

    def __post_init__(self) -> None:
        _one_of("recovery.policy", self.policy, ("warn", "skip", "rewind"))
        _require(self.sigma > 0, "recovery.sigma", self.sigma, "above 0")
        for key in ("window", "back", "limit"):
            _require(getattr(self, key) >= 1, f"recovery.{key}", getattr(self, key), "at least 1")


@dataclass
class WatchdogConfig:
    """When a hanging run is ended, and how often ranks are compared."""

    timeout: float = 600.0  # seconds without progress (ten times that outside steps); 0: off
    compare_every: int = 100  # steps; 0: never
    communication_every: int = 1000  # steps between those that torch's profiler watches; 0: never
    integrity: float = 0.01  # share of a step that checking the state for flipped bits may take; 0: off

    def __post_init__(self) -> None:
        _require(self.timeout >= 0, "watchdog.timeout", self.timeout, "0 or above (seconds)")
        _require(self.integrity >= 0, "watchdog.integrity", self.integrity, "0 or above (share of a step)")
        for key in ("compare_every", "communication_every"):
            _require(getattr(self, key) >= 0, f"watchdog.{key}", getattr(self, key), "0 or above (steps)")


@dataclass
class TrainConfig:
    """One run. `steps` is the schedule's horizon, fixed at the start; `stop_at` ends it earlier."""

    model: LlamaConfig
    data: DataConfig
    optim: OptimConfig = field(default_factory=OptimConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    validate: ValidateConfig = field(default_factory=ValidateConfig)
    evaluate: InLoopConfig = field(default_factory=InLoopConfig)
    logger: LoggerConfig = field(default_factory=LoggerConfig)
    recovery: RecoveryConfig = field(default_factory=RecoveryConfig)
    watchdog: WatchdogConfig = field(default_factory=WatchdogConfig)
    run: str = "auto"  # a name under runs/, or a path (/absolute or ./relative)
    corpora: str = (
        "corpora"  # the prepared sources: a folder, or a URL (s3://, gs://, az://, https://, hf://)
    )
    cache: CacheConfig = field(default_factory=CacheConfig)
    input: list[str] = field(default_factory=list)  # data=text: your files, or folders of them
    source: str | None = None  # data=text: its name under corpora; null: the first input's
    seed: int = 0  # of the initial weights
    data_seed: int | None = None  # of the order of the data; null: seed
    steps: int = 1000
    phases: dict[str, PhaseConfig] = field(default_factory=dict)  # stretches of the run, in order
    stop_at: int | None = None
    seq_len: int | None = None  # null: model.max_seq_len
    micro_batch: int = 1  # sequences that a rank computes at once
    global_batch: int = 4194304  # tokens per step (2²²)
    restart: bool = False  # train again from step 0 if all checkpoints of the run are damaged or gone
    init: str | None = None  # weights to start from: a run, a step, a Hugging Face or a Meta folder
    device: str = "auto"  # auto | cpu | cuda
    precision: str = "auto"  # in which blocks compute: auto (bf16 where it is faster) | fp32 | bf16
    deterministic: bool = False  # slower kernels that give the same bits each time; CPUs do without
    threads: int | None = (
        None  # CPU threads per rank; null: OMP_NUM_THREADS, or this rank's share of the cores
    )
    workers: int = 2  # threads that prefetch batches
    verify_data: str = "auto"  # check the token shards' checksums: auto (up to 2 GiB) | always | never
    profile: bool = False  # record a torch profile and a memory snapshot of profile_steps
    profile_steps: list[int] = field(
        default_factory=lambda: [3, 5]
    )  # first and last step to profile, counted from the start

    def __post_init__(self) -> None:
        if self.seq_len is None:
            self.seq_len = self.model.max_seq_len
        self.init = str(Path(self.init)) if self.init else None  # init=b/ is init=b
        if self.optim.warmup_steps is None:
            self.optim.warmup_steps = min(2000, self.steps // 10)
        if self.optim.schedule == "wsd" and self.optim.decay_steps is None:
            self.optim.decay_steps = max(1, self.steps // 10)
        self._name_own_text()
        self.data.weights = dict(self.data.chosen())
        block_of(self.data.weights)  # refuses weights that no block can hold exactly
        _require(self.steps >= 1, "steps", self.steps, "at least 1")
        _require(
            self.stop_at is None or 1 <= self.stop_at <= self.steps,
            "stop_at",
            self.stop_at,
            f"1 to steps={self.steps}",
        )
        _require(
            0 <= self.optim.warmup_steps < self.steps,
            "optim.warmup_steps",
            self.optim.warmup_steps,
            f"below steps={self.steps} (null scales it)",
        )
        most = self.steps - self.optim.warmup_steps
        _require(
            self.optim.decay_steps is None or 1 <= self.optim.decay_steps <= most,
            "optim.decay_steps",
            self.optim.decay_steps,
            f"1 to steps - optim.warmup_steps = {most}",
        )
        _require(self.seq_len >= 1, "seq_len", self.seq_len, "at least 1")
        _require(
            self.seq_len <= self.model.max_seq_len,
            "seq_len",
            self.seq_len,
            f"at most model.max_seq_len={self.model.max_seq_len}",
        )
        _require(self.micro_batch >= 1, "micro_batch", self.micro_batch, "at least 1 (sequences)")
        step = self.seq_len * self.micro_batch
        _require(
            self.global_batch >= step and self.global_batch % step == 0,
            "global_batch",
            self.global_batch,
            f"a multiple of seq_len × micro_batch = {self.seq_len} × {self.micro_batch} = {step} tokens "
            f"(the nearest: {max(1, round(self.global_batch / step)) * step})",
        )
        assert self.timeline.phases  # refuses phases that contradict the run
        _require(self.workers >= 1, "workers", self.workers, "at least 1")
        _require(self.threads is None or self.threads >= 1, "threads", self.threads, "null or at least 1")
        _require(
            len(self.profile_steps) == 2 and 1 <= self.profile_steps[0] <= self.profile_steps[1],
            "profile_steps",
            self.profile_steps,
            "first,last with 1 ≤ first ≤ last",
        )
        _require(
            not self.profile or self.profile_steps[0] <= self.last_step,
            "profile_steps",
            self.profile_steps,
            f"steps of this run, which ends after step {self.last_step}",
        )
        _one_of("device", self.device, ("auto", "cpu", "cuda"))
        _one_of("precision", self.precision, ("auto", "fp32", "bf16"))
        _one_of("verify_data", self.verify_data, ("auto", "always", "never"))

    def _name_own_text(self) -> None:
        if self.data.name == "text":
            _require(bool(self.input), "input", "", "your own text for data=text (input=FILE, or input=A,B)")
            self.source = self.source or source_name(self.input[0])
            self.data.weights = {self.source: 1.0}
        else:
            _require(not self.input, "input", ",".join(self.input), "data=text with it")
            _require(self.source is None, "source", self.source, "data=text with it")

    @property
    def sequence_length(self) -> int:
        """`seq_len`, which is filled in when constructed."""
        assert self.seq_len is not None
        return self.seq_len

    @property
    def order_seed(self) -> int:
        """The seed of the order of the data."""
        return self.seed if self.data_seed is None else self.data_seed

    @property
    def batch_sequences(self) -> int:
        """Sequences in one global batch."""
        return self.global_batch // self.sequence_length

    @property
    def timeline(self) -> Timeline:
        """The run as a chain of phases; of one phase, unless `phases` are given."""
        return timeline(
            self.phases,
            steps=self.steps,
            data=self.data,
            seq_len=self.sequence_length,
            most_seq_len=self.model.max_seq_len,
            global_batch=self.global_batch,
            micro_batch=self.micro_batch,
            rope_theta=self.model.rope_theta,
        )

    def model_at(self, step: int) -> LlamaConfig:
        """The model's shape after `step`: a phase may turn its positions at another speed."""
        return replace(self.model, rope_theta=self.timeline.at(step).rope_theta)

    @property
    def last_step(self) -> int:
        """The step after which this run ends, the schedule's or an earlier one."""
        return self.stop_at or self.steps


def _require(holds: bool, key: str, value: object, expected: str) -> None:
    if not holds:
        raise ValueError(f"{key}={value}: expected {expected}")


def _one_of(key: str, value: str, choices: tuple[str, ...]) -> None:
    _require(value in choices, key, value, "one of " + ", ".join(choices))
