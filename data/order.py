"""The order of the data: a global sample number in, (source, epoch, sequence) out.

Pure functions of integers, without state, files or random generators. Every block of samples holds each
source exactly in proportion to its weight, in an order drawn from (seed, block); each source is read epoch by
epoch, and each epoch is a permutation drawn from (seed, source, epoch). So resuming, changing the world size,
auditing and explaining a step all evaluate the same function.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

import numpy as np

from data.splitmix import mix, mix_array

MAX_BLOCK = 100_000
ROUNDS = 8


@dataclass(frozen=True)
class Sample:
    """Where one training sequence comes from."""

    source: str
    epoch: int
    index: int  # of the sequence in its source
    k: int  # how many of the source's sequences come before it in the run


@dataclass(frozen=True)
class Segment:
    """A stretch of the run with one mixture over one version of the data."""

    start: int  # its first sample number
    block: dict[str, int]  # samples of each source in a block
    first: dict[str, int]  # each source's k where the segment starts
    n_sequences: dict[str, int]
    seq_len: int


@dataclass(frozen=True)
class Order:
    """The order of a run; `skipped` are ranges [start, stop) of samples left out after loss spikes."""

    seed: int
    segments: tuple[Segment, ...]
    skipped: tuple[tuple[int, int], ...] = ()

    @classmethod
    def start(
        cls, *, seed: int, weights: Mapping[str, object], n_sequences: Mapping[str, int], seq_len: int
    ) -> "Order":
        """The order of a new run. Raises ValueError for weights without a valid block, or an empty source."""
        return cls(seed, (_segment(0, weights, dict.fromkeys(weights, 0), n_sequences, seq_len),))

    def change(
        self, n: int, *, weights: Mapping[str, object], n_sequences: Mapping[str, int], seq_len: int
    ) -> "Order":
        """The same order up to sample `n`, then another mixture; each source continues where it was."""
        at = self._number(n)
        reached = self._count(at)
        first = {source: reached.get(source, 0) for source in weights}
        kept = tuple(segment for segment in self.segments if segment.start < at)
        return Order(self.seed, (*kept, _segment(at, weights, first, n_sequences, seq_len)), self.skipped)

    def skip(self, start: int, stop: int) -> "Order":
        """The same order without the samples that are now numbered [start, stop)."""
        ranges = sorted((*self.skipped, (self._number(start), self._number(stop - 1) + 1)))
        merged: list[tuple[int, int]] = []
        for low, high in ranges:
            if merged and low <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
            else:
                merged.append((low, high))
        return Order(self.seed, self.segments, tuple(merged))

    @property
    def n_sequences(self) -> dict[str, int]:
        return self.segments[-1].n_sequences

    def seq_len(self, n: int) -> int:
        return self._segment_of(self._number(n)).seq_len

    def locate(self, n: int) -> Sample:
        """The sequence at sample `n` (0, 1, …) of the run, in constant time and memory."""
        number = self._number(n)
        segment = self._segment_of(number)
        block, place = divmod(number - segment.start, sum(segment.block.values()))
        sources, before = block_order(self.seed, segment.start, block, tuple(segment.block.values()))
        source = list(segment.block)[sources[place]]
        k = segment.first[source] + block * segment.block[source] + int(before[place])
        total = segment.n_sequences[source]
        epoch, j = divmod(k, total)
        return Sample(source, epoch, permute(j, total, self.seed, source, epoch), k)

    def consumed(self, n: int) -> dict[str, int]:
        """How many sequences of each source come before sample `n`, not counting skipped ones."""
        number = self._number(n)
        counts = self._count(number)
        for start, stop in self.skipped:
            if stop <= number:
                before, after = self._count(start), self._count(stop)
                counts = {s: c - after.get(s, 0) + before.get(s, 0) for s, c in counts.items()}
        return counts

    def to_json(self) -> dict:
        segments = [asdict(segment) for segment in self.segments]
        return {"seed": self.seed, "segments": segments, "skipped": [list(pair) for pair in self.skipped]}

    @classmethod
    def from_json(cls, state: dict) -> "Order":
        segments = tuple(Segment(**segment) for segment in state["segments"])
        return cls(state["seed"], segments, tuple((start, stop) for start, stop in state["skipped"]))

    def _number(self, n: int) -> int:
        """The number of sample `n` if nothing were skipped."""
        for start, stop in self.skipped:
            if n < start:
                break
            n += stop - start
        return n

    def _segment_of(self, number: int) -> Segment:
        return next(segment for segment in reversed(self.segments) if segment.start <= number)

    def _count(self, number: int) -> dict[str, int]:
        """Sequences of each source before `number`, if nothing were skipped."""
        counts: dict[str, int] = {}
        stops = [segment.start for segment in self.segments[1:]] + [number]
        for segment, stop in zip(self.segments, stops):
            if segment.start > number:
                break
            block, place = divmod(min(stop, number) - segment.start, sum(segment.block.values()))
            sources, _ = block_order(self.seed, segment.start, block, tuple(segment.block.values()))
            for position, (source, share) in enumerate(segment.block.items()):
                within = int(np.count_nonzero(sources[:place] == position))
                counts[source] = segment.first[source] + block * share + within
        return counts


def block_of(weights: Mapping[str, object]) -> dict[str, int]:
    """The smallest integers in the ratio of `weights`, read as exact decimals (Table 1's sum to 200).

    Raises ValueError for a weight that is not positive, or weights with so many decimals that a block exceeds
    MAX_BLOCK.
    """
    exact = {source: Fraction(Decimal(str(weight))) for source, weight in weights.items()}
    for source, weight in exact.items():
        if weight <= 0:
            raise ValueError(f"data.weights.{source}={weights[source]}: expected a weight above 0")
    scale = math.lcm(*(weight.denominator for weight in exact.values()))
    counts = {source: int(weight * scale) for source, weight in exact.items()}
    divisor = math.gcd(*counts.values())
    block = {source: count // divisor for source, count in counts.items()}
    if sum(block.values()) > MAX_BLOCK:
        raise ValueError(
            f"data.weights: these need blocks of {sum(block.values()):,} samples, and at most {MAX_BLOCK:,} "
            "are allowed; round the weights to fewer decimals"
        )
    return block


def samples_of(
    steps_done: int, micro: int, *, dp_rank: int, dp_size: int, micro_batch: int, global_batch: int
) -> range:
    """The sample numbers of a rank's micro-batch in the step after `steps_done`.

    Rank r takes n ≡ r (mod dp_size) of each global batch.
    """
    first = steps_done * global_batch + micro * micro_batch * dp_size + dp_rank
    return range(first, first + micro_batch * dp_size, dp_size)


def permute(j: int, n: int, *key: object) -> int:
    """The image of `j` under a permutation of 0 … n-1 drawn from `key`: a Feistel network, cycle-walking.

    Takes constant memory. The network's domain is less than twice `n` (or 16), so walking takes fewer than
    two passes on average.
    """
    bits = max(4, (n - 1).bit_length())
    low = bits // 2
    high = bits - low
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
    """The `j` of which `i` is the image: the inverse of `permute`."""
    bits = max(4, (n - 1).bit_length())
    low = bits // 2
    high = bits - low
    keys = round_keys(key)
    while True:
        left, right = i >> low, i & ((1 << low) - 1)
        for turn in reversed(range(0, ROUNDS, 2)):
            right ^= mix(left ^ keys[turn + 1]) >> (64 - low)
            left ^= mix(right ^ keys[turn]) >> (64 - high)
        i = left << low | right
        if i < n:
            return i


@lru_cache(maxsize=1024)
def round_keys(key: tuple) -> tuple[int, ...]:
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8 * ROUNDS).digest()
    return tuple(int.from_bytes(digest[8 * turn : 8 * turn + 8], "little") for turn in range(ROUNDS))


@lru_cache(maxsize=16)
def block_order(seed: int, start: int, block: int, counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """For each place of a block: its source, and how many earlier places in the block have that source."""
    key = round_keys(("block", seed, start, block))[0]
    places = np.arange(sum(counts), dtype=np.uint64)
    shuffled = np.argsort(mix_array(places + np.uint64(key)), kind="stable")  # the sum wraps
    sources = np.repeat(np.arange(len(counts)), counts)[shuffled]
    before = np.empty(len(sources), dtype=np.int64)
    for source, count in enumerate(counts):
        before[sources == source] = np.arange(count)
    return sources, before


def _segment(
    start: int,
    weights: Mapping[str, object],
    first: dict[str, int],
    n_sequences: Mapping[str, int],
    seq_len: int,
) -> Segment:
    for source in weights:
        if n_sequences[source] < 1:
            raise ValueError(f"{source}: too few tokens for one sequence of {seq_len}")
    names = sorted(weights)  # the order must not depend on how a config lists its sources
    block = block_of({name: weights[name] for name in names})
    return Segment(start, block, first, {name: n_sequences[name] for name in names}, seq_len)
