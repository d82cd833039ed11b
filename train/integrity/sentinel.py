"""The sentinel: between two updates nothing may change this rank's parameters or AdamW's state.

Right after each update it records an exact checksum of every local shard, and compares it right before the
next one. The update itself is checked against the most that AdamW can do (bounds.py): on a few tensors in
turn after each update, and on all of them before a save or when a step has a problem. Replicas, where there
are any, are compared with one another.

It only reads, so it changes nothing that is computed. If reading everything twice per step would cost more
than the given share of a step, each step checks one K-th of every shard, and so sees a flip with probability
1/K; the next update absorbs one that it missed.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn

from train.checkpoint.checksums import checksums, local
from train.config import RunError, TrainConfig
from train.integrity.bounds import ROUNDING, largest_ratio, moment_limits
from train.ranks import identity
from train.ranks.setup import Ranks
from train.ranks.together import gather_objects
from train.run.lineage import Stretch

BYTES = 28  # per parameter and step: it and two moments, fp32, read twice; and its range, in turns
# Bytes that are read in the time of one floating-point operation of the model, at least: on CPUs measured by
# benchmarks/guards.py (0.024 in bf16 on a Zen 5); for GPUs computed from an H100's 3.35 TB/s and 400 TFLOP/s.
BYTES_PER_FLOP = {"cpu": 0.02, "cuda": 0.005}
TURNS = 8  # each tensor's range is measured after one update in eight, times the number of pieces
NAMED = 3  # tensors that a finding names
RELOADS = 3  # returns to a checkpoint before a start gives up


@dataclass
class _Record:
    """What was true right after an update."""

    piece: int  # of `pieces` that each shard is cut into
    pieces: int
    sums: Tensor  # int64, one per tensor


class Sentinel:
    """Guards one rank's state. All ranks construct one and call it alike."""

    def __init__(
        self, model: nn.Module, config: TrainConfig, ranks: Ranks, inherited: Sequence[Stretch] = ()
    ) -> None:
        """`inherited`: the updates of a branch's ancestors, which made the moments it begins with."""
        self._names = {parameter: _plain(name) for name, parameter in model.named_parameters()}
        self._ranks, self._compare_every = ranks, config.watchdog.compare_every
        stretches = (*inherited, Stretch(config.steps, config.optim.betas, config.optim.clip))
        self._ratio = largest_ratio(stretches)
        self._weight_decay = config.optim.weight_decay
        self._moment_limits = moment_limits(stretches)
        self._returns = 0  # to a checkpoint
        self.pieces = pieces(config, ranks)
        self.forget()

    def forget(self) -> None:
        """The state is about to be replaced on purpose."""
        self._record: _Record | None = None
        self._ranges: dict[str, tuple[Tensor, float]] = {}  # largest |p| when measured, and `_moved` then
        self._moved = 0.0  # the most that AdamW can have moved any parameter since `forget`
        self._outside: dict[str, Tensor] = {}  # whether a measured tensor was out of its bounds

    @torch.no_grad()
    def record(self, optimizer: torch.optim.Optimizer, step: int, rate: float, whole: bool = False) -> None:
        """Record the state right after the update of `step` at this rate. `whole`: a save may follow."""
        if not self.pieces:
            return
        state = list(self._state(optimizer))
        count = 1 if whole else self.pieces
        self._record = self._sums(state, step % count, count)
        shrinks = rate * self._weight_decay <= 2  # more decay than that makes parameters grow
        self._moved += rate * self._ratio * ROUNDING if shrinks else math.inf
        self._measure(state, turn=step if self._ranges else None)

    @torch.no_grad()
    def changes(self, optimizer: torch.optim.Optimizer, step: int) -> Tensor:
        """Call before the update of `step`: how many tensors are not what they were, a scalar on the device.

        Every `watchdog.compare_every` steps it compares replicas too, on all ranks.
        """
        found = torch.zeros((), device=self._ranks.device)
        if self._record is not None:
            found += self._changed(optimizer).sum()
            if self._compare_every and step % self._compare_every == 0:
                found += self._differ_between_replicas().sum()
        for outside in self._outside.values():
            found += outside
        return found

    @torch.no_grad()
    def finding(self, optimizer: torch.optim.Optimizer) -> str | None:
        """What is wrong with the state, on which rank and host, or None. All ranks call it."""
        mine: list[str] = []
        if self._record is not None:
            state = list(self._state(optimizer))
            self._measure(state, turn=None)
            names = [name for name, _ in state]
            problems = (
                ("changed between two updates", self._changed(optimizer)),
                ("differs between replicas", self._differ_between_replicas()),
            )
            for problem, wrong in problems:
                mine += [f"{names[i]} {problem}" for i in wrong.nonzero().flatten().tolist()]
        outside = torch.stack(list(self._outside.values())).tolist() if self._outside else []
        mine += [f"{name} is beyond what AdamW can do" for name, out in zip(self._outside, outside) if out]
        found = []
        for rank, (host, lines) in enumerate(gather_objects((identity.node(), mine))):
            if lines:
                more = f" and {len(lines) - NAMED} more" if len(lines) > NAMED else ""
                found.append(f"rank {rank} ({host}): {', '.join(lines[:NAMED])}{more}")
        return "memory corruption on " + "; ".join(found) if found else None

    def reload(self, step: int, finding: str | None) -> dict:
        """The decision to return to the newest checkpoint because of a `finding`, current or gone.

        Raises RunError if a start does so again and again.
        """
        finding = finding or "memory corruption that has gone away"
        self._returns += 1
        if self._returns > RELOADS:
            raise RunError(
                f"step {step}: {finding}, after {RELOADS} returns to a checkpoint for the same reason; "
                "test that machine's memory, and run the same command on others to resume; if it stops there "
                "too, its checkpoints hold the damage: move the newest away"
            )
        return {"step": step, "action": "reload", "kind": "corruption", "why": finding}

    @torch.no_grad()
    def sums(self, optimizer: torch.optim.Optimizer) -> dict[str, Tensor] | None:
        """Each tensor's recorded checksum, by its name in a checkpoint; None if the record is incomplete."""
        if self._record is None or self._record.pieces != 1:
            return None
        names = [name for name, _ in self._state(optimizer)]
        return {name: total for name, total in zip(names, self._record.sums, strict=True) if name != STEPS}

    def _state(self, optimizer: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
        """This rank's flat part of each parameter and moment by its name in a checkpoint; then all counts."""
        counts = []
        for parameter in (each for group in optimizer.param_groups for each in group["params"]):
            name = self._names[parameter]
            yield f"model.{name}", local(parameter)
            for key, value in optimizer.state.get(parameter, {}).items():
                if value.ndim:
                    yield f"optimizer.{name}.{key}", local(value)
                else:
                    counts.append(value)
        if counts:
            yield STEPS, torch.stack(counts)

    def _sums(self, state: list[tuple[str, Tensor]], piece: int, count: int) -> _Record:
        return _Record(piece, count, checksums([_piece(flat, piece, count) for _, flat in state]))

    def _changed(self, optimizer: torch.optim.Optimizer) -> Tensor:
        """Whether each tensor differs from its record."""
        assert self._record is not None
        now = self._sums(list(self._state(optimizer)), self._record.piece, self._record.pieces)
        return now.sums != self._record.sums

    def _differ_between_replicas(self) -> Tensor:
        """Whether each tensor's recorded checksum differs from a replica's."""
        assert self._record is not None
        sums = self._record.sums
        if self._ranks.layout.dp_replicate == 1 or not identity.has_group():
            return torch.zeros_like(sums, dtype=torch.bool)
        group = self._ranks.mesh["dp_replicate"].get_group()
        least, greatest = sums.clone(), sums.clone()
        dist.all_reduce(least, dist.ReduceOp.MIN, group=group)
        dist.all_reduce(greatest, dist.ReduceOp.MAX, group=group)
        return least != greatest

    def _measure(self, state: list[tuple[str, Tensor]], turn: int | None) -> None:
        """Compare the ranges of this turn's tensors (None: of all) with what AdamW can have done since."""
        self._outside = {}
        for number, (name, flat) in enumerate(state):
            if (
                (turn is not None and (number + turn) % (TURNS * self.pieces))
                or not flat.numel()
                or name == STEPS
            ):
                continue
            least, greatest = torch.aminmax(flat)
            limits = self._moment_limits.get(name.rpartition(".")[2])  # no parameter has this name
            if limits is None:
                now = torch.maximum(-least, greatest)
                before, moved = self._ranges.get(name, (math.inf, 0.0))
                limit = before * ROUNDING**0.1 + (self._moved - moved)
                outside = ~(now <= limit) | ~now.isfinite()  # NaN is outside
                self._outside[name] = outside
                self._ranges[name] = (torch.where(outside, limit, now), self._moved)  # once out, always out
            else:
                self._outside[name] = ~((least >= limits[0]) & (greatest <= limits[1]))


STEPS = "AdamW's step counts"


def pieces(config: TrainConfig, ranks: Ranks) -> int:
    """Into how many pieces shards are cut, one of them checked per step; 0: nothing is checked.

    The fewest with which reading takes at most `watchdog.integrity` of a step's computing. Per parameter, a
    step computes 6 operations for each token of the batch, shared out among the ranks; so is the reading,
    except that each replica reads all of it.
    """
    share = config.watchdog.integrity
    if share == 0:
        return 0
    if share >= 1:
        return 1
    read = BYTES * (ranks.layout.dp_replicate or 1)
    computed = 6 * config.global_batch * BYTES_PER_FLOP[ranks.device.type]
    return max(1, math.ceil(read / (share * computed)))


def _piece(flat: Tensor, piece: int, count: int) -> Tensor:
    """One of `count` pieces, each aligned to 8 bytes."""
    if count == 1:
        return flat
    size = math.ceil(flat.numel() / count / 8) * 8
    return flat[piece * size : (piece + 1) * size]


def _plain(name: str) -> str:
    """A parameter's name without what wrappers (compile, activation checkpointing) add."""
    return name.replace("_orig_mod.", "").replace("_checkpoint_wrapped_module.", "")
