r"""Defines the commands of packages for authors' notes and changes, by what a reader sees.

A note to co-authors is not part of the paper's text, whether or not its package prints it; the new text of
a change is. Sources: the manuals of todonotes, easy-todo, todo, changes, fixme,
trackchanges, easyReview, pdfcomment, beamer and latexdiff, and of the class aastex.
"""

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
    "todonotes": _TODO,
    "luatodonotes": _TODO,
    "easy-todo": r"\newcommand{\todo}[1]{}\newcommand{\listoftodos}{}",
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
