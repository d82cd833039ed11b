"""How each language writes its comments, and what this is for: taking licence headers off.

In: a source file's text. Out: the text without the comments at its top that speak of copyright or
licence, and nothing else taken away: a line scanner that knows shebangs, `#include` and Markdown
titles are not comments, and that never looks below the first line of code.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Comments:
    """The marks of a language: of comments to the end of a line, and of blocks (open, close)."""

    line: tuple[str, ...] = ()
    block: tuple[tuple[str, str], ...] = ()


_HASH = Comments(("#",))
_C = Comments(("//",), (("/*", "*/"),))
_XML = Comments((), (("<!--", "-->"),))
_LISP = Comments((";",))
_PERCENT = Comments(("%",))
_FORTRAN = Comments(("!",))
_FIXED_FORTRAN = Comments(("!", "C ", "c ", "* "))
_BATCH = Comments(("rem ", "REM ", "Rem ", "@rem ", "@REM ", "::"))
_HASKELL = Comments(("--",), (("{-", "-}"),))
_ML = Comments((), (("(*", "*)"),))

# The files that are read, by their suffix; data (json, csv, yaml, svg, lock files, ...) is not code.
_SUFFIXES: tuple[tuple[Comments, str], ...] = (
    (_HASH, ".py .pyx .pxd .pyi .sh .bash .zsh .fish .rb .pl .pm .r .jl .ex .exs .awk"),
    (_HASH, ".cmake .mk .mak .tcl .nim .cr .coffee .tf .nix"),
    (_C, ".c .h .cc .cpp .cxx .c++ .hh .hpp .hxx .h++ .cu .cuh .m .mm .cs .java"),
    (_C, ".js .mjs .cjs .jsx .ts .tsx .go .rs .swift .kt .kts .scala .groovy"),
    (_C, ".dart .d .zig .v .sv .proto .gradle .less .scss .glsl .vala"),
    (_XML, ".html .htm .vue .svelte .md .markdown"),
    (_LISP, ".lisp .el .scm .rkt .clj .cljs .cljc"),
    (_PERCENT, ".tex .sty .cls .erl .hrl"),
    (_FORTRAN, ".f90 .f95 .f03 .f08"),
    (_FIXED_FORTRAN, ".f .for .f77"),
    (_BATCH, ".bat .cmd"),
    (_HASKELL, ".hs .elm"),
    (_ML, ".ml .mli"),
    (Comments(("//",), _ML.block), ".fs"),
    (Comments(("//",), (("{", "}"), *_ML.block)), ".pas"),
    (Comments(("#", ";", "//", "@"), _C.block), ".asm .s"),
    (Comments((), _C.block), ".css"),
    (Comments(("//", "#"), _C.block), ".php"),
    (Comments(("--",), _C.block), ".sql"),
    (Comments(("--",), (("--[[", "]]"),)), ".lua"),
    (Comments(("#",), (("<#", "#>"),)), ".ps1 .psm1"),
    (Comments(("'",)), ".vb"),
    (Comments(), ".rst"),
)
LANGUAGES = {suffix: comments for comments, suffixes in _SUFFIXES for suffix in suffixes.split()}
_WHOLE_NAMES = {
    "makefile": _HASH,
    "gnumakefile": _HASH,
    "dockerfile": _HASH,
    "cmakelists.txt": _HASH,
    "rakefile": _HASH,
}
_SPEAKS = ("copyright", "copyleft", "licens", "licence", "all rights reserved", "(c) 1", "(c) 2", "©")
_FIRST_LINES = ("#!", "<?php", "<?xml", "<!doctype")
_DIRECTIVES = ("//go:", "// +build")  # comments that are code to a tool


def language(path: str) -> Comments | None:
    """How comments are written in this file, or None if it is not one of the languages read."""
    name = PurePosixPath(path).name
    return _WHOLE_NAMES.get(name.lower()) or LANGUAGES.get(PurePosixPath(name).suffix.lower())


def strip_licence(text: str, comments: Comments) -> str:
    """The text without the leading comment paragraphs from the first to the last that speak of a licence."""
    lines = text.split("\n")
    top = _after_first_lines(lines)
    paragraphs, end = _leading_paragraphs(lines, top, comments)
    speaking = [
        p for p in paragraphs if any(word in "\n".join(lines[p[0] : p[1]]).lower() for word in _SPEAKS)
    ]
    if not speaking:
        return text
    first, last = speaking[0][0], speaking[-1][1]
    above = [stop for _, stop in paragraphs if stop <= first]
    below = [start for start, _ in paragraphs if start >= last]
    first -= _rim(lines[above[-1] : first][::-1]) if above else first - top
    last = last + _rim(lines[last : below[0]]) if below else end
    kept_above = [""] if first > 0 and last < len(lines) else []
    return "\n".join([*lines[:first], *kept_above, *lines[last:]])


def _rim(gap: list[str]) -> int:
    """How many lines between a licence and the next comment go with it: its ruler, then blank ones."""
    count = next((number for number, line in enumerate(gap) if not line.strip()), len(gap))
    return next((number for number in range(count, len(gap)) if gap[number].strip()), len(gap))


def _after_first_lines(lines: list[str]) -> int:
    """How many lines at the very top belong to tools: shebang, encoding, document type."""
    top = 0
    if lines[0].lower().startswith(_FIRST_LINES):
        top = 1
    if top < len(lines) and lines[top].startswith("#") and "coding" in lines[top]:
        top += 1
    return top


def _leading_paragraphs(lines: list[str], top: int, comments: Comments) -> tuple[list[tuple[int, int]], int]:
    """Spans [start, stop) of the comment paragraphs above the first line of code, and where that is.

    A paragraph ends at a blank line, at a comment line with nothing on it, or with its block.
    """
    spans, at = [], top
    while at < len(lines):
        line = lines[at].strip()
        block = next((marks for marks in comments.block if line.startswith(marks[0])), None)
        stop = at
        if block:
            stop = _block_end(lines, at, *block)
        elif not line or (_is_line_comment(line, comments) and _is_bare(line)):
            at += 1
            continue
        else:
            while stop < len(lines) and _is_line_comment(lines[stop], comments) and not _is_bare(lines[stop]):
                stop += 1
        if stop == at:  # code
            break
        spans.append((at, stop))
        at = stop
    return spans, at


def _is_line_comment(line: str, comments: Comments) -> bool:
    line = line.strip()
    return bool(comments.line) and line.startswith(comments.line) and not line.startswith(_DIRECTIVES)


def _block_end(lines: list[str], at: int, opening: str, closing: str) -> int:
    """The line after a block comment; `at` itself if it never closes, or code follows where it does."""
    start = lines[at].index(opening) + len(opening)
    for number in range(at, len(lines)):
        found = lines[number].find(closing, start if number == at else 0)
        if found >= 0:
            return at if lines[number][found + len(closing) :].strip() else number + 1
    return at


def _is_bare(line: str) -> bool:
    """Whether a line has no letter or digit: blank, a comment mark alone, or a ruler."""
    return not any(map(str.isalnum, line))
