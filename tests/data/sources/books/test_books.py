"""Gutenberg's files in, books out: nothing of its headers and footers, and all of the book."""

import gzip
import io
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

from data.dedup import containment
from data.documents import Document, Drop, Record, write_parts
from data.errors import DataError
from data.sources.books import gutenberg
from data.sources.books import recipe as books

SAMPLES = Path(__file__).resolve().parents[5] / "shared" / "data" / "books"
real = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no real samples in {SAMPLES}")

LICENCE = """Updated editions will replace the previous one.

THE FULL PROJECT GUTENBERG LICENSE
PLEASE READ THIS BEFORE YOU DISTRIBUTE OR USE THIS WORK

1.E.3. If a work is posted with the permission of the copyright holder, ...
"""
FIELDS = """Title: The Voyage
       and the Return

Author: Ann Author

Release Date: May, 1999 [EBook #4321]

Language: English

Character set encoding: {encoding}

"""
SMALL_PRINT = """***START**THE SMALL PRINT!**FOR PUBLIC DOMAIN ETEXTS**START***
Why is this "Small Print!" statement here?  You know: lawyers.

*END*THE SMALL PRINT! FOR PUBLIC DOMAIN ETEXTS*Ver.04.29.93*END*

"""
FIRST_LINE = "The Project Gutenberg Etext of The Voyage and the Return, by Ann Author\n"
HEADERS = {
    "of today": "The Project Gutenberg eBook of The Voyage\n\nThis ebook is for the use of anyone.\n\n"
    + FIELDS
    + "*** START OF THE PROJECT GUTENBERG EBOOK THE VOYAGE AND THE RETURN ***\n\n\n",
    "of 2008": FIRST_LINE
    + FIELDS
    + "*** START OF THIS PROJECT GUTENBERG EBOOK THE VOYAGE ***\n\n\nProduced by A. Volunteer and the\n"
    "Online Distributed Proofreading Team at http://www.pgdp.net\n\n\n",
    "of 2003": FIRST_LINE + FIELDS + "***START OF THE PROJECT GUTENBERG EBOOK, THE VOYAGE***\n\n"
    "E-text prepared by A. Volunteer\n\n\n\nNote: Project Gutenberg also has an HTML version.\n\n",
    "over two lines": FIRST_LINE + FIELDS + "*** START OF THE PROJECT GUTENBERG EBOOK THE VOYAGE\n"
    "AND THE RETURN ***\n\n[Transcriber's Note: two words were\n\nmended.]\n\n",
    "of 1994": FIRST_LINE + "\nMay, 1999  [Etext #4321]\n\n" + SMALL_PRINT,
    "of 1996, with its credit": FIRST_LINE + "\nMay, 1999  [Etext #4321]\n\n" + SMALL_PRINT + "\n\n"
    "This etext was prepared by A. Volunteer, email a@b.org\nfrom the 1890 edition.\n\n\n"
    "The Project Gutenberg Etext of The Voyage and the Return\n\nby Ann Author\n\n",
    "twice": (FIRST_LINE + FIELDS + "*** START OF THE PROJECT GUTENBERG EBOOK THE VOYAGE ***\n\n") * 2,
    "without a mark": FIRST_LINE + "\nMay, 1999  [Etext #4321]\n\nThis Etext was made by volunteers.\n\n",
}
FOOTERS = {
    "of today": "\n\n*** END OF THE PROJECT GUTENBERG EBOOK THE VOYAGE AND THE RETURN ***\n\n" + LICENCE,
    "of 2008": "\n\n\nEnd of the Project Gutenberg EBook of The Voyage, by Ann Author\n\n"
    "*** END OF THIS PROJECT GUTENBERG EBOOK THE VOYAGE ***\n\n***** This file is 4321.txt *****\n" + LICENCE,
    "of 2003": "\n\n***END OF THE PROJECT GUTENBERG EBOOK, THE VOYAGE***\n\n\n" + SMALL_PRINT,
    "of 1994": "\n\n\nEnd of Project Gutenberg's The Voyage and the Return, by Ann Author\n",
    "of 1996": "\n\nThe End of the Project Gutenberg Etext of The Voyage\n\n",
    "in German": "\n\nEnde dieses Project Gutenberg Etextes The Voyage\n",
    "twice": "\n\n*** END OF THE PROJECT GUTENBERG EBOOK THE VOYAGE ***\n" * 2 + LICENCE,
    "a licence alone": "\n\n\n" + LICENCE.partition("\n\n")[2],
    "notes": "\n\nTranscriber's Notes\n\nHyphens are as printed.\n\nEnd of Project Gutenberg's The Voyage\n",
}
BODY = """CHAPTER I

The ship lay at anchor, produced by the best yard of the town; and Anna, who had
come from the end of the world, said: "It is not the end of the text, I hope."

   * * *

Then she went below,--and the café on the quay
    was silent once more. [Transcriber's Note: so printed.] It stood in Project
Street, and nobody had been there by ten o'clock."""

