"""No regular expression of the project takes time that grows faster than n·log n on the worst text we find."""

import re
import time

import pytest

from tests.support.pattern_cases import MATCHES, SEARCHES, Found, attacks, find_patterns

SIZES = (16, 20, 24, 28, 32, 48, 64, 128, 512, 4000)  # exponential ones are slow at the first
SLOW = 4e-3  # seconds at any of these sizes: a linear one takes a tenth of it
STEEP = 7.0  # times the time for four times the text: n·log n takes 4.7, n² 16


def run(found: Found, attack: tuple[str, str, str], size: int) -> float:
    head, pump, end = attack
    text = head + pump * max(1, (size - len(head)) // len(pump)) + end
    subject = text.encode("latin-1", "replace") if isinstance(found.pattern.pattern, bytes) else text
    begin = time.perf_counter()
    if found.methods & SEARCHES:
        for _ in found.pattern.finditer(subject):
            pass
    if "fullmatch" in found.methods:
        found.pattern.fullmatch(subject)
    if "match" in found.methods:
        found.pattern.match(subject)
    return time.perf_counter() - begin


def is_steep(found: Found, attack: tuple[str, str, str]) -> bool:
    for size in SIZES:
        if run(found, attack, size) > SLOW and min(run(found, attack, size) for _ in range(3)) > SLOW:
            if size < 512:
                return True
            small, large = (min(run(found, attack, n) for _ in range(3)) for n in (size // 4, size))
            return large > STEEP * small
    return False
