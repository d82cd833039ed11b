"""Numbers with holes: finds the x-th kept number, and which one a kept number is. Pure integers."""

from bisect import bisect_right
from collections.abc import Iterable

Ranges = tuple[tuple[int, int], ...]  # [start, stop), sorted and disjoint


class Kept:
    """The numbers in [first, stop) that are in no hole, in order. Both lookups take O(log holes)."""

    def __init__(self, first: int, stop: int, holes: Ranges = ()) -> None:
        inside = [(max(a, first), min(b, stop)) for a, b in holes if a < stop and b > first]
        self._starts = [a for a, _ in inside]
        self._stops = [b for _, b in inside]
        self._first = first
        self._lost = [0]  # how many numbers are in the first 0, 1, … holes
        for a, b in inside:
            self._lost.append(self._lost[-1] + b - a)
        # Hole r lies before the x-th kept number if x ≥ its start minus the numbers in earlier holes.
        self._before = [a - first - lost for a, lost in zip(self._starts, self._lost)]
        self.size = stop - first - self._lost[-1]

    def nth(self, x: int) -> int:
        """The kept number that has `x` kept numbers before it."""
        return (
            self._first + x + self._lost[bisect_right(self._before, x)] if self._before else self._first + x
        )

    def before(self, number: int) -> int | None:
        """How many kept numbers come before `number`; None if `number` is in a hole."""
        holes = bisect_right(self._starts, number)
        if holes and number < self._stops[holes - 1]:
            return None
        return number - self._first - self._lost[holes]


def merged(ranges: Iterable[Iterable[int]]) -> Ranges:
    """The ranges, sorted; those that touch or overlap are joined."""
    found: list[tuple[int, int]] = []
    for low, high in sorted((a, b) for a, b in ranges):
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return tuple(found)


def holes_of(without: Ranges, seq_len: int) -> Ranges:
    """The sequences that would show text from the token ranges `without`, as ranges of sequence numbers.

    Sequence i has tokens seq_len·i to seq_len·i + seq_len, the last as a label only.
    """
    return merged(((max(0, start - 1) // seq_len, (stop - 1) // seq_len + 1) for start, stop in without))
