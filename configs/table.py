"""A table for the terminal: aligned columns, or a few lines for each row where the terminal is too narrow."""

import sys
from collections.abc import Sequence

from configs import terminal

GAP = "  "


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> list[str]:
    """The lines of a table; its first `texts` columns are text, the others are figures.

    On a terminal that is too narrow for it, a row's name is followed by its other cells, each with its head.
    """
    widths = [max(map(terminal.width, column)) for column in zip(heads, *rows)]
    needed = sum(widths) + len(GAP) * (len(widths) - 1)
    if sys.stdout.isatty() and needed > (room := terminal.columns(sys.stdout)):
        return [line for row in rows for line in _stacked(heads, row, room)]
    return [GAP.join(_aligned(line, widths, texts)).rstrip() for line in (heads, *rows)]


def _aligned(cells: Sequence[str], widths: Sequence[int], texts: int) -> list[str]:
    padded = []
    for number, (cell, width) in enumerate(zip(cells, widths)):
        space = " " * (width - terminal.width(cell))
        padded.append(cell + space if number < texts else space + cell)
    return padded


def _stacked(heads: Sequence[str], row: Sequence[str], room: int) -> list[str]:
    lines, line = [row[0]], ""
    for head, cell in zip(heads[1:], row[1:]):
        pair = f"{head} {cell}"
        if line and terminal.width(f"{line}{GAP}{pair}") > room:
            lines.append(line)
            line = ""
        line += f"{GAP}{pair}"
    return [*lines, line] if line else lines
