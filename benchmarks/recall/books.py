"""How much of a book's text is kept, and how much noise: `python benchmarks/recall/books.py`.

The independent reader is `strip_headers` of the package gutenberg (0.8.2), which removes what Project
Gutenberg puts around its books; `pip install --no-deps gutenberg==0.8.2` installs all that is needed of it.
`--against CLONE` measures another version too.
"""

import sys
from functools import cache

from common import SHARED, Figures, report, words

from data.sources.books.recipe import decode

INPUTS = sorted((SHARED / "books").rglob("*.txt"))


@cache
def _books() -> dict[str, str]:
    """Each file's book as the reader sees it."""
    try:
        from gutenberg.cleanup import strip_headers  # pyright: ignore[reportMissingImports]  (installed by hand)
    except ImportError:
        sys.exit("this benchmark needs the package gutenberg: pip install --no-deps gutenberg==0.8.2")
    texts = {str(path): decode(path.read_bytes()) or "" for path in INPUTS}
    return {path: strip_headers(text.replace("\r\n", "\n")) for path, text in texts.items()}


def judge(documents: dict[tuple[str, int], str]) -> dict[str, Figures]:
    """Judge all books."""
    figures = Figures()
    for path, text in _books().items():
        expected = words(text)
        figures.add(expected, expected, words(documents.get((path, 0), "")))
    return {"books": figures}


if __name__ == "__main__":
    report("books", INPUTS, judge)
