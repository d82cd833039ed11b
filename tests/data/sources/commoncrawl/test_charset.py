"""The text of pages whose bytes are not in the encoding that they declare."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.sources.commoncrawl.charset import decode_html

WESTERN = "<p>Café – „so“ naïve Straße.</p>"
RUSSIAN = "<p>Русский текст, в котором нет ничего особенного.</p>"


@pytest.mark.parametrize("charset", ["", "utf-8", "iso-8859-1", "windows-1251"])
@pytest.mark.parametrize("text", [WESTERN, RUSSIAN])
def test_a_few_wrong_bytes_do_not_change_the_rest_of_a_page_in_utf_8(text, charset):
    body = (text * 5).encode()
    assert decode_html(body + "Café.".encode("latin-1"), charset) == text * 5 + "Café."
    assert decode_html(body[:40].rsplit(b" ", 1)[0] + b"\xff" + body, charset).endswith(text * 5)


@pytest.mark.parametrize("cut", range(1, 4))
def test_a_character_that_is_cut_off_at_the_end_is_dropped(cut):
    for text in (WESTERN * 3, RUSSIAN * 3):
        assert decode_html((text + "𝄞").encode()[:-cut], "iso-8859-1") == text


@pytest.mark.parametrize("claimed", ["utf-8", "", "no-such-charset"])
@pytest.mark.parametrize(
    ("text", "encoding"),
    [(RUSSIAN, "windows-1251"), (WESTERN, "windows-1252"), ("日本語のページです。" * 20, "shift_jis")],
)
def test_a_page_that_is_not_in_utf_8_is_not_read_as_utf_8_whatever_it_declares(text, encoding, claimed):
    page = '<meta charset="utf-8">' + text * 10
    assert decode_html(page.encode(encoding), claimed) == page


KOREAN = "<p>이 글은 한국어로 쓴 글이며 오래된 문자 집합으로 저장했습니다.</p>"


@pytest.mark.parametrize("claimed", ["", "euc-kr", "cp949", "utf-8"])
@pytest.mark.parametrize("encoding", ["euc_kr", "cp949"])
def test_a_korean_page_is_read_whether_it_declares_its_encoding(encoding, claimed):
    page = KOREAN * 5 + ("똠방각하" if encoding == "cp949" else "")  # a syllable that EUC-KR lacks
    assert decode_html(page.encode(encoding), claimed) == page


@pytest.mark.parametrize(("text", "codec"), [("①髙﨑", "cp932"), ("丟嘅", "big5hkscs"), ("𠀀龴", "gb18030")])
def test_a_declared_encoding_has_the_characters_that_html_adds(text, codec):
    label = {"cp932": "shift_jis", "big5hkscs": "big5", "gb18030": "gbk"}[codec]
    page = f"<p>{text}</p>"
    assert decode_html(page.encode(codec), label) == page


@given(st.text(max_size=200).filter(lambda text: "\ufeff" not in text))
@settings(max_examples=200, deadline=None)
def test_valid_utf_8_is_read_as_such(text):
    assert (
        decode_html(text.encode("utf-8", "ignore"), "iso-8859-1") == text.encode("utf-8", "ignore").decode()
    )


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("beginning", ["<!DOCTYPE html>", "\r\n <html>", "<?xml version='1.0'?>"])
def test_utf_16_without_a_mark_is_recognized_by_the_first_tag(encoding, beginning):
    page = beginning + WESTERN + RUSSIAN
    assert decode_html(page.encode(encoding), "") == page


@pytest.mark.parametrize("charset", ["ISO-2022-JP", ""])
def test_escape_sequences_are_decoded_where_the_page_declares_them(charset):
    page = f"<meta charset={charset or 'iso-2022-jp'}>" + "これは日本語です。" * 5
    assert decode_html(page.encode("iso-2022-jp"), charset) == page
    terminal = "<p>Type \x1b$ to see the sign.</p>"
    assert decode_html(terminal.encode(), "utf-8") == terminal


def test_marks_of_files_that_a_page_includes_are_dropped_at_its_beginning():
    assert decode_html(b"\xef\xbb\xbf" * 3 + WESTERN.encode(), "utf-8") == WESTERN
