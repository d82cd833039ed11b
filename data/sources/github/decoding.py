"""Decodes a source file from UTF-8, UTF-16, or an older encoding."""

import codecs
import re

from data.sources.files.encodings import detected

_BOMS = ((codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
# An encoding comment as Python and editors read it.
_DECLARED = re.compile(rb"\A(?:[^\n]*\n)?[^\n]*coding[:=][ \t]*([-\w.]{1,40})")
_DETECTED_BYTES = 64 << 10
_WORD = re.compile(r"[A-Za-zÀ-ÖØ-öø-ÿŒœŠšŽžŸ]+")
_BOXED = re.compile(r"[^\W\d_][─-▟]|[─-▟][^\W\d_]")  # a letter next to a box: not KOI8-R text
_MAX_WESTERN = 0.1  # largest share of non-ASCII characters in Western text


def decoded(content: bytes) -> str | None:
    """The text, or None if its encoding cannot be determined with confidence."""
    for bom, encoding in _BOMS:
        if content.startswith(bom):
            return _decode(content, encoding)
    text = _decode(content, "utf-8")
    if text is not None or b"\0" in content:
        return text
    declared = _DECLARED.match(content[:1000])
    if declared and (text := _decode(content, declared[1].decode())) is not None:
        return text
    first = next(place for place, byte in enumerate(content) if byte > 127)
    encoding = detected(content[max(0, first - 1000) : first + _DETECTED_BYTES]) or ""
    text = _decode(content, encoding)
    if text is None or any("\x80" <= char <= "\x9f" or char == "\ufffd" for char in text):
        return None
    beyond = sum(char > "\x7f" for char in text)
    western = encoding in ("cp1252", "iso-8859-1", "iso8859-1", "latin-1")
    if _BOXED.search(text) or (western and (beyond > _MAX_WESTERN * len(text) or _is_lone(text))):
        return None
    return text


def _is_lone(text: str) -> bool:
    """Whether most words with non-ASCII letters have no ASCII letters, unlike words of Western languages.

    Text in an East Asian encoding looks like this if it is too short to be detected. One-letter words may be
    either, so they do not count.
    """
    words = [word for word in _WORD.findall(text) if not word.isascii()]
    longer = [word for word in words if len(word) > 1]
    return bool(words) and 2 * sum(any(map(str.isascii, word)) for word in longer) <= len(longer)


def _decode(content: bytes, encoding: str) -> str | None:
    try:
        return content.decode(encoding)
    except (UnicodeError, LookupError, ValueError):
        return None
