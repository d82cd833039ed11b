"""`parallel=auto`: a layout that fits, given the model, a device's memory and the number of ranks.

Numbers in, a layout and the reason for it out. Ranks do not communicate; all reach the same result.
Candidates are tried in order of cost: tp communicates in every layer, but within a machine; selective
checkpointing recomputes no matrix product; cp only helps when there are more ranks than sequences; full
checkpointing computes a third more and comes last.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from model.parallelize.activation_checkpointing import MODES
from model.parallelize.estimate import Memory, estimate
from model.parallelize.mesh import Layout, LayoutError, Limits, choose, divisors

# The usable share of a device's memory; CUDA, NCCL's buffers and fragmentation take the rest. Not measured.
USABLE = 0.92


@dataclass(frozen=True)
class Choice:
    layout: Layout
    mode: str  # activation checkpointing mode
    memory: Memory
    reason: str


def choose_auto(
    wanted: Layout,
    mode: str,
    world_size: int,
    limits: Limits,
    *,
    memory: float,
    ranks_per_node: int,
    micro_batch: int,
    reshard: str = "auto",
    tensor: str = "dtensor",
    width: int = 2,
) -> Choice:
    """The cheapest layout whose estimate fits in `memory` (bytes per device).

    Sizes other than -1 in `wanted`, and a `mode` other than "auto", are kept. `width`: bytes per computed
    number. Raises LayoutError if none fits, naming the smallest world, by doubling, in which one would; and
    for settings that the estimate does not cover.
    """
    _refuse_what_has_no_estimate(wanted, limits, tensor)

    def choices(world: int, size: int = micro_batch) -> Iterator[Choice]:
        """The candidates of a world size and a micro-batch of `size` sequences, in order of cost."""
        within = replace(
            limits,
            micro_batches=limits.micro_batches * micro_batch // size,
            batches=tuple(batch * micro_batch // size for batch in limits.batches),
        )
        for layout, way in _candidates(wanted, mode, world, within, ranks_per_node):
            needed = estimate(
                limits.model,
                layout,
                seq_len=limits.seq_len,
                micro_batch=size,
                micro_batches=within.micro_batches // layout.dp_size,
                mode=way,
                reshard=reshard,
                width=width,
            )
            yield Choice(layout, way, needed, "")

    def fits(choice: Choice) -> bool:
        return choice.memory.peak <= USABLE * memory

    tried: list[Choice] = []
    for found in choices(world_size):
        if fits(found):
            room = f"{_gib(found.memory.peak)} of {_gib(memory)} GiB per rank, by estimate"
            why = (
                f"the first of {len(tried) + 1} tried in order of cost" if tried else "the cheapest candidate"
            )
            return replace(found, reason=f"{room}; {why}{_idle(found.layout, world_size)}")
        tried.append(found)
    if not tried:
        choose(fixed(wanted), world_size, limits)  # as the first candidate, raises with the reason
    nearest = min(tried, key=lambda choice: choice.memory.peak)
    larger = next((world for world in _larger(world_size, limits) if any(map(fits, choices(world)))), None)
    fix = f"{larger} ranks would be enough" if larger else "no number of ranks would be enough"
    fewer = divisors(micro_batch)[-2::-1]
    smaller = next((size for size in fewer if any(map(fits, choices(world_size, size)))), None)
    raise LayoutError(
        f"parallel=auto: at world size {world_size}, each rank needs at least "
        f"{_gib(nearest.memory.peak)} GiB ({nearest.layout}, checkpointing {nearest.mode}), but only "
        f"{_gib(USABLE * memory)} are usable; {fix}, or use "
        f"{f'micro_batch={smaller}, ' if smaller else ''}a smaller model or seq_len"
    )


def _refuse_what_has_no_estimate(wanted: Layout, limits: Limits, tensor: str) -> None:
    for key, value, known in (("tensor", tensor, "dtensor"), ("schedule", limits.schedule, "1f1b")):
        if value != known and (key == "tensor" or wanted.pp > 1):
            stages = " parallel.stages_per_rank=null" if key == "schedule" and limits.stages_per_rank else ""
            raise LayoutError(
                f"parallel.{key}={value}: parallel=auto cannot estimate its memory; set the layout by hand, "
                f"or use parallel.{key}={known}{stages}"
            )


def _candidates(
    wanted: Layout, mode: str, world: int, limits: Limits, ranks_per_node: int
) -> Iterator[tuple[Layout, str]]:
    """Valid layouts in order of cost."""
    found = []
    for tp in divisors(ranks_per_node) if wanted.tp == -1 else [wanted.tp]:
        for cp in (1, 2, 4, 8, 16) if wanted.cp == -1 else [wanted.cp]:
            try:
                layout = choose(replace(fixed(wanted), tp=tp, cp=cp), world, limits)
            except LayoutError:
                continue
            found += [(layout, way) for way in (MODES if mode == "auto" else (mode,))]
    yield from sorted(
        found,
        key=lambda pair: (
            -pair[0].world_size,  # fewest idle ranks first
            pair[1] == "full",
            pair[0].cp,
            pair[0].tp,
            MODES.index(pair[1]),
        ),
    )


def fixed(wanted: Layout) -> Layout:
    """Sizes that are not searched: 1 unless requested; replicas as `choose` picks them."""
    sizes = {name: max(1, getattr(wanted, name)) for name in ("tp", "cp", "pp")}
    if wanted.dp_replicate == wanted.dp_shard == -1:  # only one can fill the world
        wanted = replace(wanted, dp_replicate=None)
    return replace(wanted, **sizes)


def _larger(world: int, limits: Limits) -> Iterator[int]:
    """Larger worlds that the batch can use, by doubling, up to 16 tp × 8 cp ranks per micro-batch."""
    most = limits.micro_batches * 16 * 8
    while (world := world * 2) <= most:
        yield world


def _idle(layout: Layout, world_size: int) -> str:
    idle = world_size - layout.world_size
    return f"; ranks that stay idle because the batch cannot use them: {idle}" if idle else ""


def _gib(size: float) -> str:
    return f"{size / 2**30:,.2f}" if size < 2**30 else f"{size / 2**30:,.1f}"
