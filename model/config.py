"""The shape of a LLaMA: the keys of `model`, checked, and what follows from them."""

import math
from dataclasses import dataclass


@dataclass
class LlamaConfig:
    """The shape of one LLaMA. Raises a one-line ValueError that names the bad key."""

    dim: int = 4096  # width of the residual stream
    n_layers: int = 32  # transformer blocks
    n_heads: int = 32  # attention heads
    vocab_size: int = -1  # -1: the tokenizer's, as in Meta's params.json
    multiple_of: int = 256  # SwiGLU's hidden dim is rounded up to a multiple of this
    norm_eps: float = 1e-6  # added in RMSNorm
    max_seq_len: int = 2048  # positions in the rotation table
    rope_theta: float = 10000.0  # base of the rotary frequencies
    n_kv_heads: int | None = None  # heads of keys and values, which groups of queries share; null: n_heads
    head_size: int | None = None  # width of a head; null: dim / n_heads
    ffn_dim_multiplier: float = 1.0  # widens SwiGLU's hidden dim, as in Llama 2 70B and Llama 3
    rope_scaling: float = 1.0  # slow rotations are slower by this factor, for a longer context; 1: none
    rope_type: str = "llama3"  # how the scaling passes from fast rotations to slow ones: llama3 | yarn
    rope_low_freq_factor: float = 1.0  # turns over the original context below which a rotation is slow
    rope_high_freq_factor: float = 4.0  # turns above which a rotation is fast, and unchanged; YaRN's are 32
    rope_original_seq_len: int = 8192  # context length before the scaling
    rope_attention_factor: float | None = None  # YaRN scales q and k by it; null: 0.1 ln(rope_scaling) + 1
    tie_word_embeddings: bool = False  # the embedding is the output's matrix too (arXiv 1608.05859)

    def __post_init__(self) -> None:
        self._check_sizes()
        self._check_rotations()

    def _check_sizes(self) -> None:
        for key in ("dim", "n_layers", "n_heads", "multiple_of", "max_seq_len", "rope_original_seq_len"):
            if getattr(self, key) < 1:
                raise ValueError(f"model.{key}={getattr(self, key)}: must be at least 1")
        for key in ("n_kv_heads", "head_size"):
            if (value := getattr(self, key)) is not None and value < 1:
                raise ValueError(f"model.{key}={value}: must be at least 1, or null")
        if self.vocab_size < 1 and self.vocab_size != -1:
            raise ValueError(
                f"model.vocab_size={self.vocab_size}: must be at least 1, or -1 for the tokenizer's"
            )
        if self.n_heads % self.kv_heads:
            raise ValueError(f"model.n_kv_heads={self.kv_heads}: must divide model.n_heads={self.n_heads}")
        if self.head_size is None and self.dim % self.n_heads:
            raise ValueError(f"model.n_heads={self.n_heads}: must divide model.dim={self.dim}")
        if self.head_dim % 2 and self.head_size:
            raise ValueError(
                f"model.head_size={self.head_size}: rotary embeddings rotate pairs; must be even"
            )
        if self.head_dim % 2:
            raise ValueError(
                f"model.n_heads={self.n_heads}: a head of model.dim={self.dim} is {self.head_dim} wide; "
                "rotary embeddings rotate pairs, so it must be even"
            )
        self._check_positive("norm_eps", "ffn_dim_multiplier")
        if self.hidden_dim < 1:
            raise ValueError(f"model.ffn_dim_multiplier={self.ffn_dim_multiplier}: leaves no hidden units")

    def _check_rotations(self) -> None:
        self._check_positive("rope_theta", "rope_scaling", "rope_low_freq_factor")
        if not self.rope_low_freq_factor < self.rope_high_freq_factor < float("inf"):
            raise ValueError(
                f"model.rope_high_freq_factor={self.rope_high_freq_factor}: must be finite, and above "
                f"model.rope_low_freq_factor={self.rope_low_freq_factor}"
            )
        if self.rope_type not in ("llama3", "yarn"):
            raise ValueError(f"model.rope_type={self.rope_type}: expected llama3 or yarn")
        if self.rope_type == "yarn" and self.rope_theta <= 1:
            raise ValueError(f"model.rope_theta={self.rope_theta}: must be above 1 with model.rope_type=yarn")
        if (factor := self.rope_attention_factor) is not None:
            if self.rope_type != "yarn" or self.rope_scaling == 1:
                raise ValueError(
                    f"model.rope_attention_factor={factor}: only for model.rope_type=yarn with a "
                    "model.rope_scaling other than 1"
                )
            if not 0 < factor < float("inf"):
                raise ValueError(
                    f"model.rope_attention_factor={factor}: must be positive and finite, or null"
                )

    def _check_positive(self, *keys: str) -> None:
        for key in keys:
            if not 0 < getattr(self, key) < float("inf"):
                raise ValueError(f"model.{key}={getattr(self, key)}: must be positive and finite")

    @property
    def kv_heads(self) -> int:
        return self.n_kv_heads or self.n_heads

    @property
    def head_dim(self) -> int:
        return self.head_size or self.dim // self.n_heads

    @property
    def hidden_dim(self) -> int:
        return hidden_dim(self.dim, self.multiple_of, self.ffn_dim_multiplier)

    @property
    def attention_factor(self) -> float:
        """What queries and keys are multiplied by as they are rotated (YaRN, arXiv 2309.00071 §3.4)."""
        if self.rope_attention_factor is not None:
            return self.rope_attention_factor
        if self.rope_type != "yarn" or self.rope_scaling <= 1:
            return 1.0
        return 0.1 * math.log(self.rope_scaling) + 1


def hidden_dim(dim: int, multiple_of: int, multiplier: float = 1.0) -> int:
    """SwiGLU's hidden dim: two thirds of 4·dim (paper §2.2) times `multiplier`.

    Rounded up to a multiple of `multiple_of`.
    """
    hidden = int(multiplier * int(2 * (4 * dim) / 3))
    return multiple_of * -(-hidden // multiple_of)
