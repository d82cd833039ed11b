"""What a SentencePiece model file says of itself, which its library does not tell.

In: the file's bytes (a protocol buffer). Out: the kind of model, its normalization and special pieces, which
decide whether another implementation can give the same ids. The fields are those of
sentencepiece_model.proto.
"""

from collections.abc import Iterator
from dataclasses import dataclass

UNIGRAM, BPE = 1, 2
_PIECE, _TRAINER, _NORMALIZER = 1, 2, 3  # of the file
_TYPE, _NORMAL, _USER_DEFINED = 3, 1, 4  # of a piece
_MODEL_TYPE, _SPACE_AS_SUFFIX = 3, 24  # of the trainer
_NAME, _CHARSMAP, _DUMMY_PREFIX, _REMOVE_SPACES, _ESCAPE_SPACES = 1, 2, 3, 4, 5  # of the normalizer
_VARINT, _EIGHT_BYTES, _SIZED, _FOUR_BYTES = 0, 1, 2, 5  # wire types


@dataclass(frozen=True)
class Facts:
    """The settings that change ids."""

    model_type: int
    normalization: str  # its name
    has_map: bool  # characters are replaced
    adds_space: bool
    removes_spaces: bool
    escapes_spaces: bool  # as U+2581
    space_is_suffix: bool
    has_user_defined: bool  # pieces that are always kept in one


def facts(content: bytes) -> Facts:
    """Raises ValueError if `content` is not a protocol buffer."""
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    has_user_defined = False
    try:
        for field, value in _fields(content):
            if not isinstance(value, bytes):
                continue
            if field == _PIECE and value[-2:-1] == bytes([_TYPE << 3]):  # its last field: few have one
                has_user_defined |= dict(_fields(value)).get(_TYPE, _NORMAL) == _USER_DEFINED
            elif field == _TRAINER:
                trainer = dict(_fields(value))
            elif field == _NORMALIZER:
                normalizer = dict(_fields(value))
    except IndexError:
        raise ValueError("not a SentencePiece model: it ends within a field") from None
    name = normalizer.get(_NAME, b"")
    return Facts(
        model_type=int(trainer.get(_MODEL_TYPE, UNIGRAM)),
        normalization=name.decode(errors="replace") if isinstance(name, bytes) else "",
        has_map=bool(normalizer.get(_CHARSMAP)),
        adds_space=bool(normalizer.get(_DUMMY_PREFIX, 1)),
        removes_spaces=bool(normalizer.get(_REMOVE_SPACES, 1)),
        escapes_spaces=bool(normalizer.get(_ESCAPE_SPACES, 1)),
        space_is_suffix=bool(trainer.get(_SPACE_AS_SUFFIX, 0)),
        has_user_defined=has_user_defined,
    )


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Each field's number and value. Raises IndexError or ValueError if it is damaged."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        wire = key & 7
        if wire == _VARINT:
            value, at = _varint(message, at)
        elif wire in (_EIGHT_BYTES, _SIZED, _FOUR_BYTES):
            size, at = _varint(message, at) if wire == _SIZED else (8 if wire == _EIGHT_BYTES else 4, at)
            value, at = message[at : at + size], at + size
        else:
            raise ValueError(f"not a SentencePiece model: wire type {wire}")
        yield key >> 3, value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """A number, and the place after it."""
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
