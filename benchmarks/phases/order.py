"""Speed and memory of an order of many phases, and of find: `python benchmarks/phases/order.py`.

Two tables: any sample of 50 phases with 10^4 holes, once each source's reading is prepared; and how long it
takes to say which of 10^9 samples show some of 10^8 documents. Stores are synthetic: only their sizes count.
"""

import random
import resource
import time
from collections.abc import Callable

from data.explain import seen
from data.order import Order
from data.phases.steps import Steps

SOURCES: list[str] = ["commoncrawl", "c4", "github", "wikipedia", "books", "arxiv", "stackexchange"]
SEQ_LEN, SAMPLES, BATCH = 2048, 10**9, 2048
DOCUMENT = 1000  # tokens
STORE = 10**8 * DOCUMENT // len(SOURCES)  # tokens of each source: 10^8 documents in all


def chain(phases: int, holes: int) -> Order:
    """10^9 samples in phases of other weights, the last half without some documents."""
    sizes = dict.fromkeys(SOURCES, STORE // SEQ_LEN)
    order = Order.start(seed=0, weights=dict.fromkeys(SOURCES, 1), n_sequences=sizes, seq_len=SEQ_LEN)
    places = sorted(random.Random(0).sample(range(STORE // DOCUMENT), holes))
    without = {"c4": tuple((place * DOCUMENT, (place + 1) * DOCUMENT) for place in places)} if holes else {}
    for phase in range(1, phases):
        weights = {source: 1 + (phase + i) % 7 for i, source in enumerate(SOURCES)}
        order = order.change(
            SAMPLES // phases * phase,
            weights=weights,
            n_sequences=sizes,
            seq_len=SEQ_LEN,
            without=without if phase > phases // 2 else None,
        )
    return order


def seconds(work: Callable[[], object]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def main() -> None:
    print("phases    holes   prepared in (s)   any sample (µs)   consecutive (µs)")
    draw = random.Random(1)
    for phases, holes in ((1, 0), (50, 0), (50, 10_000)):
        order = chain(phases, holes)
        first = seconds(lambda order=order: [order.reading(SAMPLES - 1, s).locate(SAMPLES) for s in SOURCES])
        starts = [draw.randrange(SAMPLES - 1000) for _ in range(2000)]
        anywhere = seconds(lambda order=order, starts=starts: [order.locate(n) for n in starts]) / len(starts)
        row = seconds(
            lambda order=order, starts=starts: [
                order.locate(n) for at in starts[:20] for n in range(at, at + 1000)
            ]
        )
        print(f"{phases:6,} {holes:8,} {first:17.3f} {1e6 * anywhere:17.1f} {1e6 * row / 20_000:18.1f}")
    print("\nphases   documents found   samples that show them   seconds")
    for phases, count in ((1, 100), (1, 1_000), (1, 10_000), (10, 1_000)):
        order, steps = chain(phases, 0), Steps(((0, BATCH),))
        places = sorted(draw.sample(range(STORE // DOCUMENT), count))
        ranges = tuple((place * DOCUMENT + 1, (place + 1) * DOCUMENT - 1) for place in places)
        found = 0
        begin = time.perf_counter()
        for _ in seen(order, steps, "c4", ranges, SAMPLES):
            found += 1
        print(f"{phases:6,} {count:17,} {found:24,} {time.perf_counter() - begin:9.2f}")
    print(f"\npeak memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MiB")


if __name__ == "__main__":
    main()
