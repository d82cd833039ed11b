"""fp32 products by oneDNN instead of MKL: when, and that nothing else about a product changes."""

import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import cast

import pytest
import torch
import torch.distributed as dist
from torch import Tensor
from torch._C._distributed_c10d import HashStore
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import ColwiseParallel, parallelize_module
from torch.utils.checkpoint import checkpoint

from tests.support.narrow import present
from train.precision import bf16_speedup
from train.ranks import products
from train.ranks.products import is_onednn_faster, replaced_products

pytestmark = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")


@pytest.fixture
def multiplied(monkeypatch) -> Iterator[list[tuple[int, ...]]]:
    """The replacement is in force; the shapes of the first factors that oneDNN got."""
    shapes = []

    def counted(x, w, of=products._times_transposed):
        shapes.append(tuple(x.shape))
        return of(x, w)

    monkeypatch.setattr(products, "_times_transposed", counted)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        library = replaced_products()
    yield shapes
    library._destroy()


def drawn(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


LARGE = {
    "rows": lambda: (drawn(96, 128), drawn(128, 256)),
    "a linear layer": lambda: (drawn(96, 128), drawn(256, 128).t()),
    "a weight's gradient": lambda: (drawn(512, 256).t(), drawn(512, 64)),
    "a small one": lambda: (drawn(256, 64).t(), drawn(256, 512)),
    "both transposed": lambda: (drawn(128, 300).t(), drawn(90, 128).t()),
    "one row": lambda: (drawn(1, 1024), drawn(1024, 1024).t()),
    "one column": lambda: (drawn(1024, 1024), drawn(1, 1024).t()),
    "eight rows": lambda: (drawn(8, 1024), drawn(4096, 1024).t()),
    "at an odd address": lambda: (drawn(96 * 128 + 1)[1:].view(96, 128), drawn(128, 256)),
}

PARTS = {
    "columns of wider ones": lambda: (drawn(128, 200)[:, 7:135], drawn(128, 300)[:, 11:267]),
    "one row of several pages": lambda: (drawn(1024, 1024), drawn(1, 9, 1024)[:, -1].t()),
    "every second row": lambda: (drawn(256, 128)[::2], drawn(256, 128)[::2].t()),
    "every second column": lambda: (drawn(96, 256)[:, ::2], drawn(128, 512)[:, ::2]),
}


def right_products(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """a @ b by each of the replaced operators, compared with double precision."""
    exact = a.double() @ b.double()
    out, total = torch.empty(exact.shape), torch.zeros(exact.shape)
    found = a @ b, torch.mm(a, b, out=out), total.addmm_(a, b)
    for product in found:
        assert product.dtype == torch.float32
        assert (product.double() - exact).norm() < 1e-6 * exact.norm()
    return found


@pytest.mark.parametrize("name", LARGE)
def test_large_products_are_those_of_onednn_and_right(multiplied, name):
    a, b = LARGE[name]()
    product, out, total = right_products(a, b)
    assert product.is_contiguous() and out.is_contiguous() and total.is_contiguous()
    assert len(multiplied) == 3
    assert torch.equal(total.addmm_(a, b), 2 * out)


def test_other_products_are_torchs_own(multiplied):
    a, b = drawn(96, 128), drawn(128, 256)
    assert (a[:, :4] @ b[:4]).shape == (96, 256)
    assert (drawn(7, 1024) @ drawn(1024, 4096)).shape == (7, 4096)
    for dtype in (torch.bfloat16, torch.float64):
        assert (a.to(dtype) @ b.to(dtype)).dtype == dtype
    assert (drawn(1, 128).expand(256, 128) @ b).allclose(drawn(1, 128) @ b, atol=1e-4)
    assert not (a[:0] @ b).numel()
    resized = torch.empty(0)
    assert torch.equal(torch.mm(a, b, out=resized), a @ b)
    multiplied.clear()
    assert torch.ones(96, 256).addmm_(a, b, beta=3, alpha=0.5).allclose(3 + 0.5 * resized, atol=1e-4)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        torch.mm(a, b.t())
    with pytest.raises(RuntimeError, match="same dtype"):
        torch.mm(a, b.double())
    with pytest.raises(RuntimeError, match="should match"):
        torch.ones(96, 255).addmm_(a, b)
    assert not multiplied


@pytest.mark.parametrize("name", PARTS)
def test_products_of_parts_of_matrices_are_torchs_own(multiplied, name):
    a, b = PARTS[name]()
    right_products(a, b)
    assert not multiplied


def test_gradients_are_computed_the_same_way(multiplied):
    layer, x = torch.nn.Linear(256, 512, bias=False), drawn(2, 64, 256).requires_grad_()
    of_output = drawn(2, 64, 512)
    layer(x).backward(of_output)
    assert len(multiplied) == 3
    exact = of_output.flatten(0, 1).double().t() @ x.detach().flatten(0, 1).double()
    assert (present(layer.weight.grad).double() - exact).norm() < 1e-6 * exact.norm()
    exact = of_output.double() @ layer.weight.detach().double()
    assert (present(x.grad).double() - exact).norm() < 1e-6 * exact.norm()


def test_the_same_product_has_the_same_bits_at_any_address(multiplied):
    a, b = LARGE["a weight's gradient"]()
    for shift in range(1, 5):
        moved = torch.empty(a.numel() + shift)[shift:].view(512, 256).copy_(a.t())
        assert torch.equal(moved.t() @ b, a @ b)


def checkpointed(layers: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: cast(torch.Tensor, checkpoint(layers, x, use_reentrant=False))


def under_autocast(layers: torch.nn.Module) -> Callable[[torch.Tensor], torch.Tensor]:
    return torch.autocast("cpu", torch.bfloat16)(layers.forward)


# What torch does with a model: how, the least and the most products of oneDNN, the error.
WAYS = {
    "as it is": (lambda layers: layers, 6, 6, 1e-6),
    "compiled": (torch.compile, 6, 6, 1e-6),
    "with checkpointed activations": (checkpointed, 7, 8, 1e-6),
    "under autocast": (under_autocast, 0, 0, 5e-2),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_model_trains_in_any_way_of_torch(multiplied, way):
    changed, least, most, error = WAYS[way]
    layers = torch.nn.Sequential(*(torch.nn.Linear(256, 256, bias=False) for _ in range(2)))
    x = drawn(2, 64, 256).requires_grad_()
    exact = torch.autograd.grad(deepcopy(layers).double()(x.double()).square().sum(), x)[0]
    multiplied.clear()
    changed(layers)(x).square().sum().backward()
    assert (present(x.grad) - exact).norm() < error * exact.norm()
    assert least <= len(multiplied) <= most and all(layer.weight.grad is not None for layer in layers)


@pytest.fixture
def group_of_one() -> Iterator[None]:
    dist.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_sharded_weights_are_multiplied_by_it_as_well(multiplied, group_of_one):
    layer, x = torch.nn.Linear(256, 512, bias=False), drawn(64, 256)
    expected = layer(x)
    multiplied.clear()
    mesh = init_device_mesh("cpu", (1,))
    parallelize_module(layer, mesh, ColwiseParallel())
    found = layer(x)
    assert multiplied == [(64, 256)] and torch.equal(found, expected)


def test_auto_measures_the_products_that_the_run_will_use(multiplied):
    bf16_speedup(512, 512)
    assert len(multiplied) > 3


@pytest.mark.parametrize(
    ("maker", "capability", "is_faster"),
    [("AuthenticAMD", "AVX512", True), ("AuthenticAMD", "AVX2", False), ("GenuineIntel", "AVX512", False)],
)
def test_which_cpus(monkeypatch, tmp_path, maker, capability, is_faster):
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\nvendor_id\t: {maker}\n")
    monkeypatch.setattr(products, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: True)
    assert is_onednn_faster() == is_faster
    monkeypatch.setattr(products, "CPUINFO", tmp_path / "none")
    assert not is_onednn_faster()
