r"""Finds a paper's main files: which of its files are documents, and which of those to read.

In: the texts of its files, and what each inputs. Out: the main files, and those left out, with
reasons. A main file is one that no other file inputs and that has `\documentclass`, itself or in what it
inputs. As in arXiv's compiler, only those in the least deep folders count, and each is a paper: a letter
and its supplement are two. Of several versions of one text, `_rank` picks one.
"""

import json
import posixpath
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from data.sources.arxiv.encoding import first, uncommented
from data.sources.arxiv.latex.syntax import GAP
from data.splitmix import GAMMA

MAIN_NAMES = ("ms", "main", "paper", "article", "manuscript")  # in order of preference
MAIN_CLASS = re.compile(
    rf"\\document(?:class|style){GAP}(?:\[[^\]]{{0,1000}}\]{GAP})?\{{([^}}]{{0,1000}})\}}"
)
SHARED = 0.5  # two main files with this share of common shingles are versions of one text
_SHINGLE = 5  # words
_MAX_COMPARED = 20  # compare this many main files

BEGIN = re.compile(r"\\begin\s*+\{document\}")
END = re.compile(r"\\end\s*+\{document\}")
_PLAIN = re.compile(
    r"\\(?:bye(?![A-Za-z])|magnification|input\s*+\{?(?:amstex|amsppt|harvmac|phyzzx|lanlmac|eplain)|end\s*+\Z)"
)
_INPUTS = re.compile(
    r"\\(?=@|inp|inc|imp|sub)(?:(?:@{0,2}input|include|subfile|subfileinclude|includestandalone(?:\s*+\[[^\]]{0,300}\])?)(?![A-Za-z])"
    rf"{GAP}(?:\{{{GAP})?\"?([^\s{{}}\"\\%]+)"
    r"|(?:sub)?(?:import|inputfrom|includefrom)\*?\s*+\{([^{}]*)\}\s*+\{([^{}]*)\})"
)
_COMMENT = re.compile(r"%[^\n]*+\s*+")
_PICTURE = re.compile(r"\\begin\{((?:tikz|pgf|ps)?picture|tikzcd|circuitikz|feynman)\}")
# What surrounds a picture that is alone on its page, and the package that makes the page as large as it.
_AROUND_PICTURE = re.compile(
    r"\s++|%[^\n]*+|\\(?:this)?pagestyle\{empty\}|\\(?:centering|noindent)(?![A-Za-z])"
    r"|\\(?:begin|end)\{(?:preview|center|figure)\}(?:\[[^]]{0,20}\])?"
)
_TIGHT_PAGE = re.compile(
    r"\[[^]]{0,200}tightpage[^]]{0,200}\]\s*+\{preview\}|\\PreviewEnvironment(?![A-Za-z])"
)
_TEMPLATE = re.compile(
    r"\bthis\s++(?:[\w\\{}-]{1,20}\s++){0,3}(?:file|document|manuscript|(?:example|sample|demo)\s+(?:paper|article))\s++"
    r"(?:is|provides|describes|serves|demonstrates|gives|contains|explains|shows|illustrates)\b[^.]{0,160}?\b"
    r"(?:templates?\b|starter\s+file|document\s+class\b|(?:class|style)\s+file|class\s+with\b|submission\s+guidelines"
    r"|instructions\s+(?:for|to)\s+(?:the\s+)?authors|use\s+of\s+\\?[\w{}]*TeX)",
    re.IGNORECASE,
)
_FIRST = 20_000  # look for such a sentence in this many characters
_PARTS = ("standalone", "subfiles")  # classes of a paper's parts
_NUMBERED = re.compile(r"(\D*)([0-9]{0,9})", re.ASCII)
_WORD = re.compile(r"\w+")
# The same for ASCII, five times as fast: all characters outside words become spaces.
_NO_WORD = {code: " " for code in range(128) if not _WORD.match(chr(code))}

_FILENAME = re.compile(r"\bfilename[ \t]*+[:=][ \t]*+['\"]?([^\n'\",}]+)")
_USAGE = re.compile(r"\busage[ \t]*+[:=][ \t]*+['\"]?(\w+)")

Find = Callable[[str, str, str], str | None]


@dataclass(frozen=True)
class MainFiles:
    """The main files in order, and the documents not read, each with its reason."""

    read: list[str]
    left_out: dict[str, str] = field(default_factory=dict)


