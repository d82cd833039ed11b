"""One rank of a large world in one CPU process: its memory, collectives and FLOPs, without the data.

In: a model's shape and a layout. Out: what one training step of rank 0 does. The real code parallelizes the
real model over a fake process group and runs a step on fake tensors, which have shapes but no storage, so
nothing is assumed that the code does not do. A watcher sees every operation: what is alive after it and
why, what it sends, what it computes.
"""

import weakref
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from unittest import mock

import torch
import torch.distributed as dist
import torch.distributed._tools.fake_collectives  # registers c10d's collectives for fake tensors
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import FSDPModule
from torch.distributed.fsdp._fully_shard._fsdp_param_group import FSDPParamGroup
from torch.distributed.fsdp._fully_shard._fsdp_state import FSDPState
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._sharding_prop import ShardingPropagator
from torch.nn.attention.bias import causal_lower_right
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, sdpa_backward_flop_count, sdpa_flop_count

from model.parallelize import context
from model.parallelize.mesh import DIMENSIONS, Layout, build

aten = torch.ops.aten
# Buffers: the rotation table. Gathered: FSDP's unsharded weights. Activations: all else, inputs included.
KINDS = ("parameters", "optimizer", "buffers", "gradients", "gathered", "activations")


@contextmanager
def fake_world(layout: Layout, rank: int = 0) -> Iterator[DeviceMesh]:
    """The mesh of `layout` as `rank` sees it; the other ranks do not exist."""
    dist.init_process_group("fake", store=FakeStore(), rank=rank, world_size=layout.world_size)
    try:
        yield build(layout, "cpu")
    finally:
        dist.destroy_process_group()


@dataclass
class Trace:
    """What one step did. A stretch is part of the step: (name, layer or None, how often it ran before)."""

    n_params: int  # in the model, or in this rank's stages
    held: dict[str, int]  # bytes by kind at the end of the step, before gradients are freed
    peaks: dict[tuple, dict[str, int]]  # stretch → bytes by kind at its peak
    most_activations: dict[tuple, int]  # stretch → bytes at their peak
    collectives: dict[tuple, tuple[int, float]]  # (stretch, operation, ranks) → count, bytes sent
    flops: dict[tuple, int]  # by stretch


@dataclass
class Watcher(TorchDispatchMode):
    """Sees each operation on plain tensors, after DTensor and FSDP have reduced it to this rank's."""

    mesh: DeviceMesh
    stretch: tuple = ("start", None, 0)
    _alive: dict[int, tuple] = field(default_factory=dict)  # storage → (weak reference, kind)

    def __post_init__(self) -> None:
        super().__init__()
        self.groups = _group_names(self.mesh)
        self.paused = False
        self.kind = "activations"  # assigned to what is allocated now
        self.fsdp: list[FSDPParamGroup] = []
        self.parameters: list[nn.Parameter] = []
        self.times: dict[tuple, int] = defaultdict(int)
        self.peaks: dict[tuple, dict[str, int]] = {}
        self.most_activations: dict[tuple, int] = defaultdict(int)
        self.collectives: dict[tuple, list] = defaultdict(lambda: [0, 0.0])
        self.flops: dict[tuple, int] = defaultdict(int)

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented  # it returns as operations on local tensors
        kwargs = kwargs or {}
        out = op(*args, **kwargs)
        if self.paused:
            return out
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor) and not isinstance(tensor, DTensor):
                self._note(tensor)
        if op.namespace in ("c10d", "_c10d_functional", "c10d_functional"):
            self._count_collective(op, args, out)
        count = FLOPS.get(op._overloadpacket)
        if count:
            self.flops[self.stretch] += count(*args, **kwargs, out_val=out)
        self._measure()
        return out

    def _note(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        known = self._alive.get(key)
        if known is None or known[0]() is None:
            self._alive[key] = (weakref.ref(storage), self.kind)

    def _measure(self) -> None:
        now = self.alive()
        total, best = sum(now.values()), self.peaks.get(self.stretch)
        if best is None or total > sum(best.values()):
            self.peaks[self.stretch] = now
        self.most_activations[self.stretch] = max(self.most_activations[self.stretch], now["activations"])

    def alive(self) -> dict[str, int]:
        """Bytes alive now, by kind."""
        weights = {_key(p) for p in self.parameters}
        gradients = {_key(p.grad) for p in self.parameters if p.grad is not None}
        for group in self.fsdp:
            for param in group.fsdp_params:
                unsharded = getattr(param, "_unsharded_param", None)
                held = (getattr(unsharded, "grad", None), param.unsharded_accumulated_grad)
                gradients |= {_key(grad) for grad in held if grad is not None}
        now: dict[str, int] = dict.fromkeys(KINDS, 0)
        for key, (reference, kind) in list(self._alive.items()):
            storage = reference()
            if storage is None:
                del self._alive[key]
                continue
            kind = "parameters" if key in weights else "gradients" if key in gradients else kind
            now[kind] += storage.nbytes()  # current size: FSDP empties and refills the same storages
        return now

    def _count_collective(self, op, args, out) -> None:
        name = op._schema.name.split("::")[1].strip("_")
        kind = next((kind for prefixes, kind in COLLECTIVES if name.startswith(prefixes)), None)
        if kind is None:
            return  # a wait, a barrier
        ranks, size = self.groups[_group_of(args)]
        tensors = [leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)]
        # The full tensor is the largest of the inputs and outputs.
        full_size = max(t.numel() * t.element_size() for t in [*tensors, *_tensors(out)])
        times = {"all_reduce": 2, "send": size / (size - 1) if size > 1 else 0, "recv": 0}.get(kind, 1)
        entry = self.collectives[self.stretch, kind, ranks]
        entry[0] += 1
        entry[1] += times * full_size * (size - 1) / size  # by a ring: no algorithm sends less

    def watch(self, model: nn.Module) -> None:
        """Track the parameters and gradients of `model`."""
        self.parameters = list(model.parameters())
        states = [part._get_fsdp_state() for part in model.modules() if isinstance(part, FSDPModule)]
        self.fsdp = [group for state in states for group in _groups(state)]

    def forget(self) -> None:
        """Reset the counts, but not what is alive."""
        for counted in (self.times, self.peaks, self.most_activations, self.collectives, self.flops):
            counted.clear()

    def enter(self, part: str, layer: int | None = None) -> None:
        """Start a stretch, perhaps of another micro-batch."""
        self.times[part, layer] += 1
        self.stretch = (part, layer, self.times[part, layer] - 1)

    def trace(self, held: dict[str, int]) -> Trace:
        counts = {key: tuple(entry) for key, entry in self.collectives.items()}
        n_params = sum(parameter.numel() for parameter in self.parameters)
        return Trace(n_params, held, self.peaks, dict(self.most_activations), counts, dict(self.flops))

    @contextmanager
    def allocating(self, kind: str) -> Iterator[None]:
        before, self.kind = self.kind, kind
        try:
            yield
        finally:
            self.kind = before


