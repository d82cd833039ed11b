"""Where each rank stands: the world cut along pp × dp_replicate × dp_shard × cp × tp into one DeviceMesh.

In: what was asked for and what must fit (world, model, sequence, batch). Out: a layout that works, or one
line that says why none does and which near ones would; nothing here talks to another rank until `build`.
The last dimension varies fastest, so the ranks that talk most (tp) are neighbours on one machine, and
those that talk least (pp: a micro-batch's activations, once each way) are farthest apart.
"""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from model.llama import LlamaConfig
from model.parallelize import schedules

DIMENSIONS = ("pp", "dp_replicate", "dp_shard", "cp", "tp")
PADDED = 0.05  # a share of padding beyond which there are copies of fewer shards instead
COPIES = (2, 4, 8, 16)


class LayoutError(ValueError):
    """A layout that cannot be: one line that names the key and the nearest layouts that would work."""


@dataclass(frozen=True)
class Layout:
    """Ranks along each dimension; -1 in one of them, until it is chosen: whatever fills the world."""

    dp_replicate: int | None = 1  # whole copies of what dp_shard cuts; None, until chosen: see `choose`
    dp_shard: int = 1  # FSDP2
    cp: int = 1  # parts of each sequence
    tp: int = 1  # parts of each matrix
    pp: int = 1  # parts of the stack of layers

    @property
    def world_size(self) -> int:
        return self.dp_replicate * self.dp_shard * self.cp * self.tp * self.pp

    @property
    def dp_size(self) -> int:
        """Ranks that see different samples."""
        return self.dp_replicate * self.dp_shard

    @property
    def sequence_multiple(self) -> int:
        """A sequence is cut into two parts for each cp rank, and what a rank has over its tp ranks."""
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
    schedule: str = "1f1b"  # of the pipeline
    stages_per_rank: int | None = None  # None: as the schedule does

    def problem(self, layout: Layout) -> str | None:
        """Why `layout` cannot run this model on this batch, as "key=value: reason"; None if it can."""
        model, tp = self.model, layout.tp
        for name, size in (
            ("n_heads", model.n_heads),
            ("hidden_dim", model.hidden_dim),
            ("vocab_size", max(model.vocab_size, 0)),  # -1: not known yet
        ):
            if size % tp:
                return f"parallel.tp={tp}: does not divide the model's {name}={size}"
        if self.seq_len % layout.sequence_multiple:
            keys = f"parallel.cp={layout.cp}" + (f" with parallel.tp={tp}" if tp > 1 else "")
            return (
                f"{keys if layout.cp > 1 else f'parallel.tp={tp}'}: seq_len={self.seq_len} is not a multiple "
                f"of {layout.sequence_multiple}, so it cannot be cut evenly over those ranks"
            )
        if self.micro_batches % layout.dp_size:
            return (
                f"parallel.dp_replicate × dp_shard = {layout.dp_replicate} × {layout.dp_shard}: does not "
                f"divide the batch's {self.micro_batches} micro-batches (global_batch, micro_batch)"
            )
        return schedules.problem(
            layout.pp,
            model.n_layers,
            self.micro_batches // layout.dp_size,
            self.schedule,
            self.stages_per_rank,
        )


def choose(wanted: Layout, world_size: int, limits: Limits) -> Layout:
    """`wanted` with its -1 filled. Data-parallel ranks that the batch cannot use stay idle.

    dp_replicate=None is 1, or where dp_shard is to fill the world and FSDP2 would pad the rows, as few copies
    as leave less than PADDED of that: fewer shards, and less is sent. Raises LayoutError if it is not the
    world's size or does not fit `limits`.
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
        raise LayoutError(f"parallel.{free[0]}=-1 and parallel.{free[1]}=-1: only one can fill the world")
    fixed = math.prod(size for size in sizes.values() if size != -1)
    if world_size % fixed or (not free and fixed != world_size):
        product = " × ".join(f"{name} {size}" for name, size in sizes.items() if size != 1)
        raise LayoutError(
            f"parallel: {product} = {fixed}{' × the rest' if free else ''}, but {world_size} "
            f"rank(s) were started{_near(wanted, world_size, limits)}"
        )
    if not free:
        return _checked(wanted, wanted, world_size, limits)
    rest = world_size // fixed
    if free[0].startswith("dp_"):  # fewer of these leave ranks idle, but change nothing else
        rest = next(
            (n for n in range(rest, 0, -1) if not limits.problem(replace(wanted, **{free[0]: n}))),
            rest,
        )
    return _checked(replace(wanted, **{free[0]: rest}), wanted, world_size, limits)


def padding(model: LlamaConfig, layout: Layout) -> float:
    """What FSDP2 adds to a block's matrices to cut their rows evenly, as a share of them.

    6,656 rows over 2,048 ranks are 3.25 each, kept and sent as 4.
    """
    dim, hidden, shards = model.dim, model.hidden_dim, layout.dp_shard * layout.cp
    cut, whole = 3 * [(dim, dim)] + 2 * [(hidden, dim)], [(dim, dim), (dim, hidden)]  # by tp: rows, columns
    matrices = [(rows // layout.tp, columns) for rows, columns in cut]
    matrices += [(rows, columns // layout.tp) for rows, columns in whole]
    padded = sum(-(-rows // shards) * shards * columns for rows, columns in matrices)
    return padded / sum(rows * columns for rows, columns in matrices) - 1


def build(layout: Layout, device_type: str) -> DeviceMesh:
    """The mesh of all working ranks, with a dimension for each of DIMENSIONS, size 1 or not."""
    shape = tuple(getattr(layout, name) for name in DIMENSIONS)
    mesh = init_device_mesh(device_type, shape, mesh_dim_names=DIMENSIONS)
    if layout.tp > 1:  # DTensor finds it, and sums a norm over all of them at once
        mesh["dp_shard", "cp", "tp"]._flatten("dp_shard_cp_tp")
    return mesh


def dp_rank(mesh: DeviceMesh) -> int:
    """This rank's number among those that see different samples."""
    return mesh.get_local_rank("dp_replicate") * mesh["dp_shard"].size() + mesh.get_local_rank("dp_shard")


def along(mesh: DeviceMesh, name: str) -> DeviceMesh | None:
    """The ranks along one dimension; None where the mesh does not have it, or has one rank of it."""
    return mesh[name] if name in mesh.mesh_dim_names and mesh[name].size() > 1 else None


def _unpadded(plain: Layout, limits: Limits) -> Layout:
    """`plain` with as many of its shards made copies as its rows need."""
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
    """ "; these would work: …", the three nearest to what was asked."""

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
    """Every way to write the world's size as a product of the dimensions."""

    def factors(rest: int, count: int) -> Iterator[tuple[int, ...]]:
        if count == 1:
            yield (rest,)
            return
        for size in range(1, rest + 1):
            if rest % size == 0:
                for others in factors(rest // size, count - 1):
                    yield (size, *others)

    for dp_shard, tp, cp, dp_replicate, pp in factors(world_size, 5):
        yield Layout(dp_replicate=dp_replicate, dp_shard=dp_shard, cp=cp, tp=tp, pp=pp)
