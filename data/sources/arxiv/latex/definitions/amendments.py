r"""Reads what changes a macro: `\appto`, `\patchcmd` and their kin (the kernel's and etoolbox's)."""

from dataclasses import replace

from data.sources.arxiv.latex.definitions.bodies import Known, macro_of
from data.sources.arxiv.latex.definitions.reading import TARGET, Definition
from data.sources.arxiv.latex.syntax import Arguments

# Commands that change a macro, and how many arguments follow its name (source2e, ltdefns; etoolbox).
AMENDERS = {
    **dict.fromkeys(("g@addto@macro", "appto", "gappto", "preto", "gpreto"), 1),
    **dict.fromkeys(("apptocmd", "pretocmd"), 3),
    "patchcmd": 4,
}


def amended(word: str, text: str, position: int, read: Arguments, known: Known) -> Definition | None:
    r"""What \appto, \pretocmd, \patchcmd and their kin make of a macro; without a name if that is unknown."""
    option = read.option(text, position) if word == "patchcmd" else None
    target = TARGET.match(text, option[1] if option else position)
    if target is None:
        return None
    name, end = target[2] or target[3], target.end()
    given: list[str] = []
    for _ in range(AMENDERS[word]):
        argument = read.argument(text, end)
        if argument is None:
            return None
        given.append(argument[0])
        end = argument[1]
    unknown, macro = Definition("", None, end), known.macros.get(name)
    if macro is None or macro.final or macro.is_fence or macro.before_dot is not None:
        return unknown
    body = "".join(piece if isinstance(piece, str) else f"#{piece}" for piece in macro.body)
    if word == "patchcmd":
        body = body.replace(given[0], given[1], 1) if given[0] else body
    else:
        body = given[0] + body if "pre" in word else body + given[0]
    new = macro_of(body, macro.arguments, known)
    if new is None:
        return unknown
    is_spaced = new.spaced or (macro.spaced and "app" not in word and "add" not in word)
    new = replace(new, default=macro.default, delimiters=macro.delimiters, signature=macro.signature)
    return Definition(name, replace(new, spaced=is_spaced), end, word[0] == "g", meaning=body)
