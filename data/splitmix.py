"""splitmix64's finalizer (Steele, Lea and Flood 2014): every input bit affects every bit of the result."""

import numpy as np

MASK = 2**64 - 1
GAMMA = 0x9E3779B97F4A7C15  # splitmix64's odd increment: 2^64 divided by the golden ratio
_FIRST, _SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def mix(x: int) -> int:
    """The finalizer applied to one integer from 0 to 2^64 - 1."""
    x = (x ^ x >> 30) * _FIRST & MASK
    x = (x ^ x >> 27) * _SECOND & MASK
    return x ^ x >> 31


def mix_array(x: np.ndarray) -> np.ndarray:
    """The finalizer applied to each uint64 of an array, in place; returns the array."""
    for shift, factor in ((30, _FIRST), (27, _SECOND)):
        x ^= x >> np.uint64(shift)
        x *= np.uint64(factor)
    x ^= x >> np.uint64(31)
    return x
