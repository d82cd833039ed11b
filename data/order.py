"""The order of the data: a global sample number in, (source, epoch, sequence) out.

Pure functions of integers: no state, no files, no random generators. An order is a chain of segments, each
with one mixture and sequence length. Every block of samples holds each source exactly in proportion to its
weight, in an order drawn from (seed, block). Each source is read epoch by epoch (data/phases/reading.py) and
continues where it left off when a segment begins. So resuming, changing the world size, auditing and
explaining a step all evaluate the same function.
"""

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np

from data.phases.kept import Kept, Ranges, merged
from data.phases.known import check_order
from data.phases.permutation import keys_of
from data.phases.reading import Reading
from data.splitmix import mix_array

MAX_BLOCK = 100_000


@dataclass(frozen=True)
class Sample:
    """Where one training sequence comes from."""

    source: str
    epoch: int
    index: int  # the sequence's number in its source
    k: int  # how many sequences of this source come before it in the run


@dataclass(frozen=True)
class Segment:
    """A stretch of the run with one mixture over one version of the data."""

    start: int  # its first sample number
    block: dict[str, int]  # how many samples of each source a block holds
    first: dict[str, int]  # each source's k where the segment starts
    n_sequences: dict[str, int]
    seq_len: int
    without: dict[str, Ranges] = field(default_factory=dict)  # by source, tokens that no sample may show

    def draws_like(self, other: "Segment") -> bool:
        """Whether both segments draw the same mixture from the same sequences."""
        return replace(self, start=other.start, first=other.first) == other


