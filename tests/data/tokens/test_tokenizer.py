"""All ids equal sentencepiece's, whichever encoder computes them."""

import bz2
import gzip
import sys
import types

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import DataError
from data.tokens.tokenizer import Tokenizer

LITERAL = ["<s>", "</s>", "<unk>", "<0x0A>", "<0x00>", "<0xFF>", "<pad>"]
NEARLY = [
    "<",
    "<s",
    "s>",
    "/s>",
    "<0x",
    "<0x0",
    "0A>",
    "<0x0a>",
    "<<s>>",
    "\u2581",
    "\u2581\u2581",
    "\0",
    "\n\n",
    "  ",
]
words = st.one_of(st.text(max_size=20), st.sampled_from(LITERAL), st.sampled_from(NEARLY))
texts = st.lists(words, max_size=12).map("".join)


@pytest.fixture(scope="module")
def llama(shared_data) -> Tokenizer:
    return Tokenizer(shared_data / "tokenizer" / "llama-tokenizer.model")


def reference(tokenizer: Tokenizer) -> sentencepiece.SentencePieceProcessor:
    return sentencepiece.SentencePieceProcessor(model_file=str(tokenizer.path))


def assert_equal_ids(tokenizer: Tokenizer, texts: list[str]) -> None:
    for text, ids, expected in zip(texts, tokenizer.encode_batch(texts), reference(tokenizer).encode(texts)):
        assert ids.tolist() == expected, repr(text[:200])


def test_the_fast_encoder_is_the_one_under_test(tokenizer):
    """Needs the extra `data`; otherwise the tests below compare sentencepiece with itself."""
    pytest.importorskip("gigatoken")
    assert tokenizer.backend == "gigatoken" and "agrees" in tokenizer.backend_note


def test_llamas_own_model_is_encoded_by_the_fast_encoder(llama):
    pytest.importorskip("gigatoken")
    assert llama.backend == "gigatoken"
    assert (llama.vocab_size, llama.bos_id, llama.eos_id) == (32000, 1, 2)
    assert llama.fingerprint == "9e556afd44213b6bd1be2b850ebbbd98f5481437a8021afaf58ee7fb1818d347"


def test_ids_are_identical_over_all_real_text_with_llamas_model(llama, shared_data):
    read = 0
    for path in sorted(shared_data.rglob("*")):
        if not path.is_file():
            continue
        content = path.read_bytes()
        if path.suffix in (".gz", ".bz2"):
            content = (gzip if path.suffix == ".gz" else bz2).decompress(content)
        text = content.decode(errors="replace")
        assert_equal_ids(llama, [text[start : start + 50_000] for start in range(0, len(text), 50_000)])
        read += len(content)
    assert read > 50_000_000


def test_ids_are_identical_over_real_text_with_a_fresh_model(tokenizer, real_texts):
    assert_equal_ids(tokenizer, ["".join(real_texts), *real_texts])


@settings(max_examples=300, deadline=None)
@given(st.lists(texts, max_size=8))
def test_ids_are_identical_over_random_strings_with_a_fresh_model(tokenizer, batch):
    assert_equal_ids(tokenizer, batch)
    assert [ids.dtype for ids in tokenizer.encode_batch(batch)] == [np.int32] * len(batch)


@settings(max_examples=300, deadline=None)
@given(st.lists(texts, max_size=8))
def test_ids_are_identical_over_random_strings_with_llamas_model(llama, batch):
    assert_equal_ids(llama, batch)


@settings(max_examples=200, deadline=None)
@given(texts)
def test_no_text_can_forge_the_end_of_a_document(tokenizer, text):
    assert not {0, tokenizer.bos_id, tokenizer.eos_id} & set(tokenizer.encode(text).tolist())


@settings(max_examples=200, deadline=None)
@given(texts)
def test_text_comes_back_except_for_the_mark_of_a_space(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text)) == text.replace("\u2581", " ")


def test_half_a_surrogate_pair_becomes_the_replacement_character(tokenizer):
    assert tokenizer.decode(tokenizer.encode("a\ud800b")) == "a\ufffd\ufffd\ufffdb"


