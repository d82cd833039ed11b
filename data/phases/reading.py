"""How a run's segments read one source: from its k-th sequence in the run to an epoch and a sequence number.

Each epoch visits every sequence once, in an order drawn from (seed, source, epoch). If the source is
unchanged, a segment continues where the last one left off. If the source has grown or lost sequences, the
segment first finishes the epoch with the sequences not read yet and the new ones. If the sequence length has
changed, the source is cut into other sequences, and the segment continues after the same share of the epoch,
in tokens.
"""

from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property

from data.phases.kept import Kept, Ranges, holes_of
from data.phases.permutation import permute, unpermute


@dataclass(frozen=True)
class Reading:
    """Reads a source of `n_sequences` of `seq_len` tokens from its k = `start`, avoiding tokens `without`."""

    seed: int
    source: str
    n_sequences: int
    seq_len: int
    without: Ranges = ()
    start: int = 0
    epoch: int = 0  # the epoch at `start`
    place: int = 0  # the place in that epoch
    unread: "Reading | None" = None  # an earlier reading, to finish its epoch first

    def follow(self, k: int, n_sequences: int, seq_len: int, without: Ranges) -> "Reading":
        """The reading that takes over from this one at the source's k-th sequence."""
        now = (n_sequences, seq_len, without)
        if now == (self.n_sequences, self.seq_len, self.without):
            return self
        fresh = Reading(self.seed, self.source, *now)
        if k == 0:
            return fresh
        epoch, place = self.position(k)
        if seq_len == self.seq_len and n_sequences >= self.n_sequences and _holds(without, self.without):
            return Reading(self.seed, self.source, *now, start=k, epoch=epoch, unread=self)
        place = -(-place * self.seq_len // seq_len)
        epoch, place = epoch + place // fresh.size, place % fresh.size
        return Reading(self.seed, self.source, *now, start=k, epoch=epoch, place=place)

    @property
    def size(self) -> int:
        """How many sequences an epoch has."""
        return self._kept.size

    def locate(self, k: int) -> tuple[int, int]:
        """The epoch of the run's k-th sequence, and its number in the source."""
        i = k - self.start
        if self.unread is not None and i < self._rest_size:
            return self.epoch, self._of_rest(i)
        epoch, j = self.position(k)
        return epoch, self._kept.nth(permute(j, self.size, self.seed, self.source, epoch))

    def position(self, k: int) -> tuple[int, int]:
        """The epoch of the run's k-th sequence, and how many sequences of that epoch come before it."""
        i = k - self.start
        if self.unread is None:
            epochs, j = divmod(i + self.place, self.size)
            return self.epoch + epochs, j
        if i < self._rest_size:
            return self.epoch, self.size - self._rest_size + i
        epochs, j = divmod(i - self._rest_size, self.size)
        return self.epoch + 1 + epochs, j

    def holds(self, index: int) -> bool:
        """Whether epochs include sequence `index`."""
        return 0 <= index < self.n_sequences and self._kept.before(index) is not None

    def find(self, index: int, epoch: int) -> int | None:
        """The k where sequence `index` is read in `epoch`; None if that is before `start`, or never."""
        place = self._kept.before(index)
        if place is None or epoch < self.epoch or index >= self.n_sequences:
            return None
        if self.unread is not None and epoch == self.epoch:
            return self._find_in_rest(self.unread, index)
        j = unpermute(place, self.size, self.seed, self.source, epoch)
        if self.unread is not None:
            return self.start + self._rest_size + (epoch - self.epoch - 1) * self.size + j
        k = self.start - self.place + (epoch - self.epoch) * self.size + j
        return k if k >= self.start else None

    @cached_property
    def _kept(self) -> Kept:
        kept = Kept(0, self.n_sequences, holes_of(self.without, self.seq_len))
        if kept.size < 1:
            raise ValueError(f"{self.source}: no sequence of {self.seq_len} tokens is left to train on")
        return kept

    # The rest of an epoch: first what `unread` still has to read (as its k's), then the new sequences.

    @cached_property
    def _old(self) -> Kept:
        assert self.unread is not None
        before = self.unread
        stop = self.start + before.size - before.position(self.start)[1]
        gone = []
        for first, last in holes_of(self.without, self.seq_len):
            for index in range(first, min(last, before.n_sequences)):
                k = before.find(index, self.epoch)
                if k is not None and self.start <= k < stop:
                    gone.append((k, k + 1))
        return Kept(self.start, stop, tuple(sorted(gone)))

    @cached_property
    def _new(self) -> Kept:
        assert self.unread is not None
        return Kept(self.unread.n_sequences, self.n_sequences, holes_of(self.without, self.seq_len))

    @cached_property
    def _rest_size(self) -> int:
        return self._old.size + self._new.size

    def _of_rest(self, i: int) -> int:
        assert self.unread is not None
        if self._new.size:  # without new sequences, the rest keeps its order
            i = permute(i, self._rest_size, self.seed, self.source, "rest", self.start)
        if i < self._old.size:
            return self.unread.locate(self._old.nth(i))[1]
        return self._new.nth(i - self._old.size)

    def _find_in_rest(self, before: "Reading", index: int) -> int | None:
        if index >= before.n_sequences:
            place = self._new.before(index)
            x = None if place is None else self._old.size + place
        else:
            k = before.find(index, self.epoch)
            x = None if k is None or k < self.start else self._old.before(k)
        if x is None:
            return None
        if self._new.size:
            x = unpermute(x, self._rest_size, self.seed, self.source, "rest", self.start)
        return self.start + x


def _holds(ranges: Ranges, others: Ranges) -> bool:
    """Whether `ranges` cover all of `others`."""
    at = [bisect_right(ranges, (low, high)) for low, high in others]  # the range before this may cover it
    return all(
        any(a <= low and high <= b for a, b in ranges[max(0, i - 1) : i + 1])
        for i, (low, high) in zip(at, others)
    )
