"""The most that one AdamW update can do; anything beyond it is a fault of the machine.

With gradients clipped to the norm G, every |exp_avg| is at most G and every exp_avg_sq between 0 and G².
A parameter moves by at most lr·(c + weight_decay·|p|) in one update, and weight decay moves it towards 0, so
the largest |p| of a tensor grows by at most lr·c. c follows from the Cauchy–Schwarz inequality: at update t

    c(t)² = s(t) · (1-β2^t) / (1-β1^t)²,  s(t) = β1²/β2 · s(t-1) + (1-β1)² / (1-β2),  s(0) = 0

A branch begins with moments of its ancestors, which may have had other betas and a larger G.
"""

import math
from collections.abc import Sequence

from train.run.lineage import Stretch

ROUNDING = 1.01  # floating-point arithmetic may exceed the exact bounds by far less


def largest_ratio(stretches: Sequence[Stretch]) -> float:
    """c: the most that |exp_avg| / sqrt(exp_avg_sq), both corrected for bias, can be in the last stretch.

    Infinite if a β2 is 0 and its β1 is not, or if the bound overflows.
    """
    total, begin = 0.0, 0
    for stretch in stretches[:-1]:
        total, begin = _after(total, stretch.betas, stretch.last - begin), stretch.last
    beta1, beta2 = stretches[-1].betas
    worst = 0.0
    for update in range(begin + 1, min(stretches[-1].last, begin + 10_000) + 1):
        total = _after(total, [beta1, beta2], 1)
        worst = max(worst, total * (1 - beta2**update) / (1 - beta1**update) ** 2)
    if beta2 and beta1**2 >= beta2 and stretches[-1].last - begin > 10_000:
        return math.inf
    return math.sqrt(worst)


def _after(total: float, betas: list[float], updates: int) -> float:
    """s, `updates` after it was `total`."""
    beta1, beta2 = betas
    if beta1 == 0 or beta2 == 0:
        return math.inf if beta1 else 1 / (1 - beta2)
    if total == math.inf:
        return math.inf
    ratio, each = beta1**2 / beta2, (1 - beta1) ** 2 / (1 - beta2)
    try:
        grown = ratio**updates
    except OverflowError:
        return math.inf
    return total * grown + each * (updates if ratio == 1 else (1 - grown) / (1 - ratio))


def moment_limits(stretches: Sequence[Stretch]) -> dict[str, tuple[float, float]]:
    """The least and the greatest value of AdamW's moments, by the name of their state."""
    norm = max(stretch.clip for stretch in stretches) * ROUNDING
    return {"exp_avg": (-norm, norm), "exp_avg_sq": (0.0, norm**2)}
