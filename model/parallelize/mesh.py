"""The layout of ranks: pp × dp_replicate × dp_shard × cp × tp in one DeviceMesh.

In: the requested sizes and what they must divide (world, model, sequence, batch). Out: a layout that works,
or one line that says why none does and which similar ones would. No rank communicates before `build`. The
last dimension varies fastest, so the ranks that communicate most (tp) are neighbors on one machine, and
those that communicate least (pp: a micro-batch's activations, once each way) are farthest apart.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from model.config import LlamaConfig
from model.parallelize import schedules

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

DIMENSIONS = ("pp", "dp_replicate", "dp_shard", "cp", "tp")
PADDED = 0.05  # the share of padding above which we make replicas with fewer shards instead
COPIES = (2, 4, 8, 16)


class LayoutError(ValueError):
    """An impossible layout: one line that names the key and the nearest layouts that would work."""


@dataclass(frozen=True)
class Layout:
    """Ranks along each dimension. Before `choose`, one may be -1: whatever fills the world."""

    dp_replicate: int | None = 1  # complete copies; None before `choose` picks a number
    dp_shard: int = 1  # FSDP2
    cp: int = 1  # ranks that share each sequence
    tp: int = 1  # ranks that share each matrix
    pp: int = 1  # pipeline stages, or a multiple of them

    @property
    def world_size(self) -> int:
        return self.dp_size * self.cp * self.tp * self.pp

    @property
    def dp_size(self) -> int:
        """The number of ranks that see different samples."""
        assert self.dp_replicate is not None  # `choose` has picked a number
        return self.dp_replicate * self.dp_shard

    @property
    def sequence_multiple(self) -> int:
        """What seq_len must be a multiple of: each cp rank has two chunks, and its tp ranks split them."""
        return math.lcm(2 * self.cp if self.cp > 1 else 1, self.cp * self.tp)

    def __str__(self) -> str:
        named = [f"parallel.{name}={size}" for name, size in asdict(self).items() if size != 1]
        return " ".join(named) or "parallel.dp_shard=1"


@dataclass(frozen=True)
class Limits:
    """What a layout must divide."""

    model: LlamaConfig
    seq_len: int
    micro_batches: int  # in one global batch
    schedule: str = "1f1b"  # pipeline schedule
    stages_per_rank: int | None = None  # None: the schedule's default
    no_pipeline: str | None = None  # why other keys take no pp above 1, as "key=value: reason"
    # Of a run whose steps differ, all; then seq_len is the longest, and micro_batches divides each batch.
    lengths: tuple[int, ...] = ()
    batches: tuple[int, ...] = ()  # in micro-batches

    def problem(self, layout: Layout) -> str | None:
        """Why `layout` cannot run this model on this batch, as "key=value: reason"; None if it can."""
        model, tp = self.model, layout.tp
        for name, size in (
            ("n_heads", model.n_heads),
            ("n_kv_heads", model.kv_heads),
            ("hidden_dim", model.hidden_dim),
            ("vocab_size", max(model.vocab_size, 0)),  # -1: not yet known
        ):
            if size % tp:
                return f"parallel.tp={tp}: does not divide the model's {name}={size}"
        if layout.pp > 1 and self.no_pipeline:
            return self.no_pipeline
        if layout.pp > 1 and model.tie_word_embeddings:
            return (
                f"parallel.pp={layout.pp}: its first and last stages would share a matrix "
                "(model.tie_word_embeddings=true)"
            )
        uneven = (n for n in self.lengths or (self.seq_len,) if n % layout.sequence_multiple)
        if (length := next(uneven, None)) is not None:
            keys = f"parallel.cp={layout.cp}" + (f" with parallel.tp={tp}" if tp > 1 else "")
            return (
                f"{keys if layout.cp > 1 else f'parallel.tp={tp}'}: seq_len={length} is not a multiple "
                f"of {layout.sequence_multiple}, so those ranks cannot share it evenly"
            )
        if self.micro_batches % layout.dp_size:
            return (
                f"parallel.dp_replicate × dp_shard = {layout.dp_replicate} × {layout.dp_shard}: does not "
                f"divide the batch's {self.micro_batches} micro-batches (global_batch, micro_batch)"
            )
        shares = (batch // layout.dp_size for batch in self.batches or (self.micro_batches,))
        found = (
            schedules.problem(layout.pp, model.n_layers, share, self.schedule, self.stages_per_rank)
            for share in shares
        )
        return next(filter(None, found), None)


def choose(wanted: Layout, world_size: int, limits: Limits) -> Layout:
    """`wanted` with its -1 filled in. Data-parallel ranks that the batch cannot use are left idle.

    dp_replicate=None becomes 1. But if dp_shard fills the world and FSDP2 would pad the rows, it becomes
    the fewest replicas that keep padding below PADDED, because padding is sent too. Raises LayoutError if
    the layout does not have the world's size or does not fit `limits`.
    """
    if wanted.dp_replicate is None:
        plain = choose(replace(wanted, dp_replicate=1), world_size, limits)
        return plain if wanted.dp_shard != -1 else _unpadded(plain, limits)
    sizes = asdict(wanted)
    for name, size in sizes.items():
        if size < 1 and size != -1:
            raise LayoutError(f"parallel.{name}={size}: expected -1 (to fill) or at least 1")
    free = [name for name, size in sizes.items() if size == -1]
    if len(free) > 1:
        raise LayoutError(
            f"parallel.{free[0]}=-1 and parallel.{free[1]}=-1: only one can fill the world; "
            f"set parallel.{free[0]}=1"
        )
    fixed = math.prod(size for size in sizes.values() if size != -1)
    if world_size % fixed or (not free and fixed != world_size):
        product = " × ".join(f"{name} {size}" for name, size in sizes.items() if size != 1) or "every size 1"
        raise LayoutError(
            f"parallel: {product} = {fixed}{' × the rest' if free else ''}, but the "
            f"world size is {world_size}{_near(wanted, world_size, limits)}"
        )
    if not free:
        return _checked(wanted, wanted, world_size, limits)
    rest = world_size // fixed
    if free[0].startswith("dp_"):  # using fewer leaves ranks idle but changes nothing else
        useful = range(min(rest, limits.micro_batches), 0, -1)  # the ranks of a batch divide it
        rest = next((n for n in useful if not limits.problem(replace(wanted, **{free[0]: n}))), rest)
    return _checked(replace(wanted, **{free[0]: rest}), wanted, world_size, limits)


def padding(model: LlamaConfig, layout: Layout) -> float:
    """How much FSDP2 pads a block's matrices to shard their rows evenly, as a share of their size.

    6,656 rows over 2,048 ranks are 3.25 rows each, stored and sent as 4.
    """
    dim, hidden, shards = model.dim, model.hidden_dim, layout.dp_shard * layout.cp
    queries, keys = model.n_heads * model.head_dim, model.kv_heads * model.head_dim
    # Matrices that tp splits by rows, and by columns.
    by_rows = [(queries, dim), (keys, dim), (keys, dim), (hidden, dim), (hidden, dim)]
    by_columns = [(dim, queries), (dim, hidden)]
    matrices = [(rows // layout.tp, columns) for rows, columns in by_rows]
    matrices += [(rows, columns // layout.tp) for rows, columns in by_columns]
    padded = sum(-(-rows // shards) * shards * columns for rows, columns in matrices)
    return padded / sum(rows * columns for rows, columns in matrices) - 1


def build(layout: Layout, device_type: str) -> "DeviceMesh":
    """The mesh of all ranks in use, with every one of DIMENSIONS, even those of size 1."""
    from torch.distributed.device_mesh import init_device_mesh

    shape = tuple(getattr(layout, name) for name in DIMENSIONS)
    mesh = init_device_mesh(device_type, shape, mesh_dim_names=DIMENSIONS)
    if layout.tp > 1:  # DTensor finds this mesh and reduces a norm in one collective
        mesh["dp_shard", "cp", "tp"]._flatten("dp_shard_cp_tp")
    return mesh


def dp_rank(mesh: "DeviceMesh") -> int:
    """This rank's index among those that see different samples."""
    return mesh.get_local_rank("dp_replicate") * mesh["dp_shard"].size() + mesh.get_local_rank("dp_shard")