COLLECTIVES = (
    (("allgather", "all_gather"), "all_gather"),
    (("reduce_scatter",), "reduce_scatter"),
    (("allreduce", "all_reduce"), "all_reduce"),
    (("alltoall", "all_to_all"), "all_to_all"),
    (("broadcast",), "broadcast"),
    (("send",), "send"),
    (("recv",), "recv"),
)


@contextmanager
def watching(mesh: DeviceMesh) -> Iterator[Watcher]:
    """Watch operations on fake tensors. FSDP's buffers are classified by the method that allocates them."""
    watcher = Watcher(mesh)

    def as_kind(method: Callable, kind: str) -> Callable:
        def watched(group: FSDPParamGroup, *args, **kwargs):
            with watcher.allocating(kind):
                return method(group, *args, **kwargs)

        return watched

    asks = ShardingPropagator._propagate_tensor_meta_non_cached

    def unseen(*args):
        """DTensor runs each operation once to learn its output shape; ignore that."""
        before, watcher.paused = watcher.paused, True
        try:
            return asks(*args)
        finally:
            watcher.paused = before

    methods = {
        "unshard": "gathered",
        "wait_for_unshard": "gathered",
        "post_backward": "gradients",
        "finalize_backward": "gradients",
    }
    with ExitStack() as stack:
        for name, kind in methods.items():
            method = as_kind(getattr(FSDPParamGroup, name), kind)
            stack.enter_context(mock.patch.object(FSDPParamGroup, name, method))
        stack.enter_context(
            mock.patch.object(ShardingPropagator, "_propagate_tensor_meta_non_cached", unseen)
        )
        stack.enter_context(mock.patch.object(context, "causal_lower_right", _real_mask))
        stack.enter_context(FakeTensorMode(allow_non_fake_inputs=True))
        stack.enter_context(watcher)
        yield watcher


def _real_mask(*shape: int) -> Tensor:
    """A real mask: it has no data until attention asks, and cannot be built from fake tensors."""
    with _disable_current_modes():
        return causal_lower_right(*shape)


def _groups(state: FSDPState) -> list[FSDPParamGroup]:
    return [state._fsdp_param_group] if state._fsdp_param_group is not None else []


def _key(tensor: Tensor) -> int:
    local = tensor._local_tensor if isinstance(tensor, DTensor) else tensor
    return local.untyped_storage()._cdata


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def _group_names(mesh: DeviceMesh) -> dict[str, tuple[str, int]]:
    """Each process group's (dimensions, size) by name; call it once the model is parallelized."""
    found: dict[str, tuple[str, int]] = {}
    parts = {name: mesh[name] for name in DIMENSIONS}
    for names in (("dp_shard", "cp"), ("dp_shard", "cp", "tp")):
        if parts[names[-1]].size() > 1:  # the layout flattens these
            named = " × ".join(name for name in names if name != "cp" or parts["cp"].size() > 1)
            parts[named] = mesh[names]._flatten("_".join(names))
    for name, part in parts.items():
        found[part.get_group().group_name] = (name, part.size())
    assert dist.group.WORLD is not None  # `fake_world` has initialized it
    found[dist.group.WORLD.group_name] = ("world", dist.get_world_size())
    return found


def _group_of(args: tuple) -> str:
    for leaf in tree_leaves(args):
        if isinstance(leaf, torch.ScriptObject):
            try:
                return dist.ProcessGroup.unbox(leaf).group_name
            except RuntimeError:
                continue  # a ReduceOp
    return next(leaf for leaf in reversed(tree_leaves(args)) if isinstance(leaf, str))


def _attention_flops(query, key, value, *args, out_val=None, **kwargs) -> int:
    return _causal(sdpa_flop_count(query.shape, key.shape, value.shape), query, key)


def _attention_backward_flops(grad, query, key, value, *args, out_val=None, **kwargs) -> int:
    count = sdpa_backward_flop_count(grad.shape, query.shape, key.shape, value.shape)
    return _causal(count, query, key)


def _causal(count: int, query: Tensor, key: Tensor) -> int:
    """Count only scores at or before each query's position; the last query sees the last key."""
    rows, columns = query.shape[-2], key.shape[-2]
    return round(count * (columns - rows / 2) / columns)


FLOPS = dict(flop_registry) | {
    aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward_flops,
}
