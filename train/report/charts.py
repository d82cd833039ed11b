"""Line charts and bars as inline SVG: numbers in, a <figure> out, with no library and no network.

A line of many points is thinned to the least and the greatest of each stretch, so that a spike of one step
remains visible. Each line chart carries its points as JSON; templates/charts.js redraws it by tokens, time or
FLOPs and on logarithmic axes, and shows values under the pointer. Without scripts the plain SVG is shown.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup, escape

WIDTH, HEIGHT = 400, 230
LEFT, RIGHT, TOP, BOTTOM = 52, 10, 8, 24
DOTTED = 20  # points, up to which each has a dot
SHOWN = 300  # stretches of a line, at most two points each
INK, FAINT = "var(--ink)", "var(--faint)"
# Okabe and Ito's color-blind-safe palette, without its yellow; then two of ours.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a5195", "#8c6d31")


@dataclass(frozen=True)
class Line:
    """A named line through (step, y) points; a y that is None or not finite leaves a gap."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float | None]
    colour: str = INK
    dots: bool = False  # few points: mark each
    dashed: bool = False
    legend: bool = True
    joined: bool = True  # a line through the points; False: only their dots
    last: str = ""  # the legend's text for its last value
    run: int = 0  # whose steps these are, on a page of several runs


def line_chart(title: str, lines: Sequence[Line], *, zero: bool = False) -> Markup:
    """A <figure> of `lines` by step; `zero` begins the y axis at 0. Empty if there is nothing to draw."""
    chart = Chart(title, lines, zero=zero)
    data = {"zero": zero, "lines": [_data(line) for line in chart.thinned]}
    return chart.figure(
        Markup('<script type="application/json">{}</script>').format(htmlsafe_json_dumps(data))
    )


@dataclass(frozen=True)
class Chart:
    """Lines over an x axis that is named `by`."""

    title: str
    lines: Sequence[Line]
    by: str = "step"
    log_x: bool = False
    zero: bool = False  # begin the y axis at 0

    @cached_property
    def thinned(self) -> list[Line]:
        return [_thinned(line) for line in self.lines]

    def figure(self, script: Markup | None = None) -> Markup:
        """A <figure>, which charts.js can redraw if it has a `script`. Empty if there is nothing to draw."""
        parts = self._parts()
        if not parts:
            return Markup("")
        return Markup(
            "<figure{}><figcaption>{} <small>by {}</small></figcaption>"
            '<svg viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>{}{}</figure>'
        ).format(
            Markup(' class="chart"') if script else "",
            *(self.title, self.by, WIDTH, HEIGHT, self.title),
            *(Markup("".join(parts)), _legend(self.thinned), script or ""),
        )

    def file(self) -> str:
        """The chart as a standalone SVG file, in light colors."""
        shown = [line for line in self.lines if line.legend]
        keys, x = [], LEFT
        for line in shown:
            keys.append(f'<rect x="{x}" y="{HEIGHT + 26}" width="9" height="9" fill="{line.colour}"/>')
            keys.append(f'<text x="{x + 13}" y="{HEIGHT + 34}">{escape(line.name)}</text>')
            x += 24 + 7 * len(line.name)
        look = (
            "text{font:11px sans-serif;fill:#5c5c5c}.title{font-weight:600;fill:#1b1b1b}"
            ".grid{stroke:#e6e6e6;fill:none}.line{fill:none;stroke-width:1.6;stroke-linejoin:round}"
        )
        body = "".join(self._parts()).replace(INK, "#1b1b1b").replace(FAINT, "#c4c4c4")
        head = f"{escape(self.title)}, by {escape(self.by)}"
        box = f"0 -20 {WIDTH} {HEIGHT + 62}"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{2 * WIDTH}" viewBox="{box}">'
            f'<style>{look}</style><rect y="-20" width="{WIDTH}" height="{HEIGHT + 62}" fill="#fff"/>'
            f'<text class="title" x="8" y="-6">{head}</text>{body}{"".join(keys)}</svg>\n'
        )

    def _parts(self) -> list[str]:
        """The grid, the ticks and the lines as SVG; empty if there is nothing to draw."""
        lines = self.thinned
        drawn = [(x, y) for line in lines for x, y in zip(line.xs, line.ys) if y is not None]
        if not drawn:
            return []
        low_x, high_x = min(x for x, _ in drawn), max(x for x, _ in drawn)
        low_x = 0 if 0 < low_x < high_x / 20 and not self.log_x else low_x
        ticks = axis(0.0 if self.zero else min(y for _, y in drawn), max(y for _, y in drawn))
        low, high = ticks[0], ticks[-1]
        unit = math.log if self.log_x else float

        def place(x: float, y: float) -> tuple[float, float]:
            across = (unit(x) - unit(low_x)) / (unit(high_x) - unit(low_x)) if high_x > low_x else 0.5
            up = (y - low) / (high - low)
            return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - TOP - BOTTOM)

        parts = []
        for tick in ticks:
            _, y = place(low_x, tick)
            parts.append(f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
            parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{short(tick)}</text>')
        for tick in (_log_ticks if self.log_x else _x_ticks)(low_x, high_x):
            x, _ = place(tick, low)
            anchor = "end" if x > WIDTH - RIGHT - 14 else "middle"
            parts.append(f'<text x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{short(tick)}</text>')
        return parts + [_drawn(line, place) for line in lines]


def share_bar(title: str, shares: Sequence[tuple[str, float]]) -> Markup:
    """A <figure> with one bar cut into named shares of the total."""
    total = sum(value for _, value in shares) or 1.0
    parts, keys, x = [], [], 0.0
    for (name, value), colour in zip(shares, COLOURS):
        width = WIDTH * value / total
        parts.append(f'<rect x="{x:.2f}" y="0" width="{width:.2f}" height="26" fill="{colour}"/>')
        keys.append(Line(name, (), (), colour, last=f"{value / total:.1%}"))
        x += width
    return Markup(
        "<figure><figcaption>{}</figcaption>"
        '<svg viewBox="0 0 {} 26" role="img" aria-label="{}">{}</svg>{}</figure>'
    ).format(title, WIDTH, title, Markup("".join(parts)), _legend(keys, always=True))


def smoothed(ys: Sequence[float | None]) -> list[float | None]:
    """Each value averaged with its neighbors, a fiftieth of all values in total; None remains None."""
    half = len(ys) // 100
    sums, counts = [0.0], [0]
    for y in ys:
        known = y if y is not None and math.isfinite(y) else None
        sums.append(sums[-1] + (known or 0.0))
        counts.append(counts[-1] + (known is not None))
    means: list[float | None] = []
    for i, y in enumerate(ys):
        begin, end = max(0, i - half), min(len(ys), i + half + 1)
        known = counts[end] - counts[begin]
        means.append((sums[end] - sums[begin]) / known if known and y is not None else None)
    return means


def axis(low: float, high: float) -> list[float]:
    """Four to seven round numbers that hold [low, high] between the first and the last."""
    if high - low <= 1e-9 * max(abs(low), abs(high), 1e-3):  # the same, but for rounding
        low, high = (low - abs(low) / 2 or -1.0), (high + abs(high) / 2 or 1.0)
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * unit for unit in (1, 2, 2.5, 5, 10) if power * unit >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * i, 12) for i in range(first, last + 1)]


