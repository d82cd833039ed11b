"""A tokenizer.json made without training: a byte-level BPE whose pieces are the bytes and pairs of them."""

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

SPECIAL = ["<|begin_of_text|>", "<|end_of_text|>", "<|reserved|>"]
# Llama 3's splitting of a text into words.
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def byte_pairs(folder: Path, pairs: int = 1 << 16, *, names: bool = True) -> Path:
    """tokenizer.json in `folder` with 256 + `pairs` + 3 tokens; pairs of letters have the highest ids.

    `names`: with a tokenizer_config.json that names BOS and EOS.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet(), key=lambda letter: (letter.isascii(), letter))
    merges = [(a, b) for a in alphabet for b in alphabet][-pairs:]
    vocabulary = {piece: i for i, piece in enumerate([*alphabet, *map("".join, merges)])}
    made = Tokenizer(models.BPE(vocabulary, merges[::-1]))  # letters merge first
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens(SPECIAL)
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    if names:
        config = {"bos_token": SPECIAL[0], "eos_token": {"content": SPECIAL[1]}, "model_max_length": 8192}
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder / "tokenizer.json"
