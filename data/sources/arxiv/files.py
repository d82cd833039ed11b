r"""Turns the files of one paper into text: finds the main files, and inserts what they input.

In: the bytes of the paper's files by their paths. Out: the text of each main file, in input order and
without comments. The paper is a closed dict of names, so no path in it can reach outside.
"""

import codecs
import posixpath
import re
from collections.abc import Iterable

from data.sources.arxiv import drawings
from data.sources.arxiv.encoding import decode, first, uncommented
from data.sources.arxiv.latex.comments import strip_comments
from data.sources.arxiv.latex.inputs import INPUT_BY_MACRO, Resolve
from data.sources.arxiv.latex.macros import expand
from data.sources.arxiv.latex.syntax import MAX_TEXT
from data.sources.arxiv.latex.verbatim import LATEX, Verbatim, declared
from data.sources.arxiv.mains import BEGIN, END, MAIN_CLASS, MainFiles, find_mains, is_readme

MAX_DEPTH = 20  # nesting of inputs; a file is not read inside itself
MAX_INPUTS = 2000  # files read for one main file, counting repeats

_FILECONTENTS = re.compile(r"\s*+(?:\[[^\]]{0,100}\]\s*+)?\{([^{}]*)\}\n?")
_INPUT_PATH = re.compile(r"\\input@path\s*+\{((?:\s*+\{[^{}]{0,200}\})+)")
_INCLUDE_ONLY = re.compile(r"\\includeonly\s*+\{([^{}\\#]{0,4000})\}")
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x1a")) + b"\x7f"
# What goes with a paper or its class, and may have a whole document as an example.
_NOT_PAPER = re.compile(
    r"(?:^|/)(?:read[-_ ]?me|change(?:s|[-_ ]?log)|licen[cs]e|copying|makefile|latexmkrc)(?:[-_.][^/]*)?\Z"
    r"|\.(?:md|markdown|rst|org|dtx|ins|lyx|[rs]nw|rmd|bat|sh)\Z",
    re.IGNORECASE,
)
# An editor's copy of a file; read only where there is nothing else.
_BACKUP = re.compile(
    r"~\Z|(?:^|/)#[^/]*#\Z|\.(?:bak|backup|old|orig|save?|tmp|rej|mine|r\d+)\Z", re.IGNORECASE
)
_MACROS = (".sty", ".cls", ".clo", ".def", ".cfg", ".bbl", ".bib", ".bst")


class TooLong(Exception):
    """The paper with everything it inputs exceeds `MAX_TEXT` or `MAX_INPUTS`."""


