"""Control characters that mark places in the text for later steps.

Control characters are removed from the input first, so none of these can come from a page.
"""

KEPT, END = "\x01", "\x02"  # around the number of a verbatim text
GONE = "\x03"  # something without prose was dropped here
HOLE = "\x04"  # a template's prose is missing here
FIGURE = "\x14"  # after a hole: what is missing was computed from data elsewhere, as a population
BREAK = "\x05"  # nothing, but it separates the apostrophes on either side
SOUND = "\x13"  # a pronunciation in brackets was dropped here
LINE = "\x12"  # a line break from a tag, within one line of wikitext
SUP, SUP_END, SUB, SUB_END = "\x0e", "\x0f", "\x10", "\x11"  # around raised and lowered text

# Characters that were written as text and must not act as markup.
APOSTROPHE = "\x06"
_LITERALS = {"'": APOSTROPHE, "=": "\x07", "|": "\x08"}
_TO_LITERAL = str.maketrans(_LITERALS)
_APOSTROPHE = str.maketrans({"'": APOSTROPHE})
_EQUALS = str.maketrans({"=": "\x07"})


def literal(text: str) -> str:
    """The text with its apostrophes, `=` and `|` protected from being read as markup."""
    return text.translate(_TO_LITERAL)


def literal_apostrophes(text: str) -> str:
    """The text with its apostrophes protected."""
    return text.translate(_APOSTROPHE) if "'" in text else text


def literal_equals(text: str) -> str:
    """The text with each `=` protected, so that in an argument it does not end a name."""
    return text.translate(_EQUALS) if "=" in text else text


def without_marks(text: str) -> str:
    """The text with protected characters restored and all other marks removed."""
    for character, mark in _LITERALS.items():
        text = text.replace(mark, character)
    for mark in (BREAK, SUP, SUP_END, SUB, SUB_END):
        text = text.replace(mark, "")
    return text
