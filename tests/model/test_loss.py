"""The loss in chunks, compared with PyTorch's over all logits at once."""

import pytest
import torch
import torch.nn.functional as F

import model.loss
from model.loss import next_token_loss
from tests.support.narrow import present

TOKENS, DIM, VOCAB = (3, 7), 12, 50


def inputs(dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(*TOKENS, DIM, generator=generator).to(dtype).requires_grad_()
    weight = torch.randn(VOCAB, DIM, generator=generator).to(dtype).requires_grad_()
    return hidden, weight, torch.randint(0, VOCAB, TOKENS, generator=generator)


def whole_loss(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy((hidden @ weight.T).float().flatten(0, 1), labels.flatten())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 1e-2)])
@pytest.mark.parametrize("rows", [1, 4, 21, 1000])
def test_any_chunk_gives_the_loss_and_gradients_of_all_logits_at_once(monkeypatch, rows, dtype, tolerance):
    monkeypatch.setattr(model.loss, "CHUNK", rows * VOCAB)
    hidden, weight, labels = inputs(dtype)
    loss = next_token_loss(hidden, weight, labels)
    gradients = torch.autograd.grad(loss / 3, (hidden, weight))  # as with three micro-batches
    expected = whole_loss(hidden, weight, labels)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(expected.item(), rel=tolerance)
    for ours, theirs in zip(gradients, torch.autograd.grad(expected / 3, (hidden, weight)), strict=True):
        assert ours.dtype == dtype
        error = (ours.double() - theirs.double()).norm() / theirs.double().norm()
        assert error < tolerance


def test_a_hopeless_prediction_has_a_finite_loss():
    hidden = torch.tensor([[[1000.0, 0.0]]], requires_grad=True)
    loss = next_token_loss(hidden, torch.eye(2), torch.tensor([[1]]))
    loss.backward()
    assert loss.item() == 1000.0
    assert present(hidden.grad).tolist() == [[[1.0, -1.0]]]


def test_without_gradients_the_loss_is_the_same_and_no_gradient_is_computed():
    hidden, weight, labels = inputs(torch.float32)
    with torch.no_grad():
        loss = next_token_loss(hidden, weight, labels)
    assert not loss.requires_grad
    assert loss.item() == next_token_loss(hidden, weight, labels).item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [1, 3, 20, 1000])
def test_rows_in_cache_give_the_bits_of_all_rows_at_once(monkeypatch, rows, dtype):
    vocab = 1000
    monkeypatch.setattr(model.loss, "IN_CACHE", rows * vocab)
    logits = torch.randn(300, vocab, generator=torch.Generator().manual_seed(0)).to(dtype) * 8
    labels = torch.arange(300) * 7 % vocab
    log_p = F.log_softmax(logits, dim=-1, dtype=torch.float32)
    expected = log_p.exp()
    expected[torch.arange(300), labels] -= 1
    loss, grad = model.loss.cross_entropy(logits, labels)
    assert torch.equal(loss, F.nll_loss(log_p, labels, reduction="sum"))
    assert torch.equal(grad, expected.to(dtype))
    assert grad.data_ptr() == logits.data_ptr()
