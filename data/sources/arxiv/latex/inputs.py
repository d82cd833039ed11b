r"""Finds the files that commands name, so that their text can replace the commands.

In: a text and the position right after `\input`, `\import` or `\usepackage`. Out: what a `Resolve` returns
for the files that the command names, and where the command ends.
"""

import re
from collections.abc import Callable

from data.sources.arxiv.latex.syntax import BRACED, GAP, OPTION, Arguments, Lookup, blanks_end, value_of

# Returns a file's text, given the command's name and arguments.
Resolve = Callable[[str, str, str], str | None]

_ARGUMENT = re.compile(
    r"[ \t]*+(?:%[^\n]*+\n[ \t]*+)*+(?:\n[ \t]*+)?"
    r'(?:\{((?:[^{}%]++|%[^\n]*+|\{[^{}]*\})*+)\}|"([^"\n]*)"|([^\s{}\\%$&#"\[\]]+)'
    r"|(\\[A-Za-z@]++))"
)
# As their lists are written: with comments, and with brackets in an option's braces.
_PACKAGE_OPTION = re.compile(rf"{GAP}\[((?:[^]{{}}%]|%[^\n]*+\n|\{{[^{{}}]{{0,1000}}\}}){{0,1000}}+)\]")
_PACKAGE_NAMES = re.compile(rf"{GAP}\{{((?:[^{{}}%]++|%[^\n]*+)*+)\}}")
_COMMENT = re.compile(r"%[^\n]*+(?:\n[ \t]*+|\Z)")
_GROUP = re.compile(r"\s*+\{(?:[^{}]++|\{[^{}]*\})*+\}")
_FOLDERED = ("import", "subimport", "inputfrom", "subinputfrom", "includefrom", "subincludefrom")
PACKAGES = ("usepackage", "RequirePackage", "documentclass", "LoadClass", "documentstyle")
INPUTS = frozenset(
    {"input", "@input", "@@input", "@iinput", "include", "subfile", "subfileinclude", "includestandalone"}
    | {"InputIfFileExists", *_FOLDERED}
)
# Commands that name a file through a macro, or that may be part of one.
INPUT_BY_MACRO = re.compile(
    r"\\(?=@|in|im|su|In|let)(?:"  # few commands begin like this
    rf"(?:{'|'.join(sorted(INPUTS))})(?![A-Za-z@])(?:\s*+\{{[^{{}}]*[\\#]|\s*+[\\#}}])"
    rf"|(?:{'|'.join(_FOLDERED)})\s*+\{{[^{{}}]*+\}}\s*+\{{[^{{}}]*[\\#]"
    r"|let\s*+\\[A-Za-z]++\s*+=?\s*+\\(?:input|include|subfile)(?![A-Za-z@]))"
)
MAX_TURNS = 100  # most turns of a loop that inputs files
_LOOP = re.compile(
    r"\s*+\\(?P<each>[A-Za-z]++)\s*+in\s*+(?:\{(?P<listed>[^{}\\]{0,2000})\}|\\(?P<macro>[A-Za-z]++))\s*+"
    r"|\s*+\\(?P<for>[A-Za-z@]++)\s*+:=\s*+(?:\\(?P<named>(?!do\b)[A-Za-z@]++)\s*+|(?P<items>[^\\{}]{0,2000}))\\do\s*+"
)
INPUT = re.compile(rf"\\({'|'.join(sorted(INPUTS))})(?![A-Za-z@])")


def resolved_input(text: str, position: int, command: str, resolve: Resolve) -> tuple[str | None, int]:
    """The text of the files that a command names, and where the command ends."""
    if command in PACKAGES:
        option = _PACKAGE_OPTION.match(text, position)
        names = _PACKAGE_NAMES.match(text, option.end() if option else position)
        if names is None:
            return None, position
        kind = ".sty" if command in ("usepackage", "RequirePackage") else ".cls"
        wanted = [name.strip() + kind for name in _COMMENT.sub("", names[1]).split(",")]
        if option and command == "documentstyle":
            wanted += [name.strip() + ".sty" for name in _COMMENT.sub("", option[1]).split(",")]
        found = [resolve(command, "", name) for name in wanted]
        found = [f"\n\\makeatletter\n{content}\n\\makeatother\n" for content in found if content is not None]
        return ("".join(found) or None), names.end()
    folder = ""
    if command in _FOLDERED:
        position += text.startswith("*", position)
        first = BRACED.match(text, position)
        if first is None:
            return None, position
        folder, position = first[1].strip(), first.end()
    if command in ("includestandalone", "loadglsentries") and (option := OPTION.match(text, position)):
        position = option.end()
    command = command.lstrip("@").replace("iinput", "input")
    argument = _ARGUMENT.match(text, position)
    if argument is None or (argument[1] is None and command != "input"):
        return None, position
    name = next(name for name in argument.groups() if name is not None)
    name = _COMMENT.sub("", name).strip().strip('"')
    found = resolve(command, folder, name)
    if found is not None and not found.endswith("\n") and command != "input":
        found += "\n"
    end = argument.end()
    if command == "InputIfFileExists" and found is not None:
        then = _GROUP.match(text, end)
        otherwise = _GROUP.match(text, then.end()) if then else None
        end = otherwise.end() if otherwise else end
    return found, end


def loop(text: str, position: int, read: Arguments, lookup: Lookup) -> tuple[list[str], int] | None:
    r"""What each turn of \foreach or \@for reads if it inputs files, and where the loop ends."""
    head = _LOOP.match(text, position)
    body = read.argument(text, head.end()) if head else None
    if head is None or body is None or not INPUT.search(body[0]):
        return None
    macro = head["macro"] or head["named"]
    listed = value_of(macro, lookup) if macro else head["listed"] or head["items"] or ""
    if listed is None or "\\" in listed:
        return None
    name = head["each"] or head["for"]
    values = [value.strip() for value in listed.split(",")]
    if "..." in values[1:-1]:
        at = values.index("...")
        ends = values[at - 1], values[at + 1]
        if not all(end.isdecimal() and len(end) < 4 for end in ends):
            return None
        values[at : at + 1] = [str(number) for number in range(int(ends[0]) + 1, int(ends[1]))]
    variable = re.compile(rf"\\{name}(?![A-Za-z@])(?:\{{\}}|[ \t]+)?")
    return [variable.sub(lambda _, value=value: value, body[0]) for value in values[:MAX_TURNS]], body[1]


def existence(text: str, position: int, resolve: Resolve, read: Arguments) -> tuple[int, int, int] | None:
    r"""Where the branch that \IfFileExists chooses starts and ends, and where the command ends."""
    name = BRACED.match(text, position)
    if name is None:
        return None
    spans, end = [], name.end()
    for _ in range(2):
        opening = blanks_end(text, end)
        end = read.group_end(text, opening) if text[opening : opening + 1] == "{" else -1
        if end < 0:
            return None
        spans.append((opening + 1, end - 1))
    exists = resolve("IfFileExists", "", name[1].strip())
    if exists is None:
        return None
    start, stop = spans[0] if exists else spans[1]
    return start, stop, end
