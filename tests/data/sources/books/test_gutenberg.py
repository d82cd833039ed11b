"""Gutenberg's headers and footers are removed, and the book is kept."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.documents import Document, Drop, Record
from data.sources.books import gutenberg
from data.sources.books import recipe as books
from tests.support.books import (
    BODY,
    FOOTERS,
    HEADERS,
    LICENSE,
    SMALL_PRINT,
    bodies,
    gutenberg_file,
    only,
    read_bytes,
)
from tests.support.narrow import as_a, present


@pytest.mark.parametrize("footer", FOOTERS)
@pytest.mark.parametrize("header", HEADERS)
def test_header_and_footer_are_removed_and_the_book_is_kept(header, footer):
    whole = gutenberg_file(header=header, footer=footer)
    document = as_a(Document, books.clean(Record("4321-0.txt", 0, whole)))
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
    document = as_a(Document, books.clean(Record("x.txt", 0, present(books.decode(raw)))))
    assert document.text == body + "\n"


def test_a_text_without_gutenberg_marks_is_kept_entirely(tmp_path):
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
def test_your_own_book_may_begin_with_project_gutenberg(first):
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


def test_two_books_in_one_file_are_kept_without_the_text_between_them():
    whole = gutenberg_file("First. " * 30) + gutenberg_file("Second. " * 30)
    text = books.clean(Record("x.txt", 0, whole)).text
    assert text.split() == ["First."] * 30 + ["Second."] * 30


def test_a_line_that_ends_one_volume_does_not_end_the_book():
    volumes = "\n\nEnd of Project Gutenberg's Volume I\n\n".join(["One voyage after another.\n" * 2000] * 3)
    whole = gutenberg_file(volumes, "of today", "of 2008")
    assert books.clean(Record("x.txt", 0, whole)).text.count("One voyage") == 6000


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
        (LICENSE.partition("\n\n")[2], "only license text"),
        (gutenberg_file(""), "only license text"),
        (SMALL_PRINT, "only license text"),
        ("", "empty"),
        (" \n\n\t\n", "empty"),
        ("a book\0 of bytes", "binary"),
    ],
)
def test_files_that_are_not_books_are_dropped_with_a_reason(text, reason):
    assert as_a(Drop, books.clean(Record("x.txt", 0, text))).reason == reason


def test_copyrighted_books_are_kept_when_told_to():
    document = as_a(Document, books.clean(Record("x.txt", 0, COPYRIGHTED), copyrighted=True))
    assert document.text == BODY + "\n" and "copyrighted" in document.licence


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
def test_any_jumble_of_marks_leaves_only_lines_of_the_file(text):
    book = gutenberg.open_book(text)
    rest = iter(text)
    assert all(letter in rest for letter in book.text.replace("\n\n\n", "")) or not book.is_gutenberg
    assert book.is_gutenberg or book.text == text


@pytest.mark.parametrize("filler", [" ", "\n", "*", "a\n", " \n", "\n\n*", "_", "- ", "End of "])
def test_long_runs_of_anything_cost_no_more_than_their_length(filler):
    text = gutenberg_file("A book. " * 20 + filler * (400_000 // len(filler)), "without a mark", "of 2008")
    assert books.clean(Record("x.txt", 0, text)).text.startswith("A book.")
