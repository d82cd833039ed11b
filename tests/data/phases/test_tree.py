"""Any tree of branches, with phases, rewinds, left-out documents, grown stores and other lengths, is what a
simulation gives that keeps lists of what is left to read, and copies them where a run branches."""

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from data.order import Order, Sample, block_of, block_order, samples_of
from data.phases.kept import Ranges, merged
from data.phases.permutation import permute

BATCH = 8  # sequences of a step


@dataclass(frozen=True)
class Draws:
    """What a phase draws from: weights, tokens of each source, length, tokens left out."""

    weights: dict[str, int]
    tokens: dict[str, int]
    seq_len: int
    without: dict[str, Ranges]

    def keys(self) -> dict:
        sizes = {source: self.tokens[source] // self.seq_len for source in self.weights}
        return {"weights": self.weights, "n_sequences": sizes, "seq_len": self.seq_len}

    def like(self, other: "Draws") -> bool:
        """Whether both draw the same samples; a phase like the one before it begins nothing."""
        mine, theirs = (draws.keys() | {"weights": block_of(draws.weights)} for draws in (self, other))
        return mine == theirs and self.without == other.without


class Source:
    """One source, read through lists."""

    def __init__(self, seed: int, name: str) -> None:
        self.seed, self.name, self.count, self.epoch = seed, name, 0, 0
        self.left: list[int] = []  # of the epoch
        self.now: tuple[int, int, Ranges] = (0, 0, ())  # sequences, length, left out

    def shuffled(self, epoch: int) -> list[int]:
        kept = self.kept(0)
        return [kept[permute(j, len(kept), self.seed, self.name, epoch)] for j in range(len(kept))]

    def kept(self, first: int) -> list[int]:
        size, length, without = self.now
        return [
            i
            for i in range(first, size)
            if not any(i * length < stop and start <= (i + 1) * length for start, stop in without)
        ]

    def change(self, size: int, length: int, without: Ranges) -> None:
        (old_size, old_length, old_without), now = self.now, (size, length, without)
        if now == self.now:
            return
        if not self.count:
            self.now, self.left = now, []
            self.left = self.shuffled(0)
            return
        if not self.left:
            self.epoch, self.left = self.epoch + 1, self.shuffled(self.epoch + 1)
        place = len(self.kept(0)) - len(self.left)
        self.now = now
        is_more = all(any(a <= c and d <= b for a, b in without) for c, d in old_without)
        if length == old_length and size >= old_size and is_more:
            allowed, new = set(self.kept(0)), self.kept(old_size)
            self.left = [i for i in self.left if i in allowed] + new
            if new:
                key = (self.seed, self.name, "rest", self.count)
                self.left = [self.left[permute(i, len(self.left), *key)] for i in range(len(self.left))]
            return
        place = -(-place * old_length // length)  # the same share, in tokens
        self.epoch += place // len(self.kept(0))
        self.left = self.shuffled(self.epoch)[place % len(self.kept(0)) :]

    def read(self) -> Sample:
        if not self.left:
            self.epoch, self.left = self.epoch + 1, self.shuffled(self.epoch + 1)
        self.count += 1
        return Sample(self.name, self.epoch, self.left.pop(0), self.count - 1)


class Simulation:
    """A run that is trained sample by sample."""

    def __init__(self, seed: int, phases: list[tuple[int, Draws]], names: Iterable[str] = "abc") -> None:
        self.seed, self.coming = seed, phases  # each with its first sample
        self.begun: list[tuple[int, Draws]] = []
        self.drawn = 0  # samples, with those that a rewind discarded
        self.trained: list[tuple[Sample, int]] = []  # and their lengths
        self.sources = {name: Source(seed, name) for name in names}
        self.current = phases[0][1]
        self.block: list[str] = []  # left of it
        self.start = self.blocks = 0

    def branch(self, phases: list[tuple[int, Draws]]) -> None:
        """Others follow from here on."""
        at = len(self.trained)
        self.coming = [(first, draws) for first, draws in self.coming if first <= at]
        if phases and phases[0][0] == at:
            self.coming = []
        self.coming += phases

    def begin(self, draws: Draws) -> None:
        self.current, self.start, self.blocks, self.block = draws, self.drawn, 0, []
        for name in draws.weights:
            size = draws.tokens[name] // draws.seq_len
            self.sources[name].change(size, draws.seq_len, draws.without.get(name, ()))

    def train(self, samples: int) -> None:
        for _ in range(samples):
            while self.coming and self.coming[0][0] == len(self.trained):
                self.begun.append(self.coming.pop(0))
                self.begin(self.begun[-1][1])
            if not self.begun[-1][1].like(self.current):  # after a rewind into an earlier phase
                self.begin(self.begun[-1][1])
            if not self.block:
                counts = block_of(self.current.weights)
                places, _ = block_order(self.seed, self.start, self.blocks, tuple(counts.values()))
                self.block, self.blocks = [list(counts)[place] for place in places], self.blocks + 1
            self.drawn += 1
            self.trained.append((self.sources[self.block.pop(0)].read(), self.current.seq_len))

    def rewind(self, samples: int) -> None:
        """Forget the last ones, whose sequences do not come back."""
        del self.trained[len(self.trained) - samples :]
        while self.begun[-1][0] > len(self.trained):
            self.coming.insert(0, self.begun.pop())


@dataclass
class Branch:
    """Phases, each with how many samples it begins after the branch; what happens; and its own branches."""

    phases: list[tuple[int, Draws]]
    events: list[tuple[str, int]]  # train or rewind, and how many samples
    children: dict[int, "Branch"] = field(default_factory=dict)  # after so many events


@st.composite
def branches(draw, depth: int = 2, before: Draws | None = None) -> Branch:
    phases, at = [], 0
    draws = before or Draws({"a": 1}, dict.fromkeys("abc", 400), 8, {})
    for _ in range(draw(st.integers(0 if before else 1, 2))):
        draws = draw(changed(draws))
        phases.append((at, draws))
        at += draw(st.integers(1, 60))
    event = st.one_of(
        st.tuples(st.just("train"), st.integers(1, 70)), st.tuples(st.just("rewind"), st.integers(1, 40))
    )
    events = draw(st.lists(event, min_size=1, max_size=4))
    places = draw(st.lists(st.integers(1, len(events)), max_size=2, unique=True)) if depth else []
    return Branch(phases, events, {place: draw(branches(depth - 1, draws)) for place in places})


@st.composite
def changed(draw, draws: Draws) -> Draws:
    names = draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True))
    weights = {name: draw(st.integers(1, 3)) for name in sorted(names)}
    tokens = {name: size + draw(st.sampled_from([0, 0, 100])) for name, size in draws.tokens.items()}
    without = dict(draws.without)
    if draw(st.booleans()):
        name, start = draw(st.sampled_from("abc")), draw(st.integers(0, 390))
        without[name] = merged((*without.get(name, ()), (start, start + draw(st.integers(1, 30)))))
    return Draws(weights, tokens, draw(st.sampled_from([8, 8, 8, 12, 16])), without)