def find_mains(
    texts: dict[str, str],
    classes: frozenset[str],
    readmes: dict[str, str],
    name: str,
    names: Iterable[str],
    find: Find,
) -> MainFiles:
    """The main files of a paper called `name`, by arXiv's 00README or by what its files input.

    `classes` are the macro files among the texts: they may hold the class but are no main files. `names` are
    the names of the paper's other files; `find` resolves a name used in another file.
    """
    named, ignored = _readme({path: text for path, text in readmes.items() if "/" not in path})
    found = [path for path in named if path in texts]
    texts = {path: text for path, text in texts.items() if path not in ignored}
    ignorable = [path for path, text in texts.items() if text.startswith("%auto-ignore")]
    if len(ignorable) < len(texts):
        texts = {path: text for path, text in texts.items() if path not in ignorable}
    files = _Files(texts, classes, find)
    if found:
        left = {path: _NOT_TOP for path in files.documents() if path not in found}
        return MainFiles(found, {path: why for path, why in left.items() if not files.is_below(path, found)})
    roots = files.documents()
    if len(roots) < 2:
        return MainFiles(roots)
    depth = min(path.count("/") for path in roots)
    left = {path: _NOT_TOP for path in roots if path.count("/") > depth}
    top = [path for path in roots if path not in left]
    for is_other in (_is_figure, _is_template):
        others = [path for path in top if is_other(texts[path])]
        if len(others) < len(top):
            left |= dict.fromkeys(others, _NOT_TOP)
            top = [path for path in top if path not in left]
    stems = {posixpath.splitext(path)[0] for path in names if path.lower().endswith(".bbl")}
    order = sorted(top, key=lambda path: _rank(path, name, stems))
    versions = _versions([(path, files.all_below(path)) for path in order[:_MAX_COMPARED]])
    left |= dict.fromkeys(versions, _VERSION)
    return MainFiles([path for path in top if path not in left], left)


def _is_figure(text: str) -> bool:
    """Whether a document is a picture of the paper's: it has nothing else, or a page as large as that."""
    begin = _document(BEGIN, text)
    if begin is None:
        return False
    end = _document(END, text)
    body = _AROUND_PICTURE.sub("", text[begin.end() : end.start() if end else len(text)])
    picture = _PICTURE.match(body)
    is_alone = picture is not None and body.rfind(f"\\end{{{picture[1]}}}") + len(picture[1]) + 6 == len(body)
    return (is_alone and "\\section" not in body) or first(_TIGHT_PAGE, text) is not None


def _is_template(text: str) -> bool:
    """Whether a document says that it is a publisher's example of how to write one."""
    begin = _document(BEGIN, text)
    return begin is not None and first(_TEMPLATE, text[begin.end() : begin.end() + _FIRST]) is not None


_NOT_TOP = "not a main file"
_VERSION = "another version of the paper"


class _Files:
    """The files of a paper, and which inputs which."""

    def __init__(self, texts: dict[str, str], classes: frozenset[str], find: Find) -> None:
        self.texts, self.classes = texts, classes
        self.marks = {path: (first(MAIN_CLASS, text), _document(BEGIN, text)) for path, text in texts.items()}
        self.below: dict[str, set[str]] = {path: set() for path in texts}
        self.above: dict[str, set[str]] = {path: set() for path in texts}
        if len(texts) > 1:
            for path, text in texts.items():
                named = {
                    (mark[2] or "", mark[1] or _COMMENT.sub("", mark[3]).strip())
                    for mark in uncommented(_INPUTS, text)
                }
                for folder, file in named:
                    target = find(folder, file, path)
                    if target in texts and target != path and not self._wraps(path, target):
                        self.below[path].add(target)
                        self.above[target].add(path)

    def _wraps(self, path: str, inner: str) -> bool:
        """Whether a file only sets options for an inner file that is itself a document."""
        if any(self.marks[path]) or not all(self.marks[inner]):
            return False
        return not _document(END, self.texts[path]) and _document(END, self.texts[inner]) is not None

    def documents(self) -> list[str]:
        """The documents that no other file inputs, judged by the strongest sign that any file has."""
        classes = {path: marks[0][1].strip() for path, marks in self.marks.items() if marks[0]}
        begun = {path for path, marks in self.marks.items() if marks[1]}
        roots = self._roots([path for path in classes if classes[path] not in _PARTS])
        texts = {path: text for path, text in self.texts.items() if path not in self.classes}
        tex_named = [path for path in texts if path.lower().endswith((".tex", ".ltx", ".latex"))]
        return (
            [path for path in roots if not begun.isdisjoint(self._reached(path, self.below))]
            or roots
            or self._roots(sorted(begun & classes.keys()))
            or self._roots(sorted(begun))
            or self._roots([path for path, text in texts.items() if first(_PLAIN, text)])
            or self._roots(
                tex_named or [path for path, text in texts.items() if len(texts) == 1 and "\\" in text]
            )
        )

    def all_below(self, path: str) -> str:
        """The text of a file and of everything it inputs, in any order."""
        return "\n".join(self.texts[each] for each in sorted(self._reached(path, self.below)))

    def is_below(self, path: str, tops: list[str]) -> bool:
        return any(path in self._reached(top, self.below) for top in tops if top in self.texts)

    def _roots(self, paths: list[str]) -> list[str]:
        """The roots among these files and those that input them; a file in a cycle is its own root."""
        found: set[str] = set()
        for path in paths:
            above = self._reached(path, self.above)
            tops = {each for each in above if not self.above[each]} or {path}
            found |= {each for each in tops if each not in self.classes}
        return sorted(found)

    def _reached(self, path: str, edges: dict[str, set[str]]) -> set[str]:
        reached, ahead = {path}, [path]
        while ahead:
            for each in edges[ahead.pop()] - reached:
                reached.add(each)
                ahead.append(each)
        return reached


