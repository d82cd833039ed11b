"""A tokenizer.json of Hugging Face's tokenizers: byte-level BPE, as in Llama 3, or SentencePiece-like.

The library is the reference for its ids. The file does not say which tokens are BOS and EOS: the
tokenizer_config.json next to it does, or else they are special tokens with well-known names.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import tokenizers

from configs.existence import is_file
from data.errors import DataError
from data.tokens.sentencepiece_model import SPACE, in_texts

CONFIG = "tokenizer_config.json"
KNOWN = {
    "bos_token": ("<|begin_of_text|>", "<s>", "<bos>", "<|endoftext|>"),
    "eos_token": ("<|end_of_text|>", "</s>", "<eos>", "<|endoftext|>"),
}
KEPT = ("pad_token", "unk_token")  # not used here, but an export names them as the file's config does
BYTE = re.compile("<0x[0-9A-F]{2}>")
# These may differ between two files that give the same ids.
NOT_IDS = ("post_processor", "truncation", "padding")


class JsonModel:
    """A tokenizer.json. Raises DataError if `content`, read from `path`, is not one with BOS and EOS."""

    name = "tokenizers"

    def __init__(self, path: Path, content: bytes) -> None:
        try:
            self._content = content.decode()
            self._parsed = json.loads(self._content)
            self._tokenizer = tokenizers.Tokenizer.from_str(self._content)
        except Exception as error:  # tokenizers raises plain Exceptions
            line = (str(error).splitlines() or ["empty"])[0]
            raise DataError(f"{path}: not a tokenizer.json of the tokenizers library ({line})") from None
        self._tokenizer.encode_special_tokens = True  # a special token written out in a text is text
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._vocabulary = self._tokenizer.get_vocab(with_added_tokens=True)
        self._added = self._tokenizer.get_added_tokens_decoder()
        self.vocab_size = max(self._vocabulary.values(), default=-1) + 1
        self.bos, self.eos = (self._named(path, key) for key in KNOWN)
        self.bos_id, self.eos_id = self._vocabulary[self.bos], self._vocabulary[self.eos]
        self.kept = {key: name for key in KEPT if (name := self._given(path, key)) in self._specials()}
        what = {key: value for key, value in self._parsed.items() if key not in NOT_IDS}
        identity = json.dumps([what, self.bos, self.eos], sort_keys=True)
        self.fingerprint = hashlib.sha256(identity.encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode([int(i) for i in ids], skip_special_tokens=True)

    @cached_property
    def piece_bytes(self) -> np.ndarray:
        """UTF-8 bytes of each id's text, (vocab,) int64; 1 for a byte piece, 0 for a special token."""
        kinds = set(_types(self._parsed.get("decoder")))
        sizes = np.zeros(self.vocab_size, dtype=np.int64)
        for piece, i in self._vocabulary.items():
            if i in self._added:
                # Gemma's runs of spaces are added tokens.
                shown = piece.replace(SPACE, " ") if "Replace" in kinds else piece
                sizes[i] = 0 if self._added[i].special else len(shown.encode())
            elif "ByteLevel" in kinds:
                sizes[i] = len(piece)  # each character stands for a byte
            elif "ByteFallback" in kinds and BYTE.fullmatch(piece):
                sizes[i] = 1
            else:
                sizes[i] = len(piece.replace(SPACE, " ").encode())
        return sizes

    @cached_property
    def adds_space(self) -> bool:
        """Whether every document gets a leading space, as with SentencePiece."""
        return int(self.piece_bytes[self.encode("a")].sum()) > 1

    @property
    def every_piece(self) -> list[str]:
        """Short texts that together contain every piece of the vocabulary that has text."""
        return in_texts([self.decode([i]) for i in np.flatnonzero(self.piece_bytes).tolist()])

    @property
    def special(self) -> list[str]:
        """Tokens added to the model, and byte pieces; only the library encodes texts that contain them."""
        return [token.content for token in self._added.values()] + [
            piece for piece in self._vocabulary if BYTE.fullmatch(piece)
        ]

    @property
    def pieces(self) -> dict[str, int]:
        """The ids of the model's own pieces, without added tokens."""
        return self._tokenizer.get_vocab(with_added_tokens=False)

    def with_bos(self) -> str:
        """The tokenizer.json with a post-processor that puts BOS before a text, as training does."""
        plain = tokenizers.Tokenizer.from_str(self._content)
        ids = plain.encode("a", add_special_tokens=False).ids
        if plain.encode("a").ids == [self.bos_id, *ids]:
            return self._content
        plain.post_processor = tokenizers.processors.TemplateProcessing(
            single=f"{self.bos} $A",
            pair=f"{self.bos} $A {self.bos} $B",
            special_tokens=[(self.bos, self.bos_id)],
        )
        return plain.to_str()

    def gigatoken(self) -> Callable:
        """A function that loads the faster encoder."""
        import gigatoken

        return partial(gigatoken.Tokenizer.from_json, self._content.encode())

    def _named(self, path: Path, key: str) -> str:
        """The token that `key` names: in the config next to the file, or else a known name."""
        special = self._specials()
        known = [name for name in KNOWN[key] if name in special]
        name = self._given(path, key) or (known[0] if known else None)
        if name not in special:
            raise DataError(
                f"{path}: {key}={name}: not a special token of this file; name one in {CONFIG} next to it, "
                "because BOS and EOS mark the documents"
            )
        return name

    def _specials(self) -> set[str]:
        return {token.content for token in self._added.values() if token.special}

    @staticmethod
    def _given(path: Path, key: str) -> str | None:
        """The token that the config next to the file names, if there is one."""
        config = path.with_name(CONFIG)
        if not is_file(config):
            return None
        try:
            given = json.loads(config.read_text(encoding="utf-8")).get(key)
        except (OSError, ValueError, AttributeError) as error:
            raise DataError(f"{config}: not readable ({error}); {path.name} needs its {key}") from None
        name = given.get("content") if isinstance(given, dict) else given
        return name if isinstance(name, str) else None


def _types(part: object) -> Iterator[str]:
    """The types of a decoder and of the decoders inside it."""
    if isinstance(part, dict):
        yield str(part.get("type"))
        for inner in part.get("decoders") or ():
            yield from _types(inner)
