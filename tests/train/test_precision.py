"""`precision=` and `dtype=`: what auto chooses, what a run keeps, and bf16 close to fp32 on every layout."""

import re
from functools import partial

import pytest
import torch
import torch.distributed as dist

from model.config import LlamaConfig
from model.initialize import initialize
from model.llama import Llama
from model.parallelize import mesh as meshes
from model.parallelize.apply import parallelize
from model.parallelize.fsdp import shard
from model.parallelize.gradients import forward_backward
from model.parallelize.mesh import Layout
from tests.support import runs
from tests.support.cpu_time import seconds
from tests.support.narrow import present
from tests.support.ranks import run_ranks
from train import precision
from train.precision import Choice, choose
from train.weights.open import load_model, open_weights

CPU = torch.device("cpu")
CONFIG = LlamaConfig(dim=64, n_layers=2, n_heads=4, vocab_size=100, multiple_of=32, max_seq_len=32)


@pytest.mark.parametrize(("ratio", "name"), [(6.7, "bf16"), (1.2, "fp32"), (0.03, "fp32")])
def test_auto_is_bf16_where_products_are_measured_faster(monkeypatch, ratio, name):
    monkeypatch.setattr(precision, "bf16_speedup", lambda rows, width: ratio)
    choice = choose("auto", CPU, CONFIG)
    assert choice.name == name and f"{ratio:.2f} times" in choice.why
    assert choose("fp32", CPU, CONFIG) == Choice("fp32", "as requested")


def test_the_measured_ratio_is_that_of_a_plain_timing():
    """Of a layer's three products, in the CPU time of this process, as other processes may take the cores."""

    def multiply(a, b):
        for one, other in ((a, b.T), (a, b), (a.T, b)):
            torch.matmul(one, other)

    pairs = [torch.ones(2, 512, 512, dtype=dtype).unbind() for dtype in (torch.float32, torch.bfloat16)]
    turns = [[seconds(partial(multiply, *pair)) for pair in pairs] for _ in range(5)]
    expected = min(turn[0] for turn in turns) / min(turn[1] for turn in turns)
    measured = precision.bf16_speedup(512, 512)
    assert 1 / 4 < measured / expected < 4


def test_products_are_measured_in_one_thread(monkeypatch):
    """Several wait for each other busily on a loaded machine, where bf16 then seemed 50 times slower."""
    seen, linear, before = set(), precision.F.linear, torch.get_num_threads()

    def recorded(x, weight):
        seen.add(torch.get_num_threads())
        return linear(x, weight)

    monkeypatch.setattr(precision.F, "linear", recorded)
    torch.set_num_threads(2)
    try:
        precision.bf16_speedup(8, 8)
        assert seen == {1} and torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, corpora):
    """A run in bf16 that stopped halfway, and the same run without a stop."""
    folder = tmp_path_factory.mktemp("precision")
    arguments = [f"corpora={corpora}", "steps=4", "precision=bf16"]
    runs.succeed(*arguments, f"run={folder / 'whole'}")
    runs.succeed(*arguments, f"run={folder / 'stopped'}", "stop_at=2")
    return folder


def same_weights(folder, *names):
    runs.same_tensors(*(folder / name / "checkpoints" / "step-000004" for name in names))


def test_a_run_keeps_its_precision_bit_for_bit_under_auto(folder, corpora):
    resumed = runs.succeed(f"corpora={corpora}", f"run={folder / 'stopped'}", "steps=4", "precision=auto")
    assert re.search(r"precision: bf16 compute; fp32 weights, optimizer and reduction \(", resumed.stdout)
    same_weights(folder, "whole", "stopped")
    assert runs.metrics(folder / "whole")[-1]["loss"] == runs.metrics(folder / "stopped")[-1]["loss"]


def test_another_precision_is_refused_by_name(folder, corpora):
    refused = runs.run(f"corpora={corpora}", f"run={folder / 'whole'}", "steps=4", "precision=fp32")
    assert refused.returncode == 1
    assert "precision: bf16 there, fp32 requested" in refused.stderr


def test_on_other_hardware_a_run_says_what_it_keeps_and_why(folder, corpora, monkeypatch, capsys):
    from train.run.configuration import read_run_config, settle_precision

    config = read_run_config(folder / "whole")
    config.run, config.precision = str(folder / "whole"), "auto"
    monkeypatch.setattr(precision, "bf16_speedup", lambda rows, width: 0.5)
    assert settle_precision(config, CPU).precision == "bf16"
    output = capsys.readouterr().out
    assert "as this run began; a new run would use fp32 here" in output and "0.50 times" in output


