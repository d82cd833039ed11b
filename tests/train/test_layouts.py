"""One run over many layouts: any layout resumes from any other, with the same numbers."""

import os
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.tensor import DTensor

from model.config import LlamaConfig
from model.formats.weights import Weights
from model.initialize import initialize
from model.llama import Llama
from model.parallelize import mesh as meshes
from model.parallelize.apply import parallelize
from model.parallelize.gradients import clip_gradients, forward_backward
from model.parallelize.mesh import Layout
from model.parallelize.pipeline import Pipeline
from tests.support.narrow import as_a
from tests.support.ranks import run_ranks
from tests.support.runs import learned, metrics, run, same_tensors, succeed
from train.checkpoint.folder import step_folder
from train.checkpoint.tensors import load, save
from train.config_groups import OptimConfig
from train.optimizer import build_optimizer
from train.weights.open import fill

CONFIG = LlamaConfig(dim=24, n_layers=4, n_heads=4, vocab_size=68, multiple_of=12, max_seq_len=16)
CHAIN = [  # with a pipeline's schedule, or "fairscale" for its layers
    (Layout(dp_shard=4), ""),
    (Layout(dp_shard=2, tp=2), ""),
    (Layout(dp_shard=2, tp=2), "fairscale"),
    (Layout(pp=2, tp=2), "zbv"),
    (Layout(cp=2, tp=2), ""),
    (Layout(pp=4), "1f1b"),
    (Layout(pp=2, dp_shard=2), "interleaved"),
    (Layout(dp_replicate=2, dp_shard=2), ""),
]

pytestmark = pytest.mark.distributed


def pass_on(chain: list[tuple], folder: Path) -> list[float]:
    """Train a step on the first layout; then each layout loads the previous one's checkpoint and saves it.

    Returns each layout's next loss. Each layout also trains one more step, and so does a second model
    loaded from its files: their weights must be bitwise equal. Finally, each loads weights in another
    format.
    """
    torch.set_num_threads(1)
    tokens = torch.randint(0, CONFIG.vocab_size, (4, 17), generator=torch.Generator().manual_seed(1))
    losses = []
    for number, (layout, schedule) in enumerate(chain, start=1):
        mesh = meshes.build(layout, "cpu")
        mine = tokens.chunk(layout.dp_size)[meshes.dp_rank(mesh)]
        model, optimizer = lay(mesh, schedule)
        if number == 1:
            initialize(model, seed=0)
            step(model, optimizer, mine)
        else:
            load(step_folder(folder, number - 1), model, optimizer)
        with torch.no_grad():
            loss = model(mine[:, :-1], mine[:, 1:])
        dist.all_reduce(loss)
        losses.append(loss.item() / dist.get_world_size())
        state = {"step": number, "model": asdict(CONFIG)}
        save(folder, model, optimizer, state, keep=len(chain))
        twin, its_optimizer = lay(mesh, schedule)
        load(step_folder(folder, number), twin, its_optimizer)
        step(model, optimizer, mine)
        step(twin, its_optimizer, mine)
        same_parameters(model, twin, f"{layout}: after one more step")
        initialize(model, seed=1)
        fill(twin, drawn(seed=1))
        same_parameters(model, twin, f"{layout}: of another format")
    return losses


def same_parameters(model: torch.nn.Module, twin: torch.nn.Module, when: str) -> None:
    for (name, here), there in zip(model.named_parameters(), twin.parameters(), strict=True):
        assert torch.equal(as_a(DTensor, here).to_local(), as_a(DTensor, there).to_local()), f"{when}: {name}"


def drawn(seed: int) -> Weights:
    """Weights in another format, read one tensor at a time."""
    model = Llama(CONFIG)
    initialize(model, seed)
    return Weights(Path("drawn"), CONFIG, model.state_dict().__getitem__)


def lay(mesh: DeviceMesh, schedule: str) -> tuple[Llama | Pipeline, torch.optim.Optimizer]:
    with torch.device("meta"):
        model = Llama(CONFIG)
    if schedule == "fairscale":
        model = parallelize(model, mesh, tensor="fairscale")
    else:
        model = parallelize(model, mesh, schedule=schedule)
    model.to_empty(device="cpu")
    return model, build_optimizer(model, OptimConfig(warmup_steps=0))


