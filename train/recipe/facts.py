"""The paper's published facts, each in one place with its source (docs/recipe.md has them all in prose).

What data/ needs is there: Table 1 in data/audit.py, the tokenizer in data/tokens/llama.py. Scores: scores.py.
"""

from dataclasses import replace

from data.tokens.llama import SETTINGS, VOCAB_SIZE
from model.config import LlamaConfig

TABLE_2, CODE, SECTION_2 = "Table 2", "Meta's code", "§2.2"
PARAMS_JSON, TOKENIZER = "Meta's params.json", "LLaMA's tokenizer.model"

BATCH_TOKENS = 4e6  # of every size, to one figure (Table 2)
# What Table 2, Table 15 and the shipped params.json say of each size.
SIZES = {
    "7b": {"dim": 4096, "n_heads": 32, "n_layers": 32, "norm_eps": 1e-6, "lr": 3.0e-4, "tokens": 1.0e12},
    "13b": {"dim": 5120, "n_heads": 40, "n_layers": 40, "norm_eps": 1e-6, "lr": 3.0e-4, "tokens": 1.0e12},
    "33b": {"dim": 6656, "n_heads": 52, "n_layers": 60, "norm_eps": 1e-6, "lr": 1.5e-4, "tokens": 1.4e12},
    "65b": {"dim": 8192, "n_heads": 64, "n_layers": 80, "norm_eps": 1e-5, "lr": 1.5e-4, "tokens": 1.4e12},
}
SHAPE = (
    "dim",
    "n_layers",
    "kv_heads",
    "head_dim",
    "hidden_dim",
    "rope_theta",
    "rope_scaling",
    "tie_word_embeddings",
)
GPU_HOURS = {"7b": 82_432, "13b": 135_168, "33b": 530_432, "65b": 1_022_362}  # A100-80GB (Table 15)
MFU = 0.48  # of the A100's peak: the four sizes reach 44.6 % to 52.4 % (docs/recipe.md §5)
WATTS, PUE, CARBON = 400, 1.1, 0.385  # an A100-80GB, the data center's overhead, kg CO₂eq per kWh (§6)
# The same for every size.
COMMON = {
    "model.vocab_size": (VOCAB_SIZE, TOKENIZER),
    "model.multiple_of": (256, PARAMS_JSON),
    "model.max_seq_len": (2048, CODE),
    "model.rope_theta": (10000.0, CODE),
    "model.rope_scaling": (1.0, CODE),
    "model.n_kv_heads": (None, CODE),  # every head its own
    "model.head_size": (None, CODE),  # dim / n_heads
    "model.ffn_dim_multiplier": (1.0, CODE),
    "model.tie_word_embeddings": (False, CODE),
    "seq_len": (2048, CODE),
    "optim.betas": ([0.9, 0.95], SECTION_2),
    "optim.weight_decay": (0.1, SECTION_2),
    "optim.clip": (1.0, SECTION_2),
    "optim.warmup_steps": (2000, SECTION_2),
    "optim.schedule": ("cosine", SECTION_2),
    "optim.min_lr_ratio": (0.1, SECTION_2),
    "init": (None, "trained from random weights"),
    "stop_at": (None, "trained to the schedule's end"),
}
# What LLaMA's tokenizer.model says of its training and normalization, as far as a model records it.
TOKENIZER_SETTINGS = {key: value for key, value in SETTINGS.items() if key != "unk_surface"}
TOKENIZER_SETTINGS["vocab_size"] = VOCAB_SIZE


def size_of(config: LlamaConfig) -> str | None:
    """The paper's name for a model of this shape, or None if the paper has none."""
    for name, size in SIZES.items():
        theirs = LlamaConfig(size["dim"], size["n_layers"], size["n_heads"])
        if all(getattr(config, key) == getattr(theirs, key) for key in SHAPE):
            return name
    return None


def with_vocabulary(model: LlamaConfig) -> LlamaConfig:
    """`model` with LLaMA's vocabulary where its own is not known yet (vocab_size=-1: the tokens decide)."""
    return model if model.vocab_size > 0 else replace(model, vocab_size=VOCAB_SIZE)
