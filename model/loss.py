"""The mean cross-entropy of the next token, in fp32."""

import torch.nn.functional as F
from torch import Tensor


def next_token_loss(hidden: Tensor, weight: Tensor, labels: Tensor) -> Tensor:
    """Mean loss of `labels` (batch, seq) under the logits hidden @ weight.T: hidden (batch, seq, dim)."""
    logits = F.linear(hidden, weight).flatten(0, 1)  # (batch * seq, vocab)
    return F.cross_entropy(logits.float(), labels.flatten())
