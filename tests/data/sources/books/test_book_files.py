"""Books are found and read in any layout, packaging and encoding."""

import gzip
import json
import random
import struct
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.documents import Document, Drop
from data.errors import DataError
from data.sources.books import decoding
from data.sources.books import recipe as books
from tests.support.books import BODY, gutenberg_file, only, read, read_bytes, zipped


@pytest.mark.parametrize("name", ["4321-0.txt", "4321.txt", "pg4321.txt", "PG4321_text.txt", "4321-8.zip"])
def test_the_number_comes_from_the_name_if_the_header_has_none(tmp_path, name):
    whole = gutenberg_file().replace("[EBook #4321]", "").encode()
    if name.endswith(".zip"):
        document = only(read_bytes(tmp_path, "any.zip", zipped({"4321-8.txt": whole})))
    else:
        document = only(read_bytes(tmp_path, name, whole))
    assert document.url == "https://www.gutenberg.org/ebooks/4321"


def test_no_number_is_guessed_from_a_name_without_one(tmp_path):
    whole = gutenberg_file().replace("[EBook #4321]", "")
    assert only(read_bytes(tmp_path, "pandp12.txt", whole.encode())).url == ""


def test_a_mirror_of_texts_zips_and_gz_is_read_in_any_layout(tmp_path):
    whole = gutenberg_file().encode()
    folder = tmp_path / "4/3/2/4321"
    (folder / "old").mkdir(parents=True)
    (folder / "4321-0.txt").write_bytes(whole)
    (folder / "4321-0.zip").write_bytes(zipped({"4321-0.txt": whole}))
    (folder / "old/voyag10.ZIP").write_bytes(zipped({"VOYAG10.TXT": whole}))
    (folder / "4321-h.zip").write_bytes(zipped({"4321-h/4321-h.htm": b"<p>", "4321-h/a.png": b"png"}))
    (tmp_path / "pg4321.txt.gz").write_bytes(gzip.compress(whole))
    (tmp_path / "4321.gz").write_bytes(gzip.compress(whole))
    (tmp_path / "4321.txt.utf-8").write_bytes(whole)
    for name in ("README.txt", "LICENSE.txt", ".hidden.txt", "4321.mp3", "GUTINDEX.ALL"):
        (tmp_path / name).write_text("no book")
    items = read(tmp_path)
    assert [item.text for item in items if isinstance(item, Document)] == [BODY + "\n"] * 6
    assert [(item.reason, Path(item.file).name) for item in items if isinstance(item, Drop)] == [
        ("no plain text in it", "4321-h.zip"),
        ("named as a note or a license", "LICENSE.txt"),
        ("named as a note or a license", "README.txt"),
    ]


def test_a_book_is_never_left_out_silently_for_its_name_or_format(tmp_path):
    names = ["license to kill.txt", "Readme First - a novel.txt", "Copying Machines.txt", "b.TXT"]
    for name in [*names, "c.epub", "d.PDF", "licence-MIT.txt", "readme.txt.utf-8"]:
        (tmp_path / name).write_text(name)
    items = read(tmp_path)
    assert {item.text.strip() for item in items if isinstance(item, Document)} == {*names}
    assert {(item.reason, item.detail) for item in items if isinstance(item, Drop)} == {
        ("not a supported format", "c.epub"),
        ("not a supported format", "d.PDF"),
        ("named as a note or a license", "licence-MIT.txt"),
        ("named as a note or a license", "readme.txt.utf-8"),
    }


