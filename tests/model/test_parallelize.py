"""The same numbers on every layout: weights, losses, gradients, norms, and the weights after ten steps."""

import functools
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode

from model.config import LlamaConfig
from model.initialize import initialize
from model.llama import Llama
from model.parallelize import mesh as meshes
from model.parallelize.activation_checkpointing import checkpoint_activations
from model.parallelize.apply import parallelize
from model.parallelize.gradients import clip_gradients, forward_backward
from model.parallelize.mesh import Layout
from model.parallelize.pipeline import Pipeline
from tests.support.narrow import as_a, present
from tests.support.ranks import run_ranks

# Widths that data-parallel ranks cannot halve evenly; heads that share keys and values, and are not dim / 4.
CONFIG = LlamaConfig(
    dim=40,
    n_layers=2,
    n_heads=4,
    vocab_size=108,
    multiple_of=12,
    max_seq_len=16,
    n_kv_heads=2,
    head_size=12,
    rope_scaling=8.0,
    rope_original_seq_len=16,
)
TIED = replace(CONFIG, tie_word_embeddings=True)
ODD = replace(CONFIG, dim=41)
STEPS, BATCH, SEQ = 10, 8, 16
# Micro-batches per rank, activation checkpointing, reshard: both rows on 2 ranks, the first on 4.
WAYS = ((2, "selective", "always"), (1, "none", "never"))

LAYOUTS = {
    2: [
        Layout(dp_shard=2),
        Layout(dp_replicate=2),
        Layout(tp=2),
        Layout(cp=2),
    ],
    4: [
        Layout(dp_replicate=2, dp_shard=2),
        Layout(dp_shard=2, tp=2),
        Layout(dp_replicate=2, cp=2),
        Layout(cp=2, tp=2),
    ],
}
FAIRSCALE = {
    2: [Layout(tp=2)],
    4: [Layout(dp_shard=2, tp=2), Layout(cp=2, tp=2)],
}
# A number of layers that no number of stages divides.
DEEPER = replace(CONFIG, n_layers=5)
PIPELINES = {
    2: [
        (Layout(pp=2), "gpipe", "none", "never"),
        (Layout(pp=2), "1f1b", "selective", "always"),
        (Layout(pp=2), "interleaved", "full", "auto"),
        (Layout(pp=2), "zero_bubble", "none", "auto"),
        (Layout(pp=2), "zbv", "none", "auto"),
        (Layout(pp=2), "dualpipe", "none", "auto"),
    ],
    4: [
        (Layout(pp=2, dp_shard=2), "interleaved", "none", "always"),
        (Layout(pp=2, dp_replicate=2), "1f1b", "selective", "auto"),
        (Layout(pp=2, tp=2), "zero_bubble", "none", "auto"),
        (Layout(pp=2, tp=2), "zero_bubble", "none", "auto", "fairscale"),
        (Layout(pp=2, cp=2), "zbv", "none", "auto"),
        (Layout(pp=4), "1f1b", "none", "auto"),
    ],
}


def batch(step: int) -> tuple[torch.Tensor, torch.Tensor]:
    """One global batch, the same for all."""
    generator = torch.Generator().manual_seed(step)
    tokens = torch.randint(0, CONFIG.vocab_size, (BATCH, SEQ + 1), generator=generator)
    return tokens[:, :-1], tokens[:, 1:]


def train(
    model: Llama | Pipeline, dp_rank: int, dp_size: int, accumulate: int, max_norm: float = 1.0
) -> dict:
    """Train ten steps with `accumulate` micro-batches per rank; returns what all layouts must agree on.

    A bare Llama is trained with torch alone, a parallelized one as by the trainer.
    """
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, eps=1e-4, weight_decay=0.1, fused=True)
    seen: dict = {"initial": named(model), "losses": [], "norms": []}
    for step in range(STEPS):
        inputs, labels = (part.chunk(dp_size)[dp_rank] for part in batch(step))
        micro_batches = zip(inputs.chunk(accumulate), labels.chunk(accumulate), strict=True)
        if type(model) is Llama:
            losses = [model(x, y) / accumulate for x, y in micro_batches]
            total = functools.reduce(torch.add, losses)
            total.backward()
            total = total.detach()
        else:
            total = forward_backward(model, micro_batches, accumulate)
        if step == 0:
            seen["gradients"] = {name: whole(present(p.grad)) for name, p in model.named_parameters()}
        if type(model) is Llama:
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        else:
            norm = clip_gradients(model, max_norm)
        seen["losses"].append(mean_over_ranks(total).item())
        seen["norms"].append(whole(norm).item())
        optimizer.step()
        optimizer.zero_grad()
    seen["weights"] = named(model)
    with torch.no_grad():  # as in validation
        total = model(*(part.chunk(dp_size)[dp_rank] for part in batch(0)))
    seen["losses"].append(mean_over_ranks(total).item())
    return seen


