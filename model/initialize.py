"""Initial weights that no layout changes: each value follows from (seed, parameter's name, position) alone.

A parameter is drawn in blocks of whole rows, each from its own hash, so a rank draws the blocks that
its shard touches, one at a time, and none ever holds the model. How LLaMA was initialised was not
published. We take Meta lingua's scheme (`reset_parameters` of lingua/transformer.py): a normal of
deviation fan_in^-1/2, redrawn beyond 3 deviations. It follows the width, so one rule serves tiny and
65B alike, which a fixed 0.02 does not; lingua trained LLaMA-1's shapes with it.
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
    """Fill the parameters, plain or DTensor, in place: norms with 1, matrices with the truncated normal."""
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
    height = max(
        1, BLOCK // shape[1]
    )  # rows of a block: of the whole parameter's shape, never of the shard's
    first, last = offset[0], offset[0] + rows
    for top in range(first - first % height, last, height):
        block = truncated_normal(f"{key}/{top // height}", min(height, shape[0] - top), shape[1])
        start, stop = max(first, top), min(last, top + height)
        block = block[start - top : stop - top, offset[1] : offset[1] + columns]
        local[start - first : stop - first].copy_(block)


def truncated_normal(key: str, rows: int, columns: int) -> Tensor:
    """(rows, columns) fp32 of deviation columns^-1/2, cut at 3 deviations, from the hash of `key`."""
    generator = np.random.SFC64(int.from_bytes(hashlib.sha256(key.encode()).digest()))
    uniform = torch.from_numpy(np.random.Generator(generator).random((rows, columns), dtype=np.float32))
    inside = math.erf(CUT / math.sqrt(2))  # the share of a normal within the cut
    return uniform.mul_(2 * inside).sub_(inside).erfinv_().mul_(math.sqrt(2 / columns))
