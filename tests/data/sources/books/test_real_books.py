"""The real books begin and end with their authors' words."""

from pathlib import Path

import pytest

from data.dedup import containment
from data.documents import Document, write_parts
from tests.support.books import read

SAMPLES = Path(__file__).resolve().parents[5] / "shared" / "data" / "books"
real = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"no real samples in {SAMPLES}")


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
