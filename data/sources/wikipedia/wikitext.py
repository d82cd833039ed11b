"""Wikitext to prose: title, headings, lists and paragraphs stay, all other markup goes (RECIPE §2).

In: a page's wikitext and its site's names of namespaces. Out: plain text. The one idea: comments and tags
whose content is no wikitext go first; then one pass over the marks with a stack of what is open, whose
text lies in one flat list. What is never closed is let go and its text stays; nothing recurses, nothing is
read twice, and text copied from nested links and templates is bounded. mwparserfromhell is the tests' oracle.

Choices: formulas stay as `$LaTeX$`, code as it is, list items as `- ` and `1. `, headings as bare lines;
of templates only wikitemplates' list; tables, galleries, references and captions go; a no-break
space is a space.
"""

import html
import re
from dataclasses import dataclass

from data.sources.wikipedia import templates


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FILES = _words(
    """
    file image media datei bild fichier fichièr archivo imagen fitxer imatge soubor obrázek fil billede
    datoteka slika fájl kép immagine bestand afbeelding plik grafika ficheiro imagem arquivo fișier
    fişier imagine файл изображение картинка датотека слика зображення медия медиа
    """
)
_CATEGORIES = _words(
    """
    category kategori categoria kategorie categoría catégorie kategorija kategória categorie kategoria
    категория категорија категорія
    """
)
# Wikipedia's languages: a bare link to one of them is not in the text.
_LANGUAGES = _words(
    """
    aa ab ace ady af ak als alt am ami an ang anp ar arc ary arz as ast atj av avk awa ay az azb ba ban
    bar bat-smg bbc bcl bdr be be-tarask be-x-old bew bg bh bi bjn blk bm bn bo bpy br bs btm bug bxr ca
    cbk-zam cdo ce ceb ch cho chr chy ckb co cr crh cs csb cu cv cy da dag de dga din diq dsb dtp dty dv
    dz ee el eml en eo es et eu ext fa fat ff fi fiu-vro fj fo fon fr frp frr fur fy ga gag gan gcr gd
    gl glk gn gom gor got gpe gsw gu guc gur guw gv ha hak haw he hi hif ho hr hsb ht hu hy hyw hz ia
    iba id ie ig igl ii ik ilo inh io is it iu ja jam jbo jv ka kaa kab kbd kbp kcg kg kge ki kj kk kl
    km kn knc ko koi kr krc ks ksh ku kus kv kw ky la lad lb lbe lez lfn lg li lij lld lmo ln lo lrc lt
    ltg lv mad mai map-bms mdf mg mh mhr mi min mk ml mn mni mnw mos mr mrj ms mt mus mwl my myv mzn na
    nah nan nap nb nds nds-nl ne new ng nia nl nn no nov nqo nr nrm nso nup nv ny oc olo om or os pa pag
    pam pap pcd pcm pdc pdt pfl pi pih pl pms pnb pnt ps pt pwn qu rm rmy rn ro roa-rup roa-tara rsk ru
    rue rw sa sah sat sc scn sco sd se sg sgs sh shi shn si simple sk skr sl sm smn sn so sq sr srn ss
    st stq su sv sw szl szy ta tay tcy tdd te tet tg th ti tig tk tl tly tn to tok tpi tr trv ts tt tum
    tw ty tyv udm ug uk ur uz ve vec vep vi vls vo vro wa war wo wuu xal xh xmf yi yo yue za zea zgh zh
    zh-classical zh-min-nan zh-yue zu
    """
)

