"""A deep model's step from two shallow ones: exact, because every layer does the same.

In: traces of 3 and of 4 layers, of few micro-batches. Out: what a model of any depth and any number of
micro-batches does. Within a stretch of the step memory grows by the same bytes with each layer, so the peaks
of the two first and the two last layers' stretches, which bound those between, and of what lies around the
layers, give the whole peak; counts and operations just add up.
"""

from collections import defaultdict
from dataclasses import dataclass

from train.plan.fake_ranks import Trace

SHALLOW = 3, 4  # layers: with fewer, none has both a reduction behind it and a gathering before it


@dataclass
class Step:
    """One rank's step."""

    n_params: int  # of the model
    held: dict[str, int]  # bytes by kind between backward and the optimizer's step
    peak: dict[str, int]  # bytes by kind when their sum is largest
    peak_stretch: str
    most_activations: int
    collectives: dict[tuple[str, str], tuple[int, float]]  # (operation, ranks) → times, bytes sent
    flops: int

    @property
    def sent(self) -> float:
        return sum(sent for _, sent in self.collectives.values())


def extrapolate(one: Trace, other: Trace, n_layers: int, micro_batches: int, traced: int) -> Step:
    """The step of `n_layers` and `micro_batches`, of which `traced` (all, or at least 3) were traced."""

    def at(a: float, b: float) -> float:
        return a + (n_layers - SHALLOW[0]) * (b - a)

    def by_key(a: dict, b: dict) -> dict:
        return {key: at(a.get(key, 0), b.get(key, 0)) for key in a | b}

    peaks = [_ends(trace.peaks, depth) for trace, depth in zip((one, other), SHALLOW, strict=True)]
    whole = {stretch: by_key(peaks[0][stretch], peaks[1][stretch]) for stretch in peaks[0]}
    where = max(whole, key=lambda stretch: sum(whole[stretch].values()))
    most = [_ends(trace.most_activations, depth) for trace, depth in zip((one, other), SHALLOW, strict=True)]
    more = micro_batches - traced
    sums = [_sum(trace.collectives, more) for trace in (one, other)]
    flops = [_sum({(key,): (value,) for key, value in trace.flops.items()}, more) for trace in (one, other)]
    return Step(
        n_params=at(one.n_params, other.n_params),
        held=by_key(one.held, other.held),
        peak=whole[where],
        peak_stretch=where[0],
        most_activations=max(by_key(*most).values()),
        collectives={
            key: tuple(at(a, b) for a, b in zip(sums[0][key], sums[1][key], strict=True)) for key in sums[1]
        },
        flops=at(flops[0][()][0], flops[1][()][0]),
    )


def _ends(stretches: dict[tuple, object], depth: int) -> dict[tuple, object]:
    """Those of the outer layers and around them, called alike whatever the depth."""
    names = [(None, ""), (0, "first"), (1, "second"), (depth - 2, "next to last"), (depth - 1, "last")]
    return {
        (f"{part} {name}".strip(), time): value
        for (part, layer, time), value in stretches.items()
        for which, name in names
        if layer == which
    }


def _sum(counted: dict[tuple, tuple], more: int) -> dict[tuple, tuple]:
    """Summed over stretches (a key's first part), with the second micro-batch `more` times again."""
    total: dict[tuple, list] = defaultdict(lambda: [0] * len(next(iter(counted.values()))))
    for ((_, _, time), *key), values in counted.items():
        for place, value in enumerate(values):
            total[tuple(key)][place] += value * (1 + more if time == 1 and more else 1)
    return {key: tuple(values) for key, values in total.items()}