class Paper:
    """The files of one paper. Names are relative to its top folder, with forward slashes."""

    def __init__(self, files: dict[str, bytes], name: str = "", others: Iterable[str] = ()) -> None:
        self.files = {posixpath.normpath(path): content for path, content in files.items()}
        self._folded = {path.lower(): path for path in reversed(self.files)}
        self.name = name
        self.others = {posixpath.normpath(path) for path in others}  # names of files that are not TeX
        self._made: dict[str, str] = {}  # written by filecontents environments
        self._decoded: dict[str, str] = {}
        self._main = b""
        self._length = self._inputs = 0  # characters read for a main file
        self._has_class = False  # whether the main file's document class has been seen
        self._verbatim: Verbatim | None = None
        self._only: set[str] | None = None  # what the main file's \includeonly names
        self._folders: tuple[str, ...] = ()  # where the paper's own \input@path looks

    def mains(self) -> MainFiles:
        """The main files, and those left out, with reasons."""
        texts = {
            path: self._text(path) for path in sorted(self.files) if _may_be_main(path, self.files[path])
        }
        saved = {path: text for path, text in texts.items() if not _BACKUP.search(path)}
        if any(first(mark, text) for text in saved.values() for mark in (MAIN_CLASS, BEGIN)):
            texts = saved
        classes = [
            path
            for path, content in sorted(self.files.items())
            if path not in texts and path.lower().endswith(_MACROS) and b"\\documentclass" in content
        ]
        texts |= {path: self._text(path) for path in classes if first(MAIN_CLASS, self._text(path))}
        readmes = {path: self._text(path)[: 1 << 16] for path in self.files if is_readme(path)}
        return find_mains(texts, frozenset(classes), readmes, self.name, self.others, self._find)

    def text(self, main: str) -> str:
        """A main file with everything it inputs. Raises TooLong, or TooMuch if macros expand too far."""
        self._main, self._made, self._has_class = self.files[main], {}, False
        self._length = self._inputs = 0
        decoded = self._decoded.items()  # non-ASCII text may depend on the main file's declaration
        self._decoded = {path: text for path, text in decoded if self.files[path].isascii()}
        if self._verbatim is None:
            self._read_declarations()
        folder = posixpath.dirname(main)
        only = first(_INCLUDE_ONLY, self._text(main))
        self._only = {posixpath.normpath(name.strip()) for name in only[1].split(",")} if only else None
        text = self._assembled(main, (main,), folder)
        if INPUT_BY_MACRO.search(text):
            text, _ = expand(
                text, declared(text, self._verbatim or LATEX), self._resolver(main, (main,), folder)
            )
        return text

    def _text(self, path: str) -> str:
        if path in self._made:
            return self._made[path]
        if path not in self._decoded:
            self._decoded[path] = decode(self.files[path], self._main)
        return self._decoded[path]

    def _read_declarations(self) -> None:
        """Collect from all files what the paper declares verbatim, and where it looks for files."""
        verbatim, folders = LATEX, []
        for path in sorted(self.files):
            text = self._text(path)
            verbatim = declared(text, verbatim)
            if "input@path" in text:
                folders += [
                    name for found in _INPUT_PATH.findall(text) for name in re.findall(r"\{([^{}]*)\}", found)
                ]
        self._verbatim, self._folders = verbatim, tuple(folders[:10])

    def _assembled(self, path: str, chain: tuple[str, ...], folder: str) -> str:
        """The file's text with its inputs; `folder` is where TeX runs, `chain` the files being read."""
        text = self._text(path)
        if first(MAIN_CLASS, text):
            begin = first(BEGIN, text)
            if self._has_class and begin:  # a document inside the document: read only its body
                end = next((mark for mark in uncommented(END, text) if mark.start() > begin.end()), None)
                text = text[begin.end() : end.start() if end else len(text)]
            self._has_class = True
        self._length += len(text)
        self._inputs += 1
        if self._length > MAX_TEXT or self._inputs > MAX_INPUTS:
            raise TooLong(f"more than {MAX_TEXT >> 20} MiB or {MAX_INPUTS:,} files, including all inputs")
        return strip_comments(text, self._resolver(path, chain, folder), self._verbatim or LATEX)

    def _resolver(self, path: str, chain: tuple[str, ...], folder: str) -> Resolve:
        """Finds the files that `path` names."""

        def resolve(command: str, subfolder: str, name: str) -> str | None:
            if command == "filecontents":
                made = _FILECONTENTS.match(name)
                if made and len(self._made) < 100:
                    self._made.setdefault(posixpath.normpath(made[1].strip()), name[made.end() :])
                return None
            if "\\jobname" in name:
                name = name.replace("{\\jobname}", "\\jobname").replace(
                    "\\jobname", posixpath.splitext(posixpath.basename(chain[0]))[0]
                )
            if command == "IfFileExists":
                if self._find(subfolder, name, path, folder):
                    return "yes"
                return (
                    "" if name.endswith(".tex") or "." not in name else None
                )  # it may be TeX's own, or a figure
            if command == "include" and self._only is not None and posixpath.normpath(name) not in self._only:
                return ""
            if command.startswith("sub"):
                subfolder = posixpath.join(posixpath.dirname(path), subfolder)
            found = self._find(subfolder, name, path, folder)
            if found is None or found in chain or len(chain) >= MAX_DEPTH or found.lower().endswith(".bbl"):
                return None
            if drawings.is_drawing(self._text(found)):
                return None
            return self._assembled(found, (*chain, found), folder)

        return resolve

    def _find(self, subfolder: str, name: str, by: str, folder: str | None = None) -> str | None:
        """The paper's file that a name in another file refers to, or None."""
        main_folder = posixpath.dirname(by) if folder is None else folder
        paths = [
            posixpath.normpath(posixpath.join(start, subfolder, name))
            for start in dict.fromkeys((main_folder, posixpath.dirname(by), "", *self._folders))
        ]
        for path in paths:
            for full in (path + ".tex", path):
                if full in self.files or full in self._made:
                    return full
        for path in paths:  # in any case, as TeX Live has done since 2018
            for full in (path.lower() + ".tex", path.lower()):
                if full in self._folded:
                    return self._folded[full]
        return None


def _may_be_main(path: str, content: bytes) -> bool:
    head = content[: 1 << 16]
    is_text = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or (
        len(head.translate(None, _CONTROLS)) >= 0.97 * len(head)
    )
    is_note = is_readme(path) or (_NOT_PAPER.search(path) and not path.lower().endswith((".tex", ".ltx")))
    return is_text and not path.lower().endswith(_MACROS) and not is_note
