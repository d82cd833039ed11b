"""A SentencePiece file is read as its library reads it, and becomes gigatoken's own tokenizer.json."""

import struct
from pathlib import Path

import numpy as np
import pytest
import sentencepiece

from data.tokens import merges, sentencepiece_file
from data.tokens.sentencepiece_file import BYTE, CONTROL, UNKNOWN, UNUSED, Facts

OPTIONS = [
    {},
    {"user_defined_symbols": ["are", "more words"]},
    {"remove_extra_whitespaces": True},
    {"normalization_rule_name": "nfkc"},
    {"add_dummy_prefix": False},
    {"treat_whitespace_as_suffix": True},
    {"byte_fallback": False},
    {"model_type": "unigram"},
    {"control_symbols": ["<sep>", "<cls>"], "bos_id": 3, "eos_id": 4, "pad_id": 1, "unk_id": 2},
]
BUILT_HERE = [{}, OPTIONS[1], OPTIONS[4], OPTIONS[8]]  # the others are left to gigatoken


def trained(folder: Path, options: dict) -> bytes:
    text = folder / "text.txt"
    text.write_text("\n".join(f"words and more words {i} are here, straße" for i in range(500)))
    settings = {"model_type": "bpe", "vocab_size": 330, "byte_fallback": True, "minloglevel": 2}
    settings |= {"normalization_rule_name": "identity", "remove_extra_whitespaces": False} | options
    sentencepiece.SentencePieceTrainer.train(input=str(text), model_prefix=str(folder / "it"), **settings)
    return (folder / "it.model").read_bytes()


def assert_as_in_the_library(content: bytes) -> Facts:
    facts = sentencepiece_file.facts(content)
    model = sentencepiece.SentencePieceProcessor(model_proto=content)
    ids = range(model.vocab_size())
    assert facts.pieces == [model.id_to_piece(i) for i in ids]
    assert facts.scores.tolist() == [model.get_score(i) for i in ids]
    kinds = {
        BYTE: model.is_byte,
        CONTROL: model.is_control,
        UNKNOWN: model.is_unknown,
        UNUSED: model.is_unused,
    }
    for kind, is_of in kinds.items():
        assert facts.of_kind(kind) == [i for i in ids if is_of(i)]
    return facts


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_pieces_their_scores_and_kinds_are_the_librarys(options: dict, tmp_path: Path):
    assert_as_in_the_library(trained(tmp_path, options))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_tokenizer_json_is_the_one_that_gigatoken_makes(options: dict, tmp_path: Path):
    pytest.importorskip("gigatoken")
    from gigatoken._load.sentencepiece import sentencepiece_to_tokenizer_json

    content = trained(tmp_path, options)
    made = merges.as_json(sentencepiece_file.facts(content))
    assert (made is not None) == (options in BUILT_HERE)
    if made is not None:
        assert made == sentencepiece_to_tokenizer_json(content)


def test_the_tokenizer_json_of_llamas_own_model_is_the_one_that_gigatoken_makes(shared_data: Path):
    pytest.importorskip("gigatoken")
    from gigatoken._load.sentencepiece import sentencepiece_to_tokenizer_json

    content = (shared_data / "tokenizer" / "llama-tokenizer.model").read_bytes()
    assert merges.as_json(assert_as_in_the_library(content)) == sentencepiece_to_tokenizer_json(content)


def field(number: int, value: bytes | int | float) -> bytes:
    """One field of a protocol buffer; lengths and numbers below 2^14."""

    def varint(n: int) -> bytes:
        return bytes([n]) if n < 128 else bytes([n & 127 | 128, n >> 7])

    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def test_pieces_written_in_an_unusual_way_are_read_as_in_the_library(tmp_path: Path):
    """Long texts, fields in another order, twice, left out, or unknown."""
    texts = [b"\xc3\xa9" * 70, b"kind first", b"no score", b"twice", b"unknown field", b"long varint"]
    odd = [
        field(1, texts[0]) + field(2, -1.5),
        field(3, UNUSED) + field(2, -2.5) + field(1, texts[1]),
        field(1, texts[2]),
        field(1, b"before") + field(2, -9.0) + field(1, texts[3]) + field(2, -3.5),
        field(1, texts[4]) + field(2, -4.5) + field(200, b"x" * 200),
        field(1, texts[5]) + field(2, -5.5) + b"\x18\x84\x00",  # the number 4 in two bytes: user-defined
    ]
    content = trained(tmp_path, {}) + b"".join(field(1, piece) for piece in odd)
    facts = assert_as_in_the_library(content)
    assert [piece.encode() for piece in facts.pieces[-6:]] == texts
    assert facts.kinds[-6:].tolist() == [1, UNUSED, 1, 1, 1, sentencepiece_file.USER_DEFINED]


def test_a_damaged_file_has_no_facts(tmp_path: Path):
    content = trained(tmp_path, {})
    for damaged in (
        content[:1],
        field(1, b"\x0a\x7fshort"),
        field(1, field(1, 3)),
        field(1, field(1, b"\xff")),
    ):
        with pytest.raises(ValueError):
            sentencepiece_file.facts(damaged)


def test_merges_of_one_score_come_by_the_length_of_their_left_part():
    pieces = ["a", "b", "ab", "aab", "abb", "aa", "bb"]
    scores = np.array([-9, -9, -1, -2, -2, -2, -3], np.float32)
    facts = Facts(pieces, scores, np.ones(7, np.uint8), 2, "identity", False, True, False, True, False, True)
    found = merges.merges(facts, {piece: i for i, piece in enumerate(pieces)})
    assert found == [("a", "b"), ("aa", "b"), ("ab", "b"), ("a", "ab"), ("a", "bb"), ("a", "a"), ("b", "b")]
