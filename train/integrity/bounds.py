"""The most that one AdamW update can do; anything beyond it is a fault of the machine.

With gradients clipped to the norm G, every |exp_avg| is at most G and every exp_avg_sq between 0 and G².
A parameter moves by at most lr·(c + weight_decay·|p|) in one update, and weight decay moves it towards 0, so
the largest |p| of a tensor grows by at most lr·c. c follows from the Cauchy–Schwarz inequality: at update t

    c(t)² = (1-β1)² / (1-β2) · (1-β2^t) / (1-β1^t)² · Σ_{i<t} (β1²/β2)^i
"""

import math

from train.config_groups import OptimConfig

ROUNDING = 1.01  # floating-point arithmetic may exceed the exact bounds by far less


def largest_ratio(betas: list[float], steps: int) -> float:
    """c: the most that |exp_avg| / sqrt(exp_avg_sq), both corrected for bias, can be within `steps` updates.

    Infinite if β2 is 0 and β1 is not, or if the bound overflows.
    """
    beta1, beta2 = betas
    if beta2 == 0:
        return 1.0 if beta1 == 0 else math.inf
    ratio = beta1**2 / beta2
    total, term, worst = 0.0, 1.0, 0.0
    for update in range(1, min(steps, 10_000) + 1):
        total, term = total + term, term * ratio
        corrections = (1 - beta2**update) / (1 - beta1**update) ** 2
        worst = max(worst, corrections * total)
    if ratio >= 1 and steps > 10_000:
        return math.inf
    return (1 - beta1) * math.sqrt(worst / (1 - beta2)) if math.isfinite(worst) else math.inf


def moment_limits(config: OptimConfig) -> dict[str, tuple[float, float]]:
    """The least and the greatest value of AdamW's moments, by the name of their state."""
    norm = config.clip * ROUNDING
    return {"exp_avg": (-norm, norm), "exp_avg_sq": (0.0, norm**2)}
