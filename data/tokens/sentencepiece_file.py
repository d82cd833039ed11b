"""Reads from a SentencePiece model file what its library does not tell, or tells only piece by piece.

In: the file's bytes (a protocol buffer). Out: its pieces with their scores and kinds, and the model's type,
normalization and rules for spaces. These decide whether another implementation can give the same ids. The
field numbers come from sentencepiece_model.proto.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

SPACE = "\u2581"  # stands for a space
UNIGRAM, BPE = 1, 2
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6  # kinds of pieces
_PIECE, _TRAINER, _NORMALIZER = 1, 2, 3  # of the file
_TEXT, _SCORE, _KIND = 1, 2, 3  # of a piece
_MODEL_TYPE, _SPACE_AS_SUFFIX, _BYTES = 3, 24, 35  # of the trainer
_NAME, _CHARSMAP, _DUMMY_PREFIX, _REMOVE_SPACES, _ESCAPE_SPACES = 1, 2, 3, 4, 5  # of the normalizer
_VARINT, _EIGHT_BYTES, _SIZED, _FOUR_BYTES = 0, 1, 2, 5  # wire types
_TEXT_KEY, _SCORE_KEY, _KIND_KEY = (_TEXT << 3 | _SIZED, _SCORE << 3 | _FOUR_BYTES, _KIND << 3 | _VARINT)


@dataclass(frozen=True, eq=False)
class Facts:
    """The pieces, and the settings that affect ids."""

    pieces: list[str]
    scores: np.ndarray  # (pieces,) float32
    kinds: np.ndarray  # (pieces,) uint8
    model_type: int
    normalization: str  # its name
    has_map: bool  # whether characters are replaced
    adds_space: bool
    removes_spaces: bool
    escapes_spaces: bool  # as U+2581
    space_is_suffix: bool
    has_bytes: bool  # whether characters without a piece are spelled in bytes

    @property
    def has_user_defined(self) -> bool:
        """Whether some pieces are never split."""
        return self.has(USER_DEFINED)

    def has(self, kind: int) -> bool:
        return bool((self.kinds == kind).any())

    def of_kind(self, *kinds: int) -> list[int]:
        """The numbers of the pieces of these kinds."""
        return np.flatnonzero(np.isin(self.kinds, kinds)).tolist()


def facts(content: bytes) -> Facts:
    """What the file says. Raises ValueError if `content` is not a protocol buffer."""
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    pieces, scores, kinds = [], [], bytearray()
    try:
        for field, value in _fields(content):
            if not isinstance(value, bytes):
                continue
            if field == _PIECE:
                text, score, kind = _piece(value)
                pieces.append(text.decode())
                scores.append(score)
                kinds.append(kind)
            elif field == _TRAINER:
                trainer = dict(_fields(value))
            elif field == _NORMALIZER:
                normalizer = dict(_fields(value))
    except IndexError:
        raise ValueError("not a SentencePiece model: it ends within a field") from None
    name = normalizer.get(_NAME, b"")
    return Facts(
        pieces=pieces,
        scores=np.frombuffer(b"".join(scores), "<f4"),
        kinds=np.frombuffer(bytes(kinds), np.uint8),
        model_type=int(trainer.get(_MODEL_TYPE, UNIGRAM)),
        normalization=name.decode(errors="replace") if isinstance(name, bytes) else "",
        has_map=bool(normalizer.get(_CHARSMAP)),
        adds_space=bool(normalizer.get(_DUMMY_PREFIX, 1)),
        removes_spaces=bool(normalizer.get(_REMOVE_SPACES, 1)),
        escapes_spaces=bool(normalizer.get(_ESCAPE_SPACES, 1)),
        space_is_suffix=bool(trainer.get(_SPACE_AS_SUFFIX, 0)),
        has_bytes=bool(trainer.get(_BYTES, 0)),
    )


def _piece(message: bytes) -> tuple[bytes, bytes, int]:
    """A piece's text, the four bytes of its score, and its kind."""
    # The fast path, for what every library writes: a short text, the score, and the kind if not NORMAL.
    end = 2 + message[1]
    length = len(message)
    if message[0] == _TEXT_KEY and end < 130 and length >= end + 5 and message[end] == _SCORE_KEY:
        if length == end + 5:
            return message[2:end], message[end + 1 :], NORMAL
        if length == end + 7 and message[end + 5] == _KIND_KEY and message[-1] < 128:
            return message[2:end], message[end + 1 : end + 5], message[-1]
    found: dict[int, int | bytes] = dict(_fields(message))
    text, score, kind = found.get(_TEXT, b""), found.get(_SCORE, bytes(4)), found.get(_KIND, NORMAL)
    if not (
        isinstance(text, bytes) and isinstance(score, bytes) and len(score) == 4 and isinstance(kind, int)
    ):
        raise ValueError("not a SentencePiece model: a piece with fields of other types")
    return text, score, kind


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Each field's number and value. Raises IndexError or ValueError if the message is damaged."""
    at = 0
    while at < len(message):
        key = message[at]
        key, at = (key, at + 1) if key < 128 else _varint(message, at)
        wire = key & 7
        if wire == _SIZED:
            size = message[at]
            size, at = (size, at + 1) if size < 128 else _varint(message, at)
            value, at = message[at : at + size], at + size
        elif wire == _VARINT:
            value, at = _varint(message, at)
        elif wire in (_EIGHT_BYTES, _FOUR_BYTES):
            size = 8 if wire == _EIGHT_BYTES else 4
            value, at = message[at : at + size], at + size
        else:
            raise ValueError(f"not a SentencePiece model: wire type {wire}")
        if at > len(message):
            raise IndexError
        yield key >> 3, value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The number at `at`, and the place after it."""
    byte = message[at]
    if byte < 128:
        return byte, at + 1
    value, shift = byte & 127, 7
    while byte >= 128:
        at += 1
        byte = message[at]
        value |= (byte & 127) << shift
        shift += 7
    return value, at + 1
