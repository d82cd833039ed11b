"""A model for inference on the ranks that were started: tensor parallel within each copy.

`started` joins the ranks and lets only the first print; `load_over` fills this rank's part of the model from
weights of any format. The model is called like the plain one. Every rank gets bitwise the same logits, each
computed on one rank and gathered, so all ranks draw the same tokens without further communication.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass

import torch

from model.config import LlamaConfig
from model.formats.weights import Weights
from model.llama import Llama
from model.parallelize.mesh import Layout, Limits, along
from model.parallelize.tensor import tensor_parallel
from train.config import RunError
from train.ranks import identity
from train.ranks.output import outlived_reader
from train.ranks.setup import Ranks, set_up, tear_down
from train.ranks.together import end_together
from train.weights.open import fill


@dataclass
class InferenceParallel:
    """How a model is spread over the ranks for inference."""

    tp: int = 1  # ranks that share each matrix and the KV cache
    tensor: str = "dtensor"  # for tp: dtensor | fairscale

    def __post_init__(self) -> None:
        if self.tp < 1:
            raise ValueError(f"parallel.tp={self.tp}: expected at least 1")
        if self.tensor not in ("dtensor", "fairscale"):
            raise ValueError(f"parallel.tensor={self.tensor}: expected one of dtensor, fairscale")


@contextmanager
def started(parallel: InferenceParallel, device: str, *, copies: bool) -> Iterator[Ranks]:
    """The started ranks, `tp` for each copy of the model; several copies only if `copies` is set.

    Raises RunError if the number of ranks does not fit, and at the end if another rank failed.
    """
    identity.refuse_half()
    world_size, tp = identity.world_size(), parallel.tp
    if world_size % tp or (world_size > tp and not copies):
        raise RunError(
            f"parallel.tp={tp}: the world size is {world_size}; expected "
            + ("a multiple of it" if copies else "as many")
            + f" (relama launch VERB processes={tp} …, or parallel.tp={world_size})"
            + ("" if identity.under_torchrun() else f"; for one process {identity.unset()}")
        )
    try:
        ranks = set_up(Layout(dp_replicate=world_size // tp, tp=tp), device)
        torch.set_float32_matmul_precision("highest")  # scores are compared with other tools'
        with ExitStack() as output:
            if not ranks.is_first:
                output.enter_context(redirect_stdout(output.enter_context(open(os.devnull, "w"))))
            elif world_size > 1:
                output.enter_context(outlived_reader())
            yield ranks
            end_together()
    finally:
        tear_down()


def load_over(
    weights: Weights, ranks: Ranks, parallel: InferenceParallel, dtype: torch.dtype = torch.float32
) -> Llama:
    """The model over `ranks` in `dtype`; all of them call it. Weights are rounded one tensor at a time.

    Raises RunError if its heads or vocabulary cannot be divided.
    """
    refuse_indivisible(weights.config, parallel.tp)
    with torch.device("meta"):
        model = Llama(weights.config).to(dtype)
    tp = along(ranks.mesh, "tp")
    if tp and parallel.tensor == "fairscale":
        from model.parallelize.fairscale_tensor import fairscale_tensor_parallel  # an optional import

        fairscale_tensor_parallel(model, tp)
    elif tp:
        tensor_parallel(model, tp, sequence=False)  # a single token cannot be divided
    model.to_empty(device=ranks.device)
    fill(model, weights)
    return model.eval()


def refuse_indivisible(config: LlamaConfig, tp: int) -> None:
    """Raises RunError if `tp` ranks cannot share the heads, the hidden units or the vocabulary."""
    problem = Limits(config, seq_len=tp, micro_batches=1).problem(Layout(tp=tp))
    if problem:
        raise RunError(problem)
