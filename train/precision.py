"""The dtype in which a model computes: `precision=` of training, `dtype=` of inference.

`auto` is bf16 on GPUs with bf16 products, and on CPUs that are measured to be WORTH_IT times as fast in bf16.
A run keeps what its first start chose, whatever hardware it continues on. A run's weights, optimizer and
reduction are in fp32 either way.
"""

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from configs.checks import one_of
from model.config import LlamaConfig
from train.ranks.setup import Ranks
from train.ranks.together import first_rank_does

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
CHOICES = ("auto", *DTYPES)
MEASURED = 512  # rows and width, at most: with more, the ratio no longer changes
# Casts, norms and attention gain little from bf16, so its products must gain more than noise. A step of dim
# 256 and 512 is 1.5 to 2 times as fast where products are 2.5 times as fast (docs/benchmarks.md).
WORTH_IT = 1.5
SAMPLE = 0.005  # seconds over which calls are timed together


@dataclass(frozen=True)
class Choice:
    """A key of DTYPES, and the reason."""

    name: str
    why: str

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.name]


def refuse_unknown_dtype(dtype: str) -> None:
    """Raise ValueError for a `dtype=` of inference that is not in CHOICES."""
    one_of("dtype", dtype, CHOICES)


def choose(requested: str, device: torch.device, model: LlamaConfig, rows: int = MEASURED) -> Choice:
    """What `requested` (auto, fp32 or bf16) means on `device`.

    A CPU is measured, for 0.3 s, on matrices as wide as the `model`'s, with as many `rows` as are computed at
    once.
    """
    if requested != "auto":
        return Choice(requested, "as requested")
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return Choice("bf16", "this GPU has bf16 products")
        return Choice("fp32", "this GPU has no bf16 products")
    ratio = bf16_speedup(min(rows, MEASURED), min(model.dim, MEASURED))
    return Choice(
        "bf16" if ratio >= WORTH_IT else "fp32",
        f"this model's products are {_times(ratio)} as fast in bf16 on this CPU; auto wants {WORTH_IT}",
    )


def _times(ratio: float) -> str:
    """Two decimals, so that a ratio just short of WORTH_IT does not read as equal to it."""
    return f"{ratio:.2f} times" if ratio < 100 else "more than 100 times"


def bf16_speedup(rows: int, width: int) -> float:
    """How many times as fast this CPU is in bf16 as in fp32, for a linear layer, forward and backward.

    Its input and output are (rows, width). Measured in CPU time, because other processes may take the cores,
    and in one thread: with several, all would spin while one of them has no core.
    """

    def products(dtype: torch.dtype) -> Callable[[], float]:
        """A function that times such a layer; it returns the CPU seconds of one call."""
        x = torch.ones(rows, width, dtype=dtype, requires_grad=True)
        weight = torch.ones(width, width, dtype=dtype, requires_grad=True)

        def seconds(calls: int) -> float:
            begin = time.process_time()
            for _ in range(calls):
                out = F.linear(x, weight)
                torch.autograd.grad(out, (x, weight), out.detach())
            return (time.process_time() - begin) / calls

        seconds(1)  # the first call chooses its kernels
        begin = time.perf_counter()
        seconds(1)
        # One small product is too short for the clock of CPU time.
        calls = max(1, round(SAMPLE / (time.perf_counter() - begin)))
        return lambda: seconds(calls)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        fp32, bf16 = products(torch.float32), products(torch.bfloat16)
        turns, end = [(fp32(), bf16())], time.perf_counter() + 0.3
        while time.perf_counter() < end:  # in turns, as the speed of a shared processor changes
            turns.append((fp32(), bf16()))
        return min(turn[0] for turn in turns) / min(turn[1] for turn in turns)
    finally:
        torch.set_num_threads(threads)


def inference_dtype(requested: str, ranks: Ranks, model: LlamaConfig, rows: int) -> torch.dtype:
    """`choose`, by the first rank for all of them; it says so if `auto` became bf16."""
    choice = first_rank_does(lambda: choose(requested, ranks.device, model, rows))
    if requested == "auto" and choice.name != "fp32" and ranks.is_first:
        print(f"relama: dtype={choice.name} ({choice.why})", file=sys.stderr)
    return choice.dtype


def make_deterministic() -> None:
    """Use only kernels that give the same bits each time; call before a GPU is used.

    An operation that has none raises RuntimeError instead of running.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it when it starts
    torch.use_deterministic_algorithms(True)
    # Filling finds faults, at every allocation's cost. (The module sets this through a property.)
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010
