"""A SentencePiece model: the reference for its ids, and what a faster encoder needs."""

import hashlib
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import sentencepiece

from data.errors import DataError
from data.tokens import merges, sentencepiece_file
from data.tokens.sentencepiece_file import BYTE, CONTROL, SPACE, UNKNOWN, Facts


class SentencePieceModel:
    """A tokenizer.model. Raises DataError if `content`, read from `path`, is not one with BOS and EOS."""

    name = "sentencepiece"

    def __init__(self, path: Path, content: bytes) -> None:
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=content)
        except RuntimeError:
            hint = "; expected a tokenizer.model of SentencePiece, or a tokenizer.json"
            if content[:1].isascii() and b"=" in content.partition(b" ")[0]:  # lines of base64 and a rank
                hint = "; Llama 3's is tiktoken's: give the tokenizer.json of its Hugging Face folder"
            raise DataError(f"{path}: not a SentencePiece model{hint}") from None
        if not content:
            raise DataError(f"{path}: empty; expected a SentencePiece model")
        self.fingerprint = hashlib.sha256(content).hexdigest()
        self.vocab_size: int = self._processor.vocab_size()
        self.bos_id, self.eos_id = self._processor.bos_id(), self._processor.eos_id()
        if min(self.bos_id, self.eos_id) < 0:
            raise DataError(
                f"{path}: has no BOS or no EOS, which mark the documents; train one with `relama tokenizer` "
                "(docs/recipe.md §3)"
            )

    def encode(self, text: str) -> list[int]:
        return self._processor.encode(text)

    def decode(self, ids: Sequence[int]) -> str:
        return self._processor.decode([int(i) for i in ids])

    @cached_property
    def facts(self) -> Facts:
        """What the file itself says. Raises ValueError if it cannot be parsed."""
        return sentencepiece_file.facts(self._processor.serialized_model_proto())

    @cached_property
    def piece_bytes(self) -> np.ndarray:
        """UTF-8 bytes of each id's text, (vocab,) int64; 1 for a byte piece, 0 for a control piece."""
        sizes = np.array([len(piece.replace(SPACE, " ").encode()) for piece in self.facts.pieces], np.int64)
        sizes[self.facts.of_kind(BYTE)] = 1
        sizes[self.facts.of_kind(CONTROL, UNKNOWN)] = 0
        return sizes

    @cached_property
    def adds_space(self) -> bool:
        """Whether every document gets a leading space that is not part of its text."""
        return self._processor.encode("a", out_type=str)[0].startswith(SPACE)

    @property
    def every_piece(self) -> list[str]:
        """Short texts that together contain every piece of the vocabulary that has text."""
        is_text = (self.piece_bytes > 0) & (self.facts.kinds != BYTE)
        return in_texts([self.facts.pieces[i] for i in np.flatnonzero(is_text).tolist()])

    @property
    def special(self) -> list[str]:
        """Control, unknown and byte pieces; written out in a text, they are text."""
        return [self.facts.pieces[i] for i in self.facts.of_kind(CONTROL, UNKNOWN, BYTE)]

    def gigatoken(self) -> Callable:
        """A function that loads the faster encoder."""
        import gigatoken

        if (written := merges.as_json(self.facts)) is not None:
            return partial(gigatoken.Tokenizer.from_json, written)
        return partial(gigatoken.Tokenizer.from_sentencepiece, self._processor.serialized_model_proto())


def in_texts(pieces: list[str]) -> list[str]:
    """The pieces in texts of a hundred each; the reference encodes one long text only half as fast."""
    return [" ".join(pieces[start : start + 100]) for start in range(0, len(pieces), 100)]
