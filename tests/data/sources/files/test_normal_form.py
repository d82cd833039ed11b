"""Normal forms are those of the standard library, in linear time whatever the text."""

import sys
import time
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.dedup.shingles import shingles
from data.sources.files.normal_form import MARKS, normalized

MARK = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.combining(chr(code))]
FORMS = ("NFC", "NFD", "NFKC", "NFKD")


@pytest.mark.parametrize("form", FORMS)
@settings(deadline=None)
@given(st.text(st.one_of(st.characters(), st.sampled_from(MARK)), max_size=MARKS))
def test_no_text_of_a_language_changes(form, text):
    assert normalized(form, text) == unicodedata.normalize(form, text)


def test_marks_in_a_row_are_noticed_wherever_they_begin():
    for before in range(2 * MARKS):
        for marks, joiners in ((MARKS - 1, 0), (MARKS, 1), (2 * MARKS, 2)):
            text = "á" * before + "e" + "\u0301" * marks + "a" * MARKS
            assert normalized("NFD", text).count("\u034f") == joiners


@pytest.mark.parametrize("form", FORMS)
def test_marks_without_an_end_take_linear_time(form):
    begin = time.process_time()
    for pair in ("\u0301\u0316", "".join(MARK)):
        found = normalized(form, "a" + pair * (400_000 // len(pair)))
        assert found.count("\u034f") > 6000
    assert time.process_time() - begin < 5  # the standard library takes minutes


def test_shingles_of_such_a_text_are_found_at_once():
    begin = time.process_time()
    found = shingles(" ".join(["a" + "\u0301\u0316" * 50_000] * 9))
    assert time.process_time() - begin < 5
    assert np.array_equal(found, np.unique(found))