@dataclass(frozen=True)
class Order:
    """The order of a run; `skipped` lists ranges [start, stop) of samples left out after loss spikes.

    Segments and skipped ranges count samples as if nothing were skipped.
    """

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
        self,
        n: int,
        *,
        weights: Mapping[str, object],
        n_sequences: Mapping[str, int],
        seq_len: int,
        without: Mapping[str, Ranges] | None = None,
    ) -> "Order":
        """The same order up to sample `n`, then another mixture; each source continues where it left off.

        `without` lists the token ranges that no sample shows from then on; None leaves them as they were.
        """
        if without is None:
            without = self._segment_of(self._number(n)).without
        return self._change(n, _segment(0, weights, {}, n_sequences, seq_len, without))

    def truncated(self, n: int) -> "Order":
        """The same order up to sample `n`, without any later change of mixture."""
        at = self._number(n)
        kept = tuple(segment for segment in self.segments if segment.start <= at)
        return Order(self.seed, kept, self.skipped)

    def skip(self, start: int, stop: int) -> "Order":
        """The same order without the samples now numbered [start, stop).

        Segments that begin after `start` still begin at the same sample.
        """
        low, high = self._number(start), self._number(stop)
        later = [(n, segment) for n, segment in self.starts() if n > start]
        kept = tuple(segment for segment in self.segments if segment.start < high)
        order = Order(self.seed, kept, merged((*self.skipped, (low, high))))
        current = self._segment_of(low)
        if not kept[-1].draws_like(current):  # the skipped samples reached into the next segment
            order = order._change(start, current)
        for n, segment in later:
            if not segment.draws_like(order.segments[-1]):  # drop a segment that only an earlier skip made
                order = order._change(n, segment)
        return order

    def starts(self) -> Iterator[tuple[int, Segment]]:
        """Each segment with its first sample; segments that are skipped entirely are left out."""
        found = {}
        for segment in self.segments:
            left_out = sum(min(b, segment.start) - a for a, b in self.skipped if a < segment.start)
            found[segment.start - left_out] = segment  # a later one at the same sample replaces it
        yield from found.items()

    @property
    def n_sequences(self) -> dict[str, int]:
        return self.segments[-1].n_sequences

    def seq_len(self, n: int) -> int:
        return self._segment_of(self._number(n)).seq_len

    def locate(self, n: int) -> Sample:
        """The sequence read as sample `n` (0, 1, …) of the run, in constant time and memory."""
        number = self._number(n)
        at = bisect_right(self._starts, number) - 1
        segment = self.segments[at]
        block, place = divmod(number - segment.start, sum(segment.block.values()))
        sources, before = block_order(self.seed, segment.start, block, tuple(segment.block.values()))
        source = list(segment.block)[sources[place]]
        k = segment.first[source] + block * segment.block[source] + int(before[place])
        epoch, index = self._readings[at][source].locate(k)
        return Sample(source, epoch, index, k)

    def consumed(self, n: int) -> dict[str, int]:
        """How many sequences of each source come before sample `n`, not counting skipped ones."""
        number = self._number(n)
        counts = self._count(number)
        for start, stop in self.skipped:
            if stop <= number:
                before, after = self._count(start), self._count(stop)
                counts = {s: c - after.get(s, 0) + before.get(s, 0) for s, c in counts.items()}
        return counts

    def epochs(self, n: int) -> dict[str, float]:
        """How often each source has been read before sample `n`, not counting skipped samples."""
        if len(self.segments) == 1 and not self.segments[0].without:
            return {source: count / self.n_sequences[source] for source, count in self.consumed(n).items()}
        number = self._number(n)
        read = self._epochs(number)
        for start, stop in self.skipped:
            if stop <= number:
                before, after = self._epochs(start), self._epochs(stop)
                read = {s: e - after.get(s, 0.0) + before.get(s, 0.0) for s, e in read.items()}
        return read

    def unskipped(self) -> "Order":
        """The order with nothing left out, each segment beginning at the same sample as in this one."""
        order = Order(self.seed, ())
        for n, segment in self.starts():
            if not order.segments or not segment.draws_like(order.segments[-1]):
                order = order._change(n, segment)
        return order

    def reading(self, n: int, source: str) -> Reading:
        """How `source` is read at sample `n`."""
        return self._readings[bisect_right(self._starts, self._number(n)) - 1][source]

    def reading_in(self, segment: int, source: str) -> Reading:
        """How a segment, by its number, reads `source`."""
        return self._readings[segment][source]

    def samples_of_sequences(
        self, segment: int, source: str, ranges: Ranges, stop: int
    ) -> Iterator[tuple[int, int]]:
        """(sequence, sample) for each sample below `stop` where a segment reads a sequence in `ranges`.

        The time grows with the number of these sequences only. Skipped samples are left out.
        """
        here, last = self.segments[segment], self._number(stop - 1) + 1 if stop else 0
        if segment + 1 < len(self.segments):
            last = min(last, self._starts[segment + 1])
        first, share = here.first[source], here.block[source]
        if last <= here.start or (end := self._count(last)[source]) <= first:
            return
        reading, counts = self._readings[segment][source], tuple(here.block.values())
        position = list(here.block).index(source)
        low, high = (reading.position(k)[0] for k in (first, end - 1))
        for index, epoch in ((i, e) for a, b in ranges for i in range(a, b) for e in range(low, high + 1)):
            k = reading.find(index, epoch)
            if k is None or not first <= k < end:
                continue
            block, nth = divmod(k - first, share)
            sources, _ = block_order(self.seed, here.start, block, counts)
            number = here.start + block * sum(counts) + int(np.flatnonzero(sources == position)[nth])
            if (n := self._shown.before(number)) is not None:
                yield index, n

    def to_json(self) -> dict:
        segments = [asdict(segment) for segment in self.segments]
        for segment in segments:
            if not segment["without"]:
                del segment["without"]
        return {"seed": self.seed, "segments": segments, "skipped": [list(pair) for pair in self.skipped]}

    @classmethod
    def from_json(cls, state: dict) -> "Order":
        """The order that `to_json` wrote. Raises ValueError for anything else."""
        check_order(state)

        def of(segment: dict) -> Segment:
            without = {source: merged(ranges) for source, ranges in segment.get("without", {}).items()}
            return Segment(**{**segment, "without": without})

        skipped = tuple((start, stop) for start, stop in state["skipped"])
        return cls(state["seed"], tuple(map(of, state["segments"])), skipped)

    def _change(self, n: int, wanted: Segment) -> "Order":
        """The same order, drawing as `wanted` does from sample `n` on."""
        at = self._number(n)
        reached = self._count(at)
        first = {source: reached.get(source, 0) for source in wanted.block}
        kept = tuple(segment for segment in self.segments if segment.start < at)
        begun = replace(wanted, start=at, first=first)
        return Order(self.seed, (*kept, begun), self.skipped)

    @cached_property
    def _starts(self) -> list[int]:
        return [segment.start for segment in self.segments]

    @cached_property
    def _readings(self) -> list[dict[str, Reading]]:
        """How each source is read, by segment, then by source."""
        last: dict[str, Reading] = {}
        found = []
        for segment in self.segments:
            now = {}
            for source, count in segment.n_sequences.items():
                like = count, segment.seq_len, segment.without.get(source, ())
                if source in last:
                    now[source] = last[source].follow(segment.first[source], *like)
                else:
                    now[source] = Reading(self.seed, source, *like)
                    now[source].size  # noqa: B018 - raises if nothing is left
            last |= now
            found.append(now)
        return found

    @cached_property
    def _shown(self) -> Kept:
        """The samples that are not skipped."""
        return Kept(0, 1 << 62, self.skipped)

    def _number(self, n: int) -> int:
        """The number sample `n` would have if nothing were skipped."""
        return self._shown.nth(n)

    def _segment_of(self, number: int) -> Segment:
        return self.segments[bisect_right(self._starts, number) - 1]

    def _epochs(self, number: int) -> dict[str, float]:
        """How often each source would have been read before `number` if nothing were skipped."""
        at, reached = bisect_right(self._starts, number) - 1, self._count(number)
        read = {}
        for source, k in reached.items():
            # a source may be absent from this segment: then use the last segment that has it
            before = next(r[source] for r in reversed(self._readings[: at + 1]) if source in r)
            epoch, place = before.position(k)
            read[source] = epoch + place / before.size
        return read

    def _count(self, number: int) -> dict[str, int]:
        """How many sequences of each source would come before `number` if nothing were skipped."""
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

    Raises ValueError for a weight that is not positive, or if the block would exceed MAX_BLOCK because the
    weights have too many decimals.
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