# Tags whose content is no wikitext, or is not wanted; in the order in which they come, as MediaWiki does.
_VERBATIM = {"nowiki", "pre", "syntaxhighlight", "source"}
_FORMULAS = {"math", "chem", "ce"}
_DROPPED = _words(
    """
    ref gallery references score timeline imagemap hiero templatestyles graph chart mapframe maplink
    inputbox templatedata categorytree includeonly indicator section mapdata rss
    """
)
_OPAQUE = re.compile(
    rf"<!--|<({'|'.join(sorted({*_VERBATIM, *_FORMULAS, *_DROPPED}))})(?![\w-])([^<>]*)>", re.IGNORECASE
)
_BLOCKS = _words(
    """
    p div blockquote center br hr ul ol dl dd dt poem tr caption figure section article aside h1 h2 h3
    h4 h5 h6 li td th tbody thead
    """
)
_INLINE = _words(
    """
    sub sup small big span b i u s em strong strike del ins code tt var kbd samp q cite abbr font bdi
    bdo wbr ruby rb rt rp rbc rtc dfn mark data time noinclude onlyinclude nowiki ref references a img
    gallery math link meta translate tvar languages pre source syntaxhighlight section
    """
)

_PROTOCOL = (
    r"(?:https?:|ftps?:|sftp:|gopher:|irc:|ircs:|git:|svn:|telnet:|nntp:|ssh:)?//|mailto:|news:|tel:|urn:"
)
_MARK = re.compile(
    r"\{\{+|\{\||\|\}+|\}\}+|\|"
    rf"|\[+(?:(?P<url>(?:{_PROTOCOL})[^\s\[\]<>\"|]*)[^\S\n]*)?"
    r"|\]+"
    r"|<(?P<close>/?)(?P<tag>[a-zA-Z][a-zA-Z0-9]*)(?![\w:@.-])[^<>]*>",
    re.IGNORECASE,
)
_TEMPLATE, _PARAMETER, _LINK, _EXTERNAL, _TABLE, _HTML_TABLE = range(6)
_GONE = "\x03"  # where something was dropped
_KEPT, _END = "\x01", "\x02"  # around the number of a verbatim text
_CONTROLS = dict.fromkeys([*range(9), 11, 12, *range(14, 32)])
_LABEL = 2000  # characters in which an external link must end
_TAIL = 200
_HEADING = 300  # characters of a heading on either side of a tag in it, at most
_COPIES = 50  # how often the page's characters may be copied out of nested templates and links

_QUOTES = re.compile(r"''+")
_MAGIC = re.compile(r"__([^\W\d_]{2,40})__")
_CONVERTED = re.compile(r"-\{([^{}]*)\}-")  # the Serbian Wikipedia's two scripts
_ENTITY = re.compile(r"&(?:#\d{1,8}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});")
_SPACES = re.compile(r"[^\S\n]+")
_PLACE = re.compile(rf"{_KEPT}(\d+){_END}")
_PIPE_TRICK = re.compile(r"^(?:[^:]{1,40}:)?(.*?)(?: ?\([^()]*\)|,.*)?$", re.DOTALL)


@dataclass(frozen=True)
class Namespaces:
    """The prefixes of links that are no text, in lower case."""

    files: frozenset[str] = _FILES
    categories: frozenset[str] = _CATEGORIES

    @classmethod
    def of(cls, names: dict[int, str]) -> "Namespaces":
        """Of a dump's siteinfo (number → name), and the usual names beside them."""
        files = {_prefix(names[key]) for key in (-2, 6) if names.get(key)}
        categories = {_prefix(names[14])} if names.get(14) else set()
        return cls(_FILES | files, _CATEGORIES | categories)


def wikitext_to_text(source: str, title: str = "", namespaces: Namespaces | None = None) -> str:
    """A page as plain text, its title above it; "" if it holds no text at all."""
    verbatim: list[str] = []
    text = source.replace("\r\n", "\n").translate(_CONTROLS) if _has_controls(source) else source
    text = _without_opaque(text, verbatim)
    text = _Page(title, namespaces or Namespaces()).read(text)
    text = _without_gaps(_plain(text)).replace("&nbsp;", " ")
    lines = _lines(text)
    if not lines:
        return ""
    text = "\n".join([title, "", *lines] if title else lines)
    # an entity is decoded last, so that what it stands for is never taken for markup
    text = _ENTITY.sub(lambda found: html.unescape(found[0]), text) if "&" in text else text
    text = _PLACE.sub(lambda found: verbatim[int(found[1])], text) if verbatim else text
    return text.replace("\xa0", " ").strip("\n")