def test_a_zip_s_hidden_files_and_notes_are_no_books(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for name in ("./in/1.txt", "__MACOSX/in/._1.txt", "in/.cache/2.txt", "in\\.3.txt", "in/readme.txt"):
            archive.writestr(name, gutenberg_file() if name == "./in/1.txt" else "a note about nothing")
    book, note = read(tmp_path)
    assert isinstance(book, Document) and book.text == BODY + "\n"
    assert isinstance(note, Drop) and note.detail == "in/readme.txt" and note.record == 4
    assert note.reason == "named as a note or a license"


def test_archives_of_books_are_named_with_what_to_do(tmp_path):
    (tmp_path / "txt-files.tar").write_bytes(bytes(10240))
    (tmp_path / "more.tar.gz").write_bytes(gzip.compress(bytes(10240)))
    (tmp_path / "1-0.txt").write_text("A book.")
    with zipfile.ZipFile(tmp_path / "txt-files.tar.zip", "w") as archive:
        archive.writestr("txt-files.tar", bytes(10240))
    assert {(item.reason, item.detail) for item in read(tmp_path) if isinstance(item, Drop)} == {
        ("not a supported format", "txt-files.tar; unpack it"),
        ("not a supported format", "more.tar.gz; unpack it"),
        (
            "no plain text in it",
            "1 members, one of which is txt-files.tar; unpack both, and give their folder",
        ),
    }


def test_rows_are_books_too(tmp_path):
    rows = [
        {"text": BODY, "short_book_title": "The Voyage", "url": "http://www.gutenberg.org/ebooks/4321"},
        {"text": gutenberg_file()},
        {"text": BODY, "title": "Mine", "url": "https://me.org/voyage", "licence": "cc0-1.0"},
        {"text": "a \ud800 half"},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pq.write_table(pa.Table.from_pylist([row | {"x": 1} for row in rows[:3]]), tmp_path / "b.parquet")
    first, second, third, fourth, *same = read(tmp_path)
    assert first.url == second.url == "https://www.gutenberg.org/ebooks/4321"
    assert first.licence == second.licence == "public domain in the USA"
    assert first.text == second.text == third.text == BODY + "\n"
    assert (third.url, third.licence) == ("https://me.org/voyage", "cc0-1.0")
    assert json.loads(first.meta) == {"short_book_title": "The Voyage", "title": "The Voyage"}
    assert fourth.reason == "not Unicode"
    assert [document.text for document in same] == [BODY + "\n"] * 3


@pytest.mark.parametrize("encoding", ["iso8859-2", "cp1251", "big5", "shift_jis", "mac_roman", "iso8859-7"])
def test_the_encoding_in_a_header_is_used_if_it_decodes(encoding):
    words = {"cp1251": "Мать", "big5": "紅樓夢", "shift_jis": "こころ", "iso8859-7": "Ὀδύσσεια"[1:]}
    text = gutenberg_file(" ".join([words.get(encoding, "été")] * 40), encoding=encoding)
    text = text.replace("ύ", "υ")
    assert books.decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    "raw",
    [
        ("Мать пришла домой. " * 20).encode("koi8-r"),
        ("Мать пришла домой. " * 20).encode("cp1251"),
        ("été à la café " * 20).encode("cp437"),
        ("été à la café “so” " * 20).encode()[:-3] + b"\xe2\x80 and on",
        b"\xff\xfe" + "odd".encode("utf-16-le") + b"x",
        b"\xef\xbb\xbf caf\xe9",
        bytes(range(1, 256)) * 9,
    ],
)
def test_an_encoding_without_proof_is_not_guessed(tmp_path, raw):
    assert books.decode(raw) is None
    dropped = only(read_bytes(tmp_path, "a.txt", raw))
    assert dropped.malformed and "encoding" in dropped.detail


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_decoding_never_fails_and_its_result_can_be_encoded(raw):
    text = books.decode(raw)
    assert (
        text is None
        or any(
            raw in (mark + text.encode(codec, "replace"), text.encode(codec, "replace"))
            for codec in ("utf-8", "cp1252", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
            for mark in decoding._BOMS
        )
        or _is_in_either(raw, text)
    )


def _is_in_either(raw: bytes, text: str) -> bool:
    """Whether the bytes are the text's characters in order, each in UTF-8 or in Windows-1252."""
    for char in text:
        encoded = char.encode()
        if not raw.startswith(encoded):
            encoded = char.encode("cp1252", "replace")
        if not raw.startswith(encoded):
            return False
        raw = raw.removeprefix(encoded)
    return not raw


def test_a_text_above_the_bound_is_quarantined_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(books, "MAX_BYTES", 1 << 20)
    bomb = b"a" * (8 << 20)
    (tmp_path / "a.txt").write_bytes(bomb)
    (tmp_path / "b.txt.gz").write_bytes(gzip.compress(bomb))
    (tmp_path / "c.zip").write_bytes(zipped({"bomb.txt": bomb, "good.txt": BODY.encode()}))
    *dropped, good = read(tmp_path)
    assert [(Path(drop.file).name, drop.malformed) for drop in dropped] == [
        ("a.txt", True),
        ("b.txt.gz", True),
        ("c.zip", True),
    ]
    assert all("above 1 MiB" in drop.detail for drop in dropped) and good.text == BODY + "\n"


def test_members_that_climb_out_are_read_and_nothing_is_written(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    names = {"../../evil.txt": BODY.encode(), "/etc/evil.txt": BODY.encode(), "inner.zip": b"PK"}
    assert [item.text for item in read_bytes(folder, "a.zip", zipped(names))] == [BODY + "\n"] * 2
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "a.zip"]


def test_a_damaged_or_locked_member_is_quarantined_and_the_next_is_read(tmp_path):
    raw = bytearray(zipped({"a.txt": b"A" * 2000, "b.txt": BODY.encode()}, zipfile.ZIP_STORED))
    raw[100:110] = b"*" * 10
    damaged, good = read_bytes(tmp_path, "a.zip", bytes(raw))
    assert damaged.malformed and "CRC" in damaged.detail and good.text == BODY + "\n"
    raw = bytearray(zipped({"a.txt": b"A" * 2000, "b.txt": BODY.encode()}))
    at = raw.index(b"PK\1\2")
    raw[at + 8 : at + 10] = struct.pack("<H", 1)  # says that it is encrypted
    locked, good = read_bytes(tmp_path, "a.zip", bytes(raw))
    assert locked.malformed and good.text == BODY + "\n"
    raw[at + 8 : at + 12] = struct.pack("<HH", 0, 6)  # "imploded", as zips of 1991 are
    imploded, good = read_bytes(tmp_path, "a.zip", bytes(raw))
    assert imploded.malformed and good.text == BODY + "\n"


def test_a_zip_that_claims_an_endless_directory_is_refused_unopened(tmp_path):
    raw = bytearray(zipped({"a.txt": BODY.encode()}))
    at = raw.rindex(b"PK\5\6")
    raw[at + 12 : at + 16] = struct.pack("<I", 1 << 30)
    assert only(read_bytes(tmp_path, "a.zip", bytes(raw))).malformed


@pytest.mark.parametrize("name", ["a.zip", "a.txt.gz"])
def test_a_truncated_file_raises_an_error_that_marks_a_malformed_file(tmp_path, name):
    text = "".join(random.Random(0).choices("abcdefgh ", k=20_000)).encode()
    raw = zipped({"a.txt": text}) if name == "a.zip" else gzip.compress(text)
    for cut in (3, len(raw) // 2, len(raw) - 9):
        (tmp_path / name).write_bytes(raw[:cut])
        with pytest.raises((zipfile.BadZipFile, OSError, EOFError)):
            read(tmp_path / name)


def test_a_missing_or_bookless_input_is_refused_by_name(tmp_path):
    (tmp_path / "a.mp3").write_text("x")
    for path in (tmp_path, tmp_path / "a.mp3", tmp_path / "missing"):
        with pytest.raises(DataError, match="Gutenberg"):
            books.inputs(path)
