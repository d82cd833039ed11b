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
    reshard: str = "auto",
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
    kept = layers * tokens * _kept_of_a_layer(model, tp, mode, width) * min(layout.pp, micro_batches)
    block = 0 if mode == "none" else tokens * _kept_of_a_layer(model, tp, "none", width)
    logits = min(CHUNK, tokens * model.vocab_size / tp)
    # Logits and their gradient in fp32 and in `width`, the head's gradient, hidden states around them.
    head = logits * 2 * (FP32 + width) + end * FP32 + tokens * dim * width * 4
    keeps_whole = shards == 1 or reshard == "never" or (layout.pp > 1 and reshard == "auto")
    accumulated = weights * FP32 if micro_batches > 1 else 0

    def moment(activations: float, layers_gathered: float, layer_gradients: float) -> Memory:
        gathered = (weights if keeps_whole else ends + layers_gathered * layer) * width
        reduced = accumulated or layer_gradients * layer
        return Memory(
            state=3 * FP32 * weights / shards,
            gradients=reduced + (end * width if layer_gradients else 0) + weights * FP32 / shards,
            gathered=0.0 if shards == 1 and width == FP32 else gathered,  # else they are the weights
            activations=activations,
        )

    moments = (
        moment(kept + head, 1, 0),  # the loss
        moment(kept + block, 2, width),  # the last block, computed again where it is, in backward
        moment(kept, 2.5, FP32),  # and its gradients on their way, the next block's weights coming in
    )
    return max(moments, key=lambda memory: memory.peak)


def _kept_of_a_layer(model: LlamaConfig, tp: int, mode: str, width: int) -> float:
    """Bytes that a layer keeps of one token for its backward: its input, and what `mode` keeps besides."""
    dim, hidden = model.dim, model.hidden_dim
    if mode == "full":
        return dim / tp * width
    whole = 2 * dim  # of the whole sequence, however it is cut
    sums = model.n_heads / tp * FP32  # attention's, a row
    if mode == "selective":  # wq wk wv, attention, w1 w3; and wo and w2, before they are summed over tp
        return ((5 * dim + 2 * hidden) / tp + whole) * width + sums
    # Norms' inputs and outputs, q k v, attention, SwiGLU's four; and the matrices' inputs, gathered over tp.
    return ((10 * dim + 4 * hidden) / tp + whole) * width + sums