def along(mesh: "DeviceMesh", name: str) -> "DeviceMesh | None":
    """The submesh along one dimension, or None if it is absent or of size 1."""
    return mesh[name] if name in (mesh.mesh_dim_names or ()) and mesh[name].size() > 1 else None


def _unpadded(plain: Layout, limits: Limits) -> Layout:
    """`plain` with as many replicas as its rows need."""
    divided = (
        replace(plain, dp_replicate=copies, dp_shard=plain.dp_shard // copies)
        for copies in (1, *COPIES)
        if plain.dp_shard % copies == 0
    )
    return next((layout for layout in divided if padding(limits.model, layout) <= PADDED), plain)


def _checked(layout: Layout, wanted: Layout, world_size: int, limits: Limits) -> Layout:
    problem = limits.problem(layout)
    if problem:
        raise LayoutError(problem + _near(wanted, world_size, limits))
    return layout


def _near(wanted: Layout, world_size: int, limits: Limits) -> str:
    """The end of a refusal: the three working layouts nearest to the requested one."""

    def distance(layout: Layout) -> float:
        asked = asdict(wanted)
        return sum(
            abs(math.log2(size / asked[name])) for name, size in asdict(layout).items() if asked[name] > 0
        )

    working = [layout for layout in _all(world_size) if not limits.problem(layout)]
    if not working:
        return f"; no layout of {world_size} ranks would work: change that number, seq_len or global_batch"
    return "; these would work: " + ", or ".join(map(str, sorted(working, key=distance)[:3]))


def _all(world_size: int) -> Iterator[Layout]:
    """Every factorization of the world size into the five dimensions."""

    def factors(rest: int, count: int) -> Iterator[tuple[int, ...]]:
        if count == 1:
            yield (rest,)
            return
        for size in divisors(rest):
            for others in factors(rest // size, count - 1):
                yield (size, *others)

    for dp_shard, tp, cp, dp_replicate, pp in factors(world_size, 5):
        yield Layout(dp_replicate=dp_replicate, dp_shard=dp_shard, cp=cp, tp=tp, pp=pp)


def divisors(number: int) -> list[int]:
    """All numbers that divide a positive one, from 1 up."""
    small = [n for n in range(1, math.isqrt(number) + 1) if number % n == 0]
    return sorted({*small, *(number // n for n in small)})