def short(value: float) -> str:
    """A tick's label, kept short: 1.5k, 2M, 0.003, 3e-4."""
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


def _log_ticks(low: float, high: float) -> list[float]:
    """Round numbers in [low, high] for a logarithmic axis, few enough that their labels do not touch."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    units = (1, 2, 5) if high / low > 5 else (1, 1.5, 2, 3, 4, 5, 6, 8)
    inside = [unit * 10.0**power for power in powers for unit in units if low <= unit * 10.0**power <= high]
    return inside[:: -(-len(inside) // 7)] or [low]


def _thinned(line: Line) -> Line:
    """At most two points for each of SHOWN stretches: its minimum and maximum, in order."""
    points = [(x, y if y is not None and math.isfinite(y) else None) for x, y in zip(line.xs, line.ys)]
    if len(points) > 2 * SHOWN:
        size = -(-len(points) // SHOWN)
        kept = []
        for begin in range(0, len(points), size):
            part = points[begin : begin + size]
            known = [(y, i) for i, (_, y) in enumerate(part) if y is not None]
            if not known:
                kept.append(part[0])
                continue
            least, greatest = min(known)[1], max(known, key=lambda pair: pair[0])[1]
            kept += [part[i] for i in sorted({least, greatest})]
        points = kept
    xs, ys = zip(*points) if points else ((), ())
    return replace(line, xs=xs, ys=ys)


def _drawn(line: Line, place: Callable[[float, float], tuple[float, float]]) -> str:
    dash = ' stroke-dasharray="5 4"' if line.dashed else ""
    path = f'<path class="line" style="stroke:{line.colour}"{dash} d="{_path(line, place)}"/>'
    parts = [path] if line.joined else []
    if line.dots and len(line.xs) <= DOTTED:
        spots = (place(x, y) for x, y in zip(line.xs, line.ys) if y is not None)
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" style="fill:{line.colour}"/>' for x, y in spots]
    return "".join(parts)


def _path(line: Line, place: Callable[[float, float], tuple[float, float]]) -> str:
    strokes, pen = [], "M"
    for x, y in zip(line.xs, line.ys):
        if y is None:
            pen = "M"
            continue
        across, up = place(x, y)
        strokes.append(f"{pen}{across:.1f} {up:.1f}")
        pen = "L"
    return "".join(strokes)


def _data(line: Line) -> dict:
    """What charts.js needs to redraw the line."""
    return {
        "name": line.name,
        "colour": line.colour,
        "dots": line.dots and len(line.xs) <= DOTTED,
        "dashed": line.dashed,
        "legend": line.legend,
        "run": line.run,
        "xs": list(line.xs),
        "ys": [None if y is None else float(f"{y:.5g}") for y in line.ys],
    }


def _legend(lines: Sequence[Line], always: bool = False) -> Markup:
    shown = [line for line in lines if line.legend]
    if len(shown) < 2 and not always and not any(line.last for line in shown):
        return Markup("")
    keys = (
        Markup('<li><i style="background:{}"></i>{}{}</li>').format(
            line.colour, line.name, Markup(" <b>{}</b>").format(line.last) if line.last else ""
        )
        for line in shown
    )
    return Markup('<ul class="keys">{}</ul>').format(Markup("").join(keys))
