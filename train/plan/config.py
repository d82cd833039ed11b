"""What to plan: a model size with its batch and steps, and how many of which GPU."""

import re
from dataclasses import dataclass, field

from model.config import LlamaConfig
from train.config_groups import CheckpointConfig, OptimConfig, ParallelConfig, ValidateConfig
from train.metrics.hardware import GPU_NAMES, Gpu
from train.recipe.facts import with_vocabulary


@dataclass
class PlanConfig:
    """`memory` (bytes of one GPU) and `device` (None if only the memory was given) follow from `gpu`."""

    model: LlamaConfig
    parallel: ParallelConfig
    optim: OptimConfig = field(default_factory=OptimConfig)
    world_size: int = 2048  # GPUs
    gpus_per_node: int = 8  # GPUs per machine
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)  # set by model=; not planned
    validate: ValidateConfig = field(default_factory=ValidateConfig)  # set by model=; not planned
    gpu: str = "a100-80"  # a name, or the memory in GiB
    measured: str | None = (
        None  # a file of benchmarks/gpu.py or launch check: plan with its speed, not the paper's
    )
    layout: bool = False  # trace one rank of the layout
    steps: int = 1000  # of the run
    seq_len: int | None = None  # null: model.max_seq_len
    micro_batch: int = 1  # sequences
    global_batch: int = 4194304  # tokens

    def __post_init__(self) -> None:
        self.model = with_vocabulary(self.model)
        self.seq_len = self.model.max_seq_len if self.seq_len is None else self.seq_len
        for key in ("world_size", "gpus_per_node", "steps", "seq_len", "micro_batch"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}={getattr(self, key)}: expected at least 1")
        if self.seq_len > self.model.max_seq_len:
            raise ValueError(f"seq_len={self.seq_len}: expected at most {self.model.max_seq_len}")
        tokens = self.seq_len * self.micro_batch
        if self.global_batch < tokens or self.global_batch % tokens:
            raise ValueError(f"global_batch={self.global_batch}: expected a multiple of {tokens} tokens")
        self.memory, self.device = _memory_and_device(self.gpu)

    @property
    def sequence_length(self) -> int:
        """`seq_len`, which is filled in when constructed."""
        assert self.seq_len is not None
        return self.seq_len

    @property
    def micro_batches(self) -> int:
        """Micro-batches in one global batch, over all ranks."""
        return self.global_batch // (self.sequence_length * self.micro_batch)

    def idle(self, used: int, parts: str) -> str:
        """What a batch of so many parts leaves idle, if `used` of the GPUs can share it."""
        left = self.world_size - used
        return f"; {parts} a step leave {left:,} of {self.world_size:,} idle" if left else ""


def _memory_and_device(gpu: str) -> tuple[float, Gpu | None]:
    if gpu in GPU_NAMES:
        return GPU_NAMES[gpu].memory[gpu] * 2**30, GPU_NAMES[gpu]
    if re.fullmatch(r"\d+(\.\d+)?", gpu) and float(gpu) > 0:
        return float(gpu) * 2**30, None
    raise ValueError(
        f"gpu={gpu}: expected one of {', '.join(GPU_NAMES)}; or, with layout=true or measured=, "
        "its memory in GiB"
    )
