"""Pipeline schedules: what each requires of layers and micro-batches, and which rank has which layers.

Numbers in, numbers or a one-line refusal out. Nothing here needs a process group, so impossible layouts are
refused before one starts. The schedules themselves are torch.distributed.pipelining's.
"""

from dataclasses import dataclass, replace

from model.config import LlamaConfig
from model.flops import flops_per_token, n_params


@dataclass(frozen=True)
class Schedule:
    """A schedule: its class in torch.distributed.pipelining, and what it requires of the stages."""

    torch_name: str
    stages: int = 1  # per rank: the default and the minimum
    more_stages: bool = False  # allows more than `stages` per rank
    v_shaped: bool = False  # the last stage is on the first rank; otherwise stage s is on rank s mod ranks
    splits_backward: bool = False  # computes weight gradients after input gradients
    micro_batches: int = 1  # minimum per rank
    rounds: bool = False  # needs equal rounds of at least as many micro-batches as ranks

    def takes(self, stages_per_rank: int | None) -> bool:
        """Whether a rank can have so many stages; None: the default."""
        if stages_per_rank is None or stages_per_rank == self.stages:
            return True
        return self.more_stages and stages_per_rank > self.stages


SCHEDULES = {
    "gpipe": Schedule("GPipe"),  # arXiv 1811.06965
    "1f1b": Schedule("1F1B"),  # arXiv 1806.03377
    # arXiv 2104.04473
    "interleaved": Schedule("Interleaved1F1B", stages=2, more_stages=True, rounds=True),
    # ZB1P of arXiv 2401.10241
    "zero_bubble": Schedule("InterleavedZeroBubble", more_stages=True, splits_backward=True, rounds=True),
    # ZB-V of arXiv 2401.10241
    "zbv": Schedule("ZBVZeroBubble", stages=2, v_shaped=True, splits_backward=True),
    # DualPipe of arXiv 2412.19437, cut in half
    "dualpipe": Schedule("DualPipeV", stages=2, v_shaped=True, splits_backward=True, micro_batches=2),
}


def refuse_stages(schedule: str, stages_per_rank: int | None) -> None:
    """Raise ValueError, naming the key, for an unknown schedule or a number of stages that it cannot have."""
    if schedule not in SCHEDULES:
        raise ValueError(f"parallel.schedule={schedule}: expected one of {', '.join(SCHEDULES)}")
    kind = SCHEDULES[schedule]
    if not kind.takes(stages_per_rank):
        expected = f"null or {kind.stages}" + " or more" * kind.more_stages
        raise ValueError(
            f"parallel.stages_per_rank={stages_per_rank}: expected {expected} with "
            f"parallel.schedule={schedule}"
        )


def refuse_schedule(
    schedule: str, stages_per_rank: int | None, *, activation_checkpointing: str, compile: bool, reshard: str
) -> None:
    """Raise ValueError, naming the key, for an unknown schedule or one that conflicts with other keys."""
    refuse_stages(schedule, stages_per_rank)
    kind = SCHEDULES[schedule]
    if not kind.splits_backward:
        return
    # Backward runs once for the inputs and again for the weights. Compiled graphs and what selective
    # checkpointing kept can be used only once, full checkpointing would recompute the block each time, and a
    # freed weight cannot receive its gradient.
    for key, value, works in (
        ("compile", str(compile).lower(), ("false",)),
        ("activation_checkpointing", activation_checkpointing, ("none",)),
        ("reshard", reshard, ("auto", "never")),
    ):
        if value not in works:
            others = " or ".join(n for n in ("1f1b", "interleaved") if SCHEDULES[n].takes(stages_per_rank))
            raise ValueError(
                f"parallel.{key}={value}: conflicts with parallel.schedule={schedule}, which splits "
                f"backward in two; set parallel.{key}={works[0]}, or parallel.schedule={others}"
            )


def problem(
    pp: int, n_layers: int, micro_batches: int, schedule: str, stages_per_rank: int | None
) -> str | None:
    """Why `pp` ranks cannot share these layers and one pipeline's micro-batches, or None if they can."""
    if pp == 1:
        return None
    kind, keys = SCHEDULES[schedule], f"parallel.pp={pp} with parallel.schedule={schedule}"
    stages, least = pp * (stages_per_rank or kind.stages), pp * kind.micro_batches
    if stages > n_layers:
        return f"{keys}: {stages} stages, more than the model's n_layers={n_layers}"
    if micro_batches < least:
        return (
            f"{keys}: {micro_batches} micro-batch(es) per step; filling the pipeline takes {least} "
            "(global_batch, micro_batch)"
        )
    if kind.rounds and micro_batches % (micro_batches // pp):
        return (
            f"{keys}: {micro_batches} micro-batches per step do not split into {micro_batches // pp} equal "
            "rounds (global_batch, micro_batch)"
        )
    return None


def split(config: LlamaConfig, stages: int) -> list[range]:
    """Each stage's layers: minimize the busiest stage's work, then the fullest stage's parameters."""
    layer_work, head_work, layer_size, end_size = costs(config)
    work = [0.0] * (stages - 1) + [head_work / layer_work]
    size = [0.0] * stages
    size[0] += end_size / layer_size
    size[-1] += end_size / layer_size
    counts = [1] * stages
    for _ in range(config.n_layers - stages):
        counts[min(range(stages), key=lambda s: (work[s] + counts[s], size[s] + counts[s]))] += 1
    return [range(sum(counts[:s]), sum(counts[: s + 1])) for s in range(stages)]


def costs(config: LlamaConfig) -> tuple[int, int, int, int]:
    """FLOPs per token of a layer and of the head; parameters of a layer and of the embedding or head."""
    one, two = (replace(config, n_layers=n) for n in (1, 2))
    layer_work = flops_per_token(two, config.max_seq_len) - flops_per_token(one, config.max_seq_len)
    head_work = flops_per_token(one, config.max_seq_len) - layer_work
    return layer_work, head_work, n_params(two) - n_params(one), config.vocab_size * config.dim


def rank_of(number: int, ranks: int, kind: Schedule) -> int:
    """The rank that has stage `number`."""
    return min(number, 2 * ranks - 1 - number) if kind.v_shaped else number % ranks
