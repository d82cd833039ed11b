"""Turns HTML into text, as a reader sees a post.

An empty line separates paragraphs, `<br>` and the author's own line ends break lines, list items keep their
dash or number, a bar separates table cells, and code, also within a line, is kept as written. The parser
decodes entities once; comments, scripts, images and link targets are dropped. libxml2 parses event by event,
without a tree, because lexbor's time grows with the square of the depth.
"""

import re

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  (lxml has no type stubs)

_PARTED = """address article aside blockquote center details div dl figure figcaption footer form h1 h2 h3 h4
h5 h6 header hr main nav ol p pre section table ul"""  # separated by an empty line
_LINES = "caption dd dt li summary tr"  # separated by a line end
_BLOCKS = {tag: n_lines for tags, n_lines in ((_PARTED, 2), (_LINES, 1)) for tag in tags.split()}
_LISTS, _CELLS = {"ul", "ol"}, {"td", "th"}
_SILENT = {"script", "style", "template", "noscript", "iframe", "object", "svg", "head", "title"}
_PARTING = {*_BLOCKS, *_CELLS, *_SILENT, "br"}  # all other tags have no effect
_SPACE = " \t\n\f\r"  # HTML's own; a no-break space is text
_SPACES = re.compile("[ \t\f\r]+")
_EMPTY_LINES = re.compile(r"\A(?:[ \t]*\n)+")
_SOFT_HYPHEN = "\u00ad"
_STROKES = ("/", "⁄", "∕")
_BAR = " | "
_MOST_CELLS = 1000  # empty cells after this many cells in a row leave no bar
# The base of a power: a number, a bracket, or a symbol or unit of one to three letters.
_BASE = re.compile(r"(?:[0-9)\]}]|(?<![^\W\d_])[^\W\d_]{1,3})$")
_POWER = re.compile(
    r"[-+−–]?(?:[0-9]+(?:[.,/][0-9]+)?|[nxyzkmijtpqNT*]|(?=\S*[-+−*/=^0-9])[\w.+−*/=^()-]{2,30})"
)
_SIMPLE = re.compile(r"[-+−–]?(?:[0-9]+(?:[.,][0-9]+)?|\w|\*)")
# What spaces within code are until all others are collapsed: halves of surrogate pairs, which no text has.
_MARKED = str.maketrans(" \t", "\ud800\ud801")
_UNMARKED = str.maketrans("\ud800\ud801", " \t")
_INNER_SPACES = re.compile("(?<=[^ \t\n\f\r])[ \t]{2,}(?=[^ \t\n\f\r])|(?<=\n)[ \t]+(?=[^ \t\n\f\r])")
_NO_TEXT = re.compile("[\x00-\x08\x0b\x0e-\x1f\ufffe\uffff]")  # forbidden, but references may name them
_INDENT, _DEEPEST = "  ", 8  # indentation per level of a nested list, and the deepest indented level
_MANY_TAGS, _PIECE = 20_000, 4096  # a post with more tags is parsed in pieces of this many characters
_IDLE: list[etree.HTMLParser] = []  # making one takes longer than parsing a short post


def html_to_text(html: str) -> str:
    """The plain text of an HTML fragment; no line of prose begins or ends with white space."""
    if "<" not in html and "&" not in html:
        return _one_space(html)
    try:
        parser = _IDLE.pop()
    except IndexError:
        parser = etree.HTMLParser(target=_Text(), encoding="utf-8")
    # In pieces, because libxml2 compares a stray end tag with every open element, without handling signals.
    piece = len(html) if html.count("<") < _MANY_TAGS else _PIECE
    for start in range(0, len(html), piece):
        parser.feed(html[start : start + piece].encode())
    text = parser.close()
    _IDLE.append(parser)  # an interrupted parser is not reused
    return _NO_TEXT.sub("\ufffd", text) if "&#" in html else text


def _one_space(text: str) -> str:
    """Collapse white space to one space, or to one line end if it contains one; drop soft hyphens."""
    if _SOFT_HYPHEN in text:
        text = text.replace(_SOFT_HYPHEN, "")
    lines = [line for line in (line.strip(_SPACE) for line in text.split("\n")) if line]
    text = "\n".join(lines)
    if "  " in text or "\t" in text or "\r" in text or "\f" in text:
        return _SPACES.sub(" ", text)
    return text


