"""A rank's memory by formula: model, layout and batch in, bytes out, instantly.

Weights, gradients and optimizer state are counted as the code shards them; activations are the sum of what
each operation of a block keeps for backward. `relama plan layout=true` traces the code instead; a test
compares the two.
"""

from dataclasses import dataclass

from model.config import LlamaConfig
from model.loss import CHUNK
from model.parallelize.mesh import Layout

FP32 = 4


@dataclass(frozen=True)
class Memory:
    """Bytes on one rank."""

    state: float  # fp32 weights, and AdamW's two moments
    gradients: float  # at their peak: unsharded and in fp32 while micro-batches accumulate
    gathered: float  # weights that FSDP has unsharded
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
    """The fullest rank's peak. `micro_batches`: per rank; `width`: bytes per computed number.

    With a pipeline: the first stage under 1F1B, with as many micro-batches in flight as it ever holds.
    """
    dim, tp, shards = model.dim, layout.tp, layout.dp_shard * layout.cp
    layers = -(-model.n_layers // layout.pp)
    heads = 2 * (model.n_heads + model.kv_heads) * model.head_dim
    layer = (dim * heads + 3 * dim * model.hidden_dim) / tp + 2 * dim
    end = model.vocab_size * dim / tp
    ends = (1 if layout.pp > 1 or model.tie_word_embeddings else 2) * end + dim
    weights = layers * layer + ends
    tokens = micro_batch * seq_len / layout.cp
    kept = layers * tokens * _kept_of_a_layer(model, tp, mode, width) * min(layout.pp, micro_batches)
    block = 0 if mode == "none" else tokens * _kept_of_a_layer(model, tp, "none", width)
    logits = min(CHUNK, tokens * model.vocab_size / tp)
    # Logits and their gradients in fp32 and in `width`, the head's gradient, hidden states.
    head = logits * 2 * (FP32 + width) + end * FP32 + tokens * dim * width * 4
    keeps_whole = shards == 1 or reshard == "never" or (layout.pp > 1 and reshard == "auto")
    accumulated = weights * FP32 if micro_batches > 1 else 0

    def moment(activations: float, layers_gathered: float, layer_gradients: float) -> Memory:
        gathered = (weights if keeps_whole else ends + layers_gathered * layer) * width
        reduced = accumulated or layer_gradients * layer
        return Memory(
            state=3 * FP32 * weights / shards,
            gradients=reduced + (end * width if layer_gradients else 0) + weights * FP32 / shards,
            gathered=0.0
            if shards == 1 and width == FP32
            else gathered,  # otherwise they are the weights themselves
            activations=activations,
        )

    moments = (
        moment(kept + head, 1, 0),  # the loss
        moment(kept + block, 2, width),  # the last block recomputed in backward
        moment(kept, 2.5, FP32),  # its gradients being reduced, the next block's weights arriving
    )
    return max(moments, key=lambda memory: memory.peak)


def _kept_of_a_layer(model: LlamaConfig, tp: int, mode: str, width: int) -> float:
    """Bytes that a layer keeps per token for backward: its input, and whatever `mode` keeps."""
    dim, hidden = model.dim, model.hidden_dim
    if mode == "full":
        return dim / tp * width
    queries, keys = model.n_heads * model.head_dim, model.kv_heads * model.head_dim
    unsplit = 2 * dim  # of the full sequence, however it is split
    sums = model.n_heads / tp * FP32  # attention's log-sum-exp, one per row
    if mode == "selective":  # wq wk wv, attention, w1 w3; and wo, w2 before their sum over tp
        return ((dim + 2 * queries + 2 * keys + 2 * hidden) / tp + unsplit) * width + sums
    # Norms' inputs and outputs, q k v, attention, SwiGLU's four; the matrices' inputs, gathered over tp.
    return ((6 * dim + 2 * queries + 2 * keys + 4 * hidden) / tp + unsplit) * width + sums
