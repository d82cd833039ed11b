"""Compiled perplexity gives KenLM's own numbers; whatever it cannot read is left to KenLM."""

import random
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

from data.ccnet import kenlm_file, perplexity
from data.ccnet.train_language_model import programs, train_language_model
from data.errors import Unfit
from tests.support.kenlm import needs_kenlm

pytestmark = needs_kenlm
_DRAW = random.Random(9)
RARE = "the old 龍 rose"  # a character that no piece has, but the vocabulary of n-grams
WORDS = ["".join(_DRAW.choices("etaoinshrdlucm", k=_DRAW.randint(1, 8))) for _ in range(300)]


def sentences(seed: int, count: int) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 25))) for _ in range(count)]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    train_language_model([*sentences(0, 3000), RARE], folder, "en", pieces=200, memory_gb=1)
    return folder


@pytest.fixture
def compiled(native: ModuleType, models: Path, monkeypatch: pytest.MonkeyPatch) -> perplexity.LanguageModel:
    monkeypatch.setattr(kenlm_file, "native", native)
    return perplexity.LanguageModel(models / "en.sp.model", models / "en.arpa.bin")


def test_perplexities_are_kenlms_to_the_last_bit(compiled: perplexity.LanguageModel):
    assert compiled._score is not None
    draw = random.Random(1)
    texts = ["", "a", "漢", *sentences(2, 200), "\n".join(sentences(3, 400))]  # the last: many blocks
    texts += ["".join(draw.choices("thernio  au1", k=draw.randint(1, 300))) for _ in range(300)]
    texts += ["".join(draw.choices("the old 龍字☃\u2028", k=draw.randint(1, 90))) for _ in range(300)]
    found = [compiled.perplexity(text) for text in texts]
    assert found == [compiled._by_library(perplexity.normalize(text)) for text in texts]


def test_a_line_of_any_length_around_the_blocks_has_kenlms_score(compiled: perplexity.LanguageModel):
    assert compiled._score is not None
    pieces = compiled.pieces.encode(" ".join(sentences(4, 300)))
    names = compiled.pieces.id_to_piece
    for length in (0, 1, 4, 510, 511, 512, 513, 1023, 1024, 1025):
        line = " ".join(names(i) for i in pieces[:length])
        assert compiled._score(pieces[:length]) == compiled.ngrams.score(line)


def test_characters_that_no_piece_has_are_scored_as_kenlm_knows_them(compiled: perplexity.LanguageModel):
    assert compiled._score is not None
    assert [text in compiled.ngrams for text in ("龍", "漢字")] == [True, False]
    for text in ("龍", "漢字"):
        pieces = compiled._encode(f"the old {text} rose")
        assert pieces is not None and text in pieces
        line = " ".join(one if isinstance(one, str) else compiled.pieces.id_to_piece(one) for one in pieces)
        assert compiled._score(pieces) == compiled.ngrams.score(line)


@pytest.fixture(scope="module")
def arpa(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("arpa")
    text, arpa = folder / "text", folder / "arpa"
    text.write_text("\n".join(sentences(5, 300)))
    count = [programs()[0], "--order", "3", "--discount_fallback", "--memory", "64M"]
    subprocess.run([*count, "--text", str(text), "--arpa", str(arpa)], check=True, capture_output=True)
    return arpa


@pytest.mark.parametrize("kind", [["probing"], ["-q", "8", "-b", "8", "trie"], ["-a", "22", "trie"]])
def test_other_kinds_of_models_are_left_to_kenlm(
    kind: list[str], native: ModuleType, arpa: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    build_binary, other = programs()[1], tmp_path / "bin"
    subprocess.run([build_binary, *kind, str(arpa), str(other)], check=True, capture_output=True)
    monkeypatch.setattr(kenlm_file, "native", native)
    with pytest.raises(Unfit, match="not a plain trie"):
        kenlm_file.scorer(other, ["a"], 0)


def test_a_truncated_or_foreign_file_is_not_read(
    native: ModuleType, models: Path, tmp_path: Path, monkeypatch
):
    monkeypatch.setattr(kenlm_file, "native", native)
    content = (models / "en.arpa.bin").read_bytes()
    for size in (0, 60, 140, 1000, len(content) // 2):
        cut = tmp_path / f"{size}.bin"
        cut.write_bytes(content[:size])
        with pytest.raises(Unfit):
            kenlm_file.scorer(cut, ["a"], 0)


def test_without_a_compiled_module_kenlm_gives_the_same(
    compiled: perplexity.LanguageModel, models: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(kenlm_file, "native", None)
    plain = perplexity.LanguageModel(models / "en.sp.model", models / "en.arpa.bin")
    assert plain._score is None
    assert plain.perplexity("the old house") == compiled.perplexity("the old house")
