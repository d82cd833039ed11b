"""Planning: traces on fake ranks agree with the real code and with torch's own tracker."""

import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed._tools.fsdp2_mem_tracker import FSDPMemTracker, _FSDPRefType

from model.config import LlamaConfig
from model.flops import flops_per_token, n_params
from model.llama import Llama
from model.parallelize.apply import parallelize
from model.parallelize.auto import USABLE, choose_auto
from model.parallelize.estimate import estimate
from model.parallelize.mesh import Layout, LayoutError, Limits
from tests.support.narrow import present
from train.config_groups import OptimConfig
from train.optimizer import build_optimizer
from train.plan.extrapolate import SHALLOW, extrapolate
from train.plan.fake_ranks import fake_world
from train.plan.main import main
from train.plan.trace_step import Work, trace_step

MODEL = LlamaConfig(dim=256, n_layers=6, n_heads=8, vocab_size=1000, max_seq_len=256)
SIZE_7B = LlamaConfig(dim=4096, n_layers=32, n_heads=32, vocab_size=32000)
LLAMA_3_8B = LlamaConfig(
    dim=4096,
    n_layers=32,
    n_heads=32,
    n_kv_heads=8,
    vocab_size=128256,
    multiple_of=1024,
    ffn_dim_multiplier=1.3,
)
SIZE_65B = LlamaConfig(dim=8192, n_layers=80, n_heads=64, vocab_size=32000)


@pytest.mark.parametrize(
    ("layout", "micro_batches", "mode"),
    [
        (Layout(dp_shard=64, tp=2), 4, "none"),
        (Layout(dp_replicate=2, dp_shard=8, cp=2), 1, "selective"),
    ],
)
def test_two_shallow_models_determine_the_deep_one_to_the_byte(layout, micro_batches, mode):
    traced = min(3, micro_batches)
    with fake_world(layout) as mesh:
        work = Work(256, 2, traced, mode)
        fewer, more = (trace_step(replace(MODEL, n_layers=n), mesh, work) for n in SHALLOW)
        real = trace_step(MODEL, mesh, replace(work, micro_batches=micro_batches))
    told = extrapolate(fewer, more, MODEL.n_layers, micro_batches, traced)
    assert told.n_params == real.n_params == n_params(MODEL)
    assert told.held == real.held
    assert sum(told.peak.values()) == max(sum(peak.values()) for peak in real.peaks.values())
    assert told.most_activations == max(real.most_activations.values())
    assert told.flops == sum(real.flops.values())
    counts: dict = {}
    for (_, operation, ranks), (times, sent) in real.collectives.items():
        before = counts.get((operation, ranks), (0, 0.0))
        counts[operation, ranks] = (before[0] + times, before[1] + sent)
    assert told.collectives.keys() == counts.keys()
    for key, (times, sent) in counts.items():
        assert told.collectives[key] == (times, pytest.approx(sent, rel=1e-12)), key


@pytest.mark.parametrize("mode", ["none", "selective", "full"])
def test_memory_equals_the_count_of_torch_s_tracker(mode):
    model, work = replace(MODEL, n_layers=3), Work(256, 4, 1, mode)
    with fake_world(Layout(dp_shard=4)) as mesh:
        ours = trace_step(model, mesh, work)
        theirs, after = tracked_by_torch(model, mesh, work)
    kind = _FSDPRefType
    assert ours.held["parameters"] == after[kind.SHARDED_PARAM]
    assert ours.held["gradients"] == after[kind.SHARDED_GRAD]
    assert ours.held["optimizer"] == after[kind.OPT]
    peak = max(ours.peaks.values(), key=lambda held: sum(held.values()))
    activations = theirs[kind.ACT] + theirs[kind.TEMP] + theirs[kind.INP]
    assert peak["activations"] == pytest.approx(activations, rel=0.1)
    assert sum(peak.values()) == pytest.approx(theirs["Total"], rel=0.1)