def mean_over_ranks(value: torch.Tensor) -> torch.Tensor:
    if dist.is_initialized():
        dist.all_reduce(value)
        value /= dist.get_world_size()
    return value


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """A copy, because full_tensor returns the parameter itself if it is not split."""
    tensor = tensor.detach()
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).clone()


def named(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: whole(parameter) for name, parameter in model.named_parameters()}


def alone(mode: str = "none", accumulate: int = 1, config: LlamaConfig = CONFIG) -> dict:
    model = Llama(config)
    initialize(model, seed=3)
    checkpoint_activations(model, mode)
    return train(model, 0, 1, accumulate)


def differences(seen: dict, expected: dict) -> list[str]:
    """Differences beyond fp32 rounding: initial weights must be equal bitwise, the rest to 1e-5 and 1e-4."""
    found = []
    if dist.is_initialized():  # a pipeline's ranks have different parameters
        names: list = [None] * dist.get_world_size()
        dist.all_gather_object(names, sorted(seen["weights"]))
        if set().union(*names) != expected["weights"].keys():
            found.append("not all parameters are there")
    for name, tensor in seen["initial"].items():
        if not torch.equal(expected["initial"][name], tensor):
            found.append(f"initial {name}")
    for key in ("losses", "norms"):
        for step, (here, there) in enumerate(zip(seen[key], expected[key])):
            if abs(here - there) > 1e-5 * abs(there):
                found.append(f"{key} at step {step}: {here} here, {there} alone")
    for key in ("gradients", "weights"):
        for name, tensor in seen[key].items():
            there = expected[key][name]
            error = ((tensor - there).norm() / there.norm()).item()
            if not error < 1e-5:
                found.append(f"{key} of {name}: {error:.1e}")
    return found


