"""Reads the objects of JSON arrays, or of JSON over several lines, with only a few in memory at a time.

A bad element is quarantined. Reading continues where its brackets close or, if they do not match, at the next
object.
"""

import ast
import codecs
import io
import json
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from configs.sizes import binary
from data.documents import Drop
from data.sources.files import limits

_PIECE = 1 << 18  # characters read at once, at least
_SCAN = 1 << 20  # characters of a bad element to search for its end
_TANGLED = 20  # after this many bad elements with unmatched brackets, stop counting brackets
_HOPELESS = 1000  # after this many bad elements in a row, give up on the rest
_CUT = 16  # an error this close to the end of what has been read may be due to that end
_KEPT = 1000  # characters to search again together with those that follow
_MAX_LITERAL = 64 << 10  # characters of a Python literal: its syntax tree takes a thousand times as much

_MARKS = re.compile(r"[\s,\0]*+")  # between elements, also what a crash leaves there
_TOKEN = re.compile(r'"(?:[^"\\\n]|\\[^\n])*+(?:"|(?P<open>))|[\[\]{},]')
_OBJECT = r'\{\s*+"(?:[^"\\\n]|\\[^\n])*+"\s*+:'  # inside a string, these quotation marks would be escaped
_NEXT_OBJECT = re.compile(rf"(?:(?<=[}}\],])\s*+|^[ \t]*+)(?P<object>{_OBJECT})", re.MULTILINE)
_INSIDE_OUT = re.compile(r'\s*+,\s*+\{\s*+"[]\[{},:]')  # strings taken for what is between them
_CLOSING = {"{": "}", "[": "]"}


def _whole(digits: str) -> int | str:
    """The number, or its digits if there are more than Python converts (4,300)."""
    try:
        return int(digits)
    except ValueError:
        return digits


_DECODER, _PATIENT = json.JSONDecoder(), json.JSONDecoder(parse_int=_whole)  # the second is slow


# Also reads strings with a tab or another control character that JSON wants escaped.
LENIENT = json.JSONDecoder(strict=False)


def raw_decode(text: str, at: int, decoder: json.JSONDecoder = _DECODER) -> tuple[object, int]:
    """The value at `at`, and where it ends. Raises JSONDecodeError or RecursionError."""
    try:
        return decoder.raw_decode(text, at)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return _PATIENT.raw_decode(text, at)


def value_in(value: object) -> object:
    """The value in a string of JSON, or of a Python literal (RedPajama's `meta` on the Hub)."""
    if not isinstance(value, str):
        return value
    readers = (json.loads, ast.literal_eval) if len(value) <= _MAX_LITERAL else (json.loads,)
    for reader in readers:
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return reader(value)
    return value


def json_values(file: io.BufferedReader, path: Path) -> Iterator[tuple[int, dict] | Drop]:
    """Each object with its number from 0, or a malformed `Drop`. Raises EOFError if an array is truncated."""
    values, number, good = _Values(file), 0, 0
    while values.next():
        problem = ""
        try:
            row = values.value()
            if isinstance(row, dict):
                yield number, row
                good += 1
            else:
                problem = f"expected a JSON object as each element, not a {type(row).__name__}"
        except limits.TooLarge as error:
            problem = str(error)
            values.skip(values.at, is_large=True)
        except json.JSONDecodeError as error:
            problem = f"not JSON: {error.msg}"
            values.skip(error.pos)
        except RecursionError as error:
            problem = f"not JSON: {error}"
            values.skip(values.at)
        if problem:
            is_over = good == 0 and number >= _HOPELESS
            detail = problem + "; the rest is not read" * is_over
            yield Drop("malformed record", str(path), number, detail, malformed=True)
            if is_over:
                return
        number += 1