@settings(max_examples=200, deadline=None)
@given(
    st.lists(texts.map(lambda text: text.replace("\u2581", "")), min_size=1, max_size=5), st.integers(1, 9)
)
def test_the_bytes_of_text_are_counted_exactly_however_the_stream_is_cut(tokenizer, documents, length):
    bos, eos = [tokenizer.bos_id], [tokenizer.eos_id]
    stream = np.concatenate([np.r_[bos, ids, eos] for ids in tokenizer.encode_batch(documents)]).astype(
        np.int64
    )
    size = sum(len(text.encode()) for text in documents)
    assert tokenizer.text_bytes(stream) == size
    cuts = [stream[start : start + length + 1] for start in range(0, len(stream) - 1, length)]
    assert sum(tokenizer.text_bytes(cut) for cut in cuts) == size
    rows = np.stack([cut for cut in cuts if len(cut) == length + 1] or [stream[:1]])
    assert tokenizer.text_bytes(rows) == sum(tokenizer.text_bytes(row) for row in rows)


def test_without_gigatoken_sentencepiece_encodes_and_this_is_reported(tokenizer, monkeypatch, real_texts):
    monkeypatch.setitem(sys.modules, "gigatoken", None)  # the import fails
    plain = Tokenizer(tokenizer.path)
    assert plain.backend == "sentencepiece" and "pip install" in plain.backend_note
    batch = [*real_texts[:20], "<s>", ""]
    for one, other in zip(plain.encode_batch(batch), tokenizer.encode_batch(batch)):
        assert one.dtype == other.dtype and one.tolist() == other.tolist()


class Deviant:
    """An encoder that is wrong for one kind of text only."""

    def __init__(self, right: sentencepiece.SentencePieceProcessor) -> None:
        self._right = right

    def encode(self, text: str) -> np.ndarray:
        return np.array(self._right.encode(text.replace("你", "好")), np.uint32)


def test_an_encoder_that_differs_is_not_used_and_this_is_reported(tokenizer, monkeypatch):
    loader = types.SimpleNamespace(from_json=lambda path: Deviant(reference(tokenizer)))
    monkeypatch.setitem(sys.modules, "gigatoken", types.SimpleNamespace(Tokenizer=loader))
    plain = Tokenizer(tokenizer.path)
    assert plain.backend == "sentencepiece" and "gigatoken differs" in plain.backend_note
    assert plain.encode("你").tolist() == reference(tokenizer).encode("你")


def test_an_encoder_that_cannot_load_the_model_is_not_used_and_this_is_reported(tokenizer, monkeypatch):
    def refuse(path):
        raise ValueError("no such normalisation\nand more")

    loader = types.SimpleNamespace(from_json=refuse)
    monkeypatch.setitem(sys.modules, "gigatoken", types.SimpleNamespace(Tokenizer=loader))
    plain = Tokenizer(tokenizer.path)
    assert plain.backend == "sentencepiece"
    assert (
        "cannot load this model: no such normalisation" in plain.backend_note
        and "\n" not in plain.backend_note
    )


def test_a_model_that_normalizes_is_still_encoded_as_sentencepiece_does(tmp_path, real_texts):
    """As T5's and XLM's models do; the encoder for these must agree too."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter("".join(real_texts).splitlines()),
        model_prefix=str(tmp_path / "other"),
        vocab_size=500,
        model_type="unigram",
        byte_fallback=True,
        minloglevel=2,
    )
    other = Tokenizer(tmp_path / "other.model")
    assert_equal_ids(other, [*real_texts[:50], "ﬁ ①  Ａ", " two  spaces ", "a\n\nb"])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "no such tokenizer; train one with `relama tokenizer`"),
        (b"", "empty; expected a SentencePiece model"),
        (b"garbage" * 100, "not a SentencePiece model"),
    ],
)
def test_a_file_that_is_not_a_model_is_refused_in_one_line(tmp_path, content, words):
    path = tmp_path / "tokenizer.model"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=words) as refused:
        Tokenizer(path)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)


def test_a_folder_is_refused_in_one_line(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        Tokenizer(tmp_path)