def test_a_run_made_before_the_key_continues_in_fp32(folder, corpora):
    arguments = [f"corpora={corpora}", f"run={folder / 'older'}", "steps=4"]
    runs.succeed(*arguments, "stop_at=2")  # in fp32
    config = folder / "older" / "config.yaml"
    older = [line for line in config.read_text().splitlines() if not line.startswith("precision:")]
    config.write_text("\n".join(older) + "\n")
    refused = runs.run(*arguments, "precision=bf16")
    assert refused.returncode == 1 and "precision: fp32 there, bf16 requested" in refused.stderr
    assert "precision: fp32 (" in runs.succeed(*arguments, "precision=auto").stdout


def test_deterministic_kernels_train_the_same_run_on_a_cpu(folder, corpora):
    arguments = [f"corpora={corpora}", f"run={folder / 'again'}", "steps=4", "precision=bf16"]
    runs.succeed(*arguments, "deterministic=true")
    same_weights(folder, "whole", "again")


def test_validate_measures_a_run_in_its_own_precision(folder, corpora, capsys):
    from train.evaluation.validate import main

    assert main([f"weights={folder / 'whole'}", "sequences=4", "micro_batch=1"]) == 0
    told = capsys.readouterr().out
    for source, result in runs.metrics(folder / "whole")[-1]["validation"].items():
        assert re.search(rf"{source} +{result['loss']:.4f}", told), told


def test_bf16_weights_are_loaded_without_a_copy_in_fp32(folder, corpora):
    weights = open_weights(folder / "whole")
    exact, rounded = (load_model(weights, CPU, dtype) for dtype in (torch.float32, torch.bfloat16))
    for (name, there), here in zip(exact.named_parameters(), rounded.parameters(), strict=True):
        assert here.dtype == torch.bfloat16 and torch.equal(here, there.bfloat16()), name
    tokens = torch.arange(16)[None]
    logits = rounded(tokens)
    assert logits.dtype == torch.bfloat16 and torch.equal(logits, exact.bfloat16()(tokens))


def gradients(layout: Layout, dtype: torch.dtype, always_shard: bool = False) -> tuple[float, dict]:
    """One step's loss and gradients, fp32, by name; with FSDP2 even on one rank if `always_shard`."""
    mesh = meshes.build(layout, "cpu")
    with torch.device("meta"):
        model = Llama(CONFIG)
    if always_shard:
        shard(model, mesh, param_dtype=dtype, reduce_dtype=torch.float32)
    else:
        parallelize(model, mesh, param_dtype=dtype)
    model.to_empty(device="cpu")
    initialize(model, seed=0)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    tokens = torch.randint(0, 100, (4, 33), generator=torch.Generator().manual_seed(1))
    mine = tokens.chunk(layout.dp_size)[meshes.dp_rank(mesh)]
    batches = [(part[:, :-1], part[:, 1:]) for part in mine.split(1)]
    loss = forward_backward(model, batches, len(batches))
    dist.all_reduce(loss)
    grads = {name: present(p.grad) for name, p in model.named_parameters()}
    whole = {name: getattr(grad, "full_tensor", lambda grad=grad: grad)() for name, grad in grads.items()}
    return loss.item() / layout.world_size, {name: grad.tolist() for name, grad in whole.items()}


def on_one_rank() -> list:
    half = torch.bfloat16
    return [
        gradients(Layout(), torch.float32),
        gradients(Layout(), torch.float32, always_shard=True),
        gradients(Layout(), half),
        gradients(Layout(), half, always_shard=True),
    ]


@pytest.mark.distributed
def test_one_rank_computes_what_fsdp2_does_in_both_precisions():
    (plain, sharded, half, sharded_half) = run_ranks(on_one_rank, 1)[0]
    assert plain == sharded  # bit for bit
    assert half[0] == sharded_half[0]
    for name, there in sharded_half[1].items():
        here, there = torch.tensor(half[1][name]), torch.tensor(there)
        if name not in ("tok_embeddings.weight", "output.weight"):  # those are rounded less
            assert torch.allclose(here, there, rtol=0.05, atol=2e-3), name
        exact = torch.tensor(plain[1][name])
        assert (here - exact).norm() < 0.03 * exact.norm() + 1e-6, name
        assert (there - exact).norm() < 0.03 * exact.norm() + 1e-6, name


def on_two_ranks() -> list[float]:
    layouts = (Layout(dp_shard=2), Layout(tp=2), Layout(cp=2))
    return [gradients(layout, torch.bfloat16)[0] for layout in layouts]


@pytest.mark.distributed
def test_two_ranks_in_bf16_lose_what_fp32_does():
    model = Llama(CONFIG)
    initialize(model, seed=0)
    tokens = torch.randint(0, 100, (4, 33), generator=torch.Generator().manual_seed(1))
    exact = model(tokens[:, :-1], tokens[:, 1:]).item()
    assert run_ranks(on_two_ranks, 2)[0] == pytest.approx([exact] * 3, rel=2e-3)