WORDS = [
    "sea",
    "café",
    "naïve",
    "Über",
    "don’t",
    "“so”",
    "end",
    "of",
    "the",
    "by",
    "produced",
    "1815",
    "Ænæas",
]
bodies = st.lists(
    st.lists(st.sampled_from(WORDS), min_size=4, max_size=12).map(" ".join), min_size=4, max_size=9
).map(lambda paragraphs: "FIRST " + "\n\n".join(paragraphs) + "\nlast line of this book, and none besides")


def read_bytes(folder: Path, name: str, raw: bytes, **options) -> list[Document | Drop]:
    path = folder / name
    path.write_bytes(raw)
    return read(path, **options)


def read(path: Path, **options) -> list[Document | Drop]:
    """What becomes of everything in a file or folder."""
    found = [item for unit in books.inputs(path) for item in books.read(unit)]
    return [item if isinstance(item, Drop) else books.clean(item, **options) for item in found]


def only(items: list) -> Document | Drop:
    (item,) = items
    return item


def gutenberg_file(
    body: str = BODY, header: str = "of 2008", footer: str = "of 2008", encoding="UTF-8"
) -> str:
    return HEADERS[header].format(encoding=encoding) + body + FOOTERS[footer]


@pytest.mark.parametrize("footer", FOOTERS)
@pytest.mark.parametrize("header", HEADERS)
def test_header_and_footer_go_and_the_book_stays(header, footer):
    whole = gutenberg_file(header=header, footer=footer)
    document = books.clean(Record("4321-0.txt", 0, whole))
    assert document.text == BODY + "\n"
    assert document.url == "https://www.gutenberg.org/ebooks/4321"
    assert document.licence == "public domain in the USA"
    meta = json.loads(document.meta)
    assert meta["title"] == "The Voyage and the Return" and meta["author"] == "Ann Author"
    assert meta.get("language", "English") == "English"


@settings(deadline=None, max_examples=60)
@given(
    bodies,
    st.sampled_from(sorted(HEADERS)),
    st.sampled_from(sorted(FOOTERS)),
    st.sampled_from(["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-be"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["UTF-8", "ISO-8859-1", "ASCII", "windows-1252", "ISO Latin-1", "nonsense"]),
)
def test_any_book_in_any_style_encoding_and_line_ending_comes_out_the_same(
    body, header, footer, encoding, ending, claimed
):
    whole = gutenberg_file(body, header, footer, claimed).replace("\n", ending)
    raw = whole.encode(encoding)
    if encoding == "utf-16-be":
        raw = b"\xfe\xff" + raw
    document = books.clean(Record("x.txt", 0, books.decode(raw)))
    assert document.text == body + "\n"


def test_what_bears_no_mark_of_gutenberg_is_taken_whole(tmp_path):
    mine = "Title: 1984\n\nProduced by me.\n\nI wrote of Project Gutenberg, to the end of the etext.\n"
    document = only(read_bytes(tmp_path, "1984.txt", mine.encode()))
    assert document.text == mine and (document.url, document.licence, document.meta) == ("", "", "{}")
    quoted = "Note how it begins:\n" * 6000 + "*** START OF THE PROJECT GUTENBERG EBOOK X ***\nso\n"
    assert only(read_bytes(tmp_path, "1984.txt", quoted.encode())).text == quoted


@pytest.mark.parametrize(
    "first",
    [
        "My own book on Project Gutenberg and its history",
        "Project Gutenberg was founded by Michael Hart.\nHe typed.",
        "The Project Gutenberg ebook collection is large.",
    ],
)
def test_ones_own_book_may_begin_with_project_gutenberg(first):
    mine = f"{first}\n\nIts etexts are many.\n\n" + "word " * 100
    assert gutenberg.open_book(mine) == gutenberg.Book(mine, False)


def test_a_header_without_a_mark_is_told_by_its_first_line_its_credit_or_the_files_end():
    body = "The story goes. " * 20
    for first in ("Project Gutenberg's The Voyage, by Ann Author", "Produced by Project Gutenberg folk"):
        assert gutenberg.open_book(f"{first}\n\n{body}\n").text == body.strip()
    whole = f"Project Gutenberg Classics\n\n{body}\n\nEnd of Project Gutenberg's Voyage\n"
    assert gutenberg.open_book(whole).text == body.strip()


def test_a_transcribers_note_above_a_short_work_does_not_end_it():
    poem = "THE RAVEN\n\nby A\n\nTranscriber's Note\n\nSo printed.\n\n" + "Once upon a time.\n\n" * 50
    assert gutenberg.open_book(gutenberg_file(poem)).text == poem.strip()


def test_two_books_in_one_file_both_stay_without_what_stands_between():
    whole = gutenberg_file("First. " * 30) + gutenberg_file("Second. " * 30)
    text = books.clean(Record("x.txt", 0, whole)).text
    assert text.split() == ["First."] * 30 + ["Second."] * 30


def test_a_line_that_ends_one_volume_does_not_end_the_book():
    volumes = "\n\nEnd of Project Gutenberg's Volume I\n\n".join(["One voyage after another.\n" * 2000] * 3)
    whole = gutenberg_file(volumes, "of today", "of 2008")
    assert books.clean(Record("x.txt", 0, whole)).text.count("One voyage") == 6000


@pytest.mark.parametrize("name", ["4321-0.txt", "4321.txt", "pg4321.txt", "PG4321_text.txt", "4321-8.zip"])
def test_the_number_is_in_the_name_where_the_header_has_none(tmp_path, name):
    whole = gutenberg_file().replace("[EBook #4321]", "").encode()
    if name.endswith(".zip"):
        document = only(read_bytes(tmp_path, "any.zip", zipped({"4321-8.txt": whole})))
    else:
        document = only(read_bytes(tmp_path, name, whole))
    assert document.url == "https://www.gutenberg.org/ebooks/4321"


def test_no_number_is_guessed_from_a_name_without_one(tmp_path):
    whole = gutenberg_file().replace("[EBook #4321]", "")
    assert only(read_bytes(tmp_path, "pandp12.txt", whole.encode())).url == ""


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


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
        ("named as a note or a licence", "LICENSE.txt"),
        ("named as a note or a licence", "README.txt"),
    ]


