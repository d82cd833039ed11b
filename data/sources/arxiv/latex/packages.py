r"""Commands of packages for authors' notes and changes, as definitions of what a reader sees.

A note to co-authors is not text of the paper, whether its package prints it or not; the new text of a
change is. Sources: the manuals of todonotes, changes, fixme, trackchanges, pdfcomment and beamer.
"""

PACKAGES = {
    "todonotes": r"\newcommand{\todo}[2][]{}\newcommand{\missingfigure}[2][]{}"
    r"\newcommand{\listoftodos}[1][]{}\newcommand{\todototoc}{}",
    "changes": r"\newcommand{\added}[2][]{#2}\newcommand{\deleted}[2][]{}\newcommand{\replaced}[3][]{#2}"
    r"\newcommand{\highlight}[2][]{#2}\newcommand{\listofchanges}[1][]{}",
    "fixme": r"\newcommand{\fxnote}[2][]{}\newcommand{\fxwarning}[2][]{}\newcommand{\fxerror}[2][]{}"
    r"\newcommand{\fxfatal}[2][]{}\newcommand{\fixme}[2][]{}\newcommand{\listoffixmes}{}",
    "trackchanges": r"\newcommand{\add}[2][]{#2}\newcommand{\remove}[2][]{}\newcommand{\change}[3][]{#3}"
    r"\newcommand{\note}[2][]{}\newcommand{\annote}[3][]{#2}",
    "beamerarticle": r"\newcommand{\note}[2][]{}",
    "pdfcomment": r"\newcommand{\pdfcomment}[2][]{}\newcommand{\pdfmargincomment}[2][]{}",
}
