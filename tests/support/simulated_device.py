"""A GPU's manners on a CPU: `python -m tests.support.simulated_device VERB key=value …` runs relama on it.

The device is written in Python (torch's PrivateUse1 backend). It computes with the CPU's kernels, but as on a
GPU its tensors must not meet those of the CPU. Each time the host would have to wait for a GPU is counted, by
thread; WAITS in the environment names a file for the counts. Activation checkpointing aborts in torch, which
has no Python in such a device's thread.

A tensor's storage stands for memory of the CPU; sizes, strides and offset are torch's own.
"""

import json
import os
import sys
import threading
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.library import Library
from torch.utils._pytree import tree_map
from torch.utils.backend_registration import _DummyBackendModule, _setup_privateuseone_for_python_backend

NAME = "sim"
MIXED = {"aten::copy_", "aten::_copy_from", "aten::index", "aten::index_put_", "aten::_index_put_impl_"}
# torch makes these of an empty result, whose size only a device in C++ can change.
IN_ONE = (
    "arange arange.start arange.start_step polar complex abs stack tril triu sum sum.dim_IntList logsumexp"
)
COLLECTIVES = (
    "allreduce_ allreduce_coalesced_ broadcast_ allgather_ _allgather_base_ allgather_into_tensor_coalesced_ "
    "reduce_scatter_ _reduce_scatter_base_ reduce_scatter_tensor_coalesced_ reduce_ gather_ scatter_ "
    "alltoall_ alltoall_base_ send recv_ barrier"
)
META = torch._C.DispatchKeySet(torch._C.DispatchKey.Meta)

waits: Counter[str] = Counter()  # by the thread's name
_memory: dict[int, Tensor] = {}  # by the storage of a tensor of the device: bytes of the CPU
_libraries: list[Library] = []  # what they register ends with them


def _is_ours(value: Any) -> bool:
    return isinstance(value, Tensor) and value.device.type == NAME


