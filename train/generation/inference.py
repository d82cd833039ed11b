"""A model to read text with, on the ranks that were started: tensor parallel in each copy of it.

`started` joins the ranks and lets the first alone print; `load_over` fills this rank's part of the model from
weights of any format. It is called like the plain model, and every rank gets the same logits to the bit: each
word's is computed on one rank, and gathered. So all draw the same tokens without asking each other.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass

import torch

from model.formats.weights import Weights
from model.llama import Llama, LlamaConfig
from model.parallelize.mesh import Layout, Limits, along
from model.parallelize.tensor import tensor_parallel
from train.config import RunError
from train.ranks.setup import Ranks, set_up, tear_down
from train.weights.open import fill


@dataclass
class InferenceParallel:
    """How a model that only reads is spread over the ranks."""

    tp: int = 1  # ranks that share each matrix and the kept keys and values
    tensor: str = "dtensor"  # of tp: dtensor | fairscale

    def __post_init__(self) -> None:
        if self.tp < 1:
            raise ValueError(f"parallel.tp={self.tp}: expected at least 1")
        if self.tensor not in ("dtensor", "fairscale"):
            raise ValueError(f"parallel.tensor={self.tensor}: expected one of dtensor, fairscale")


@contextmanager
def started(parallel: InferenceParallel, device: str, *, copies: bool) -> Iterator[Ranks]:
    """The started ranks, `tp` to each copy of the model; more than one copy only where `copies` is set.

    Raises RunError if their number does not fit.
    """
    world_size, tp = int(os.environ.get("WORLD_SIZE", 1)), parallel.tp
    if world_size % tp or (world_size > tp and not copies):
        raise RunError(
            f"parallel.tp={tp}: {world_size} rank(s) were started; expected "
            + ("a multiple of it" if copies else "as many")
            + f" (torchrun --nproc_per_node {tp} -m launch.cli …, or parallel.tp={world_size})"
        )
    try:
        ranks = set_up(Layout(dp_replicate=world_size // tp, tp=tp), device)
        torch.set_float32_matmul_precision("highest")  # scores are compared with other tools'
        if ranks.is_first:
            yield ranks
        else:
            with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
                yield ranks
    finally:
        tear_down()


def load_over(weights: Weights, ranks: Ranks, parallel: InferenceParallel) -> Llama:
    """The model over `ranks`; all of them call it. RunError if its heads or words cannot be cut so."""
    refuse_uncuttable(weights.config, parallel.tp)
    with torch.device("meta"):
        model = Llama(weights.config)
    tp = along(ranks.mesh, "tp")
    if tp and parallel.tensor == "fairscale":
        from model.parallelize.fairscale_tensor import fairscale_tensor_parallel  # others do without

        fairscale_tensor_parallel(model, tp)
    elif tp:
        tensor_parallel(model, tp, sequence=False)  # one token cannot be cut over the ranks
    model.to_empty(device=ranks.device)
    fill(model, weights)
    return model.eval()


def refuse_uncuttable(config: LlamaConfig, tp: int) -> None:
    """Raises RunError if `tp` ranks cannot share the heads, the hidden units or the vocabulary."""
    problem = Limits(config, seq_len=tp, micro_batches=1).problem(Layout(tp=tp))
    if problem:
        raise RunError(problem)
