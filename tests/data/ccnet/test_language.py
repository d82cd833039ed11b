"""Compiled language identification gives fastText's own numbers; without it, the library does the work."""

import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from data.ccnet import fasttext_file, language
from data.errors import Unfit

# Sentences in several scripts; whatever separates words in fastText, and what it treats in a special way.
PIECES = (
    "the of and was river Der die Straße naïve coeur été señor ñandú Привет мир шёл ελληνικά שלום مرحبا "
    "नमस्ते 日本語 雨だった 한국어 ไทย 3.14 1e-05 https://example.org/a?b=c <b> </s> <s> > < __label__en "
    "🙂🏽 e\u0301 \u2028 \x85 \x1c \ufeff " + "ä" * 400 + " " + "x" * 3000
).split(" ")
SPACES = (" ", "  ", "\t", "\r", "\v", "\f", "\0", "", "\u00a0")


@pytest.fixture(autouse=True)
def new_predictors() -> Iterator[None]:
    language._predictor.cache_clear()
    yield
    language._predictor.cache_clear()


@pytest.fixture
def compiled(native: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fasttext_file, "native", native)


def by_library(text: str) -> tuple[str, float]:
    labels, scores = language.load(language.model_file(None)).predict(text)
    return (labels[0].removeprefix("__label__"), float(scores[0])) if labels else ("", 0.0)


def test_label_and_probability_are_the_librarys_to_the_last_bit(compiled: None):
    predict = fasttext_file.predictor(language.model_file(None))
    draw = random.Random(0)
    letters = [chr(code) for code in range(0x20, 0x3000) if not 0xD800 <= code < 0xE000]
    texts = ["", " ", "\t\0", "</s>", "a </s> b", "__label__en", "é" * 500]
    for _ in range(2000):
        texts.append("".join(draw.choices(letters, k=draw.randint(0, 80))))
        words = draw.choices(PIECES, k=draw.randint(0, 30))
        texts.append("".join(word + draw.choice(SPACES) for word in words))
    assert [predict(text) for text in texts] == [by_library(text) for text in texts]


def test_identify_uses_the_compiled_module_where_it_agrees(compiled: None):
    model = language.model_file(None)
    assert language._predictor(model).__module__ == fasttext_file.__name__
    assert language.identify("Die Straße ist\ngesperrt.", model) == by_library("Die Straße istgesperrt.")


def test_a_module_that_differs_from_the_library_is_not_used(monkeypatch: pytest.MonkeyPatch):
    class Wrong:
        def __init__(self, *tables: object) -> None: ...

        def predict(self, text: str) -> tuple[int, float]:
            return 0, 0.5

    monkeypatch.setattr(fasttext_file, "native", type("", (), {"Model": Wrong}))
    model = language.model_file(None)
    assert language.identify("The river rose.", model) == by_library("The river rose.")


def test_without_a_compiled_module_the_library_gives_the_same(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fasttext_file, "native", None)
    model = language.model_file(None)
    with pytest.raises(Unfit, match="not compiled"):
        fasttext_file.predictor(model)
    assert language.identify("The river rose.", model) == by_library("The river rose.")


def test_a_truncated_model_is_left_to_the_library_to_refuse(compiled: None, tmp_path: Path):
    cut = tmp_path / "lid.bin"
    cut.write_bytes(language.model_file(None).read_bytes()[:100_000])
    with pytest.raises(Unfit):
        fasttext_file.predictor(cut)


def test_tables_that_do_not_fit_together_are_refused(native: ModuleType):
    none = np.zeros(0, np.int32).data
    with pytest.raises(ValueError, match="do not fit"):
        native.Model(b"", b"", np.zeros(1, np.int32).data, none, none, none, 16, 2, 4, 100, 0)
    with pytest.raises(TypeError):
        native.Model()
