"""No regular expression takes time that grows faster than n·log n on the worst text made from its own shape.

Measured in CPU time, so that a busy machine does not fail it, and only as the project uses the pattern: one
that is only matched in one place is not searched.
"""

import math
import re
from functools import cache, partial

import pytest

from tests.support.cpu_time import seconds, takes_over
from tests.support.pattern_cases import SEARCHES, Found, attacks, find_patterns

SIZES = (16, 20, 24, 28, 32, 48, 64, 128, 512, 4000)  # exponential ones are slow at the first
SHARE = 0.1  # of the time of n² at the last size: faster patterns are not examined
PARTS = 4  # of the patterns, tested side by side
STEEP = 8.0  # times the time for four times the text: n·log n takes 4.7, n² 16


def use(found: Found, attack: tuple[str, str, str], size: int) -> None:
    head, pump, end = attack
    text = head + pump * max(1, (size - len(head)) // len(pump)) + end
    subject = text.encode("latin-1", "replace") if isinstance(found.pattern.pattern, bytes) else text
    if found.methods & SEARCHES:
        for _ in found.pattern.finditer(subject):
            pass
    if "fullmatch" in found.methods:
        found.pattern.fullmatch(subject)
    if "match" in found.methods:
        found.pattern.match(subject)


@cache
def slow() -> float:
    """Seconds above which a pattern is examined, measured on this machine."""
    square = Found(re.compile(r"\s+$"), "here", {"search"})
    return SHARE * min(seconds(partial(use, square, ("", " ", "x"), SIZES[-1])) for _ in range(5))


def is_steep(found: Found, attack: tuple[str, str, str]) -> bool:
    for size in SIZES:
        small = least_seconds(found, attack, size, enough=slow())
        if small <= slow():
            continue
        if size < 512:
            return True
        return takes_over(STEEP, partial(use, found, attack, 4 * size), partial(use, found, attack, size))
    return False


def least_seconds(found: Found, attack: tuple[str, str, str], size: int, enough: float) -> float:
    """The least of four times, or the first that is at most `enough`."""
    least = math.inf
    for _ in range(4):
        least = min(least, seconds(partial(use, found, attack, size)))
        if least <= enough:
            break
    return least


def test_a_steep_pattern_is_found():
    for steep, methods in (
        (r"(a+)+b", {"match"}),
        (r"<!--.*?-->", {"search"}),
        (r"\s+$", {"search"}),
        (rb"(?:a|aa)+$", {"fullmatch"}),
        (r"\w*\w*;", {"match"}),
    ):
        found = Found(re.compile(steep), "here", methods)
        assert any(is_steep(found, attack) for attack in attacks(found.pattern)), steep
    for flat in (r"(?<!a)a++b", r"<[^<>]*>", r"(?<!\s)\s++x"):
        found = Found(re.compile(flat), "here", {"search"})
        assert not any(is_steep(found, attack) for attack in attacks(found.pattern)), flat


@pytest.mark.parametrize("part", range(PARTS))
def test_no_pattern_grows_faster_than_its_text(part):
    patterns = find_patterns()
    assert len(patterns) > 250
    steep = {}
    for found in patterns[part::PARTS]:
        attack = next((one for one in attacks(found.pattern) if is_steep(found, one)), None)
        if attack:
            steep[found.place] = attack
    assert not steep
