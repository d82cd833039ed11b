"""A deep model's step from two shallow ones: exact, because all layers do the same.

In: traces of 3 and 4 layers with a few micro-batches. Out: the step of any depth and any number of
micro-batches. In each stretch, every additional layer adds the same bytes. So the peak is found among the
stretches of the first two and last two layers, which bound those in between, and those outside the layers.
Counts and FLOPs add up.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import TypeVar

from train.plan.fake_ranks import Trace

N = TypeVar("N", int, float)
V = TypeVar("V")

SHALLOW = 3, 4  # layers; with fewer, none has both a reduce-scatter behind it and an all-gather ahead


@dataclass
class Step:
    """One rank's step."""

    n_params: int  # in the model
    held: dict[str, int]  # bytes by kind between backward and the optimizer's step
    peak: dict[str, int]  # bytes by kind at the peak
    peak_stretch: str
    most_activations: int
    collectives: dict[tuple[str, str], tuple[int, float]]  # (operation, ranks) → count, bytes sent
    flops: int

    @property
    def sent(self) -> float:
        return sum(sent for _, sent in self.collectives.values())


def extrapolate(one: Trace, other: Trace, n_layers: int, micro_batches: int, traced: int) -> Step:
    """The step with `n_layers` and `micro_batches`, given traces of `traced` of them (all, or at least 3)."""

    def at(a: N, b: N) -> N:
        return a + (n_layers - SHALLOW[0]) * (b - a)

    def by_key(a: dict, b: dict) -> dict:
        return {key: at(a.get(key, 0), b.get(key, 0)) for key in a | b}

    peaks = [_ends(trace.peaks, depth) for trace, depth in zip((one, other), SHALLOW, strict=True)]
    totals = {stretch: by_key(peaks[0][stretch], peaks[1][stretch]) for stretch in peaks[0]}
    where = max(totals, key=lambda stretch: sum(totals[stretch].values()))
    most = [_ends(trace.most_activations, depth) for trace, depth in zip((one, other), SHALLOW, strict=True)]
    more = micro_batches - traced
    sums = [_sum(trace.collectives, more) for trace in (one, other)]
    flops = [_sum({(key,): (value,) for key, value in trace.flops.items()}, more) for trace in (one, other)]
    return Step(
        n_params=at(one.n_params, other.n_params),
        held=by_key(one.held, other.held),
        peak=totals[where],
        peak_stretch=where[0],
        most_activations=max(by_key(*most).values()),
        collectives={
            key: (at(sums[0][key][0], sums[1][key][0]), at(sums[0][key][1], sums[1][key][1]))
            for key in sums[1]
        },
        flops=at(flops[0][()][0], flops[1][()][0]),
    )


def _ends(stretches: dict[tuple, V], depth: int) -> dict[tuple, V]:
    """The stretches of the outer layers and outside the layers, with names that do not depend on depth."""
    names = [(None, ""), (0, "first"), (1, "second"), (depth - 2, "next to last"), (depth - 1, "last")]
    return {
        (f"{part} {name}".strip(), time): value
        for (part, layer, time), value in stretches.items()
        for which, name in names
        if layer == which
    }


def _sum(counted: dict[tuple, tuple], more: int) -> dict[tuple, tuple]:
    """Summed over stretches (the first part of a key), counting the second micro-batch `more` more times."""
    total: dict[tuple, list] = defaultdict(lambda: [0] * len(next(iter(counted.values()))))
    for ((_, _, time), *key), values in counted.items():
        for place, value in enumerate(values):
            total[tuple(key)][place] += value * (1 + more if time == 1 and more else 1)
    return {key: tuple(values) for key, values in total.items()}
