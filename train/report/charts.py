"""Line charts and bars as inline SVG: numbers in, a <figure> out, with no library, script or network.

A line of many points is thinned to the least and the greatest of each stretch, so a spike that lasted one
step is still seen. Text in a chart is as large on a phone as on a desk: charts are 400 units wide, and the
page lays as many in a row as fit.
"""

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

WIDTH, HEIGHT = 400, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 8, 24
DOTTED = 20  # points, up to which each has a dot
SHOWN = 300  # stretches of a line, at most two points each
INK = "#1b1b1b"
# Okabe and Ito's, which people who see colours otherwise tell apart, without the yellow; then two of ours.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8c6d31")


@dataclass
class Line:
    """A named line through (x, y) points; a y that is None or not finite leaves a gap."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float | None]
    colour: str = INK
    dots: bool = False  # few points, each of which is shown
    dashed: bool = False
    legend: bool = True
    last: str = field(default="")  # what the legend says of its end


def line_chart(title: str, lines: Sequence[Line], *, x_label: str = "step", zero: bool = False) -> str:
    """A <figure> of `lines`; with `zero` the y axis begins at 0. Nothing to draw gives an empty string."""
    lines = [_thinned(line) for line in lines]
    drawn = [(x, y) for line in lines for x, y in zip(line.xs, line.ys) if y is not None]
    if not drawn:
        return ""
    low_x, high_x = min(x for x, _ in drawn), max(x for x, _ in drawn)
    low_x = 0 if 0 < low_x < high_x / 20 else low_x
    ticks = axis(0.0 if zero else min(y for _, y in drawn), max(y for _, y in drawn))
    low, high = ticks[0], ticks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - low_x) / (high_x - low_x) if high_x > low_x else 0.5
        up = (y - low) / (high - low)
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

    parts = []
    for tick in ticks:
        _, y = place(low_x, tick)
        parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(tick)}</text>')
    for tick in _x_ticks(low_x, high_x):
        x, _ = place(tick, low)
        anchor = "end" if x > WIDTH - RIGHT - 14 else "middle"
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{short(tick)}</text>')
    for line in lines:
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        parts.append(f'<path class="line" stroke="{line.colour}"{dash} d="{_path(line, place)}"/>')
        if line.dots and len(line.xs) <= DOTTED:
            spots = (place(x, y) for x, y in zip(line.xs, line.ys) if y is not None)
            parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{line.colour}"/>' for x, y in spots]
    svg = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">'
    caption = f"<figcaption>{html.escape(title)} <small>by {html.escape(x_label)}</small></figcaption>"
    return f"<figure>{caption}{svg}{''.join(parts)}</svg>{_legend(lines)}</figure>"


def share_bar(title: str, shares: Sequence[tuple[str, float]]) -> str:
    """A <figure> with one bar cut into named shares of the whole."""
    total = sum(value for _, value in shares) or 1.0
    parts, keys, x = [], [], 0.0
    for (name, value), colour in zip(shares, COLOURS):
        width = WIDTH * value / total
        parts.append(f'<rect x="{x:.2f}" y="0" width="{width:.2f}" height="26" fill="{colour}"/>')
        keys.append(Line(name, (), (), colour, last=f"{value / total:.1%}"))
        x += width
    svg = f'<svg viewBox="0 0 {WIDTH} 26" role="img" aria-label="{html.escape(title)}">{"".join(parts)}</svg>'
    return f"<figure><figcaption>{html.escape(title)}</figcaption>{svg}{_legend(keys, always=True)}</figure>"


def axis(low: float, high: float) -> list[float]:
    """Four to seven round numbers that hold [low, high] between the first and the last."""
    if high <= low:
        low, high = (low - abs(low) / 2 or -1.0), (high + abs(high) / 2 or 1.0)
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * unit for unit in (1, 2, 2.5, 5, 10) if power * unit >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * i, 12) for i in range(first, last + 1)]


def short(value: float) -> str:
    """A tick's number in few letters: 1.5k, 2M, 0.003, 3e-4."""
    for unit, letter in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.4g}{letter}"
    text = f"{value:.4g}"
    if value and abs(value) < 1e-3:
        mantissa, _, exponent = f"{value:.3e}".partition("e")
        text = f"{float(mantissa):g}e{int(exponent)}"
    return text


def _x_ticks(low: float, high: float) -> list[float]:
    inside = [tick for tick in axis(low, high) if low <= tick <= high]
    return inside or [low]


def _thinned(line: Line) -> Line:
    """At most two points of each of SHOWN stretches: its least and greatest, in their order."""
    points = [(x, y if y is not None and math.isfinite(y) else None) for x, y in zip(line.xs, line.ys)]
    if len(points) > 2 * SHOWN:
        size = -(-len(points) // SHOWN)
        kept = []
        for begin in range(0, len(points), size):
            part = points[begin : begin + size]
            known = [i for i, (_, y) in enumerate(part) if y is not None]
            if not known:
                kept.append(part[0])
                continue
            ends = {min(known, key=lambda i: part[i][1]), max(known, key=lambda i: part[i][1])}
            kept += [part[i] for i in sorted(ends)]
        points = kept
    xs, ys = zip(*points) if points else ((), ())
    return Line(line.name, xs, ys, line.colour, line.dots, line.dashed, line.legend, line.last)


def _path(line: Line, place) -> str:
    words, pen = [], "M"
    for x, y in zip(line.xs, line.ys):
        if y is None:
            pen = "M"
            continue
        across, up = place(x, y)
        words.append(f"{pen}{across:.1f} {up:.1f}")
        pen = "L"
    return "".join(words)


def _legend(lines: Sequence[Line], always: bool = False) -> str:
    shown = [line for line in lines if line.legend]
    if len(shown) < 2 and not always and not any(line.last for line in shown):
        return ""
    keys = (
        f'<li><i style="background:{line.colour}"></i>{html.escape(line.name)}'
        + (f" <b>{html.escape(line.last)}</b>" if line.last else "")
        + "</li>"
        for line in shown
    )
    return f'<ul class="keys">{"".join(keys)}</ul>'