def test_a_book_is_never_left_out_silently_for_its_name_or_format(tmp_path):
    names = ["license to kill.txt", "Readme First - a novel.txt", "Copying Machines.txt", "b.TXT"]
    for name in [*names, "c.epub", "d.PDF", "licence-MIT.txt", "readme.txt.utf-8"]:
        (tmp_path / name).write_text(name)
    items = read(tmp_path)
    assert {item.text.strip() for item in items if isinstance(item, Document)} == {*names}
    assert {(item.reason, item.detail) for item in items if isinstance(item, Drop)} == {
        ("not a format that is read", "c.epub"),
        ("not a format that is read", "d.PDF"),
        ("named as a note or a licence", "licence-MIT.txt"),
        ("named as a note or a licence", "readme.txt.utf-8"),
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


COPYRIGHTED = gutenberg_file().replace(
    "Title:", "** This is a COPYRIGHTED Project Gutenberg eBook, Details Below **\n\nTitle:"
)
MEDIA = gutenberg_file(
    "This reading is in parts:\n\n01 Chapter I  4321-01.mp3\n02 Chapter II 4321-02.mp3" + "." * 99
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (COPYRIGHTED, "copyrighted"),
        (HEADERS["of 1994"].replace("PUBLIC DOMAIN", "COPYRIGHT PROTECTED") + BODY, "copyrighted"),
        (gutenberg_file("See the HTML."), "shorter than 100 characters"),
        (MEDIA, "an index of sound or film"),
        (LICENCE.partition("\n\n")[2], "only licence text"),
        (gutenberg_file(""), "only licence text"),
        (SMALL_PRINT, "only licence text"),
        ("", "empty"),
        (" \n\n\t\n", "empty"),
        ("a book\0 of bytes", "binary"),
    ],
)
def test_what_is_no_book_is_dropped_with_a_reason(text, reason):
    assert books.clean(Record("x.txt", 0, text)).reason == reason


def test_copyrighted_books_are_kept_when_told_to():
    document = books.clean(Record("x.txt", 0, COPYRIGHTED), copyrighted=True)
    assert document.text == BODY + "\n" and "copyrighted" in document.licence


