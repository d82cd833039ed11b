"""Books of Faded Page and Project Gutenberg Canada, whose headers have no START mark."""

import json

import pytest

from data.documents import Document, Record
from data.sources import books
from data.sources.books.gutenberg import open_book

BOOK = "\n\n".join(f"Chapter {n} tells of the lake, and why its keeper left it." for n in range(1, 60))
FADED_PAGE = """
=* A Distributed Proofreaders Canada eBook *=

This eBook is made available at no cost and with very few
restrictions, which apply only if you change it.

This work is in the Canadian public domain, but may be under
copyright elsewhere. IF THE BOOK IS UNDER COPYRIGHT IN YOUR
COUNTRY, DO NOT DOWNLOAD OR REDISTRIBUTE THIS FILE.

_Title:_ The Lake

_Date of first publication:_ 1929

_Author:_ Ann Lund (1880-1945)

_Date last updated:_ Jan. 6, 2015

Faded Page eBook #20150105

This eBook was produced by: Ann & the online Distributed
Proofreaders Canada team


"""
CANADA = """Title: The Lake
Author: Lund, Ann (1880-1945)
Date of first publication: 1929
Edition used as base for this ebook:
   London: House, 1929
Date first posted: 23 May 2012
Project Gutenberg Canada ebook #949

This ebook was produced by: Ann


"""
OLDER = f"* A Project Gutenberg Canada Ebook *\n\nThis ebook is made available at no cost.\n\n{CANADA}"


@pytest.mark.parametrize("header", [FADED_PAGE, CANADA, OLDER], ids=["Faded Page", "Canada", "an older one"])
@pytest.mark.parametrize(
    "end", ["", "[The end of _The Lake_ by Ann Lund]", "[End of The Lake, by Ann\nLund]\n\nNotes follow."]
)
def test_a_canadian_book_is_opened(header, end):
    notes = "TRANSCRIBER NOTES\n\nMisspelled words and printer errors have been corrected.\n\n"
    for below in ("", notes):
        document = books.clean(Record("x.txt", 0, f"{header}{BOOK}\n\n{below}{end}\n"))
        assert isinstance(document, Document) and document.text == BOOK + "\n"
        assert document.licence == "public domain in Canada" and document.url == ""
        assert json.loads(document.meta)["title"] == "The Lake"


def test_the_books_own_title_page_is_kept():
    title = "THE LAKE\n\nBY\n\nANN LUND\n\n"
    assert open_book(FADED_PAGE + title + BOOK).text == title + BOOK


def test_your_own_book_may_mention_them():
    mine = f"I found it as Project Gutenberg Canada ebook #3.\n\n{BOOK}\n\n[End of the lake]\n"
    assert open_book(mine).text == mine and not open_book(mine).is_gutenberg
