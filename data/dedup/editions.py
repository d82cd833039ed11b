"""Keeps the newer of two editions of a book.

Containment keeps the longer of two books. If each contains the other (more than a given share of either is in
the other), they are editions of one book, and the newest takes the place of the longest. Which is newer is
read from their headers: the later date of release or update, then the higher edition number. An edition
without a known date is never newer.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

AGES = "ages.npy"  # in each sketch: its books' keys
_DATE_DIGITS = 8  # YYYYMMDD

Holders = dict[int, tuple[int, int]]  # book: the book that contains it, and the shingles they share


def age_key(meta: str) -> int:
    """A number that is higher for a newer edition, from a document's meta; 0 if it has no date."""
    known = json.loads(meta)
    digits = "".join(filter(str.isdecimal, str(known.get("released", ""))))[:_DATE_DIGITS]
    number = known.get("edition")
    number = number if isinstance(number, int) and 0 <= number < 1000 else 0
    return int(digits.ljust(_DATE_DIGITS, "0")) * 1000 + number if len(digits) >= 4 else 0


def ages(sketches: list[Path]) -> list[int]:
    """The key of each book in these sketches."""
    return [key for one in sketches for key in np.load(one / AGES).tolist()]


@dataclass(frozen=True)
class Editions:
    """What is known about all books, by number."""

    ages: list[int]
    copies: dict[int, list[int]]  # the first of several equal books: the others
    shared: dict[tuple[int, int], int]  # shingles that two books share, the lower number first
    shingles: list[int]
    share: tuple[int, int]

    def newest_kept(self, held_by: Holders) -> Holders:
        """All books to drop, with their holders.

        `held_by`: those that length alone decides, with only the first of equal books.
        """
        held_by = self._exchanged(held_by)
        result = {}
        for first, (holder, count) in held_by.items():
            for book in [first, *self.copies.get(first, ())]:
                result[book] = self._newest(holder), count
        for first in self.copies.keys() - held_by.keys():
            kept = self._newest(first)
            for book in [first, *self.copies[first]]:
                if book != kept:
                    result[book] = kept, self.shingles[book]
        return result

    def _exchanged(self, held_by: Holders) -> Holders:
        """The same with each holder's newest edition in its place; what only the older contains is kept."""
        held: dict[int, list[int]] = {}
        for book, (holder, _) in sorted(held_by.items()):
            held.setdefault(holder, []).append(book)
        result: Holders = {}
        for holder, books in held.items():
            editions = [book for book in books if self._is_in(holder, book)]
            newest = max(editions, key=self._age, default=holder)
            if not 0 < self._age(holder) < self._age(newest):
                result |= {book: held_by[book] for book in books}
                continue
            for book in (holder, *books):
                if book != newest and self._is_in(book, newest):
                    result[book] = newest, self._common(book, newest)
        return result

    def _newest(self, first: int) -> int:
        """The newest of equal books; the first if its own date is unknown."""
        return (
            max([first, *self.copies.get(first, ())], key=self.ages.__getitem__)
            if self.ages[first]
            else first
        )

    def _age(self, first: int) -> int:
        return self.ages[self._newest(first)]

    def _common(self, one: int, other: int) -> int:
        return self.shared.get((min(one, other), max(one, other)), 0)

    def _is_in(self, book: int, other: int) -> bool:
        """Whether more than the given share of a book is in another."""
        share, total = self.share
        return self._common(book, other) * total > self.shingles[book] * share
