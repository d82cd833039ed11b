"""The form of every refused value: the key, the value, and what was expected."""

import difflib
from collections.abc import Iterable


def require(holds: bool, key: str, value: object, expected: str) -> None:
    """Raise ValueError, which configs/load.py reports as one line, unless `holds`."""
    if not holds:
        raise ValueError(f"{key}={value}: expected {expected}")


def one_of(key: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless `value` is one of `choices`."""
    require(value in choices, key, value, "one of " + ", ".join(choices))


def near(word: str, names: Iterable[str], n: int = 1, cutoff: float = 0.6) -> list[str]:
    """The names that are most like `word`, whatever their case."""
    folded = {name.lower(): name for name in names}
    return [folded[found] for found in difflib.get_close_matches(word.lower(), folded, n, cutoff)]
