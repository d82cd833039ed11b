"""Permutations of 0 … n-1 drawn from a key, and their inverses, in constant time and memory."""

import hashlib
import struct
from functools import lru_cache

from data.splitmix import mix

ROUNDS = 8


def permute(j: int, n: int, *key: object) -> int:
    """The image of `j` under a permutation of 0 … n-1 drawn from `key`: a Feistel network with cycle-walking.

    If n > 8, the network's domain is smaller than 2n, so walking takes fewer than two passes on average; else
    the domain is 16.
    """
    low, high = _halves(n)
    keys = round_keys(key)
    while True:
        left, right = j >> low, j & ((1 << low) - 1)
        for turn in range(0, ROUNDS, 2):
            left ^= mix(right ^ keys[turn]) >> (64 - high)
            right ^= mix(left ^ keys[turn + 1]) >> (64 - low)
        j = left << low | right
        if j < n:
            return j


def unpermute(i: int, n: int, *key: object) -> int:
    """The `j` that `permute` maps to `i`: the same rounds, backward."""
    low, high = _halves(n)
    keys = round_keys(key)
    while True:
        left, right = i >> low, i & ((1 << low) - 1)
        for turn in range(ROUNDS - 2, -2, -2):
            right ^= mix(left ^ keys[turn + 1]) >> (64 - low)
            left ^= mix(right ^ keys[turn]) >> (64 - high)
        i = left << low | right
        if i < n:
            return i


def _halves(n: int) -> tuple[int, int]:
    bits = max(4, (n - 1).bit_length())
    return bits // 2, bits - bits // 2


def keys_of(key: tuple) -> tuple[int, ...]:
    """A 64-bit key for each round."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8 * ROUNDS).digest()
    return struct.unpack(f"<{ROUNDS}Q", digest)


round_keys = lru_cache(maxsize=1024)(keys_of)  # for an epoch's keys, which are reused; a block's are not