class _Text:
    """Builds the text from tags and words in order."""

    def __init__(self) -> None:
        self._out: list[str] = []
        self._data: list[str] = []  # text since the last parting tag
        self._raised: list[int] = []  # where each open <sup> begins in _data
        self._lowered: list[int] = []  # where each open <sub> begins
        self._key_end = 0  # where in _data the last <kbd> ends
        self._codes = 0  # open <code> elements outside <pre>
        self._code_start = 0  # where the outermost begins in _data
        self._kept = False  # whether _data has spaces of code
        self._powered = False  # whether _data ends in a power or an index that ends in a digit
        self._breaks = 0  # line ends due before the next word
        self._space = ""  # white space due before the next word, if on the same line
        self._mark = ""  # mark of a list item that has no word yet
        self._lists: list[int | None] = []  # each open list's next number; None: dashes
        self._cells = 0  # in the current table row
        self._row = False  # whether the current table row has words
        self._empty_cells = ""  # bars for the empty cells at its beginning
        self._silent = 0  # open elements whose text is not shown
        self._pre = 0  # open <pre> elements
        self._code: list[str] = []  # text of the open <pre> elements

    def data(self, text: str) -> None:
        if self._powered and text[:1].isdigit():  # 2<sup>10</sup>3
            self._data.append(" ")
        self._powered = False
        self._data.append(text)

    def start(self, tag: str, attributes: dict) -> None:
        if tag not in _PARTING:
            if tag == "sup":
                self._raised.append(len(self._data))
            elif tag == "sub":
                self._lowered.append(len(self._data))
                self._powered = False
            elif tag == "kbd" and self._key_end and self._key_end == len(self._data) and not self._pre:
                self._data.append(" ")  # <kbd>Ctrl</kbd><kbd>V</kbd>, drawn as two keys
            elif tag == "code" and not self._pre:
                self._code_start = self._code_start if self._codes else len(self._data)
                self._codes += 1
            return
        self._flush()
        if tag in _SILENT:
            self._silent += 1
        elif tag == "br":
            self._break_line()
        elif tag in _CELLS:
            self._begin_cell()
        elif tag in _BLOCKS:
            self._part(self._lines(tag))
            self._open(tag, attributes)

    def end(self, tag: str) -> None:
        if tag not in _PARTING:
            if tag == "sup" and self._raised:
                self._raise(self._raised.pop())
            elif tag == "sub" and self._lowered:
                self._lower(self._lowered.pop())
            elif tag == "kbd":
                self._key_end = len(self._data)
            elif tag == "code" and self._codes:
                self._codes -= 1
                if not self._codes:
                    self._keep_spaces()
            return
        self._flush()
        if tag in _SILENT:
            self._silent -= 1
        elif tag in _BLOCKS:
            self._close(tag)
            self._part(self._lines(tag))

    def close(self) -> str:
        self._flush()
        if self._pre:
            self._put_code()
        text = "".join(self._out)
        self.__init__()  # for the next post
        return text

    def _open(self, tag: str, attributes: dict) -> None:
        if tag == "pre":
            self._pre += 1
        elif tag == "ul":
            self._lists.append(None)
        elif tag == "ol":
            first = attributes.get("start", "")
            self._lists.append(int(first) if re.fullmatch("[0-9]{1,9}", first) else 1)
        elif tag == "tr":
            self._cells, self._row = 0, False
        elif tag == "li":
            number = self._lists[-1] if self._lists else None
            if number is not None:
                self._lists[-1] = number + 1
            depth = min(len(self._lists), _DEEPEST) - 1
            self._mark = _INDENT * depth + ("- " if number is None else f"{number}. ")

    def _close(self, tag: str) -> None:
        if tag == "pre":
            self._pre -= 1
            if not self._pre:
                self._put_code()
        elif tag in _LISTS and self._lists:
            self._lists.pop()
        elif tag == "li":
            self._mark = ""  # the item was empty
        elif tag == "tr":
            self._empty_cells = ""

    def _lines(self, tag: str) -> int:
        return 1 if tag in _LISTS and self._lists else _BLOCKS[tag]

    def _part(self, by: int | str) -> None:
        """Request line ends, or else white space, before the next word."""
        if not self._out or self._mark or self._pre:
            return
        if isinstance(by, int):
            self._breaks, self._space = max(self._breaks, by), ""
        elif not self._breaks and not self._space.startswith(_BAR):
            self._space = max(self._space, by, key=("", " ", "\n", _BAR).index)

    def _begin_cell(self) -> None:
        """Request a bar after the previous cell, even if that is empty."""
        self._cells += 1
        if self._cells == 1 or self._mark or self._pre:
            return
        is_counted = self._cells <= _MOST_CELLS
        if is_counted and not self._row:
            self._empty_cells += "| "
        elif is_counted and self._space.startswith(_BAR):
            self._space += "| "
        else:
            self._part(_BAR)

    def _break_line(self) -> None:
        if self._pre:
            self._code.append("\n")
        elif self._out and not self._mark:
            self._breaks, self._space = min(self._breaks + 1, 2), ""

    def _raise(self, start: int) -> None:
        """Mark the text since `start` as a power if it is one: 10^6, but not 1st and word1."""
        base = "".join(self._data[max(0, start - 8) : start])[-4:]
        raised = "".join(self._data[start:])
        power = raised.strip(_SPACE)
        if self._pre or len(power) > 32 or not _BASE.search(base) or not _POWER.fullmatch(power):
            return
        self._data[start:] = [f"^{power}" if _SIMPLE.fullmatch(power) else f"^({power})"]
        self._powered = power[-1].isdigit()
        if raised[-1] in _SPACE:
            self._data.append(" ")

    def _lower(self, start: int) -> None:
        """Separate an index from a number before it (101_2) and after it (log10 100); 5^1/2 becomes 5 1/2."""
        index = "".join(self._data[start:]).strip(_SPACE)
        if self._pre or not index[-1:].isdigit():
            return
        if index.isdecimal() and self._ends_in_numerator(start):
            self._data[start - 2] = " " + self._data[start - 2][1:]
        before = "".join(self._data[max(0, start - 8) : start])[-1:]
        if before.isdigit() and index[0].isdigit():
            self._data.insert(start, "_")
        self._powered = True

    def _ends_in_numerator(self, end: int) -> bool:
        """Whether the text up to `end` ends in a number, a raised number and a slash."""
        if end < 3 or self._data[end - 1].strip(_SPACE) not in _STROKES:
            return False
        power = self._data[end - 2]
        return power[0] == "^" and power[1:].isdecimal() and self._data[end - 3][-1:].isdigit()

    def _keep_spaces(self) -> None:
        """Mark the spaces within the code since `_code_start` as kept: the sites show them as written."""
        written = "".join(self._data[self._code_start :])
        marked = _INNER_SPACES.sub(lambda spaces: spaces[0].translate(_MARKED), written)
        if marked != written:
            self._data[self._code_start :] = [marked]
            self._kept = True

    def _flush(self) -> None:
        if self._codes and not self._pre:
            self._keep_spaces()
        self._code_start = 0
        self._raised.clear()
        self._lowered.clear()
        self._key_end = 0
        self._powered = False
        if not self._data:
            return
        text = "".join(self._data)
        self._data.clear()
        if self._silent:
            return
        if self._pre:
            self._code.append(text)
            return
        words = _one_space(text)
        if self._kept:
            words, self._kept = words.translate(_UNMARKED), False
        if not words or text[0] in _SPACE:
            self._part("\n" if "\n" in text[: len(text) - len(text.lstrip(_SPACE))] else " ")
        if words:
            self._put(words)
            if text[-1] in _SPACE:
                self._part("\n" if "\n" in text[len(text.rstrip(_SPACE)) :] else " ")

    def _put_code(self) -> None:
        code = "".join(self._code).replace("\r\n", "\n").replace("\r", "\n")
        self._code.clear()
        code = _EMPTY_LINES.sub("", code).rstrip()
        if code:
            self._put(code)

    def _put(self, words: str) -> None:
        self._out += ["\n" * self._breaks or self._space, self._mark, self._empty_cells, words]
        self._breaks, self._space, self._mark, self._empty_cells, self._row = 0, "", "", "", True