class _Values:
    """The part of the file read so far, and where reading continues."""

    def __init__(self, file: io.BufferedReader) -> None:
        self.at = 0
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="surrogateescape")
        self._text, self._ended = "", False
        self._opened = False  # whether an array is open
        self._tangled = 0

    def next(self) -> bool:
        """Go to the next element; False at the end. Raises EOFError if an array is still open there."""
        while True:
            if self.at > _SCAN:  # or each error would count the lines of everything read
                self._text, self.at = self._text[self.at :], 0
            self.at = _MARKS.match(self._text, self.at).end()  # pyright: ignore[reportOptionalMemberAccess]  # it matches anywhere
            if self.at < len(self._text):
                if self._text[self.at] != "[]"[self._opened]:
                    return True
                self.at, self._opened = self.at + 1, not self._opened
            elif not self._ended:
                self._read_more()
            elif self._opened:
                raise EOFError("the JSON array is truncated")
            else:
                return False

    def value(self) -> object:
        """The value here. Raises TooLarge, JSONDecodeError or RecursionError without moving on."""
        while True:
            try:
                value, end = raw_decode(self._text, self.at)
                if end < len(self._text) or self._ended:  # else a number may have more digits
                    self.at = end
                    return value
            except json.JSONDecodeError as error:
                if not self._may_go_on(error):
                    raise
            self._read_more()

    def skip(self, place: int, *, is_large: bool = False) -> None:
        """Skip a bad element with an error at `place`."""
        if not is_large and self._tangled < _TANGLED:
            base, end = self.at, -1
            with suppress(limits.TooLarge):
                while (end := self._end()) < 0 and not self._ended and len(self._text) - self.at < _SCAN:
                    self._read_more()
            if end > 0:
                self.at = end
                return
            self._tangled += 1
            place -= base - self.at
        while place > self.at and self._text[place - 1] in " \t\r\n,":
            place -= 1
        place = max(place, self.at + 1)  # not the bad element itself
        while (found := _NEXT_OBJECT.search(self._text, place)) is None and not self._ended:
            self.at, place = max(self.at + 1, len(self._text) - _KEPT), 0
            with suppress(limits.TooLarge):  # search it anyway
                self._read_more()
        self.at = found.start("object") if found else len(self._text)
        # Its end may have been skipped; a truncated file does not end like this.
        self._opened = self._opened and (found is not None or not self._text.rstrip().endswith("]"))

    def _read_more(self) -> None:
        """Read twice as much each time, so that parsing takes linear time. Raises TooLarge."""
        kept = len(self._text) - self.at
        if kept > limits.record_bytes():
            raise limits.TooLarge(f"an element above {binary(limits.record_bytes())}")
        more = self._file.read(max(_PIECE, kept))
        self._ended = not more
        self._text, self.at = self._text[self.at :] + self._decoder.decode(more, self._ended), 0
        limits.check_json(self._text.encode(errors="surrogateescape"))

    def _may_go_on(self, error: json.JSONDecodeError) -> bool:
        """Whether the element may be valid, just not read to its end yet."""
        is_near = error.msg.startswith("Unterminated string") or error.pos >= len(self._text) - _CUT
        return is_near and not self._ended

    def _end(self) -> int:
        """Where the element here ends: at its closing bracket or a comma; -1 if its brackets do not match."""
        expected: list[str] = []
        for mark in _TOKEN.finditer(self._text, self.at):
            sign = mark[0]
            if mark["open"] is not None:  # a string that does not end on its line
                return -1
            if sign in _CLOSING:
                expected.append(_CLOSING[sign])
            elif sign in "]}" and not expected:
                is_array_end = sign == "]" and self._opened
                return mark.start() if is_array_end and mark.start() > self.at else mark.end()
            elif sign in "]}":
                if sign != expected.pop():
                    return -1
                if not expected:
                    return -1 if _INSIDE_OUT.match(self._text, mark.end()) else mark.end()
            elif sign == "," and not expected:
                return mark.start()
        return len(self._text) if self._ended and not expected else -1
