"""Several books in one file come out complete, and a START or END mark is known however it is written."""

import pytest

from data.sources.books.gutenberg import open_book
from tests.support.books import BODY, FOOTERS, HEADERS, LAKE, gutenberg_file


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("footer", FOOTERS)
def test_files_of_any_era_put_together_give_all_books(header, footer):
    first, second, third = (f"{name}\n\n{BODY}" for name in ("FIRST", "SECOND", "THIRD"))
    for following in HEADERS:
        text = gutenberg_file(first, header, footer) + "\n\n" + gutenberg_file(second, following, footer)
        assert open_book(text).text == f"{first}\n\n\n{second}"
        text += "\n" + gutenberg_file(third, header, "of 2008")
        assert open_book(text).text == f"{first}\n\n\n{second}\n\n\n{third}"


def test_a_book_without_an_end_ends_where_the_next_header_begins():
    long = "\n\n".join([BODY] * 20)
    text = gutenberg_file(long).partition("\n\n\nEnd of the Project")[0] + "\n\n\n"
    assert open_book(text + gutenberg_file(BODY, "of 2003")).text == f"{long}\n\n\n{BODY}"


def test_sentences_about_gutenberg_s_files_begin_no_book():
    own = "Project Gutenberg's first ebook was typed in 1971.\n\nTitle: none.\n\n"
    book = LAKE + "\n\n" + own + LAKE
    assert open_book(gutenberg_file(book)).text == book


MARKS = [
    "***  {}  OF  THE  PROJECT  GUTENBERG  EBOOK  THE LAKE  ***",
    "***\u00a0{} OF THE PROJECT GUTENBERG EBOOK THE LAKE ***",
    "*** {} OF THE PROJECT\nGUTENBERG EBOOK THE LAKE ***",
    "\\*\\*\\* {} OF THE PROJECT GUTENBERG EBOOK THE LAKE \\*\\*\\*",
    "_*** {} OF THE PROJECT GUTENBERG EBOOK THE LAKE ***_",
    "> *** {} OF THE PROJECT GUTENBERG EBOOK THE LAKE ***",
    "***\n{} OF THE PROJECT GUTENBERG EBOOK THE LAKE\n***",
]


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_is_known_whatever_parts_its_words_and_surrounds_them(mark):
    head = "The Project Gutenberg EBook of The Lake, by A. Author\n\nTitle: The Lake\n\n"
    text = f"{head}{mark.format('START')}\n\n\n{LAKE}\n\n\n{mark.format('END')}\n\nlicense\n"
    assert open_book(text).text == LAKE


@pytest.mark.parametrize(
    "below", ["Release Date: May, 2001\n", "*** START OF THIS PROJECT GUTENBERG EBOOK X ***\n"]
)
def test_a_list_of_headers_takes_time_by_its_length(below):
    entries = (
        f"The Project Gutenberg EBook of X\n{below}" * 20_000
    )  # each with all others, this would take hours
    assert not open_book(entries).text.startswith("The Project")
    on_one_line = f"{BODY}\n\n{'The Project Gutenberg EBook of X ' * 200_000}\n"
    assert open_book(on_one_line).text == on_one_line


def test_a_short_file_whose_last_paragraph_names_gutenberg_keeps_its_book():
    head = "The Project Gutenberg EBook of The Lake, by A. Author\n\nThis eBook is for the use of anyone.\n\n"
    text = open_book(f"{head}{BODY}\n\nSo closes a book that Project Gutenberg gives away\n\nfin\n").text
    assert text.startswith(BODY)
