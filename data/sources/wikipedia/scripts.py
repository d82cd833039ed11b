"""Puts raised and lowered text in line: 10<sup>6</sup> becomes 10^6, 1<sup>st</sup> 1st, H<sub>2</sub>O H2O.

In: text with marks around raised and lowered parts. Out: plain text in which no two numbers run together and
every power is distinct from its base.
"""

import html
import re

from data.sources.wikipedia.marks import END, SUB, SUB_END, SUP, SUP_END

_INNER = rf"([^{SUP}{SUP_END}{SUB}{SUB_END}\n]{{0,80}})"
_LOWERED = re.compile(rf"{SUB}{_INNER}{SUB_END}")
_RAISED = re.compile(rf"{SUP}{_INNER}{SUP_END}")
_FRACTION = re.compile(
    rf"(?:(\d)|(?<!\s)(?<!&nbsp;))((?:\s|&nbsp;)*+){SUP}(\d++){SUP_END}"
    rf"(?:[/⁄∕]|&frasl;|&#8260;){SUB}(\d++){SUB_END}",
    re.IGNORECASE,
)
_CLOSING = f")]}}′″%°²³{END}"  # possible bases of a power, besides letters and digits
_SCRIPT = re.compile(rf"[{SUP}{SUB}][^{SUP}{SUP_END}{SUB}{SUB_END}\n]{{0,80}}[{SUP_END}{SUB_END}]")
_ENTITY = r"&(?:[a-zA-Z]{2,10}|#\d{2,5}|#[xX][0-9a-fA-F]{2,4});"  # a reference to a character
_BASE_REFERENCE = re.compile(rf"{_ENTITY}(?=\'{{0,3}}[{SUP}{SUB}])")
_REFERENCE = re.compile(_ENTITY)
_MARKUP = frozenset("<>&[]{}|'\"=*#:;~")  # signs that would later be read as markup, so they stay references
_BLANK = re.compile(r"&(?:nbsp|thinsp|#160|#8201);|\s")
_QUOTES = re.compile(r"''+")
_NUMBER = re.compile(r"[-+−–±]?\d+(?:[.,/]\d+)*[-+−–]?")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th|e|er|re|ème|o|a)|st|nd|rd|th|er|re|me|ème|nde", re.IGNORECASE)
_TERM = re.compile(r"[-+−–]?(?:\d+(?:[.,/]\d+)*)?[^\W\d_]?")  # 2n, -x, 12
_SUM = re.compile(r"[\w.()]+(?: ?[-+−–*/×·^] ?[\w.()]+)+|[-+−–][\w.()]+(?: ?[-+−–*/×·^] ?[\w.()]+)*")
_VARIABLE = re.compile(r"[nxyzkpqijNT]|[ijk]?[α-ωΑ-Ω]")  # never the end of an ordinal or an abbreviation
_DEPTH = 3  # such as x with an exponent that has an index that has an exponent


def resolved(text: str) -> str:
    """The text with its raised and lowered parts in line."""
    if "&" in text and (SUP in text or SUB in text):
        text = _BASE_REFERENCE.sub(_sign, _SCRIPT.sub(_with_signs, text))
    if SUP in text and SUB in text:
        text = _FRACTION.sub(_fraction, text)
    for _ in range(_DEPTH):
        if SUP not in text and SUB not in text:
            break
        text = _RAISED.sub(_raised, _LOWERED.sub(_lowered, text))
    return text


def _with_signs(script: re.Match[str]) -> str:
    """A raised or lowered part with the signs that its references stand for: 10<sup>&minus;6</sup>."""
    return _REFERENCE.sub(_sign, script[0])


def _sign(reference: re.Match[str]) -> str:
    sign = html.unescape(reference[0])
    return reference[0] if len(sign) > 1 or sign in _MARKUP or not sign.isprintable() else sign


def _fraction(found: re.Match[str]) -> str:
    """1<sup>3</sup>/<sub>4</sub>: 1 3/4, not a power."""
    return f"{found[1] or ''}{found[2] or (' ' if found[1] else '')}{found[3]}/{found[4]}"


def _lowered(found: re.Match[str]) -> str:
    bare, base, after = _bare(found[1]), _base(found), _next(found)
    mark = "_" if base.isdigit() and bare[:1].isdigit() else ""
    return mark + bare + (" " if after.isdigit() and bare[-1:].isdigit() else "")


def _raised(found: re.Match[str]) -> str:
    content, base, after = found[1], _base(found), _next(found)
    bare = _bare(content)
    is_in_word = base.isalpha() and after.isalpha() and not (_is_variable(found) and bare.isdecimal())
    if base and not is_in_word and (power := _power(bare, is_italic=content.startswith("''"))):
        is_apart = (after.isdigit() and power[-1].isdigit()) or (content.endswith(" ") and after.isalnum())
        return power + (" " if is_apart else "")
    # In an isotope, two numbers precede the element.
    return content + ("_" if after.isdigit() and bare[-1:].isdigit() else "")


def _base(found: re.Match[str]) -> str:
    """The character before the mark, ignoring italic marks; "" if it cannot be a base."""
    place = found.start()
    while place and found.string[place - 1] == "'" and place > found.start() - 5:
        place -= 1
    base = found.string[place - 1 : place]
    return base if base.isalnum() or base in _CLOSING else ""


def _is_variable(found: re.Match[str]) -> bool:
    """Whether the base is a letter by itself, like x in 3x²y or y+x²."""
    before = found.string[max(0, found.start() - 2) : found.start()]
    return not before[:-1].isalpha()


def _next(found: re.Match[str]) -> str:
    return found.string[found.end() : found.end() + 1]


def _power(bare: str, is_italic: bool) -> str:
    """The power to write after the base; "" if this is an ordinal, an abbreviation or a note."""
    if _ORDINAL.fullmatch(bare):
        return ""
    is_variable = _VARIABLE.fullmatch(bare) or (is_italic and bare.isalnum() and len(bare) < 4)
    if is_variable or _NUMBER.fullmatch(bare) or (len(bare) > 1 and _TERM.fullmatch(bare)):
        return "^" + bare
    return f"^({bare})" if _SUM.fullmatch(bare) else ""


def _bare(content: str) -> str:
    return _BLANK.sub(" ", _QUOTES.sub("", content)).strip()
