"""Reads links, templates, tables and tags in one pass over the marks of a page.

A stack holds the open ones; all text is in one flat list. Marks that are never closed are discarded, and
their text is kept. There is no recursion, nothing is read twice, and the text copied out of nested links
and templates is bounded.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from urllib.parse import unquote

from data.sources.wikipedia.marks import BREAK, FIGURE, GONE, HOLE, SOUND, literal_apostrophes, literal_equals
from data.sources.wikipedia.names import LANGUAGES, TITLES, Namespaces, prefix_of
from data.sources.wikipedia.quotes import line_without_quotes
from data.sources.wikipedia.sentences import continues_sentence, follows_word, in_brackets, is_repeated
from data.sources.wikipedia.tags import Tags
from data.sources.wikipedia.templates import Rendered, Templates

_PROTOCOL = (
    r"(?:https?:|ftps?:|sftp:|gopher:|irc:|ircs:|git:|svn:|telnet:|nntp:|ssh:)?//|mailto:|news:|tel:|urn:"
)
_MARK = re.compile(
    r"\{\{+|\{\||\|\}+|\}\}+|\|"
    rf"|\[+(?:(?P<url>(?i:{_PROTOCOL})(?:\[[\da-fA-F:.]{{2,45}}\])?"  # the address may be IPv6
    r"[^\s\[\]<>\"|']*(?:'(?!')[^\s\[\]<>\"|']*)*)[^\S\n]*)?"
    r"|\]+"
    r"|<(?P<close>/?)(?P<tag>[a-zA-Z][a-zA-Z0-9]*)(?![\w:@.-])[^<>]*>"
)
_TEMPLATE, _PARAMETER, _LINK, _EXTERNAL, _TABLE, _HTML_TABLE = range(6)
_LABEL = 2000  # an external link must end within this many characters
_NEAR = 300  # characters around a template to examine to see whether it is in a sentence
_FRACTION = re.compile(r"\d{1,3}/\d{1,3}")
_COPIES = 50  # most times that nested templates and links may copy each of the page's characters, on average
_LIST_MARKS = ("*", "#", ":", ";")
# Attributes of a table that does not begin its line; MediaWiki would show them as text.
_TABLE_HEAD = re.compile(r"\{\|\s?(?:class|style|border|align|width|cell\w{7})\s?=[^\n|]{0,200}\n\s{0,9}[|!]")
_PIPE_TRICK = re.compile(r"\A(?:[^:]{1,40}:)?(.*?)(?: ?\([^()]*\)|,.*)?\Z", re.DOTALL)


class Page:
    """One pass over the marks. A frame is (kind, start of its text in `out`, starts of its arguments)."""

    def __init__(
        self, title: str, namespaces: Namespaces, templates: Templates, has_variants: bool = False
    ) -> None:
        self._title, self._namespaces, self._templates = title, namespaces, templates
        self._has_variants = has_variants  # whether `-{flag|text}-` is markup
        self._text, self._place = "", 0  # the page, and the end of the current mark
        self._out: list[str] = []
        self._stack: list[tuple[int, int, list[int]]] = []
        self._open = [0] * 6  # frames of each kind
        self._copies = 0  # characters that may still be copied
        self._shown = 0  # the place in `out` after the last template with text
        self._tags = Tags(self._out)

    def read(self, text: str) -> str:
        out, place = self._out, 0
        self._text = text
        self._copies = _COPIES * len(text)
        for found in _MARK.finditer(text):
            begin, end = found.span()
            if begin > place:
                out.append(text[place:begin])
            place = end
            first = text[begin]
            if first == "|":
                self._pipe(text, begin, end)
            elif first == "[":
                self._open_links(text, found)
            elif first == "]":
                self._close_links(end - begin)
            elif first == "<":
                self._tag(found)
            elif first == "}":
                self._place = end
                self._close_braces(end - begin)
            elif text[begin + 1] == "|":
                self._open_table(text, begin)
            elif self._has_variants and end - begin == 3 and text[begin - 1 : begin] == "-":
                out.append("{")  # -{{{lang|en|word}}}-
                self._open_braces(2)
            else:
                self._open_braces(end - begin)
        out.append(text[place:])
        return self._joined()

    def _joined(self) -> str:
        """All the text, without the body lines of unclosed tables and templates."""
        self._without_captions(start for kind, start, _ in self._stack if kind == _LINK)
        broken = [start for kind, start, _ in self._stack if kind in (_TEMPLATE, _TABLE)]
        if not broken:
            return "".join(self._out)
        rest = "".join(self._out[broken[0] :]).split("\n")
        prose = [line for line in rest if not line.lstrip().startswith(("|", "!", "{|"))]
        return "".join(self._out[: broken[0]]) + "\n".join(prose)

    def _without_captions(self, starts: Iterable[int]) -> None:
        """Remove the rest of the line after links to files that were never closed."""
        done = 0
        for start in starts:
            if start < done or start >= len(self._out):
                continue
            prefix, colon, _ = self._out[start][:60].partition(":")
            if not colon or not self._is_file(prefix_of(prefix)):
                continue
            for done in range(start, len(self._out)):
                _, line, rest = self._out[done].partition("\n")
                self._out[done] = line + rest
                if line:
                    break

    def _push(self, kind: int) -> None:
        self._stack.append((kind, len(self._out), []))
        self._open[kind] += 1

    def _pop(self, *kinds: int) -> tuple[int, int, list[int]] | None:
        """The innermost frame of these kinds; unclosed frames inside it are discarded."""
        if not self._open[kinds[0]] and not self._open[kinds[-1]]:
            return None
        discarded = []
        while True:
            frame = self._stack.pop()
            self._open[frame[0]] -= 1
            if frame[0] in kinds:
                break
            if frame[0] == _LINK:
                discarded.append(frame[1])
        if discarded:
            self._without_captions(reversed(discarded))
        return frame

    def _open_braces(self, count: int) -> None:
        if count % 2:
            count -= 3
            for _ in range(count // 2):
                self._push(_TEMPLATE)
            self._push(_PARAMETER)
        else:
            for _ in range(count // 2):
                self._push(_TEMPLATE)

    def _close_braces(self, count: int) -> None:
        while count >= 2:
            frame = self._pop(_TEMPLATE, _PARAMETER)
            if frame is None:
                return
            kind, start, bounds = frame
            if kind == _PARAMETER and count > 2:
                self._parameter(start, bounds)
                count -= 3
                continue
            count -= 2
            if kind == _PARAMETER and "".join(self._out[start:]) == "!":  # {{{!}}
                self._replace(start, "")
                self._push(_TABLE)
                self._out.append("{|")
            else:
                self._template(start, bounds)
        if count and self._open[_TABLE] and self._out[-1] == "|":  # {{!}}}
            self._drop(_TABLE)
        elif count:
            self._out.append("}")

    def _parameter(self, start: int, bounds: list[int]) -> None:
        """{{{1|a}}}: outside a template, a parameter has its default."""
        ends = [bound - 1 for bound in bounds[1:2]] or [len(self._out)]
        self._copies -= sum(map(len, self._out[start:])) if bounds else 0
        default = "".join(self._out[bounds[0] : ends[0]]) if bounds and self._copies >= 0 else ""
        self._replace(start, default or GONE)

    def _template(self, start: int, bounds: list[int]) -> None:
        out = self._out
        name = "".join(out[start : bounds[0] - 1 if bounds else len(out)])
        if not bounds and "\n" in name.strip() and ":" not in name.partition("\n")[0]:
            return  # no name: MediaWiki shows the text
        if len(name) > 100 and ":" not in name:
            self._replace(start, GONE)
            return
        if name.strip() in TITLES:
            self._replace(start, self._title)
            return
        self._copies -= sum(map(len, out[start:])) if bounds else 0
        if self._copies < 0:
            self._replace(start, GONE)
            return
        ends = [*(bound - 1 for bound in bounds[1:]), len(out)]
        arguments = ["".join(out[a:b]) for a, b in zip(bounds, ends)]
        text = self._templates.render(
            name,
            arguments,
            lambda: in_brackets(self._before(start)),
            lambda shown: continues_sentence(self._before(start), shown, self._after()),
            lambda: follows_word(self._before(start)),
        )
        if text is Rendered.UNKNOWN:
            text = self._without_rule(name, arguments, start)
        elif text is Rendered.SOUND:
            text = BREAK + SOUND if self._follows_name(start) else SOUND
        elif text is Rendered.DROPPED:
            text = GONE
        elif HOLE in text and not any(map(str.isalnum, text)):  # a unit or a sign around what is missing
            is_computed = FIGURE in text or not any(HOLE in argument for argument in arguments)
            text = HOLE + FIGURE if is_computed else HOLE
        elif _FRACTION.fullmatch(text) and self._before(start)[-1:].isdigit():
            text = f" {text}"  # 3{{frac|1|2}}
        if text[-1:] == "." and self._text[self._place : self._place + 2].rstrip("<{[ \n") == ".":
            text = text[:-1]  # 44 {{v. Chr.}}.
        self._replace(start, literal_equals(text) if self._open[_TEMPLATE] else text)
        if text.rstrip(FIGURE) not in (GONE, HOLE, SOUND):
            self._shown = len(out)

    def _follows_name(self, start: int) -> bool:
        """Whether `start` is right after italics or a template's text; a sound's label is neither."""
        between = "".join(self._out[self._shown : start]) if self._shown <= start else "x"
        return not between.strip(" [/") or between.rstrip().endswith("''")

    def _without_rule(self, name: str, arguments: list[str], start: int) -> str:
        """The only argument of a template without a rule, if it is part of a sentence; else a hole."""
        text = self._templates.running_text(name, arguments)
        if text and self._stack and self._stack[-1][0] == _LINK and self._stack[-1][2]:
            return text  # a link's label
        after = self._after()
        if is_repeated(text, after):
            return GONE
        return text if text and continues_sentence(self._before(start), text, after) else HOLE

    def _after(self) -> str:
        """The raw text after the current mark on its line."""
        return self._text[self._place : self._place + _NEAR].partition("\n")[0]

    def _before(self, start: int) -> str:
        """The text before `start` on its line or in the current argument."""
        top = self._stack[-1] if self._stack else None
        first = (top[2][-1] if top[2] else top[1]) if top and top[0] in (_TEMPLATE, _LINK) else 0
        pieces, length = [], 0
        for place in range(start - 1, first - 1, -1):
            _, line, rest = self._out[place].rpartition("\n")
            pieces.append(rest)
            length += len(rest)
            if line or length > _NEAR:
                break
        return "".join(reversed(pieces))

    def _drop(self, kind: int) -> None:
        """Close the innermost frame of this kind, if any, and remove its text."""
        if frame := self._pop(kind):
            self._replace(frame[1], GONE)

    def _replace(self, start: int, text: str) -> None:
        del self._out[start:]
        self._out.append(text)
        self._shown = min(self._shown, start)

    def _pipe(self, text: str, begin: int, end: int) -> None:
        """Handle `|`, `|}` that may end a table, or `|}}` that ends a template."""
        braces = end - begin - 1
        if braces and braces != 2 and self._open[_TABLE] and _begins_line(text, begin):
            self._drop(_TABLE)
            self._close_braces(braces - 1)
            return
        self._place = end
        self._out.append("|")
        in_variant = self._has_variants and _in_variant(text, begin)
        if self._stack and self._stack[-1][0] in (_TEMPLATE, _PARAMETER, _LINK) and not in_variant:
            self._stack[-1][2].append(len(self._out))
        if braces == 1:
            self._out.append("}")
        else:
            self._close_braces(braces)

    def _open_table(self, text: str, begin: int) -> None:
        if _begins_line(text, begin) or _TABLE_HEAD.match(text, begin):
            self._push(_TABLE)
        self._out.append("{|")

    def _open_links(self, text: str, found: re.Match) -> None:
        url, end = found["url"], found.end()
        count = (found.start("url") if url else end) - found.start()
        if url:
            closing = text.find("]", end, end + _LABEL)
            if closing >= 0 and text.find("\n", end, closing) < 0:
                self._links(count - 1)
                self._push(_EXTERNAL)
            else:
                self._links(count)
                self._out.append(text[found.start("url") : end])
        else:
            self._links(count)
            if count == 1 and end > found.start() + 1:
                self._out.append(text[found.start() + 1 : end])

    def _links(self, count: int) -> None:
        if count % 2:
            self._out.append("[")
        for _ in range(count // 2):
            self._push(_LINK)

    def _close_links(self, count: int) -> None:
        while count:
            top = self._stack[-1][0] if self._stack else None
            if top == _EXTERNAL:
                frame = self._pop(_EXTERNAL)
                count -= 1
                if count == 1 and frame and self._out[-1] == "[" and frame[1] == len(self._out):
                    self._replace(frame[1] - 1, GONE)  # [[http://a.b]]
                    count = 0
                elif frame and not "".join(self._out[frame[1] :]).strip():
                    self._replace(frame[1], GONE)  # [http://a.b]
            elif count >= 2 and self._open[_LINK]:
                if frame := self._pop(_LINK):
                    self._link(frame[1], frame[2])
                count -= 2
            else:
                self._out.append("]")
                count -= 1

    def _link(self, start: int, bounds: list[int]) -> None:
        out = self._out
        target = "".join(out[start : bounds[0] - 1 if bounds else len(out)])
        prefix, colon, _ = target.partition(":")
        prefix = prefix_of(prefix) if colon and len(prefix) < 60 else ""
        has_no_text = self._is_file(prefix) or prefix in LANGUAGES
        if prefix in self._namespaces.media and bounds:  # in brackets: "(listen)"
            has_no_text = in_brackets(self._before(start))
        if prefix and target[:1] != ":" and has_no_text:
            self._replace(start, GONE)
        elif "\n" in target:  # brackets around something else
            return
        elif not bounds:
            shown, bar, label = target.partition("|")  # a bar from {{!}}
            title = shown.lstrip(": ") if shown[:1] == ":" else shown
            self._show_label(start, label if bar else _decoded(title) if "%" in title else title)
        else:
            self._copies -= sum(map(len, out[bounds[0] :]))
            label = "".join(out[bounds[0] :]) if self._copies >= 0 else ""
            if not label:
                label = _PIPE_TRICK.sub(r"\1", target.lstrip(":"), 1)
            self._show_label(start, label)

    def _is_file(self, prefix: str) -> bool:
        return prefix in self._namespaces.files or prefix in self._namespaces.categories

    def _show_label(self, start: int, label: str) -> None:
        """Show a label; as in MediaWiki, its apostrophes are read separately from those of its line."""
        if "'" in label:
            label = literal_apostrophes(line_without_quotes(label))
        if label[:1] in _LIST_MARKS:  # [[#Notes]] begins no list item
            label = BREAK + label
        del self._out[start:]
        self._out.append(literal_equals(label) if self._open[_TEMPLATE] else label)

    def _tag(self, found: re.Match) -> None:
        if found["tag"].lower() != "table":
            self._tags.write(found)
        elif found["close"]:
            self._drop(_HTML_TABLE)
        else:
            self._push(_HTML_TABLE)


def _begins_line(text: str, place: int) -> bool:
    """Whether only indentation and list marks come before this place on its line."""
    line = text.rfind("\n", max(0, place - 40), place) + 1
    before = text[line:place]
    before = before.rpartition("include>")[2] if "include>" in before else before  # <noinclude>{|
    return (line > 0 or place < 40) and not before.strip(" \t:;*#")


def _decoded(title: str) -> str:
    """A title whose characters are escaped as in an address; unchanged if it is none."""
    with suppress(UnicodeDecodeError):
        decoded = unquote(title, errors="strict")
        return decoded if decoded.isprintable() else title
    return title


def _in_variant(text: str, place: int) -> bool:
    """Whether this place is within `-{…}-`, which uses `|` itself, but not within a template in it."""
    near = max(0, place - _NEAR)
    begin = text.rfind("-{", near, place)
    template = text.rfind("{{", near, place)
    is_in_template = template > begin and text.find("}}", template, place) < 0
    return begin > text.rfind("}-", near, place) and not is_in_template