def tracked_by_torch(model: LlamaConfig, mesh, work: Work) -> tuple[dict, dict]:
    """FSDPMemTracker's peak during a step, and the memory held after the optimizer's step."""
    with torch.device("meta"):
        module = Llama(model)
    parallelize(module, mesh, activation_checkpointing=work.mode, param_dtype=work.param_dtype)
    with FakeTensorMode(allow_non_fake_inputs=True):
        module.to_empty(device="cpu")
        optimizer = build_optimizer(module, OptimConfig())
        for parameter in module.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()  # AdamW's state is there at the peak
        optimizer.zero_grad()
        tokens, labels = (torch.zeros(work.micro_batch, work.seq_len, dtype=torch.int64) for _ in range(2))
        tracker = FSDPMemTracker(module, optimizer)
        tracker.track_inputs((tokens, labels))
        with tracker:
            module(tokens, labels).backward()
            optimizer.step()
            after = tracker.get_tracker_snapshot("current")
    device = torch.device("cpu")
    return tracker.get_tracker_snapshot("peak")[device], after[device]


def test_flops_without_checkpointing_are_the_model_s_and_attention_s_recomputation():
    with fake_world(Layout(dp_shard=2)) as mesh:
        trace = trace_step(MODEL, mesh, Work(256, 1, 1))
    useful = flops_per_token(MODEL, 256) * 256
    scores = MODEL.n_layers * 2 * 256 * 256 * MODEL.dim / 2  # flash attention computes them again in backward
    assert sum(trace.flops.values()) == pytest.approx(useful + scores, rel=0.01)


@pytest.mark.parametrize(
    ("model", "layout", "micro_batches", "reshard"),
    [
        (SIZE_7B, Layout(dp_shard=64), 1, "auto"),
        (SIZE_7B, Layout(dp_shard=64), 1, "never"),
        (SIZE_7B, Layout(dp_shard=16, tp=4), 3, "auto"),
        (LLAMA_3_8B, Layout(dp_shard=64), 1, "auto"),
        (LLAMA_3_8B, Layout(dp_shard=16, tp=4), 3, "auto"),
        (replace(LLAMA_3_8B, tie_word_embeddings=True), Layout(dp_shard=64), 1, "auto"),
    ],
)
def test_the_estimate_is_within_a_tenth_of_the_trace(model, layout, micro_batches, reshard):
    with fake_world(layout) as mesh:
        for mode in ("none", "selective", "full"):
            work = Work(2048, 1, micro_batches, mode, reshard)
            fewer, more = (trace_step(replace(model, n_layers=n), mesh, work) for n in SHALLOW)
            traced = sum(extrapolate(fewer, more, 32, micro_batches, micro_batches).peak.values())
            told = estimate(
                model,
                layout,
                seq_len=2048,
                micro_batch=1,
                micro_batches=micro_batches,
                mode=mode,
                reshard=reshard,
            )
            assert told.peak == pytest.approx(traced, rel=0.1), mode


def auto(model: LlamaConfig, world: int, gib: float, wanted: Layout | None = None, per_node: int = 8):
    wanted = wanted or Layout(dp_replicate=-1, dp_shard=-1, cp=-1, tp=-1)
    limits = Limits(model=model, seq_len=2048, micro_batches=2048)
    return choose_auto(
        wanted, "auto", world, limits, memory=gib * 2**30, ranks_per_node=per_node, micro_batch=1
    )


def test_auto_takes_the_cheapest_layout_that_fits_and_keeps_explicit_settings():
    roomy = auto(SIZE_7B, 2048, 80)
    assert (roomy.layout, roomy.mode) == (Layout(dp_replicate=2, dp_shard=1024), "none")
    assert auto(SIZE_65B, 2048, 80).layout.dp_replicate == 1
    for world, gib in ((2048, 80), (2048, 40), (512, 80)):
        choice = auto(SIZE_65B, world, gib)
        assert choice.layout.world_size == world and choice.memory.peak <= USABLE * gib * 2**30
    by_hand = auto(SIZE_65B, 2048, 80, Layout(dp_replicate=1, dp_shard=-1, cp=1, tp=4))
    assert by_hand.layout.tp == 4


