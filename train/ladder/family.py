"""The family of a ladder: each size's shape, batch and learning rate by one rule, and its runs.

Shape: LLaMA's own. 7B and 13B (paper Table 2) have as many heads as layers, and 128 of width for each; the
small models of Hoffmann et al. (arXiv 2203.15556, Table A9) have 64. So one number, the layers, gives a size:
dim = width_per_layer × layers, heads = layers.

Batch and peak rate: DeepSeek LLM (arXiv 2401.02954, §3.1) from the FLOPs C of a run: 0.2920·C^0.3271 tokens
and 0.3118·C^-0.1250. Their fit covers 1e17 to 2e19 FLOPs; outside that range it is extrapolated.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from model.config import LlamaConfig
from model.flops import flops_per_token, n_params
from train.config import RunError

MULTIPLE_OF = 64  # of the feed-forward width: near 8/3 dim even for narrow models (the paper's: 256)
MOST_LAYERS = 400
NEAR = 0.3  # relative distance within which a size asked for must have a shape
BATCH_UNIT = 8  # sequences
FEWEST_STEPS = 50


@dataclass(frozen=True)
class Rung:
    """One run of a ladder, before it is trained."""

    name: str  # of its folder, below the ladder's
    model: LlamaConfig
    parameters: int
    ratio: float  # tokens per parameter asked for
    steps: int
    global_batch: int  # tokens
    lr: float

    @property
    def tokens(self) -> int:
        return self.steps * self.global_batch

    @property
    def flops(self) -> float:
        return self.tokens * flops_per_token(self.model, self.model.max_seq_len)


def rungs(
    sizes: Sequence[float],
    ratios: Sequence[float],
    *,
    vocab_size: int,
    width_per_layer: int,
    seq_len: int,
    global_batch: int | None = None,
    micro_batch: int = 1,
    lr: float | None = None,
) -> list[list[Rung]]:
    """The runs of each size, both ascending. `global_batch` and `lr` replace the rule's. Raises RunError.

    The rule's batches are multiples of `micro_batch`.
    """
    try:
        shapes = _shapes(sizes, vocab_size, width_per_layer, seq_len)
    except RunError as error:
        width = _other_width(sizes, vocab_size, width_per_layer, seq_len)
        raise RunError(f"{error}, or width_per_layer={width}" if width else str(error)) from None
    unit = math.lcm(BATCH_UNIT, micro_batch) * seq_len
    return [[_rung(shape, ratio, unit, global_batch, lr) for ratio in ratios] for shape in shapes]


def _shapes(sizes: Sequence[float], vocab_size: int, width: int, seq_len: int) -> list[LlamaConfig]:
    """Each size's shape. Raises RunError if a size has no shape nearby, or would share another's."""
    shapes: list[LlamaConfig] = []
    for size in sizes:
        shape = shape_of(size, vocab_size=vocab_size, width_per_layer=width, seq_len=seq_len)
        if shape in shapes:
            raise RunError(
                f"sizes: {_short(size)} has the same nearest shape as the size before it (dim {shape.dim}, "
                f"{shape.n_layers} layers); choose a size further from it"
            )
        shapes.append(shape)
    return shapes


def _other_width(sizes: Sequence[float], vocab_size: int, width: int, seq_len: int) -> int | None:
    """The nearest width with which all sizes have shapes; None if there is none near."""
    for other in sorted(range(2, 4 * width + 1, 2), key=lambda other: abs(other - width)):
        with suppress(RunError):
            _shapes(sizes, vocab_size, other, seq_len)
            return other
    return None


def shape_of(size: float, *, vocab_size: int, width_per_layer: int, seq_len: int) -> LlamaConfig:
    """The member of the family whose parameters are nearest to `size`, by ratio. Raises RunError."""
    below = above = None
    for layers in range(1, MOST_LAYERS + 1):
        below = above
        above = LlamaConfig(
            dim=width_per_layer * layers,
            n_layers=layers,
            n_heads=layers,
            vocab_size=vocab_size,
            multiple_of=MULTIPLE_OF,
            norm_eps=1e-6,
            max_seq_len=seq_len,
        )
        if n_params(above) >= size:
            break
    near = [each for each in (below, above) if each is not None]
    best = min(near, key=lambda each: max(n_params(each) / size, size / n_params(each)))
    found = n_params(best)
    if not 1 / (1 + NEAR) <= found / size <= 1 + NEAR:
        raise RunError(
            f"sizes: {_short(size)}: the nearest have {' or '.join(_short(n_params(e)) for e in near)} "
            f"parameters with width_per_layer={width_per_layer} and a vocabulary of {vocab_size:,}; "
            "give one of these"
        )
    return best


def _rung(shape: LlamaConfig, ratio: float, unit: int, global_batch: int | None, lr: float | None) -> Rung:
    parameters, seq_len = n_params(shape), shape.max_seq_len
    asked = ratio * parameters
    flops = asked * flops_per_token(shape, seq_len)
    if global_batch is None:
        global_batch = max(1, round(0.2920 * flops**0.3271 / unit)) * unit
    steps = round(asked / global_batch)
    name = f"{_short(parameters)}-{ratio:g}"
    if steps < FEWEST_STEPS:
        raise RunError(
            f"{name}: {ratio:g} tokens per parameter are {steps} steps of {global_batch:,} tokens, expected "
            f"at least {FEWEST_STEPS}; raise tokens_per_parameter, or lower global_batch"
        )
    rate = round(0.3118 * flops**-0.1250, 6) if lr is None else lr
    return Rung(name, replace(shape), parameters, ratio, steps, global_batch, rate)


def _short(parameters: float) -> str:
    """For names and messages: 1.72M."""
    for unit, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if parameters >= unit:
            return f"{parameters / unit:.3g}{letter}"
    return f"{parameters:g}"