def followed(branch: Branch, order: Order, run: Simulation, ranks: int) -> None:
    """Train a branch and its own branches, and compare each with its order."""
    at, run = len(run.trained), copy.deepcopy(run)
    order, phases = order.truncated(at), []
    for first, draws in ((at + offset, draws) for offset, draws in branch.phases):
        then = order.change(first, **draws.keys(), without=draws.without)
        if not then.segments[-1].draws_like(order.truncated(first).segments[-1]):  # as train/order.py
            order = then
            phases.append((first, draws))
    run.branch(phases)
    for number, (event, samples) in enumerate(branch.events, 1):
        reached = len(run.trained)
        if event == "train":
            run.train(samples)
        elif (samples := min(samples, reached - at)) > 0:
            order = order.skip(reached - samples, reached)
            run.rewind(samples)
        order = Order.from_json(json.loads(json.dumps(order.to_json())))  # as a resume reads it
        if number in branch.children:
            followed(branch.children[number], order, run, ranks)
    for step in range(len(run.trained) // BATCH):
        by_rank = {
            n: (order.locate(n), order.seq_len(n))
            for rank in range(ranks)
            for micro in range(BATCH // ranks)
            for n in samples_of(step, micro, dp_rank=rank, dp_size=ranks, micro_batch=1, global_batch=BATCH)
        }
        assert [by_rank[n] for n in sorted(by_rank)] == run.trained[step * BATCH : (step + 1) * BATCH]


@settings(max_examples=60, deadline=None)
@given(branches(), st.integers(0, 2**32), st.sampled_from([1, 2, 4, 8]))
def test_any_tree_of_branches_gives_at_each_step_what_a_simulation_gives(tree, seed, ranks):
    (_, draws), *later = tree.phases
    order = Order.start(seed=seed, **draws.keys())
    if draws.without:
        order = order.change(0, **draws.keys(), without=draws.without)
    tree.phases = later
    followed(tree, order, Simulation(seed, [(0, draws)]), ranks)