def _on_cpu(tensor: Tensor) -> Tensor:
    """The same memory as a tensor of the CPU."""
    memory = _memory[tensor.untyped_storage()._cdata]
    whole = memory[: len(memory) // tensor.itemsize * tensor.itemsize].view(tensor.dtype)
    return whole.as_strided(tensor.size(), tensor.stride(), tensor.storage_offset())


def _view(of: Tensor, like: Tensor) -> Tensor:
    where = like.size(), like.stride(), like.storage_offset()
    return torch.ops.aten.as_strided.default.redispatch(META, of, *where)


def _on_device(tensor: Tensor) -> Tensor:
    """The same memory as a tensor of the device."""
    n = tensor.untyped_storage().nbytes() // tensor.itemsize
    made = torch._C._acc.create_empty_tensor((n,), tensor.dtype)  # pyright: ignore[reportAttributeAccessIssue]
    _memory[made.untyped_storage()._cdata] = tensor.detach().as_strided((n,), (1,), 0).view(torch.uint8)
    return _view(made, tensor)


def _compute(op: Any, *args: Any, **kwargs: Any) -> Any:
    """Any operator that has a tensor of the device, or makes one."""
    given: dict[int, Tensor] = {}  # ours by the id of the CPU's
    owners: dict[int, Tensor] = {}  # and by its storage
    from_cpu: list[Tensor] = []

    def on_cpu(value: Any) -> Any:
        if _is_ours(value):
            found = _on_cpu(value)
            given[id(found)] = owners[found.untyped_storage()._cdata] = value
            return found
        if isinstance(value, Tensor):
            from_cpu.append(value)
        return torch.device("cpu") if isinstance(value, torch.device) else value

    def on_device(value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if id(value) in given:
            assert given[id(value)].shape == value.shape, f"{op} changes a size"
            return given[id(value)]
        owner = owners.get(value.untyped_storage()._cdata)
        if owner is not None and owner.dtype == value.dtype:
            return _view(owner, value)
        return _on_device(value)

    inputs, options = tree_map(on_cpu, (args, kwargs))
    name, arguments = op._schema.name, op._schema.arguments
    written = [value for value, of in zip(args, arguments) if of.alias_info and of.alias_info.is_write]
    is_scalar = all(value.ndim == 0 and not any(value is one for one in written) for value in from_cpu)
    if given and not is_scalar and name not in MIXED:
        raise RuntimeError(f"{op}: a tensor of the CPU meets one of the device")
    if name == "aten::_copy_from":  # (source, target, non_blocking=False)
        if not _is_ours(args[1]) and inputs[2:] != (True,):
            _wait()
        inputs[1].copy_(inputs[0])
        return args[1]
    if name in ("aten::nonzero", "aten::equal"):
        _wait()
    return tree_map(on_device, op(*inputs, **options))


def _wait(*_: Any) -> None:
    waits[threading.current_thread().name] += 1


def _item(tensor: Tensor) -> Any:
    _wait()
    return _on_cpu(tensor).item()


def _communicate(op: Any, *args: Any) -> Any:
    """A collective: gloo's, in the same memory."""
    result = op(*tree_map(lambda value: _on_cpu(value) if _is_ours(value) else value, args))
    return (args[0], *result[1:]) if isinstance(result, tuple) else result


class _Stream:
    """A stream or an event. All has happened when a call returns; who would wait is counted."""

    wait_event = wait_stream = wait = record = lambda self, *_: None
    synchronize = _wait

    @property
    def device(self) -> torch.device:
        return torch.device(NAME, 0)

    def record_event(self, *_: Any) -> "_Stream":
        return self

    def query(self) -> bool:
        return True

    def __enter__(self) -> "_Stream":
        return self

    def __exit__(self, *_: object) -> None:
        pass


class _Module(_DummyBackendModule):
    """What `torch.cuda` is for a GPU."""

    Stream = Event = current_stream = default_stream = lambda *_, **__: _Stream()
    set_device = set_rng_state = lambda *_: None
    synchronize = _wait

    def stream(self, stream: _Stream) -> _Stream:
        return stream

    def get_rng_state(self, *_: Any) -> Tensor:
        return torch.empty(0, dtype=torch.uint8)


def install() -> None:
    """Once in a process."""
    _setup_privateuseone_for_python_backend(NAME, _Module())
    resize: Any = torch.UntypedStorage.resize_
    storage: Any = torch.UntypedStorage  # FSDP2 frees and allocates memory by its size
    storage.resize_ = lambda self, size: self if self.device.type == NAME else resize(self, size)
    everything, aten, c10d = Library("_", "IMPL"), Library("aten", "IMPL"), Library("c10d", "IMPL")
    _libraries.extend((everything, aten, c10d))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some of c10d's are replaced
        everything.fallback(_compute, "PrivateUse1")
        aten.impl("_local_scalar_dense", _item, "PrivateUse1")
        for name in IN_ONE.split():
            _register(aten, name, _compute)
        for name in COLLECTIVES.split():
            _register(c10d, name, _communicate)


def _register(library: Library, name: str, kernel: Any) -> None:
    base, _, overload = name.partition(".")
    op = getattr(getattr(getattr(torch.ops, library.ns), base), overload or "default")
    library.impl(name, lambda *args, **kwargs: kernel(op, *args, **kwargs), "PrivateUse1")


def use() -> None:
    """Every `device=` is this one, and what relama knows of GPUs holds for it."""
    from train.checkpoint import certificate
    from train.generation import samples
    from train.integrity import sentinel
    from train.metrics import stragglers
    from train.plan import auto, needs
    from train.ranks import setup

    join = setup.join_process_group
    setup.join_process_group = lambda _, *rest: join(f"cpu:gloo,{NAME}:gloo", *rest)
    for module in (setup, samples, auto, needs):
        vars(module)["device_type"] = lambda requested: NAME
    for module, table in ((certificate, "TOLERANCE"), (sentinel, "BYTES_PER_FLOP"), (stragglers, "SIZE")):
        vars(module)[table][NAME] = vars(module)[table]["cuda"]


if __name__ == "__main__":
    install()
    use()
    from launch.cli import main

    code = main()
    if "WAITS" in os.environ:
        Path(os.environ["WAITS"]).write_text(json.dumps(waits))
    sys.exit(code)
