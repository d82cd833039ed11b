"""Values of a union narrowed to the type that a test expects; any other value fails the test."""

from typing import TypeVar

T = TypeVar("T")


def present(value: T | None) -> T:
    """The value, which is not None."""
    assert value is not None
    return value


def as_a(kind: type[T], value: object) -> T:
    """The value, which is a `kind`."""
    assert isinstance(value, kind), value
    return value
