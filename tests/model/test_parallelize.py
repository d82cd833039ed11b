"""The same model on every layout: weights, loss and gradients."""

import pytest
import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor

from model.initialize import initialize
from model.llama import Llama, LlamaConfig
from model.parallelize.activation_checkpointing import checkpoint_activations
from model.parallelize.apply import parallelize
from tests.ranks import run_ranks

# Widths that two and three ranks cannot halve evenly, and a table of several blocks of rows.
CONFIG = LlamaConfig(dim=24, n_layers=3, n_heads=2, vocab_size=101, multiple_of=10, max_seq_len=16)


def batch(sequences: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.randint(0, CONFIG.vocab_size, (sequences, 13), generator=torch.Generator().manual_seed(1))
    return tokens[:, :-1], tokens[:, 1:]


def plain(mode: str = "none") -> tuple[float, dict]:
    model = Llama(CONFIG)
    initialize(model, seed=3)
    checkpoint_activations(model, mode)
    loss = model(*batch())
    loss.backward()
    return loss.item(), {name: parameter.grad for name, parameter in model.named_parameters()}


def whole(tensor: torch.Tensor) -> list:
    return (tensor.full_tensor() if isinstance(tensor, DTensor) else tensor).tolist()


def laid_out(shape: tuple, names: tuple, mode: str, compiled: bool = False) -> tuple[float, dict, dict]:
    """This rank's part of the batch through the parallel model: mean loss, weights, gradients."""
    mesh = init_device_mesh("cpu", shape, mesh_dim_names=names)
    with torch.device("meta"):
        model = Llama(CONFIG)
    model = parallelize(model, mesh, activation_checkpointing=mode, compile=compiled)
    model.to_empty(device="cpu")
    initialize(model, seed=3)
    weights = {name: whole(parameter) for name, parameter in model.named_parameters()}
    rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    loss = model(*(part.chunk(world_size)[rank] for part in batch()))
    loss.backward()
    mean = loss.detach() / world_size
    torch.distributed.all_reduce(mean)
    return mean.item(), weights, {name: whole(p.grad) for name, p in model.named_parameters()}


@pytest.mark.distributed
@pytest.mark.parametrize(
    ("shape", "names"),
    [
        ((1,), ("dp_shard",)),
        ((2,), ("dp_shard",)),
        ((3,), ("dp_shard",)),
        ((2, 1), ("dp_replicate", "dp_shard")),
    ],
)
def test_every_layout_has_the_weights_loss_and_gradients_of_one_plain_model(shape, names):
    torch.set_num_threads(1)
    model = Llama(CONFIG)
    initialize(model, seed=3)
    loss, gradients = plain()
    for parallel_loss, weights, parallel_gradients in run_ranks(
        laid_out, shape[0], shape, names, "selective"
    ):
        assert parallel_loss == pytest.approx(loss, rel=1e-6)
        for name, parameter in model.named_parameters():
            assert weights[name] == parameter.tolist(), name
            torch.testing.assert_close(
                torch.tensor(parallel_gradients[name]), gradients[name], rtol=1e-4, atol=1e-6
            )


@pytest.mark.parametrize("mode", ["selective", "full"])
def test_checkpointing_changes_neither_loss_nor_gradients(mode):
    loss, gradients = plain()
    other_loss, other_gradients = plain(mode)
    assert other_loss == loss
    for name, gradient in gradients.items():
        assert torch.equal(other_gradients[name], gradient), name


def test_an_unknown_checkpointing_mode_is_refused_by_key():
    with pytest.raises(ValueError, match=r"^parallel\.activation_checkpointing=half: expected one of none, "):
        checkpoint_activations(Llama(CONFIG), "half")
