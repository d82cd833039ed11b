"""How each language marks comments.

In: a path. Out: the comment marks of its language, or None if the file is not in a supported language.
"""

from dataclasses import dataclass
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Comments:
    """A language's marks of line comments, and of block comments (open, close)."""

    line: tuple[str, ...] = ()
    block: tuple[tuple[str, str], ...] = ()


_HASH = Comments(("#",))
_PYTHON = Comments(("#",), (('"""', '"""'), ("'''", "'''"), ('r"""', '"""')))  # docstrings too
_C = Comments(("//",), (("/*", "*/"),))
_XML = Comments((), (("<!--", "-->"),))
_LISP = Comments((";",))
_PERCENT = Comments(("%",))
_FORTRAN = Comments(("!",))
_FIXED_FORTRAN = Comments(("!", "C ", "c ", "* "))
_BATCH = Comments(("rem ", "REM ", "Rem ", "@rem ", "@REM ", "::"))
_HASKELL = Comments(("--",), (("{-", "-}"),))
_ML = Comments((), (("(*", "*)"),))

# Supported languages by suffix; data files (json, csv, yaml, svg, lock files, ...) are not code.
_SUFFIXES: tuple[tuple[Comments, str], ...] = (
    (_PYTHON, ".py .pyx .pxd .pyi"),
    (_HASH, ".sh .bash .zsh .fish .pl .pm .r .ex .exs .awk .cmake .mk .mak .tcl .cr .coffee"),
    (Comments(("#",), (("=begin", "=end"),)), ".rb"),
    (Comments(("#",), (("#=", "=#"),)), ".jl"),
    (Comments(("#",), (("#[", "]#"),)), ".nim"),
    (Comments(("#", "//"), _C.block), ".tf"),
    (Comments(("#",), _C.block), ".nix"),
    (_C, ".c .h .cc .cpp .cxx .c++ .hh .hpp .hxx .h++ .cu .cuh .mm .cs .java"),
    (_C, ".js .mjs .cjs .jsx .ts .tsx .go .rs .swift .kt .kts .scala .groovy"),
    (_C, ".dart .d .zig .sv .proto .gradle .less .scss .glsl .vala"),
    (Comments(("//", "%"), (*_C.block, ("%{", "%}"))), ".m"),  # Objective-C or MATLAB
    (Comments(("//",), (*_C.block, *_ML.block)), ".v"),  # Verilog or Coq
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
_FILE_NAMES = {
    "makefile": _HASH,
    "gnumakefile": _HASH,
    "dockerfile": _HASH,
    "cmakelists.txt": _HASH,
    "rakefile": _HASH,
}


def language(path: str) -> Comments | None:
    """The comment marks of this file's language, or None if it is not supported."""
    name = PurePosixPath(path).name
    return _FILE_NAMES.get(name.lower()) or LANGUAGES.get(PurePosixPath(name).suffix.lower())


def is_markup(path: str) -> bool:
    """Whether the file's language may begin with `<?xml`."""
    comments = language(path)
    return comments is None or comments is _XML or PurePosixPath(path).suffix.lower() == ".php"
