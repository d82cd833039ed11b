"""bf16 compute on a single rank, without FSDP2: fp32 parameters, cast where they are used.

On one rank FSDP2 has nothing to share and would only copy weights and gradients. Here each layer casts its
own weight, so recomputation and compiled blocks do too, and autograd returns the gradient in fp32. The
embedding's rows and the output's weight gradient are not rounded to bf16 in between.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.llama import Llama, RMSNorm


def compute_in(model: Llama, dtype: torch.dtype) -> None:
    """Make the layers of `model` compute in `dtype`; its parameters keep theirs. The loss stays in fp32."""
    for layer in list(model.modules()):
        kind = _CASTING.get(type(layer))
        if kind is not None:
            layer.__class__ = kind
            layer.__dict__["compute_dtype"] = dtype


class _Linear(nn.Linear):
    compute_dtype: torch.dtype

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight.to(self.compute_dtype))


class _Embedding(nn.Embedding):
    compute_dtype: torch.dtype

    def forward(self, input: Tensor) -> Tensor:
        return F.embedding(input, self.weight).to(self.compute_dtype)


class _RMSNorm(RMSNorm):
    compute_dtype: torch.dtype

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, x.shape[-1:], eps=self.eps) * self.weight.to(self.compute_dtype)


_CASTING: dict[type, type] = {nn.Linear: _Linear, nn.Embedding: _Embedding, RMSNorm: _RMSNorm}
