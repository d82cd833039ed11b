"""Initial weights, the same under every layout: each value depends only on (seed, parameter name, position).

A parameter is drawn in blocks of complete rows, each from its own hash. A rank draws the blocks that its
shard overlaps, one at a time, so no rank ever holds the model. How LLaMA was initialized was not published.
We use Meta lingua's scheme (`reset_parameters` in lingua/transformer.py): a normal with a standard
deviation of fan_in^-1/2, truncated at 3 deviations. Unlike a fixed 0.02, it follows the width, so one rule
serves tiny and 65B; lingua trained LLaMA-1's shapes with it.
"""

import hashlib
import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor
from torch.distributed.tensor._utils import compute_local_shape_and_global_offset

BLOCK = 2**20  # values drawn at once
CUT = 3.0  # deviations


@torch.no_grad()
def initialize(model: nn.Module, seed: int) -> None:
    """Fill plain or DTensor parameters in place: norms with 1, matrices from the truncated normal."""
    for name, parameter in model.named_parameters():
        if parameter.ndim == 1:
            parameter.fill_(1.0)
        else:
            _draw(parameter, f"{seed}/{name}")


def _draw(parameter: Tensor, key: str) -> None:
    local, shape, offset = parameter, parameter.shape, (0, 0)
    if isinstance(parameter, DTensor):
        local = parameter.to_local()
        _, offset = compute_local_shape_and_global_offset(shape, parameter.device_mesh, parameter.placements)
    rows, columns = local.shape
    height = max(1, BLOCK // shape[1])  # rows per block, from the full shape so that no layout changes it
    first, last = offset[0], offset[0] + rows
    for top in range(first - first % height, last, height):
        block = truncated_normal(f"{key}/{top // height}", min(height, shape[0] - top), shape[1])
        start, stop = max(first, top), min(last, top + height)
        block = block[start - top : stop - top, offset[1] : offset[1] + columns]
        local[start - first : stop - first].copy_(block)


def truncated_normal(key: str, rows: int, columns: int) -> Tensor:
    """(rows, columns) fp32 with deviation columns^-1/2, truncated at 3 deviations, from the hash of `key`."""
    generator = np.random.SFC64(int.from_bytes(hashlib.sha256(key.encode()).digest()))
    uniform = torch.from_numpy(np.random.Generator(generator).random((rows, columns), dtype=np.float32))
    inside = math.erf(CUT / math.sqrt(2))  # the probability within the cut
    return uniform.mul_(2 * inside).sub_(inside).erfinv_().mul_(math.sqrt(2 / columns))
