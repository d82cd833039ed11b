r"""Defines the commands of packages for authors' notes and changes, by what a reader sees.

A note to co-authors is not part of the paper's text, whether or not its package prints it; the new text of
a change is. Sources: the manuals of todonotes, easy-todo, todo, fixmetodonotes, changes, fixme, color-edits,
trackchanges, easyReview, pdfcomment, beamer and latexdiff, and of the classes aastex and IEEEtran.
"""

import re

_TODO = (
    r"\newcommand{\todo}[2][]{}\newcommand{\missingfigure}[2][]{}"
    r"\newcommand{\listoftodos}[1][]{}\newcommand{\todototoc}{}"
)
_AASTEX = (
    r"\newcommand{\added}[2][]{#2}\newcommand{\deleted}[2][]{}\newcommand{\replaced}[3][]{#3}"
    r"\newcommand{\explain}[2][]{}\newcommand{\edit}[2]{#2}\newcommand{\listofchanges}{}"
)
PACKAGES = {
    **dict.fromkeys((f"aastex{version}" for version in ("6", "61", "62", "63", "631", "7", "701")), _AASTEX),
    "IEEEtran": r"\newcommand{\IEEEraisesectionheading}[1]{#1}",
    "todonotes": _TODO,
    "luatodonotes": _TODO,
    "easy-todo": r"\newcommand{\todo}[1]{}\newcommand{\listoftodos}{}",
    "fixmetodonotes": r"\newcommand{\FIXME}[1]{}\newcommand{\TODO}[1]{}\newcommand{\listofnotes}{}",
    "todo": r"\newcommand{\todo}[2][]{}\newcommand{\todos}{}",
    "changes": r"\newcommand{\added}[2][]{#2}\newcommand{\deleted}[2][]{}\newcommand{\replaced}[3][]{#2}"
    r"\newcommand{\highlight}[2][]{#2}\newcommand{\listofchanges}[1][]{}\newcommand{\comment}[2][]{}"
    # With commandnameprefix=always, or if a name is taken.
    r"\newcommand{\chadded}[2][]{#2}\newcommand{\chdeleted}[2][]{}\newcommand{\chreplaced}[3][]{#2}"
    r"\newcommand{\chhighlight}[2][]{#2}\newcommand{\chcomment}[2][]{}",
    # After a star, the text that the note is about follows.
    "fixme": r"\NewDocumentCommand{\fxnote}{s o m}{}\NewDocumentCommand{\fxwarning}{s o m}{}"
    r"\NewDocumentCommand{\fxerror}{s o m}{}\NewDocumentCommand{\fxfatal}{s o m}{}"
    r"\newcommand{\fixme}[2][]{}\newcommand{\listoffixmes}{}",
    "trackchanges": r"\newcommand{\add}[2][]{#2}\newcommand{\remove}[2][]{}\newcommand{\change}[3][]{#3}"
    r"\newcommand{\note}[2][]{}\newcommand{\annote}[3][]{#2}",
    "easyReview": r"\newcommand{\add}[1]{#1}\newcommand{\remove}[1]{}\newcommand{\replace}[2]{#2}"
    r"\newcommand{\comment}[2]{#1}\newcommand{\alert}[1]{#1}\newcommand{\highlight}[1]{#1}",
    "beamerarticle": r"\newcommand{\note}[2][]{}",
    "pdfcomment": r"\newcommand{\pdfcomment}[2][]{}\newcommand{\pdfmargincomment}[2][]{}"
    r"\newcommand{\pdftooltip}[3][]{#2}\newcommand{\pdfmarkupcomment}[3][]{#2}",
}
_MARKS = ("add", "del", "mod")
# Which latexdiff defines in the paper, unless something else does.
LATEXDIFF = (
    r"\newcommand{\DIFadd}[1]{#1}\newcommand{\DIFaddtex}[1]{#1}\newcommand{\DIFaddFL}[1]{#1}"
    r"\newcommand{\DIFdel}[1]{}\newcommand{\DIFdeltex}[1]{}\newcommand{\DIFdelFL}[1]{}"
) + "".join(
    rf"\newcommand{{\DIF{mark}{end}}}{{}}" for mark in _MARKS for end in ("begin", "end", "beginFL", "endFL")
)
HIDDEN = {"fixme": ("anfxnote", "anfxwarning", "anfxerror", "anfxfatal")}  # environments of long notes

# Packages that name commands after an author: what registers one with them, and what that defines.
_AUTHORS = {
    "color-edits": (
        re.compile(r"\\addauthor\s*+(?:\[[^\]]{0,100}\]\s*+)?\{\s*+([A-Za-z]{1,20})\s*+\}\s*+\{"),
        r"\newcommand{\NAMEedit}[1]{#1}\newcommand{\NAMEcomment}[1]{}"
        r"\newcommand{\NAMEmargincomment}[1]{}\newcommand{\NAMEdelete}[1]{}",
    ),
    "fixme": (
        re.compile(r"\\FXRegisterAuthor\s*+\{\s*+([A-Za-z]{1,20})\s*+\}"),
        "".join(
            rf"\NewDocumentCommand{{\NAME{kind}}}{{s o m}}{{}}"
            for kind in ("note", "warning", "error", "fatal")
        ),
    ),
}


def by_authors(paper: str) -> str:
    """The definitions of commands that are named after the authors whom a paper registers."""
    return "".join(
        defined.replace("NAME", name)
        for package, (registers, defined) in _AUTHORS.items()
        if package in paper
        for name in registers.findall(paper)[:100]
    )
