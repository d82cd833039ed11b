"""Every key of a training run, as typed dataclasses that `configs/train.yaml` fills.

Contradictory values are refused here, before anything starts, each in one line that names the key. A
resumed run may not change the keys in `RUN_IDENTITY`.
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from configs.checks import one_of, require
from data.cache.config import CacheConfig
from data.mixture import DataConfig, source_name
from data.order import block_of
from model.config import LlamaConfig
from train.config_groups import (
    CheckpointConfig,
    InLoopConfig,
    LoggerConfig,
    OptimConfig,
    ParallelConfig,
    RecoveryConfig,
    ValidateConfig,
    WatchdogConfig,
)
from train.phases.config import PhaseConfig
from train.phases.timeline import MOST_TOKENS, Timeline, timeline

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
MOST_STEPS = 10**9  # five times LLaMA's tokens, one sequence at a time
MOST_THREADS = 1024  # with many more, OpenMP crashes


class RunError(Exception):
    """A run cannot start, continue or be read: one line that names the folder or key and how to fix it."""


class Refused(RunError):
    """A run cannot start, and starting it again changes nothing."""

    is_final = True  # configs/errors.py tells torchrun


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
    steps: int = 1000  # the schedule's horizon, fixed at the start
    phases: dict[str, PhaseConfig] = field(default_factory=dict)  # stretches of the run, in order
    stop_at: int | None = None  # end after this step; the same command without it resumes
    seq_len: int | None = None  # null: model.max_seq_len
    micro_batch: int = 1  # sequences that a rank computes at once
    global_batch: int = 4194304  # tokens per step (the paper: 2²²)
    restart: bool = False  # train again from step 0 if all checkpoints of the run are damaged or gone
    init: str | None = None  # weights to start from: a run, a step, a Hugging Face or a Meta folder
    device: str = "auto"  # auto | cpu | cuda
    precision: str = "auto"  # for computation in blocks: auto (bf16 where it is faster) | fp32 | bf16
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
        self._check_steps()
        self._check_batch()
        self._check_phases()
        require(self.workers >= 1, "workers", self.workers, "at least 1")
        threads = 1 if self.threads is None else self.threads
        require(threads >= 1, "threads", self.threads, "null or at least 1")
        require(threads <= MOST_THREADS, "threads", self.threads, f"at most {MOST_THREADS}")
        require(
            len(self.profile_steps) == 2 and 1 <= self.profile_steps[0] <= self.profile_steps[1],
            "profile_steps",
            self.profile_steps,
            "first,last with 1 ≤ first ≤ last",
        )
        require(
            not self.profile or self.profile_steps[0] <= self.last_step,
            "profile_steps",
            self.profile_steps,
            f"steps of this run, which ends after step {self.last_step}",
        )
        one_of("device", self.device, ("auto", "cpu", "cuda"))
        one_of("precision", self.precision, ("auto", "fp32", "bf16"))
        one_of("verify_data", self.verify_data, ("auto", "always", "never"))

    def _check_steps(self) -> None:
        warmup = self.optim.warmup_steps
        assert warmup is not None  # filled in
        require(self.steps >= 1, "steps", self.steps, "at least 1")
        require(self.steps <= MOST_STEPS, "steps", self.steps, f"at most {MOST_STEPS:,}")
        require(
            self.stop_at is None or 1 <= self.stop_at <= self.steps,
            "stop_at",
            self.stop_at,
            f"1 to steps={self.steps}",
        )
        require(
            0 <= warmup < self.steps,
            "optim.warmup_steps",
            warmup,
            f"below steps={self.steps} (null scales it)",
        )
        most = self.steps - warmup
        require(
            self.optim.decay_steps is None or 1 <= self.optim.decay_steps <= most,
            "optim.decay_steps",
            self.optim.decay_steps,
            f"1 to steps - optim.warmup_steps = {most}",
        )

    def _check_batch(self) -> None:
        seq_len = self.sequence_length
        require(seq_len >= 1, "seq_len", seq_len, "at least 1")
        require(
            seq_len <= self.model.max_seq_len,
            "seq_len",
            seq_len,
            f"at most model.max_seq_len={self.model.max_seq_len}",
        )
        require(self.micro_batch >= 1, "micro_batch", self.micro_batch, "at least 1 (sequences)")
        step = seq_len * self.micro_batch
        require(
            self.global_batch <= MOST_TOKENS, "global_batch", self.global_batch, f"at most {MOST_TOKENS:,}"
        )
        require(
            self.global_batch >= step and self.global_batch % step == 0,
            "global_batch",
            self.global_batch,
            f"a multiple of seq_len × micro_batch = {seq_len} × {self.micro_batch} = {step} tokens "
            f"(the nearest: {max(1, round(self.global_batch / step)) * step})",
        )

    def _check_phases(self) -> None:
        for phase in self.timeline.phases:
            try:
                self.model_at(phase.end)
            except ValueError as error:
                raise ValueError(str(error).replace("model.", f"phases.{phase.name}.", 1)) from None

    def _name_own_text(self) -> None:
        if self.data.name == "text":
            require(bool(self.input), "input", "", "your own text for data=text (input=FILE, or input=A,B)")
            self.source = self.source or source_name(self.input[0])
            is_name = re.fullmatch(r"\w[\w-]*", self.source) is not None
            require(is_name, "source", self.source, "letters, digits, _ and - (it names a folder)")
            own = {"text": self.source}  # as configs/data/text.yaml calls it
            self.data.weights = {own.get(name, name): share for name, share in self.data.weights.items()}
            if self.data.sources:
                self.data.sources = [own.get(name, name) for name in self.data.sources]
        else:
            require(not self.input, "input", ",".join(self.input), "data=text with it")
            require(self.source is None, "source", self.source, "data=text with it")

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
        """The model's config at `step`: a phase may set another rope_theta."""
        return replace(self.model, rope_theta=self.timeline.at(step).rope_theta)

    @property
    def last_step(self) -> int:
        """The step after which this run ends: `stop_at`, or else `steps`."""
        return self.stop_at or self.steps
