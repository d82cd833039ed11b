"""The compiled unigram segmentation gives SentencePiece's own pieces; other models are left to it."""

import random
from pathlib import Path
from types import ModuleType

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from data.ccnet import perplexity, unigram_file
from data.errors import Unfit
from data.tokens import sentencepiece_file

Processor = sentencepiece.SentencePieceProcessor
_DRAW = random.Random(3)
WORDS = ["".join(_DRAW.choices("etaoinshrdlucm-,", k=_DRAW.randint(1, 12))) for _ in range(2000)]


def trained(folder: Path, **options) -> Processor:
    text = folder / "text"
    draw = random.Random(4)
    text.write_text("\n".join(" ".join(draw.choices(WORDS, k=12)) for _ in range(2000)))
    settings = {"model_type": "unigram", "vocab_size": 600, "minloglevel": 2} | options
    sentencepiece.SentencePieceTrainer.train(input=str(text), model_prefix=str(folder / "it"), **settings)
    return Processor(model_file=str(folder / "it.model"))


def encoder(processor: Processor) -> unigram_file.Encode:
    return unigram_file.encoder(processor, sentencepiece_file.facts(processor.serialized_model_proto()))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Processor:
    return trained(tmp_path_factory.mktemp("unigram"))


@pytest.fixture(scope="module")
def encode(native: ModuleType, model: Processor) -> unigram_file.Encode:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unigram_file, "native", native)
        return encoder(model)


def expected(model: Processor, line: str) -> list[int | str] | None:
    words, numbers = model.encode(line, out_type=str), model.encode(line)
    pieces = [text if i == model.unk_id() else i for text, i in zip(words, numbers, strict=True)]
    return pieces if " ".join(words).split() == words else None


def test_lines_of_known_and_unknown_words_have_the_librarys_pieces(model: Processor, encode):
    """Long lines, whose scores are large, decide near ties by rounding."""
    draw = random.Random(5)
    lines = [" ".join(draw.choices(WORDS, k=draw.randint(1, 40))) for _ in range(300)]
    lines += ["".join(draw.choices("etaoinshrdlu ,-", k=draw.randint(1, 400))) for _ in range(300)]
    lines += ["".join(draw.choices("etaoi ", k=25_000)), " ".join(draw.choices(WORDS, k=4000)), "e" * 5000]
    for _ in range(2):  # the second time with remembered words
        for line in lines:
            assert encode(line) == expected(model, line), line[:80]


def test_a_line_of_a_megabyte_is_left_to_the_library(model: Processor, encode):
    line = "".join(_DRAW.choices("etaoi ", k=1_000_000))
    assert encode(line) == expected(model, line)


def test_unknown_characters_are_given_as_the_library_joins_them(model: Processor, encode):
    texts = [piece for piece in encode("漢字 eta漢 ☃字 🙂") if isinstance(piece, str)]
    assert texts == ["漢字", "漢", "☃字", "🙂"]
    draw = random.Random(7)
    for _ in range(500):
        line = "".join(draw.choices("eta \u2028漢字☃🙂é", k=draw.randint(1, 60)))
        assert encode(line) == expected(model, line), line


def test_ties_fall_as_in_the_library(native: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Few pieces of one score each: most words have several segmentations whose scores are nearly equal."""
    tied = trained(tmp_path, vocab_size=400, max_sentencepiece_length=3)
    monkeypatch.setattr(unigram_file, "native", native)
    encode = encoder(tied)
    draw = random.Random(6)
    for _ in range(500):
        line = "".join(draw.choices("eeettaao ", k=draw.randint(1, 3000)))
        assert encode(line) == expected(tied, line), line[:80]


@settings(max_examples=300, deadline=None)
@given(st.text(st.one_of(st.sampled_from("eta o,-"), st.characters(exclude_categories=["Cs"])), max_size=60))
def test_any_normal_line_has_the_librarys_pieces_or_is_left_to_it(model: Processor, encode, text: str):
    line = perplexity.normalize(text)
    assert encode(line) == expected(model, line)


@pytest.mark.parametrize(
    "options",
    [
        {"model_type": "bpe"},
        {"user_defined_symbols": ["eta"]},
        {"treat_whitespace_as_suffix": True},
        {"add_dummy_prefix": False},
        {"remove_extra_whitespaces": False},
    ],
    ids=str,
)
def test_other_models_are_left_to_the_library(
    options: dict, native: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(unigram_file, "native", native)
    with pytest.raises(Unfit):
        encoder(trained(tmp_path, **options))


def test_pieces_of_several_words_are_segmented_without_memory(
    native: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    crossing = trained(tmp_path, split_by_whitespace=False, vocab_size=2000)
    assert any(" " in crossing.id_to_piece(i)[1:].replace("▁", " ") for i in range(2000))
    monkeypatch.setattr(unigram_file, "native", native)
    encode = encoder(crossing)
    for seed in range(100):
        line = " ".join(random.Random(seed).choices(WORDS, k=30))
        assert encode(line) == expected(crossing, line)


def test_tables_that_do_not_fit_are_refused(native: ModuleType, model: Processor):
    import numpy as np

    ids, scores = np.array([3, 4], np.int32), np.array([-1, -2], np.float32)
    for texts in (["b", "a"], ["a", "a"], ["", "a"], ["a"], ["a", "b", "c"]):
        with pytest.raises(ValueError, match="do not fit"):
            native.Pieces(texts, ids.data, scores.data, -9.0)
    with pytest.raises(ValueError, match="do not fit"):
        native.Pieces(["a", "b"], np.array([3, -4], np.int32).data, scores.data, -9.0)


def test_a_truncated_model_file_has_no_facts(model: Processor):
    content = model.serialized_model_proto()
    assert sentencepiece_file.facts(content).normalization == "nmt_nfkc"
    for size in (1, 2, 100, 1000):
        try:
            sentencepiece_file.facts(content[:size])
        except ValueError:
            continue
