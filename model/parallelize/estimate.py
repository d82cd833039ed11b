"""How much memory one rank needs, by formulas: a model, a layout and a batch in, bytes out, at once.

What stays (weights, gradients, optimizer) is counted as the code cuts it; activations are the sum of what
each operation of a block keeps for backward. `relama plan layout=true` traces the code instead of trusting
formulas; a test holds the two together.
"""

from dataclasses import dataclass

from model.llama import LlamaConfig
from model.loss import CHUNK
from model.parallelize.mesh import Layout

FP32 = 4


@dataclass(frozen=True)
class Memory:
    """Bytes on one rank."""

    state: float  # fp32 weights, and AdamW's two moments
    gradients: float  # at their most: whole and in fp32 while micro-batches accumulate
    gathered: float  # weights that FSDP holds whole
    activations: float

    @property
    def peak(self) -> float:
        return self.state + self.gradients + self.gathered + self.activations


def estimate(
    model: LlamaConfig,
    layout: Layout,
    *,
    seq_len: int,
    micro_batch: int,
    micro_batches: int,
    mode: str,
    width: int = 2,
) -> Memory:
    """Peak of the fullest rank. `micro_batches`: of this rank; `width`: bytes of a computed number.

    Under pipeline parallel: the first stage by 1F1B, with as many micro-batches in work as it holds at most.
    """
    dim, tp, shards = model.dim, layout.tp, layout.dp_shard * layout.cp
    layers = -(-model.n_layers // layout.pp)
    layer = (4 * dim * dim + 3 * dim * model.hidden_dim) / tp + 2 * dim
    end = model.vocab_size * dim / tp
    ends = (1 if layout.pp > 1 else 2) * end + dim
    weights = layers * layer + ends
    tokens = micro_batch * seq_len / layout.cp
    kept = tokens * _kept_of_a_layer(model, tp, mode, width)
    in_work = min(layout.pp, micro_batches)
    block = tokens * _kept_of_a_layer(model, tp, "none", width) if mode != "none" else 0
    logits = min(CHUNK, tokens * model.vocab_size / tp)
    # Logits and their gradient in fp32 and once in `width`, the head's gradient, hidden states around them.
    head = logits * (2 * FP32 + width) + end * FP32 + tokens * dim * width * 4
    accumulated = weights * FP32 if micro_batches > 1 else 2 * layer * (FP32 + width)
    keeps_whole = layout.pp > 1 or shards == 1
    gathered = (weights if keeps_whole else ends + 3 * layer) * width
    if shards == 1 and width == FP32:
        gathered = 0.0  # the weights themselves
    return Memory(
        state=3 * FP32 * weights / shards,
        gradients=accumulated + weights * FP32 / shards,
        gathered=gathered,
        activations=layers * kept * in_work + max(head, block),
    )


def _kept_of_a_layer(model: LlamaConfig, tp: int, mode: str, width: int) -> float:
    """Bytes that a layer keeps of one token for its backward."""
    dim, hidden = model.dim, model.hidden_dim
    if mode == "full":
        return dim / tp * width
    products = 4 * dim + 2 * hidden  # wq wk wv, attention's, w1 w3, cut by tp; wo's and w2's: by sequence
    kept = (products + 2 * dim) / tp * width + model.n_heads / tp * FP32
    if mode == "selective":
        return kept + dim / tp * width
    gathered = 2 * dim * width  # the norms' outputs, of the whole sequence, for the next matrices
    rotated = 2 * dim / tp * (width + FP32)
    swiglu = 2 * hidden / tp * width
    norms = 2 * (dim / tp) * width
    return kept + gathered + rotated + swiglu + norms
