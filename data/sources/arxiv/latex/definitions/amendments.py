r"""Reads what changes a macro: `\appto`, `\patchcmd` and their kin, of several packages."""

import re
from dataclasses import replace

from data.sources.arxiv.latex.definitions.bodies import Known, macro_of
from data.sources.arxiv.latex.definitions.kinds import Abbreviation, Alias, Fence
from data.sources.arxiv.latex.definitions.reading import TARGET, Definition
from data.sources.arxiv.latex.syntax import Arguments, append

_HOOK = re.compile(r"(?P<named>cs)?(?P<how>[gex]?)(?P<where>app|pre)to")
_HOOKS = [
    f"{named}{how}{where}to"
    for named in ("", "cs")
    for how in ("", "g", "e", "x")
    for where in ("app", "pre")
]
# How many arguments follow the macro's name (source2e; etoolbox, §3.4 and §3.6; xpatch; babel).
AMENDERS = {
    **dict.fromkeys((*_HOOKS, "g@addto@macro", "addto"), 1),
    **dict.fromkeys(("apptocmd", "pretocmd", "xapptocmd", "xpretocmd"), 3),
    **dict.fromkeys(("patchcmd", "xpatchcmd"), 4),
}
_PLAIN_NAME = re.compile(r"\s*+\{\s*+([A-Za-z]++)\s*+\}")


def amended(word: str, text: str, position: int, read: Arguments, known: Known) -> Definition | None:
    r"""What \appto, \pretocmd, \patchcmd and their kin make of a macro; without a name if that is unknown."""
    hook, is_patch = _HOOK.fullmatch(word), word.endswith("patchcmd")
    option = read.option(text, position) if is_patch else None
    target = (_PLAIN_NAME if hook and hook["named"] else TARGET).match(
        text, option[1] if option else position
    )
    if target is None:
        return None
    name, end = target[target.lastindex or 0], target.end()
    given: list[str] = []
    for _ in range(AMENDERS[word]):
        argument = read.argument(text, end)
        if argument is None:
            return None
        given.append(argument[0])
        end = argument[1]
    unknown, macro = Definition("", None, end), known.macros.get(name)
    if macro is None or isinstance(macro, (Alias, Fence, Abbreviation)):
        return unknown
    body = "".join(piece if isinstance(piece, str) else f"#{piece}" for piece in macro.body)
    if hook and hook["how"] in ("e", "x"):
        given = [known.in_full(given[0])]
    is_before = "pre" in word
    if is_patch:
        body = body.replace(given[0], given[1], 1) if given[0] else body
    else:
        parts = (given[0], body) if is_before else (body, given[0])
        out: list[str] = []
        append(out, parts[0])
        append(out, parts[1])
        body = "".join(out)
    new = macro_of(body, macro.parameters.count, known)
    if new is None:
        return unknown
    is_spaced = new.spaced or (macro.spaced and (is_before or is_patch))
    is_global = word == "g@addto@macro" or (hook is not None and hook["how"] in ("g", "x"))
    parameters = replace(macro.parameters, count=new.parameters.count)
    new = replace(new, parameters=parameters, spaced=is_spaced)
    return Definition(name, new, end, is_global, meaning=body)
