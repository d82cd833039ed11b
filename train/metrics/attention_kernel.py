"""Which of SDPA's kernels computes attention, according to torch; a run reports it when it starts."""

import torch
from torch.nn.attention import SDPBackend

from train.config import TrainConfig
from train.precision import DTYPES
from train.ranks.setup import Ranks

NAMES = {
    SDPBackend.MATH: "math, which stores all scores",
    SDPBackend.FLASH_ATTENTION: "flash",
    SDPBackend.EFFICIENT_ATTENTION: "memory-efficient",
    SDPBackend.CUDNN_ATTENTION: "cuDNN",
}


def attention_kernel(config: TrainConfig, ranks: Ranks) -> str:
    """The kernel's name for one rank's heads, in the dtype in which blocks compute."""
    model, layout, seq_len = config.model, ranks.layout, config.sequence_length
    device, dtype = ranks.device, DTYPES[config.precision]
    shape = (1, model.n_heads // layout.tp, seq_len, model.head_dim)
    if layout.cp > 1:  # one chunk's queries, as in model/parallelize/context.py
        shape = (1, shape[1], seq_len // (2 * layout.cp), model.head_dim)
    query, key, value = (torch.empty(shape, dtype=dtype, device=device, requires_grad=True) for _ in range(3))
    chosen = SDPBackend(torch.ops.aten._fused_sdp_choice(query, key, value, is_causal=True))
    return f"{NAMES.get(chosen, chosen.name.lower())} ({device.type.upper()}, {dtype})".replace("torch.", "")
