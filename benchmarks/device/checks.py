"""Numerics on one device and on all of them, each check against something independent of what it checks."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed as dist
from device.shapes import CHECKED, CHECKED_TINY, batch, built, optimizer_of
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from model.config import LlamaConfig
from model.initialize import initialize
from model.llama import Llama
from model.parallelize import mesh as meshes
from model.parallelize.fsdp import shard
from model.parallelize.gradients import clip_gradients, forward_backward
from model.parallelize.mesh import Layout
from model.parallelize.one_rank import compute_in

# Relative differences. bf16 keeps 8 bits; fp32's products are summed in another order.
CLOSE = {torch.float32: 2e-4, torch.bfloat16: 5e-2}
NAMES = {torch.float32: "fp32", torch.bfloat16: "bf16"}
Result = tuple[Tensor, list[Tensor]]  # a loss and all gradients


def on_one(device: torch.device, tiny: bool) -> Iterator[dict]:
    """The checks of a single device, one at a time; a process group of one exists."""
    config, mesh = CHECKED_TINY if tiny else CHECKED, meshes.build(Layout(), device.type)
    for dtype in (torch.float32, torch.bfloat16):
        yield _checked(
            f"transformers, {NAMES[dtype]}", dtype, lambda dtype=dtype: parity(config, device, dtype)
        )
    half = torch.bfloat16

    def plain() -> Result:
        return gradients(built(config, mesh, device, half), config, device)

    def by_math() -> Result:
        with sdpa_kernel(SDPBackend.MATH):
            return plain()

    def compiled() -> Result:
        return gradients(built(config, mesh, device, half, compile=True), config, device)

    def sharded() -> Result:
        return gradients(sharded_alone(config, mesh, device, half), config, device)

    yield _checked("attention's kernel against math, bf16", half, lambda: apart(plain(), by_math()))
    yield _checked("compiled against eager, bf16", half, lambda: apart(plain(), compiled()))
    yield _checked("FSDP2 on one rank against none, bf16", half, lambda: apart(plain(), sharded()))


def on_all(device: torch.device, tiny: bool) -> Iterator[dict]:
    """Three steps sharded over all ranks against the same steps on each rank alone."""
    config, world = CHECKED_TINY if tiny else CHECKED, dist.get_world_size()
    mesh = meshes.build(Layout(dp_shard=world), device.type)
    for dtype in (torch.float32, torch.bfloat16):

        def compare(dtype: torch.dtype = dtype) -> float:
            model = built(config, mesh, device, dtype)
            together = steps(model, config, device, dtype, dist.get_rank(), world)
            alone = steps(None, config, device, dtype, 0, 1)
            return max(abs(a - b) / abs(b) for a, b in zip(together, alone, strict=True))

        yield _checked(f"FSDP2 on {world} ranks against one, 3 steps, {NAMES[dtype]}", dtype, compare)


def parity(config: LlamaConfig, device: torch.device, dtype: torch.dtype) -> float:
    """The distance of our logits from transformers', both in `dtype` throughout."""
    from tests.support.theirs import their_model

    model = Llama(config)
    initialize(model, seed=0)
    theirs = their_model(config, model).to(device, dtype)
    inputs, _ = batch(config, 2, device)
    with torch.no_grad():
        return distance(model.to(device, dtype)(inputs).float(), theirs(inputs).logits.float())


def gradients(model: nn.Module, config: LlamaConfig, device: torch.device) -> Result:
    inputs, labels = batch(config, 2, device)
    loss = model(inputs, labels)
    loss.backward()
    grads: list[Any] = [parameter.grad for parameter in model.parameters()]
    return loss.detach(), [grad.full_tensor() if isinstance(grad, DTensor) else grad for grad in grads]


def sharded_alone(config: LlamaConfig, mesh: DeviceMesh, device: torch.device, dtype: torch.dtype) -> Llama:
    """Sharded by FSDP2 over one rank, which `parallelize` does without."""
    with torch.device("meta"):
        model = Llama(config)
    shard(model, mesh, param_dtype=dtype, reduce_dtype=torch.float32)
    model.to_empty(device=device)
    initialize(model, seed=0)
    return model


def steps(
    model: Llama | None, config: LlamaConfig, device: torch.device, dtype: torch.dtype, rank: int, world: int
) -> list[float]:
    """Losses of three steps on a rank's share of the batch; without `model`, of a plain one on its own."""
    if alone := model is None:
        model = Llama(config).to(device)
        initialize(model, seed=0)
        if dtype != torch.float32:
            compute_in(model, dtype)
    optimizer, losses = optimizer_of(model), []
    inputs, labels = (part.chunk(world)[rank] for part in batch(config, dist.get_world_size(), device))
    for _ in range(3):
        loss = forward_backward(model, [(inputs, labels)], 1)
        clip_gradients(model, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if not alone:
            dist.all_reduce(loss)
        losses.append(loss.item() / world)
    return losses


def apart(one: Result, other: Result) -> float:
    """The largest distance: of the losses, or of a parameter's gradients."""
    pairs = [(one[0], other[0]), *zip(one[1], other[1], strict=True)]
    return max(distance(a.float(), b.float()) for a, b in pairs)


def distance(a: Tensor, b: Tensor) -> float:
    return ((a - b).norm() / b.norm().clamp(min=1e-20)).item()


def _checked(name: str, dtype: torch.dtype, work: Callable[[], float]) -> dict:
    """Whether two computations agree. An error is a result too: what torch or a driver cannot do."""
    start = time.perf_counter()
    try:
        found = work()
        ok, detail = found <= CLOSE[dtype], f"{found:.1e} apart, at most {CLOSE[dtype]:.0e}"
    except ModuleNotFoundError as error:
        ok, detail = None, f"not run: {error}"
    except Exception as error:  # any of torch's, of a driver or of a compiler
        ok, detail = False, f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
    return {"check": name, "ok": ok, "detail": detail, "seconds": round(time.perf_counter() - start, 1)}