@lru_cache(maxsize=16)
def block_order(seed: int, start: int, block: int, counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """For each place in a block: its source, and how many earlier places have that source."""
    in_turn, earlier = _unshuffled(counts)
    places = np.arange(len(in_turn), dtype=np.uint64)
    places += np.uint64(keys_of(("block", seed, start, block))[0])  # the sum wraps
    sources = in_turn[mix_array(places).argsort(kind="stable")]
    before = np.empty_like(earlier)
    before[sources.argsort(kind="stable")] = earlier
    return sources, before


@lru_cache(maxsize=16)
def _unshuffled(counts: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """A block with its sources in turn: each place's source, and how many earlier places have that source."""
    smallest = np.min_scalar_type(len(counts))  # numpy sorts integers of up to two bytes in linear time
    return (
        np.repeat(np.arange(len(counts), dtype=smallest), counts),
        np.concatenate([np.arange(count) for count in counts]),
    )


def _segment(
    start: int,
    weights: Mapping[str, object],
    first: dict[str, int],
    n_sequences: Mapping[str, int],
    seq_len: int,
    without: Mapping[str, Ranges] | None = None,
) -> Segment:
    for source in weights:
        if n_sequences[source] < 1:
            raise ValueError(f"{source}: too few tokens for one sequence of {seq_len}")
    names = sorted(weights)  # the order must not depend on how a config lists its sources
    block = block_of({name: weights[name] for name in names})
    kept = {source: merged(ranges) for source, ranges in (without or {}).items() if ranges}
    return Segment(start, block, first, {name: n_sequences[name] for name in names}, seq_len, kept)
