"""The scaling law L(N, D) = E + A/N^alpha + B/D^beta (Hoffmann et al. 2022, arXiv 2203.15556, §3.3).

N is a model's parameters, D its training tokens, L its held-out loss in nats per token. What follows from a
law: the loss of any run, the best split of a training budget, and the cheapest way to serve at a given loss.
"""

import math
from dataclasses import dataclass

import numpy as np

NAMES = ("E", "A", "B", "alpha", "beta")

TRAIN_FLOPS = 6  # per parameter and token, forward and backward (Hoffmann et al. §3.3)
SERVE_FLOPS = 2  # per parameter and token, forward only
_SIZES = 4000  # candidate sizes between a law's smallest possible model and a million times that


@dataclass(frozen=True)
class Law:
    """E: the loss of an infinite model on infinite data. A, alpha: the price of few parameters; B, beta: of
    few tokens. A and B are kept as logarithms: where few runs leave an exponent open, they can exceed every
    float."""

    E: float
    log_A: float
    log_B: float
    alpha: float
    beta: float

    @property
    def A(self) -> float:
        return _exp(self.log_A)

    @property
    def B(self) -> float:
        return _exp(self.log_B)

    def loss(self, parameters: float, tokens: float) -> float:
        return self.E + self.of_parameters(parameters) + self.of_tokens(tokens)

    def of_parameters(self, parameters: float) -> float:
        """A/N^alpha, the part of the loss that more parameters would lower."""
        return _exp(self.log_A - self.alpha * math.log(parameters))

    def of_tokens(self, tokens: float) -> float:
        """B/D^beta, the part of the loss that more tokens would lower."""
        return _exp(self.log_B - self.beta * math.log(tokens))

    def compute_optimal(self, flops: float) -> tuple[float, float]:
        """The parameters and tokens of least loss that can be trained with `flops` (their equation 4)."""
        slopes = math.log(self.alpha) + self.log_A - math.log(self.beta) - self.log_B
        flops_share = self.beta * math.log(flops / TRAIN_FLOPS)
        parameters = _exp((slopes + flops_share) / (self.alpha + self.beta))
        return parameters, flops / TRAIN_FLOPS / parameters

    def cheapest(self, loss: float, served: float) -> tuple[float, float] | None:
        """The parameters and tokens that reach `loss` with the fewest FLOPs of training plus `served` tokens
        of inference: the trade of the LLaMA paper's §1, counted as by Sardana et al. (arXiv 2401.00448).

        None if the law never reaches `loss`, or only beyond every float.
        """
        if loss <= self.E:
            return None
        smallest = _exp((self.log_A - math.log(loss - self.E)) / self.alpha)
        sizes = smallest * np.exp(np.linspace(1e-3, np.log(1e6), _SIZES))
        with np.errstate(over="ignore"):
            left = loss - self.E - np.exp(self.log_A - self.alpha * np.log(sizes))
            tokens = np.exp((self.log_B - np.log(left)) / self.beta)
            flops = sizes * (TRAIN_FLOPS * tokens + SERVE_FLOPS * served)
        best = int(np.argmin(flops))
        return (float(sizes[best]), float(tokens[best])) if np.isfinite(flops[best]) else None


def _exp(logarithm: float) -> float:
    """Infinite where it exceeds every float."""
    with np.errstate(over="ignore"):
        return float(np.exp(logarithm))
