"""The scaling law L(N, D) = E + A/N^alpha + B/D^beta (Hoffmann et al. 2022, arXiv 2203.15556, §3.3).

N is a model's parameters, D its training tokens, L its held-out loss in nats per token. What follows from a
law: the loss of any run, the best split of a training budget, and the cheapest way to serve at a given loss.
"""

from dataclasses import dataclass

import numpy as np

TRAIN_FLOPS = 6  # per parameter and token, forward and backward (Hoffmann et al. §3.3)
SERVE_FLOPS = 2  # per parameter and token, forward only
_SIZES = 4000  # candidate sizes between a law's smallest possible model and a million times that


@dataclass(frozen=True)
class Law:
    """E: the loss of an infinite model on infinite data. A, alpha: the price of few parameters; B, beta: of
    few tokens."""

    E: float
    A: float
    B: float
    alpha: float
    beta: float

    def loss(self, parameters: float, tokens: float) -> float:
        return self.E + self.A / parameters**self.alpha + self.B / tokens**self.beta

    def compute_optimal(self, flops: float) -> tuple[float, float]:
        """The parameters and tokens of least loss that can be trained with `flops` (their equation 4)."""
        a = self.beta / (self.alpha + self.beta)
        ratio = (self.alpha * self.A / (self.beta * self.B)) ** (1 / (self.alpha + self.beta))
        parameters = ratio * (flops / TRAIN_FLOPS) ** a
        return parameters, flops / TRAIN_FLOPS / parameters

    def cheapest(self, loss: float, served: float) -> tuple[float, float] | None:
        """The parameters and tokens that reach `loss` with the fewest FLOPs of training plus `served` tokens
        of inference: the trade of the LLaMA paper's §1, counted as by Sardana et al. (arXiv 2401.00448).

        None if the law never reaches `loss`.
        """
        if loss <= self.E:
            return None
        smallest = (self.A / (loss - self.E)) ** (1 / self.alpha)
        sizes = smallest * np.exp(np.linspace(1e-3, np.log(1e6), _SIZES))
        tokens = (self.B / (loss - self.E - self.A / sizes**self.alpha)) ** (1 / self.beta)
        best = int(np.argmin(sizes * (TRAIN_FLOPS * tokens + SERVE_FLOPS * served)))
        return float(sizes[best]), float(tokens[best])
