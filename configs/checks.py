"""The form of every refused value: the key, the value, and what was expected."""


def require(holds: bool, key: str, value: object, expected: str) -> None:
    """Raise ValueError, which configs/load.py reports as one line, unless `holds`."""
    if not holds:
        raise ValueError(f"{key}={value}: expected {expected}")


def one_of(key: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise ValueError unless `value` is one of `choices`."""
    require(value in choices, key, value, "one of " + ", ".join(choices))