def _document(mark: re.Pattern, text: str) -> re.Match | None:
    """Where the document begins or ends."""
    return first(mark, text) if "{document}" in text else None  # far faster than searching for the mark


def _rank(path: str, name: str, compiled: set[str]) -> tuple[bool, int, list[tuple[str, int]]]:
    """A sort key: first the compiled version, which has a bibliography; then a usual name, or the paper's.

    Of paper_v1 and paper_v2, the one with the higher number comes first.
    """
    stem = posixpath.splitext(posixpath.basename(path))[0].lower()
    names = (*MAIN_NAMES, name.lower())
    has_bibliography = posixpath.splitext(path)[0] in compiled
    numbered = [(text, -int(number or 0)) for text, number in _NUMBERED.findall(path)]
    return not has_bibliography, names.index(stem) if stem in names else len(names), numbered


def _versions(texts: list[tuple[str, str]]) -> list[str]:
    """Documents that share at least `SHARED` of the longer one's shingles with an earlier one."""
    read: list[np.ndarray] = []
    versions = []
    for path, text in texts:
        shingles = _shingles(text)
        if any(_is_version(shingles, other) for other in read):
            versions.append(path)
        else:
            read.append(shingles)
    return versions


def _is_version(one: np.ndarray, other: np.ndarray) -> bool:
    shorter, longer = sorted((one.size, other.size))
    if shorter < SHARED * longer:
        return False
    return np.intersect1d(one, other, assume_unique=True).size >= SHARED * longer


def _shingles(text: str) -> np.ndarray:
    """The distinct hashes of all runs of a few words."""
    begin = first(BEGIN, text)
    text = text[begin.end() :] if begin else text
    words = text.translate(_NO_WORD).split() if text.isascii() else _WORD.findall(text)
    width = min(_SHINGLE, len(words))
    hashes = np.fromiter(map(hash, words), np.int64, len(words)).view(np.uint64)
    shingles = np.zeros(len(words) - width + 1 if words else 0, np.uint64)
    for start in range(width):
        shingles = shingles * np.uint64(GAMMA) + hashes[start : start + shingles.size]
    shingles.sort()  # np.unique would take ten times as long
    return shingles[np.diff(shingles, prepend=shingles[:1] - 1) != 0]


def is_readme(path: str) -> bool:
    """Whether a file is arXiv's own note on the paper's files."""
    return posixpath.basename(path).lower().startswith("00readme")


def _readme(readmes: dict[str, str]) -> tuple[list[str], set[str]]:
    """The main files and the ignored ones, according to arXiv's 00README (.XXX, .json or .yaml)."""
    named, ignored = [], set()
    for path in sorted(readmes):
        text = readmes[path]
        if path.lower().endswith(".json"):
            pairs = list(_readme_json(text))
        else:
            pairs = re.findall(r"^[ \t]*+(\S+)[ \t]+(\w+)", text, re.MULTILINE)
            pairs += _readme_items(text)
        named += [posixpath.normpath(each) for each, usage in pairs if usage in ("toplevelfile", "toplevel")]
        ignored |= {posixpath.normpath(each) for each, usage in pairs if usage == "ignore"}
    return named, ignored


def _readme_items(text: str) -> list[tuple[str, str]]:
    """The files in a YAML list, and their usage; an item's entries may be in any order."""
    items = re.split(r"^[ \t]*+-", text, flags=re.MULTILINE)
    found = [(_FILENAME.search(item), _USAGE.search(item)) for item in items]
    return [(name[1].strip(), usage[1]) for name, usage in found if name and usage]


def _readme_json(text: str) -> Iterable[tuple[str, str]]:
    try:
        sources = json.loads(text)["sources"]
        return [(str(entry["filename"]), str(entry["usage"])) for entry in sources if "usage" in entry]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