def test_auto_refuses_a_model_that_cannot_fit_and_names_the_smallest_world_size():
    with pytest.raises(LayoutError, match=r"\d+ ranks would be enough") as refused:
        auto(SIZE_65B, 2, 80, per_node=2)
    larger = int(present(re.search(r"(\d+) ranks would be enough", str(refused.value)))[1])
    assert auto(SIZE_65B, larger, 80, per_node=2).layout.world_size == larger
    with pytest.raises(LayoutError):
        auto(SIZE_65B, larger // 2, 80, per_node=2)


def test_the_plan_of_65b_by_the_paper_s_accounting(capsys):
    assert main(["model=65b"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("65,285,660,672 parameters, 1,399,999,954,944 tokens")
    for words in ("1,022,362 GPU-hours", "20.8 days on 2,048", "173 t CO₂eq"):
        assert words in text


def test_the_plan_counts_only_the_gpus_that_the_batch_divides_among(capsys):
    assert main(["model=7b", "world_size=7"]) == 0
    assert "858.7 days on 4 GPUs; 2,048 sequences a step leave 3 of 7 idle" in capsys.readouterr().out
    assert main(["model=7b", "world_size=13", "parallel.dp_shard=8"]) == 1
    assert "but the world size is 13" in capsys.readouterr().err


def test_the_plan_of_a_run_with_parallel_auto_has_the_layout_that_fits(capsys):
    assert main(["model=7b", "world_size=8", "parallel=auto"]) == 0
    text = capsys.readouterr().out
    assert "429.3 days on 8 GPUs\n" in text  # as without it
    assert "parallel=auto: parallel.dp_shard=8, activation_checkpointing=" in text
    assert "of 79.2 GiB per rank, by estimate" in text
    assert main(["model=65b", "world_size=8", "parallel=auto"]) == 1
    assert "parallel=auto: at world size 8, each rank needs at least" in capsys.readouterr().err


def test_the_plan_of_a_layout_prints_every_part_and_what_is_left_idle(capsys):
    arguments = ["model=tiny", "layout=true", "world_size=18", "parallel.tp=2", "global_batch=4096", "gpu=16"]
    assert main(arguments) == 0
    text = capsys.readouterr().out
    idle = "8 micro-batches a step leave 2 of 18 idle"
    for part in (
        f"{n_params(LlamaConfig(128, 4, 4, 32000)):,} parameters on 16 ranks; {idle}: ",
        "parallel.dp_shard=8 parallel.tp=2",
        "optimizer (AdamW's",
        "selective",
        "reduce_scatter",
        "TFLOPs",
    ):
        assert part in text, part
    tables = [line for line in text.splitlines() if line.startswith("  ")]
    assert tables and max(map(len, tables)) <= 80  # a narrow terminal's


def ranks_that_speak(layout: Layout) -> set[str]:
    with fake_world(layout) as mesh:
        trace = trace_step(replace(MODEL, n_layers=2), mesh, Work(256, 1, 1))
        return {ranks for _, _, ranks in trace.collectives}


def test_the_groups_of_every_layout_are_known():
    """Each layout in its own process, because DTensor remembers deleted groups."""
    always = {"dp_replicate", "world"}  # the norm by which all replicas are clipped
    expected = {
        Layout(2, 2, cp=1, tp=1): always | {"dp_shard"},
        Layout(2, 2, cp=1, tp=2): always | {"dp_shard", "tp", "dp_shard × tp"},
        Layout(2, 2, cp=2, tp=1): always | {"cp", "dp_shard × cp"},
        Layout(2, 2, cp=2, tp=2): always | {"cp", "tp", "dp_shard × cp", "dp_shard × cp × tp"},
    }
    context = get_context("forkserver")
    context.set_forkserver_preload(["tests.support.preloaded"])
    with ProcessPoolExecutor(2, context, max_tasks_per_child=1) as processes:
        assert dict(zip(expected, processes.map(ranks_that_speak, expected))) == expected


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["gpu=h1000"], "gpu=h1000: expected one of"),
        (["layout=true", "parallel.tp=64"], "parallel.tp=64: does not divide"),
        (["layout=true", "parallel.pp=2"], "parallel.pp=2"),
        (["layout=true", "parallel.tp=8", "parallel.tensor=fairscale"], "parallel.tensor=fairscale: cannot"),
        (
            ["layout=true", "model=65b", "world_size=8", "parallel=auto"],
            "parallel=auto: at world size 8, each rank needs at least",
        ),
    ],
)
def test_impossible_plans_are_refused_in_one_line(arguments, says, capsys):
    assert main(arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and says in lines[0], lines
