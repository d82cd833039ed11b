"""Keeps the better of two editions of a book: the one with its accents, then the newer.

Containment keeps the longer of two books. If each contains the other (more than a given share of either is in
the other), they are editions of one book, and the best takes the place of the longest. Gutenberg has many
books in ASCII too, without accents (`7vrne10.txt` beside `8vrne10.txt`); these give way. Which is newer is
read from the headers: the later date of release or update, then the higher edition number. An edition
without a known date is never newer.
"""

import json
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

KEYS = "ages.npy"  # in each sketch: its books' keys
_DATE_DIGITS = 8  # YYYYMMDD
_HAS_ACCENTS = 1 << 40  # added to a key, above every date and number
_ACCENTED = re.compile(r"[^\W\d_\x00-\x7f]")  # also a letter of another script
_ACCENTS = 10_000  # characters for each accented letter, at most, in a language that has them

Holders = dict[int, tuple[int, int]]  # book: the book that contains it, and the shingles they share


def age_key(meta: str) -> int:
    """A number that is higher for a newer edition, from a document's meta; 0 if it has no date."""
    known = json.loads(meta)
    digits = "".join(filter(str.isdecimal, str(known.get("released", ""))))[:_DATE_DIGITS]
    number = known.get("edition")
    number = number if isinstance(number, int) and 0 <= number < 1000 else 0
    return int(digits.ljust(_DATE_DIGITS, "0")) * 1000 + number if len(digits) >= 4 else 0


def edition_key(text: str, meta: str) -> int:
    """`age_key`, and whether the text has accents."""
    needed = -(-len(text) // _ACCENTS)  # stops there: a book in another script has millions
    has_accents = not text.isascii() and len([*islice(_ACCENTED.finditer(text), needed)]) == needed
    return age_key(meta) + has_accents * _HAS_ACCENTS


def keys_of(sketches: list[Path]) -> list[int]:
    """The `edition_key` of each book in these sketches."""
    return [key for one in sketches for key in np.load(one / KEYS).tolist()]


@dataclass(frozen=True)
class Editions:
    """What is known about all books, by number."""

    keys: list[int]
    copies: dict[int, list[int]]  # the first of several equal books: the others
    shared: dict[tuple[int, int], int]  # shingles that two books share, the lower number first
    shingles: list[int]
    share: tuple[int, int]

    def best_kept(self, held_by: Holders) -> Holders:
        """All books to drop, with their holders.

        `held_by`: those that length alone decides, with only the first of equal books.
        """
        held_by = self._exchanged(held_by)
        result = {}
        for first, (holder, count) in held_by.items():
            for book in [first, *self.copies.get(first, ())]:
                result[book] = self._best(holder), count
        for first in self.copies.keys() - held_by.keys():
            kept = self._best(first)
            for book in [first, *self.copies[first]]:
                if book != kept:
                    result[book] = kept, self.shingles[book]
        return result

    def _exchanged(self, held_by: Holders) -> Holders:
        """The same with each holder's best edition in its place; what only the other contains is kept."""
        held: dict[int, list[int]] = {}
        for book, (holder, _) in sorted(held_by.items()):
            held.setdefault(holder, []).append(book)
        result: Holders = {}
        for holder, books in held.items():
            editions = [book for book in books if self._is_in(holder, book)]
            best = max(editions, key=self._key, default=holder)
            if not self._is_better(self._key(best), self._key(holder)):
                result |= {book: held_by[book] for book in books}
                continue
            for book in (holder, *books):
                if book != best and self._is_in(book, best):
                    result[book] = best, self._common(book, best)
        return result

    def _best(self, first: int) -> int:
        """The best of equal books: the first, unless another is better."""
        best = first
        for other in self.copies.get(first, ()):
            if self._is_better(self.keys[other], self.keys[best]):
                best = other
        return best

    def _key(self, first: int) -> int:
        return self.keys[self._best(first)]

    def _is_better(self, one: int, other: int) -> bool:
        """Whether an edition with the key `one` is better than another: it has accents, or is newer."""
        if (one >= _HAS_ACCENTS) != (other >= _HAS_ACCENTS):
            return one > other
        return 0 < other % _HAS_ACCENTS < one % _HAS_ACCENTS

    def _common(self, one: int, other: int) -> int:
        return self.shared.get((min(one, other), max(one, other)), 0)

    def _is_in(self, book: int, other: int) -> bool:
        """Whether more than the given share of a book is in another."""
        share, total = self.share
        return self._common(book, other) * total > self.shingles[book] * share