def on_layouts(layouts: list[Layout], tensor: str = "dtensor", config: LlamaConfig = CONFIG) -> list[str]:
    """The differences for every layout of this world size, in one process group, by the layout's name."""
    torch.set_num_threads(1)
    expected = alone(config=config)
    problems = []
    for layout in layouts:
        for accumulate, mode, reshard in WAYS[: 4 // layout.world_size]:
            mesh = meshes.build(layout, "cpu")
            with torch.device("meta"):
                model = Llama(config)
            parallelize(model, mesh, activation_checkpointing=mode, reshard=reshard, tensor=tensor)
            problems += [] if tensor == "dtensor" else plain_layers(model)
            model.to_empty(device="cpu")
            initialize(model, seed=3)
            seen = train(model, meshes.dp_rank(mesh), layout.dp_size, accumulate)
            problems += [
                f"{layout} {tensor} {config} ({accumulate=}): {line}" for line in differences(seen, expected)
            ]
    return problems


def on_pipelines(pipelines: list[tuple]) -> list[str]:
    """The same for pipelines, with micro-batches of two sequences."""
    expected = alone(config=DEEPER)
    problems = []
    for layout, schedule, mode, reshard, *tensor in pipelines:
        ways = {"activation_checkpointing": mode, "reshard": reshard, "schedule": schedule}
        mesh = meshes.build(layout, "cpu")
        with torch.device("meta"):
            model = Llama(DEEPER)
        model = as_a(Pipeline, parallelize(model, mesh, tensor=(*tensor, "dtensor")[0], **ways))
        model.to_empty(device="cpu")
        initialize(model, seed=3)
        told: list[int] = []
        model.progressed = functools.partial(told.append, 1)
        micro_batches = BATCH // layout.dp_size // 2
        seen = train(model, meshes.dp_rank(mesh), layout.dp_size, micro_batches)
        problems += [f"{layout} {schedule}: {line}" for line in differences(seen, expected)]
        if len(told) < 2 * STEPS * micro_batches * len(model.stages):  # a forward and a backward each
            problems.append(f"{layout} {schedule}: looked alive {len(told)} times")
    return problems


def plain_layers(model: Llama) -> list[str]:
    """The matrices of layers that are not fairscale's."""
    return [
        f"{name} is not fairscale's"
        for name, layer in model.named_modules()
        if name.endswith(("wq", "wk", "wv", "wo", "w1", "w2", "w3", "output", "tok_embeddings"))
        and not any(kind.__module__.startswith("fairscale.") for kind in type(layer).__mro__)
    ]


def on_all(world_size: int) -> list[str]:
    problems = on_layouts(LAYOUTS[world_size]) + on_layouts(LAYOUTS[world_size], config=TIED)
    problems += on_layouts(FAIRSCALE[world_size], "fairscale")
    problems += on_layouts(FAIRSCALE[2] if world_size == 2 else [], "fairscale", ODD)
    return problems + on_pipelines(PIPELINES[world_size])


def drift(layout: Layout) -> list[float]:
    """The differences between this rank's local gradients, clipped, and the first rank's.

    Norms are rounded otherwise in each group, as NCCL may do it.
    """
    whole_tensor, rank = DTensor.full_tensor, dist.get_rank()

    def rounded(tensor: DTensor, **options) -> torch.Tensor:
        return whole_tensor(tensor, **options) * (1 + rank * 2**-20)

    model = parallelize(Llama(CONFIG), meshes.build(layout, "cpu"))
    initialize(model, 0)
    inputs, labels = batch(0)
    forward_backward(model, iter([(inputs, labels)]), 1)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(DTensor, "full_tensor", rounded)
        clip_gradients(model, 0.1)
    found = []
    for parameter in model.parameters():
        mine = as_a(DTensor, present(parameter.grad)).to_local()
        first = mine.clone()
        dist.broadcast(first, 0)
        found.append(float((mine - first).abs().max()))
    return found


@pytest.mark.distributed
def test_replicas_clip_alike_whatever_the_order_of_their_sums():
    assert max(map(max, run_ranks(drift, 2, Layout(dp_replicate=2)))) == 0.0


@pytest.mark.distributed
@pytest.mark.parametrize("world_size", LAYOUTS)
def test_ten_steps_on_every_layout_are_the_single_process_s(world_size):
    for problems in run_ranks(on_all, world_size, world_size, timeout=900):
        assert not problems, "\n".join(problems)


@pytest.mark.parametrize("mode", ["selective", "full"])
def test_checkpointing_changes_neither_loss_nor_gradients(mode):
    plain, other = alone(), alone(mode)
    assert other["losses"] == plain["losses"]
    for name, gradient in plain["gradients"].items():
        assert torch.equal(other["gradients"][name], gradient), name


class Products(TorchDispatchMode):
    """Counts the matrix products that actually run, including attention's."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, op, types, args=(), kwargs=None):
        name = str(op)
        self.count += name.startswith(("aten.mm.", "aten.addmm", "aten.linear.")) or "attention" in name
        return op(*args, **(kwargs or {}))


def products(mode: str) -> int:
    model = Llama(CONFIG)
    initialize(model, seed=3)
    checkpoint_activations(model, mode)
    with Products() as counted:
        model(*batch(0)).backward()
    return counted.count


def test_selective_recomputes_no_matrix_product_and_no_attention():
    plain = products("none")
    # 7 matrices and attention in a layer's forward; backward does not need a layer's last product.
    assert products("selective") == plain
    assert products("full") > plain + 6 * CONFIG.n_layers


def test_an_unknown_checkpointing_mode_is_refused_by_key():
    with pytest.raises(ValueError, match=r"^parallel\.activation_checkpointing=half: expected one of none, "):
        checkpoint_activations(Llama(CONFIG), "half")