def step(model: Llama | Pipeline, optimizer: torch.optim.Optimizer, tokens: torch.Tensor) -> None:
    """One step over micro-batches of one sequence."""
    forward_backward(model, [(part[:, :-1], part[:, 1:]) for part in tokens.split(1)], len(tokens))
    clip_gradients(model, 1.0)
    optimizer.step()
    optimizer.zero_grad()


def test_weights_and_optimizer_pass_through_every_layout_to_the_bit(tmp_path):
    losses = run_ranks(pass_on, 4, CHAIN, tmp_path, timeout=900)[0]
    assert losses == pytest.approx([losses[0]] * len(CHAIN), rel=1e-6)
    for number in range(2, len(CHAIN) + 1):
        same_tensors(step_folder(tmp_path, 1), step_folder(tmp_path, number))


def test_a_run_that_moves_from_layout_to_layout_is_the_run_of_one_process(corpora, tmp_path):
    settings = (f"corpora={corpora}", "steps=6", "checkpoint.every=100", "validate.every=2")
    alone, moved = tmp_path / "alone", tmp_path / "moved"
    succeed(*settings, f"run={alone}")
    succeed(*settings, f"run={moved}", "stop_at=2", "parallel.tp=2", "parallel.tensor=fairscale", ranks=2)
    succeed(*settings, f"run={moved}", "stop_at=3", "parallel.cp=2", ranks=2)
    piped = succeed(
        *(*settings, f"run={moved}", "stop_at=4", "parallel.pp=2", "parallel.schedule=zero_bubble"), ranks=2
    )
    assert "stages of layers 0-0 | 1-1" in piped.stdout
    succeed(*settings, f"run={moved}")
    for here, there in zip(learned(moved), learned(alone), strict=True):
        assert here[0] == there[0]
        assert here[1:3] == pytest.approx(there[1:3], rel=1e-4)
    for here, there in zip(metrics(moved), metrics(alone), strict=True):
        if "validation" in there:
            for source, result in there["validation"].items():
                assert here["validation"][source] == pytest.approx(result, rel=1e-4)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["parallel.tp=4", "model.n_heads=2"], ["parallel.tp=4", "n_heads=2", "parallel.tp=2"]),
        (
            ["parallel.pp=4", "model.n_layers=3"],
            ["parallel.pp=4", "4 stages", "n_layers=3", "parallel.dp_shard=2 parallel.pp=2"],
        ),
        (
            ["parallel.pp=2", "parallel.dp_shard=2", "global_batch=128"],
            ["parallel.pp=2", "1 micro-batch", "takes 2", "parallel.tp=2"],
        ),
        (["parallel.dp_shard=3"], ["dp_shard 3", "world size is 4", "parallel.dp_shard=4"]),
        (
            ["parallel.cp=4", "seq_len=68", "global_batch=544"],
            ["parallel.cp=4", "seq_len=68", "multiple of 8"],
        ),
        (  # the schedule takes the phase's batch, but not the run's own
            [
                *(
                    "parallel.pp=2",
                    "parallel.dp_shard=2",
                    "parallel.schedule=zero_bubble",
                    "global_batch=1152",
                ),
                *("phases.short.until_step=2", "phases.short.global_batch=384"),
            ],
            ["parallel.pp=2 with parallel.schedule=zero_bubble", "9 micro-batches", "4 equal rounds"],
        ),
        (  # validation has the run's own length
            ["parallel.cp=4", "seq_len=4", "global_batch=512", "phases.only.seq_len=64"],
            ["parallel.cp=4", "seq_len=4", "multiple of 8"],
        ),
    ],
)
def test_an_impossible_layout_is_refused_in_one_line_with_possible_ones(overrides, words, tmp_path, corpora):
    environment = {"RANK": "0", "WORLD_SIZE": "4"}  # no process group is needed to refuse
    refused = run(f"corpora={corpora}", f"run={tmp_path / 'run'}", *overrides, env=os.environ | environment)
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1, refused.stderr
    for word in words:
        assert word in refused.stderr
    assert not (tmp_path / "run").exists()
