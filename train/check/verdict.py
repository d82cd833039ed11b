"""Which ranks and nodes are slow or wrong, from what all of them measured. Pure."""

import statistics
from collections import Counter
from collections.abc import Iterator

SLOW = 0.8  # of the median: what synchronous training would wait for
CLOCKS = 1.0  # seconds by which clocks may differ before logs of two nodes are hard to compare
RATES = {
    "matrix": ("matrix products", "FLOP/s"),
    "memory": ("memory", "B/s"),
    "disk_write": ("writing to disk", "B/s"),
    "disk_read": ("reading from disk", "B/s"),
    "tokens_read": ("reading tokens from the bucket", "B/s"),
    "remote_write": ("writing to checkpoint.remote", "B/s"),
    "remote_read": ("reading from checkpoint.remote", "B/s"),
}
OF_BUCKETS = ("tokens_read", "remote_write", "remote_read")
OF_NODES = ("disk_write", "disk_read", *OF_BUCKETS)  # measured by the first rank of each node; else None


def problems(found: list[dict]) -> list[str]:
    """A line for each problem; `found` has each rank's measures, in order of rank."""
    return [*_wrong(found), *_slow(found), *_slow_links(found)]


def bad_nodes(found: list[dict]) -> list[str]:
    """The nodes that a problem names, if others remain."""
    lines = problems(found)
    nodes = list(dict.fromkeys(rank["node"] for rank in found))
    bad = [
        node
        for node in nodes
        if any(line.startswith(f"{node}:") or f" and {node}:" in line for line in lines)
    ]
    return bad if len(bad) < len(nodes) else []


def _wrong(found: list[dict]) -> Iterator[str]:
    for key in found[0]["versions"]:
        usual = Counter(rank["versions"][key] for rank in found).most_common(1)[0][0]
        for rank in _one_per_node(found):
            if rank["versions"][key] != usual:
                yield f"{rank['node']}: {key} {rank['versions'][key]}, the others have {usual}"
    for rank in found:
        for problem in rank["problems"]:
            yield f"{rank['node']}: {problem}"
    prints = Counter(rank["tokens"] for rank in found if rank["tokens"])
    if len(prints) > 1:
        usual = prints.most_common(1)[0][0]
        for rank in _one_per_node(found):
            if rank["tokens"] not in (None, usual):
                yield f"{rank['node']}: its tokens differ from most nodes'"
    usual = statistics.median_low(rank["clock"] for rank in _one_per_node(found))
    for rank in _one_per_node(found):
        if abs(rank["clock"] - usual) > CLOCKS:
            yield f"{rank['node']}: its clock is {rank['clock'] - usual:+.1f} s off most nodes'; run NTP"


def _slow(found: list[dict]) -> Iterator[str]:
    for key, (what, unit) in RATES.items():
        known = {number: rank[key] for number, rank in enumerate(found) if rank[key]}
        usual = statistics.median(known.values()) if known else 0.0
        for number, rate in known.items():
            if rate < SLOW * usual:
                yield (
                    f"{found[number]['node']}: rank {number} is slow: {what} {shown(rate, unit)}, "
                    f"the median is {shown(usual, unit)}"
                )


def _slow_links(found: list[dict]) -> Iterator[str]:
    """A node is slow if most of its links are; a single slow link names both ends."""
    links = {
        (number, other): rate for number, rank in enumerate(found) for other, rate in rank["pairs"].items()
    }
    if not links:
        return
    usual = statistics.median(links.values())
    slow = set()
    for number, rank in enumerate(found):
        own = [rate for (one, _), rate in links.items() if one == number]
        if own and statistics.median(own) < SLOW * usual:
            slow.add(number)
            yield (
                f"{rank['node']}: its links are slow: {shown(statistics.median(own), 'B/s')}, "
                f"the median is {shown(usual, 'B/s')}"
            )
    for (one, other), rate in links.items():
        if one < other and rate < SLOW / 2 * usual and not slow & {one, other}:
            yield (
                f"{found[one]['node']} and {found[other]['node']}: the link between them is slow: "
                f"{shown(rate, 'B/s')}, the median is {shown(usual, 'B/s')}"
            )


def _one_per_node(found: list[dict]) -> list[dict]:
    return list({rank["node"]: rank for rank in reversed(found)}.values())[::-1]


def shown(rate: float, unit: str) -> str:
    """As 1.23 TFLOP/s or 4.5 GB/s."""
    for factor, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if rate >= factor:
            return f"{rate / factor:.3g} {prefix}{unit}"
    return f"{rate:.3g} {unit}"
