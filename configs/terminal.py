"""The terminal: one live line on standard error that fits its width, sentences that wrap between words, and
colors where it has them.

In a pipe or a file, nothing is redrawn, wrapped or colored. NO_COLOR (no-color.org) and TERM=dumb turn the
colors off. Lines are erased with spaces, not with escape sequences: notebooks only know the carriage return.
"""

import codecs
import io
import os
import re
import sys
import textwrap
import threading
import time
import unicodedata
from collections.abc import Sequence
from typing import TextIO

DEFAULT_COLUMNS = 80
_COMMAND = re.compile(r"\b(relama|pip|hf) [a-z]")
_PLAIN = "relama.plain"  # the name of an error handler
_SIGNS = {"…": "...", "–": "-", "×": "x", "│": "|", "²": "2"}
_STYLES = {"bold": "1", "dim": "2", "red": "31", "cyan": "36"}
_JOINERS = "\u200c\u200d"  # part of the spelling of Persian, Hindi and emoji
_lock = threading.RLock()
_drawn = ""  # the live line on the screen
_last = time.monotonic()  # when something was last shown


def accept_any_text() -> None:
    """Print any text in a locale without UTF-8: `…` as `...`, other characters escaped.

    A stream that the shell has closed (`>&-`) becomes /dev/null.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - until the end
    for stream in (sys.stdout, sys.stderr):
        encoding = getattr(stream, "encoding", None) or "utf-8"
        if isinstance(stream, io.TextIOWrapper) and codecs.lookup(encoding).name != "utf-8":
            stream.reconfigure(errors=_PLAIN)


def _plainly(error: UnicodeError) -> tuple[str | bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    character = error.object[error.start]
    if character in _SIGNS:
        return _SIGNS[character], error.start + 1
    return codecs.backslashreplace_errors(
        UnicodeEncodeError(error.encoding, error.object, error.start, error.start + 1, error.reason)
    )


codecs.register_error(_PLAIN, _plainly)


def is_live() -> bool:
    """Whether standard error is a terminal, on which a line can be redrawn."""
    return sys.stderr.isatty()


def columns(stream: TextIO | None = None) -> int:
    """The width of the terminal that `stream` (default: standard error) writes to."""
    try:
        return os.get_terminal_size((stream or sys.stderr).fileno()).columns or DEFAULT_COLUMNS
    except (OSError, ValueError, AttributeError):
        return DEFAULT_COLUMNS


def width(text: str) -> int:
    """How many columns `text` takes: East Asian characters take two, combining ones none."""
    wide = sum(unicodedata.east_asian_width(character) in "WF" for character in text)
    return len(text) + wide - sum(map(bool, map(unicodedata.combining, text)))


def fit(text: str, room: int) -> str:
    """`text` in at most `room` columns; what does not fit becomes an ellipsis."""
    if width(text) <= room:
        return text
    while text and width(text) > room - 1:
        text = text[:-1]
    return (text + "…")[: max(0, room)]


def fit_before(text: str, end: str, room: int) -> str:
    """`text` and then `end` in at most `room` columns; `text` is shortened, because `end` is what changes."""
    return fit(fit(text, max(1, room - width(end))) + end, room)


def wrapped(text: str, stream: TextIO) -> str:
    """A sentence in lines of the terminal's width; unchanged in a pipe, or if it holds a command to copy."""
    if not stream.isatty() or _COMMAND.search(text) or width(text) <= columns(stream):
        return text
    indent = " " * (len(text) - len(text.lstrip()) + 2)
    return textwrap.fill(
        text, columns(stream), subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def choose(parts: Sequence[Sequence[str]], room: int, order: Sequence[int]) -> list[str]:
    """One form of each part, so that all fit in `room` columns, two spaces between them.

    `parts`: each part's forms, from the longest to the shortest; an empty one takes no room. `order`: while
    they do not fit, these parts are shortened in turn, each time by one form.
    """
    chosen = [0] * len(parts)

    def forms() -> list[str]:
        return [part[number] for part, number in zip(parts, chosen)]

    def too_wide() -> bool:
        return width("  ".join(filter(None, forms()))) > room

    for which in order:
        if too_wide() and chosen[which] < len(parts[which]) - 1:
            chosen[which] += 1
    return forms()


def printable(text: str, keep: str = "") -> str:
    """`text` with control characters and overrides of the writing direction as escapes: it may be data."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text)


def write(text: str, end: str = "\n", exact: bool = False, wrap: bool = False) -> None:
    """Print a line that may hold data on standard output, made `printable` except for its tabs.

    `exact`: a text for its own sake, such as a generation: lines stay, and a pipe or a file gets all of it.
    `wrap`: a sentence, which a terminal wraps between words.
    """
    if not exact:
        text = printable(text, keep="\t")
        text = wrapped(text, sys.stdout) if wrap else text
    elif sys.stdout.isatty():
        text = printable(text, keep="\n\t" + _JOINERS)
    print(text, end=end, flush=True)


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """`text` in a style (a key of _STYLES) if `stream` (default: standard error) shows colors."""
    is_terminal = (stream or sys.stderr).isatty()
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb" or not is_terminal
    return text if plain or not text else f"\x1b[{_STYLES[style]}m{text}\x1b[0m"


def draw(text: str, shown: str | None = None) -> None:
    """Show `text` as the live line, in place of the last one; `shown` is the same text with its colors."""
    global _drawn, _last
    with _lock:
        room = columns() - 1  # a full line would wrap
        fitting = fit(text, room)
        line = shown if shown is not None and fitting == text else fitting
        padding = " " * max(0, min(width(_drawn), room) - width(fitting))
        _drawn, _last = fitting, time.monotonic()
        print(f"\r{line}{padding}", end="", file=sys.stderr, flush=True)


def clear() -> None:
    """Erase the live line; call it before anything else is printed."""
    global _drawn
    with _lock:
        if _drawn:
            print("\r" + " " * min(width(_drawn), columns() - 1) + "\r", end="", file=sys.stderr, flush=True)
            _drawn = ""


def keep() -> None:
    """Leave the live line on the screen, and continue below it."""
    global _drawn
    with _lock:
        if _drawn:
            print(file=sys.stderr, flush=True)
            _drawn = ""


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line, in place of the live line if there is one; a terminal wraps it between words."""
    global _last
    where = stream or sys.stderr
    with _lock:
        clear()
        _last = time.monotonic()
        print("\n".join(wrapped(line, where) for line in text.split("\n")), file=where, flush=True)


def live_line() -> str:
    """The live line on the screen; empty if there is none."""
    return _drawn


def silent_since() -> float:
    """When (time.monotonic) something was last shown."""
    return _last