def _has_controls(text: str) -> bool:
    return not text.isprintable() and _CONTROL.search(text) is not None


_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f]")


# ---- comments, and tags whose content is no wikitext


def _without_opaque(text: str, verbatim: list[str]) -> str:
    pieces, place, ends = [], 0, _Ends(text)
    while found := _OPAQUE.search(text, place):
        begin, after = found.span()
        pieces.append(text[place:begin])
        name = (found[1] or "").lower()
        if not name:
            end = ends.find("-->", after)
            place = after if end is None else end[1]
            # a comment that has its line for itself takes the line with it
            if end and text[place : place + 1] == "\n" and (begin == 0 or text[begin - 1] == "\n"):
                place += 1
            continue
        closing = None if found[2].endswith("/") else ends.find(rf"</{name}\s*>", after)
        place = after if closing is None else closing[1]
        if closing is None:
            continue
        content = text[after : closing[0]]
        if name in _FORMULAS and content.strip():
            content = f"${' '.join(content.split())}$"
        elif name in _VERBATIM:
            content = content.strip("\n") if name != "nowiki" else content
        else:
            content = ""
        if content:
            pieces.append(f"{_KEPT}{len(verbatim)}{_END}")
            verbatim.append(
                html.unescape(content) if "&" in content and name in ("nowiki", "pre") else content
            )
    pieces.append(text[place:])
    return "".join(pieces)