@pytest.mark.parametrize("encoding", ["iso8859-2", "cp1251", "big5", "shift_jis", "mac_roman", "iso8859-7"])
def test_what_a_header_says_of_its_encoding_is_believed_where_it_decodes(encoding):
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
def test_decoding_never_fails_and_what_it_gives_encodes_back(raw):
    text = books.decode(raw)
    assert text is None or any(
        raw in (mark + text.encode(codec), text.encode(codec))
        for codec in ("utf-8", "cp1252", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
        for mark in books._BOMS
    )


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.sampled_from(
            [
                *"\n\n\n a*[]",
                "*** START OF THE PROJECT GUTENBERG EBOOK X",
                "***\n",
                "\n*** END OF THE PROJECT GUTENBERG",
                "\nTHE FULL PROJECT GUTENBERG LICENSE\n",
                "\n*END*THE SMALL PRINT!",
                "Title:",
                " by ",
                "Transcriber's Note",
                "Project Gutenberg's ",
                "End of Project Gutenberg\n",
                "[EBook #",
                "12]",
                "Produced by x\n\n",
            ]
        ),
        max_size=40,
    ).map("".join)
)
def test_any_jumble_of_marks_is_taken_apart_in_lines_of_the_file(text):
    book = gutenberg.open_book(text)
    rest = iter(text)
    assert all(letter in rest for letter in book.text.replace("\n\n\n", "")) or not book.is_gutenberg
    assert book.is_gutenberg or book.text == text


@pytest.mark.parametrize("filler", [" ", "\n", "*", "a\n", " \n", "\n\n*", "_", "- ", "End of "])
def test_long_runs_of_anything_cost_no_more_than_their_length(filler):
    text = gutenberg_file("A book. " * 20 + filler * (400_000 // len(filler)), "without a mark", "of 2008")
    assert books.clean(Record("x.txt", 0, text)).text.startswith("A book.")


# ---- hostile files


def test_a_text_above_the_bound_is_set_aside_without_being_held(tmp_path, monkeypatch):
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


def test_a_damaged_or_locked_member_is_set_aside_and_the_next_is_read(tmp_path):
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
def test_a_truncated_file_raises_what_the_engine_takes_for_a_malformed_file(tmp_path, name):
    text = "".join(random.Random(0).choices("abcdefgh ", k=20_000)).encode()
    raw = zipped({"a.txt": text}) if name == "a.zip" else gzip.compress(text)
    for cut in (3, len(raw) // 2, len(raw) - 9):
        (tmp_path / name).write_bytes(raw[:cut])
        with pytest.raises((zipfile.BadZipFile, OSError, EOFError)):
            read(tmp_path / name)


def test_what_is_not_there_or_holds_no_books_is_refused_by_name(tmp_path):
    (tmp_path / "a.mp3").write_text("x")
    for path in (tmp_path, tmp_path / "a.mp3", tmp_path / "missing"):
        with pytest.raises(DataError, match="Gutenberg"):
            books.inputs(path)


# ---- real books


@pytest.fixture(scope="module")
def real_books() -> dict[str, Document]:
    return {Path(document.file).name: document for document in read(SAMPLES)}


@real
def test_the_real_books_begin_and_end_where_their_authors_did(real_books):
    austen = [real_books[name].text for name in ("1342-0.txt", "1342.txt", "pandp12.txt")]
    assert all(text.upper().startswith("PRIDE AND PREJUDICE\n\nBY JANE AUSTEN\n") for text in austen)
    assert all(text.split()[-5:] == ["the", "means", "of", "uniting", "them."] for text in austen)
    dickens = [real_books[name].text for name in ("98-0.txt", "2city12.txt")]
    assert dickens[0].startswith("A TALE OF TWO CITIES\n\nA STORY OF THE FRENCH REVOLUTION\n\nBy Charles")
    assert dickens[1].startswith("CONTENTS\n\n\n\nBook the First--Recalled to Life")
    assert all(text.rstrip('\n”"').endswith("go to than I have ever known.") for text in dickens)
    assert not any("gutenberg" in document.text.lower() for document in real_books.values())
    urls = {name: document.url.rpartition("/")[2] for name, document in real_books.items()}
    assert urls == dict.fromkeys(("1342-0.txt", "1342.txt", "pandp12.txt"), "1342") | dict.fromkeys(
        ("98-0.txt", "2city12.txt"), "98"
    )


@real
def test_the_editions_of_a_book_are_one(real_books, tmp_path):
    names = sorted(real_books)
    (tmp_path / "text").mkdir()
    files = write_parts([real_books[name] for name in names], tmp_path / "text")
    gone = {
        names[book.row]: (names[book.held_by_row], book.share)
        for book in containment.contained(files, tmp_path)
    }
    assert {name: holder for name, (holder, _) in gone.items()} == {
        "1342.txt": "1342-0.txt",
        "pandp12.txt": "1342-0.txt",
        "2city12.txt": "98-0.txt",
    }
    assert gone["1342.txt"][1] == 1.0 and all(0.995 < share <= 1 for _, share in gone.values())
