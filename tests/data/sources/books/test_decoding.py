"""A book's characters are those that its bytes mean, whatever mixture of encodings they are in."""

import zipfile

import pytest

from data.documents import Drop, Record
from data.sources.books import recipe as books
from tests.support.books import BODY, zipped
from tests.support.narrow import present

HEAD = (
    "Title: Le lac\n\nCharacter set encoding: {}\n\n*** START OF THE PROJECT GUTENBERG EBOOK LE LAC ***\n\n"
)
FRENCH = "Près du château, l’été n’était jamais fini… — Ça va?\n" * 20
CHINESE = "湖边有一个老人，每天看守那条船。\n" * 20


def cleaned(text: str) -> str:
    return getattr(books.clean(Record("1.txt", 0, text)), "text", "")


@pytest.mark.parametrize("label", ["UTF-8", "ISO-8859-1", "ASCII"])
def test_parts_in_two_encodings_are_each_read_as_what_they_are(label):
    head = HEAD.format(label) + "Produced by José — with “care”\n\n"
    raw = head.encode() + FRENCH.encode("cp1252") + FRENCH.encode()
    assert present(books.decode(raw)) == head + FRENCH + FRENCH
    assert present(books.decode(FRENCH.encode() + "Fin du café".encode("cp1252"))).endswith("Fin du café")


@pytest.mark.parametrize("codec", ["koi8-r", "cp1251", "gbk", "shift_jis", "cp850", "mac_roman"])
def test_a_head_in_utf_8_proves_nothing_about_a_body_in_another_encoding(codec):
    words = (
        FRENCH if codec in ("cp850", "mac_roman") else "Озеро " if codec in ("koi8-r", "cp1251") else "湖の中"
    )
    assert books.decode("“Tête” —\n".encode() + (words * 20).encode(codec, "replace")) is None


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize("body", [FRENCH, CHINESE])
def test_wide_characters_without_a_byte_order_mark_are_read(codec, body):
    text = HEAD.format("UTF-16") + body
    assert books.decode(text.encode(codec)) == text


@pytest.mark.parametrize(
    ("label", "codec", "body"),
    [("ISO-2022-JP", "iso2022_jp", "湖の中の島"), ("", "iso2022_jp", "湖の中の島"), ("HZ", "hz", CHINESE)],
)
def test_encodings_that_write_all_characters_in_ascii_are_read(label, codec, body):
    text = HEAD.format(label) + body
    assert books.decode(text.encode(codec)) == text


def test_text_that_was_encoded_twice_is_decoded_twice():
    for body in (FRENCH, CHINESE, "Ένας άντρας στη λίμνη.\n" * 9):
        twice = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in body.encode())
        assert books.decode((HEAD.format("UTF-8") + twice).encode()) == HEAD.format("UTF-8") + body
    for once in ("Ã", "naïve Â» and Ã© alone", "café"):  # too little to prove it, or not all of it
        assert books.decode(once.encode()) == once


@pytest.mark.parametrize("ending", ["\n", "\r", "\r\n", "\r\r\n", "\r\r\r\n"])
def test_line_ends_that_were_converted_twice_are_single(ending):
    assert cleaned(BODY.replace("\n", ending)) == BODY + "\n"


@pytest.mark.parametrize("sign", ["\0", "\x01", "\x1a", "\x7f", "\ufeff"])
def test_a_control_character_costs_itself_and_many_cost_the_file(sign):
    book = "\n\n".join([BODY] * 9)
    assert cleaned(book[:50] + sign + book[50:] + sign) == book + "\n"
    if sign != "\ufeff":
        dropped = books.clean(Record("1.txt", 0, BODY + sign * 9))
        assert isinstance(dropped, Drop) and dropped.reason == "binary"


def test_another_format_named_as_a_book_is_named(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"{\\rtf1\\ansi " + BODY.encode() + b"}")
    (item,) = books.read(tmp_path / "a.txt")
    assert isinstance(item, Drop) and item.malformed and "RTF; save its text as .txt" in item.detail


def test_a_zip_of_the_nineties_is_named_with_what_unpacks_it(tmp_path):
    raw = zipped({"lake.txt": BODY.encode()}, zipfile.ZIP_STORED)
    at, central = raw.index(b"PK\x03\x04"), raw.index(b"PK\x01\x02")
    imploded = bytearray(raw)
    imploded[at + 8] = imploded[central + 10] = 6
    (tmp_path / "lake.zip").write_bytes(imploded)
    (item,) = books.read(tmp_path / "lake.zip")
    assert isinstance(item, Drop) and "lake.txt" in item.detail and item.detail.endswith("`unzip` unpacks it")


@pytest.mark.parametrize(
    "first", [b"<!DOCTYPE html>\n<html>", b"\xef\xbb\xbf\n <HTML lang='en'>", b'<?xml version="1.0"?>']
)
def test_a_page_saved_under_a_book_s_name_is_no_book(tmp_path, first):
    (tmp_path / "1342-0.txt").write_bytes(first + b"<body>403 Forbidden" + BODY.encode())
    (item,) = books.read(tmp_path / "1342-0.txt")
    assert isinstance(item, Drop) and item.malformed and "HTML or XML; fetch the plain text" in item.detail
    (tmp_path / "mine.txt").write_text("<htmlish> I wrote of <html> tags.\n" + BODY)
    (mine,) = books.read(tmp_path / "mine.txt")
    assert isinstance(mine, Record)
