"""The paper's published facts, each in one place with its source (docs/recipe.md has them all in prose).

Table 1 is in data/audit.py, because the data room needs it too; the scores are in evaluation/paper_scores.py.
"""

from model.llama import LlamaConfig

TABLE_2, CODE, SECTION_2 = "Table 2", "Meta's code", "§2.2"
PARAMS_JSON, TOKENIZER = "Meta's params.json", "LLaMA's tokenizer.model"

# What Table 2, Table 15 and the shipped params.json say of each size.
SIZES = {
    "7b": {"dim": 4096, "n_heads": 32, "n_layers": 32, "norm_eps": 1e-6, "lr": 3.0e-4, "tokens": 1.0e12},
    "13b": {"dim": 5120, "n_heads": 40, "n_layers": 40, "norm_eps": 1e-6, "lr": 3.0e-4, "tokens": 1.0e12},
    "33b": {"dim": 6656, "n_heads": 52, "n_layers": 60, "norm_eps": 1e-6, "lr": 1.5e-4, "tokens": 1.4e12},
    "65b": {"dim": 8192, "n_heads": 64, "n_layers": 80, "norm_eps": 1e-5, "lr": 1.5e-4, "tokens": 1.4e12},
}
GPU_HOURS = {"7b": 82_432, "13b": 135_168, "33b": 530_432, "65b": 1_022_362}  # A100-80GB (Table 15)
MFU = 0.48  # of the A100's peak: the four sizes reach 44.6 % to 52.4 % (docs/recipe.md §5)
WATTS, PUE, CARBON = 400, 1.1, 0.385  # an A100-80GB, the data center's overhead, kg CO₂eq per kWh (§6)
# The same for every size.
COMMON = {
    "model.vocab_size": (32000, TOKENIZER),
    "model.multiple_of": (256, PARAMS_JSON),
    "model.max_seq_len": (2048, CODE),
    "model.rope_theta": (10000.0, CODE),
    "seq_len": (2048, CODE),
    "optim.betas": ([0.9, 0.95], SECTION_2),
    "optim.weight_decay": (0.1, SECTION_2),
    "optim.clip": (1.0, SECTION_2),
    "optim.warmup_steps": (2000, SECTION_2),
    "optim.min_lr_ratio": (0.1, SECTION_2),
    "init": (None, "trained from random weights"),
    "stop_at": (None, "trained to the schedule's end"),
}
# How LLaMA's tokenizer.model says that it was trained and normalizes.
TOKENIZER_SETTINGS = {
    "model_type": "bpe",
    "vocab_size": 32000,
    "character_coverage": 0.99995,
    "input_sentence_size": 200_000_000,
    "shuffle_input_sentence": True,
    "max_sentence_length": 4192,
    "max_sentencepiece_length": 16,
    "seed_sentencepiece_size": 1_000_000,
    "split_digits": True,
    "split_by_number": True,
    "split_by_whitespace": True,
    "split_by_unicode_script": True,
    "allow_whitespace_only_pieces": True,
    "byte_fallback": True,
    "hard_vocab_limit": True,
    "unk_id": 0,
    "bos_id": 1,
    "eos_id": 2,
    "pad_id": -1,
    "normalization_rule_name": "identity",
    "add_dummy_prefix": True,
    "remove_extra_whitespaces": False,
}


def size_of(config: LlamaConfig) -> str | None:
    """The paper's name for a model of this shape, or None if the paper has none."""
    shape = config.dim, config.n_layers
    return next((name for name, size in SIZES.items() if shape == (size["dim"], size["n_layers"])), None)