class _Ends:
    """Where the next closing tag of each kind is; each stretch is searched once for each kind."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._next: dict[str, tuple[int, int] | None] = {}

    def find(self, pattern: str, place: int) -> tuple[int, int] | None:
        if pattern in self._next:
            known = self._next[pattern]
            if known is None or known[0] >= place:
                return known
        found = re.compile(pattern, re.IGNORECASE).search(self._text, place)
        self._next[pattern] = found.span() if found else None
        return self._next[pattern]


# ---- links, templates, tables and tags


class _Page:
    """One pass over the marks. A frame is (kind, where its text begins in `out`, where its arguments do)."""

    def __init__(self, title: str, namespaces: Namespaces) -> None:
        self._title, self._namespaces = title, namespaces
        self._out: list[str] = []
        self._stack: list[tuple[int, int, list[int]]] = []
        self._open = [0] * 6  # frames of each kind
        self._copies = 0  # characters that may still be copied

    def read(self, text: str) -> str:
        out, place = self._out, 0
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
                self._close_braces(end - begin)
            elif text[begin + 1] == "|":
                self._open_table(text, begin)
            else:
                self._open_braces(end - begin)
        out.append(text[place:])
        return self._joined()

    def _joined(self) -> str:
        """All text; after a table or template that was never closed, without its own lines."""
        broken = [start for kind, start, _ in self._stack if kind in (_TEMPLATE, _TABLE)]
        if not broken:
            return "".join(self._out)
        rest = "".join(self._out[broken[0] :]).split("\n")
        prose = [line for line in rest if not line.lstrip().startswith(("|", "!", "{|"))]
        return "".join(self._out[: broken[0]]) + "\n".join(prose)

    def _push(self, kind: int) -> None:
        self._stack.append((kind, len(self._out), []))
        self._open[kind] += 1

    def _pop(self, *kinds: int) -> tuple[int, int, list[int]] | None:
        """The innermost frame of these kinds; those within it were never closed, and are let go."""
        if not any(self._open[kind] for kind in kinds):
            return None
        while True:
            frame = self._stack.pop()
            self._open[frame[0]] -= 1
            if frame[0] in kinds:
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
            count -= 3 if kind == _PARAMETER and count > 2 else 2
            if kind == _PARAMETER:
                self._replace(start, _GONE)
            else:
                self._template(start, bounds)
        if count:
            self._out.append("}")

    def _template(self, start: int, bounds: list[int]) -> None:
        out = self._out
        name = "".join(out[start : bounds[0] - 1 if bounds else len(out)])
        if len(name) > 100 and ":" not in name:
            self._replace(start, _GONE)
            return
        if name.strip() == "PAGENAME":
            self._replace(start, self._title)
            return
        self._copies -= sum(map(len, out[start:])) if bounds else 0
        if self._copies < 0:
            self._replace(start, _GONE)
            return
        ends = [*(bound - 1 for bound in bounds[1:]), len(out)]
        text = templates.render(name, ["".join(out[a:b]) for a, b in zip(bounds, ends)])
        self._replace(start, text or _GONE)

    def _replace(self, start: int, text: str) -> None:
        del self._out[start:]
        self._out.append(text)

    def _pipe(self, text: str, begin: int, end: int) -> None:
        """`|`, and `|}` that may end a table, or `|}}` that ends a template."""
        braces = end - begin - 1
        if braces and braces != 2 and self._open[_TABLE] and _begins_line(text, begin):
            self._replace(self._pop(_TABLE)[1], _GONE)
            self._close_braces(braces - 1)
            return
        self._out.append("|")
        if self._stack and self._stack[-1][0] in (_TEMPLATE, _LINK):
            self._stack[-1][2].append(len(self._out))
        if braces == 1:
            self._out.append("}")
        else:
            self._close_braces(braces)

    def _open_table(self, text: str, begin: int) -> None:
        if _begins_line(text, begin):
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
                self._pop(_EXTERNAL)
                count -= 1
            elif count >= 2 and self._open[_LINK]:
                _, start, bounds = self._pop(_LINK)
                self._link(start, bounds)
                count -= 2
            else:
                self._out.append("]")
                count -= 1

    def _link(self, start: int, bounds: list[int]) -> None:
        out = self._out
        target = "".join(out[start : bounds[0] - 1 if bounds else len(out)])
        prefix, colon, _ = target.partition(":")
        prefix = _prefix(prefix) if colon and len(prefix) < 60 else ""
        is_file = prefix in self._namespaces.files or prefix in self._namespaces.categories
        if target[:1] != ":" and (is_file or prefix in _LANGUAGES):
            self._replace(start, _GONE)
        elif "\n" in target:  # brackets around something else
            return
        elif not bounds:
            self._replace(start, target.lstrip(": ") if target[:1] == ":" else target)
        else:
            self._copies -= sum(map(len, out[bounds[0] :]))
            label = "".join(out[bounds[0] :]) if self._copies >= 0 else ""
            self._replace(start, label if label.strip() else _PIPE_TRICK.match(target.lstrip(":"))[1])

    def _tag(self, found: re.Match) -> None:
        name, is_closing = found["tag"].lower(), bool(found["close"])
        if name == "table":
            if not is_closing:
                self._push(_HTML_TABLE)
            elif self._open[_HTML_TABLE]:
                self._replace(self._pop(_HTML_TABLE)[1], _GONE)
        elif name == "li" and not is_closing:
            self._out.append("\n* ")
        elif name[0] == "h" and name[1:].isdigit() and "1" <= name[1:] <= "6":
            marks = "=" * int(name[1:])
            self._out.append(f" {marks}\n" if is_closing else f"\n{marks} ")
        elif name in _BLOCKS and _in_heading(found):
            self._out.append(" ")
        elif name in _BLOCKS:
            self._out.append("\n\n" if name == "p" else "\n")
        elif name not in _INLINE:
            self._out.append(found[0])


def _begins_line(text: str, place: int) -> bool:
    """Whether only indentation stands before this on its line."""
    line = text.rfind("\n", max(0, place - 40), place) + 1
    return (line > 0 or place < 40) and not text[line:place].strip(" \t:;*#")


def _in_heading(found: re.Match) -> bool:
    """Whether this stands in a line that begins and ends as a heading does."""
    text, (begin, end) = found.string, found.span()
    before = text[max(0, begin - _HEADING) : begin].rpartition("\n")[2]
    after = text[end : end + _HEADING].partition("\n")[0]
    return before.startswith("=") and after.rstrip().endswith("=")


def _prefix(name: str) -> str:
    return name.replace("_", " ").strip(" :").lower()


# ---- what is left: characters and lines


def _plain(text: str) -> str:
    """Without bold, italics, magic words and the marks of Serbian's scripts."""
    if "''" in text:
        text = _QUOTES.sub(_apostrophes, text)
    if "__" in text:
        text = _MAGIC.sub(lambda found: "" if found[1].isupper() else found[0], text)
    if "-{" in text:
        text = _CONVERTED.sub(lambda found: found[1].rpartition("|")[2], text)
    return text


