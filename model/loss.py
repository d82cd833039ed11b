"""The mean cross-entropy of the next token, in fp32, without ever holding all the logits.

With a vocabulary of 32,000, the logits are larger than any other activation. So the output projection, the
loss and their gradients are computed together, a chunk of rows at a time: a chunk's logits become their own
gradient in place, are multiplied into the gradients of the hidden states and the weight, and are freed.
Nothing is computed twice. The idea is from Liger's fused linear cross-entropy (arXiv 2410.10989).
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 2**26  # logits held at once: 256 MiB in fp32; fewer rows make slower matrix products
IN_CACHE = 2**21  # probabilities computed at once, in fp32: 8 MiB
# (logits (rows, vocab), labels (rows,)) → the summed loss in fp32 and its gradient by the logits.
CrossEntropy = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def cross_entropy(logits: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The summed loss of `labels` (rows,), and its gradient by `logits` (rows, vocab), which it replaces.

    Computed in fp32; on CPUs for a few rows at a time, so that they stay in the cache and need little memory.
    """
    of_labels = logits.new_empty(labels.shape, dtype=torch.float32)
    rows = max(1, IN_CACHE // logits.shape[1]) if logits.is_cpu else len(logits)
    for part, label, of_label in zip(logits.split(rows), labels.split(rows), of_labels.split(rows)):
        log_p = F.log_softmax(part, dim=-1, dtype=torch.float32)
        at_label = torch.arange(len(label), device=label.device), label
        of_label.copy_(log_p[at_label])
        grad = log_p.exp_()  # p, minus 1 at the label
        grad[at_label] -= 1
        part.copy_(grad)
    # As nll_loss would add the rows of all log-probabilities.
    return F.nll_loss(of_labels[:, None], torch.zeros_like(labels), reduction="sum"), logits


def next_token_loss(
    hidden: Tensor, weight: Tensor, labels: Tensor, cross_entropy: CrossEntropy = cross_entropy
) -> Tensor:
    """Mean loss, a scalar in fp32, of `labels` (batch, seq) under the logits hidden @ weight.T.

    `hidden` is (batch, seq, dim), `weight` (vocab, dim), each label in [0, vocab). Logits are computed in
    `hidden`'s dtype; the gradient of `weight` has `weight`'s. Pass another `cross_entropy` if `weight` holds
    only a shard of the vocabulary.
    """
    train = torch.is_grad_enabled() and (hidden.requires_grad or weight.requires_grad)
    return _ProjectedCrossEntropy.apply(hidden.flatten(0, 1), weight, labels.flatten(), cross_entropy, train)


class _ProjectedCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, hidden: Tensor, weight: Tensor, labels: Tensor, cross_entropy, train: bool) -> Tensor:
        tokens, vocab = len(labels), len(weight)
        chunks = -(-tokens * vocab // CHUNK)
        total = hidden.new_zeros((), dtype=torch.float32)
        ctx.tokens, ctx.weight_dtype = tokens, weight.dtype
        grad_hidden = torch.empty_like(hidden if train else hidden[:0])
        grad_weight = None
        weight = weight.to(hidden.dtype)
        first = 0
        for x, y in zip(hidden.chunk(chunks), labels.chunk(chunks), strict=True):
            loss, grad = cross_entropy(x @ weight.t(), y)
            total += loss
            if train:
                grad = grad.to(weight.dtype)
                torch.mm(grad, weight, out=grad_hidden[first : first + len(y)])
                grad_weight = _plus_product(grad_weight, grad.t(), x)
            first += len(y)
        if train:  # in evaluation nothing is saved for backward
            ctx.save_for_backward(grad_hidden, grad_weight)
        return total / tokens

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] - once_differentiable has no types
        ctx: Any, *grad_outputs: Tensor
    ) -> tuple[Tensor | None, ...]:
        (grad_loss,) = grad_outputs
        grad_hidden, grad_weight = ctx.saved_tensors
        scale = grad_loss / ctx.tokens
        # Rounded as it is scaled: a GPU makes no fp32 copy. In place, pipelines could not read it twice.
        scaled = torch.empty_like(grad_weight, dtype=ctx.weight_dtype)
        torch.mul(grad_weight, scale, out=scaled)
        return (grad_hidden * scale).to(grad_hidden.dtype), scaled, None, None, None


def _plus_product(total: Tensor | None, a: Tensor, b: Tensor) -> Tensor:
    """total + a @ b in fp32, in place: bf16 would round the sum at every chunk."""
    if total is None:
        return (a @ b).float()
    return total.addmm_(a, b) if total.dtype == a.dtype else total.add_(a @ b)