def _apostrophes(found: re.Match) -> str:
    """What MediaWiki shows of so many: four are one and bold, more than five are those above five."""
    count = len(found[0])
    return "'" if count == 4 else "'" * max(0, count - 5)


def _without_gaps(text: str) -> str:
    """No empty brackets, doubled spaces or stray commas where something was dropped."""
    first, *rest = text.split(_GONE)
    pieces, space = [first], False
    for piece in rest:
        if len(pieces[-1]) > 2 * _TAIL:  # so that what is cut below is short
            pieces[-1:] = [pieces[-1][:-_TAIL], pieces[-1][-_TAIL:]]
        left = pieces[-1].rstrip(" ")
        space = space or left != pieces[-1] or piece.startswith(" ")
        pieces[-1], piece = left, piece.lstrip(" ")
        if left.endswith("("):
            piece, space = piece.lstrip(" ,;:/"), False
            if piece.startswith(")"):
                pieces[-1], piece = left[:-1].rstrip(" "), piece[1:]
        elif piece.startswith(")"):
            pieces[-1] = left.rstrip(" ,;")
        elif piece.startswith((",", ";")):
            pieces[-1] = left.rstrip(",;:")
        if piece:
            pieces.append(" " + piece if space and piece[0] not in ".,;:!?)]\n" else piece)
            space = False
    return "".join(pieces)


def _lines(text: str) -> list[str]:
    """The lines of the page: a heading that no text follows is gone, and never two empty lines together."""
    lines: list[str] = []
    headings: list[tuple[int, str]] = []  # that still wait for a text
    numbers: dict[str, int] = {}
    blank = False
    for line in text.split("\n"):
        line = line.strip()
        if not line or not line.strip("-"):
            blank = True
            continue
        level, heading = _heading(line)
        if level:
            headings = [waiting for waiting in headings if waiting[0] < level]
            headings += [(level, heading)] if heading else []
            numbers.clear()
            continue
        marks = len(line) - len(line.lstrip("*#:;"))
        words = _SPACES.sub(" ", line[marks:]).strip()
        if not words:
            continue
        for _, waiting in headings:
            lines += ["", waiting] if lines else [waiting]
            blank = True
        headings.clear()
        if blank and lines:
            lines.append("")
        blank = False
        lines.append(_item(line[:marks], numbers) + words)
    return lines


def _heading(line: str) -> tuple[int, str]:
    if line[0] != "=" or line[-1] != "=":
        return 0, ""
    level = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")), 6)
    inner = line[level:-level]
    return level, _SPACES.sub(" ", inner).strip()


def _item(marks: str, numbers: dict[str, int]) -> str:
    """How a list's line begins; an ordered list is counted until another line parts it."""
    for known in [known for known in numbers if not marks.startswith(known)]:
        del numbers[known]
    last = marks[-1:]
    if last not in ("*", "#") or len(marks) > 12:
        return ""
    indent = "  " * (len(marks) - 1)
    if last == "*":
        return indent + "- "
    numbers[marks] = numbers.get(marks, 0) + 1
    return f"{indent}{numbers[marks]}. "
