"""Replaces characters that XML forbids, before the parser sees them and rejects a post.

In: the bytes of a file, in pieces of any size. Out: UTF-8 with U+FFFD in place of control characters, NULs,
lone surrogates, noncharacters and invalid bytes, whether raw or as references. Two halves of a surrogate
pair, as references or in three bytes each, become the character that they encode.
"""

import codecs
import re

_BEGINNINGS = (  # of XML in wide characters (XML 1.0, appendix F); UTF-32's include those of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"<\0\0\0", "utf-32-le"),
    (b"\0\0\0<", "utf-32-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)
_DECLARED = re.compile(rb"""(?:\xef\xbb\xbf)?<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z][\w.-]{0,40})""")
_REPLACEMENT = "\ufffd".encode()
_CONTROLS = bytes({*range(32)} - {*b"\t\n\r"})
_BY_CONTROL = re.compile(b"[" + re.escape(_CONTROLS) + b"]")
_NONCHARACTERS = re.compile(rb"\xef\xbf[\xbe\xbf]")  # U+FFFE and U+FFFF
# Exactly the halves of surrogate pairs (0xD800–0xDBFF, 0xDC00–0xDFFF), as a lone half may precede a pair.
_HIGH = rb"x0{0,9}[dD][89abAB][0-9a-fA-F]{2}|55(?:29[6-9]|[3-9][0-9]{2})|56(?:[0-2][0-9]{2}|3[01][0-9])"
_LOW = (
    rb"x0{0,9}[dD][c-fC-F][0-9a-fA-F]{2}"
    rb"|56(?:3[2-9][0-9]|[4-9][0-9]{2})|57(?:[0-2][0-9]{2}|3[0-3][0-9]|34[0-3])"
)
_REFERENCE = re.compile(
    rb"&#(" + _HIGH + rb");&#(" + _LOW + rb");"
    rb"|&#(?!(?:xA|xD|x9|10|13|9|39|34);)(x[0-9a-fA-F]{1,40}|[0-9]{1,40});"  # line ends are in every post
)
_ENDS_IN_HIGH = re.compile(rb"&#(?:" + _HIGH + rb");\Z")
# The first half of a pair in six bytes, and as much of the second as may follow.
_ENDS_IN_HALF = re.compile(rb"\xed[\xa0-\xaf](?:[\x80-\xbf](?:\xed(?:[\xb0-\xbf][\x80-\xbf]?)?)?)?\Z")
# A surrogate pair, each half in three bytes (CESU-8), as Java and older databases write it.
_PAIR = re.compile(rb"\xed[\xa0-\xaf][\x80-\xbf]\xed[\xb0-\xbf][\x80-\xbf]")
_LONGEST = 100  # most bytes of two references


def encoding_of(beginning: bytes) -> str:
    """Python's name for the encoding that a file's beginning shows or declares; "" for UTF-8."""
    wide = next((name for mark, name in _BEGINNINGS if beginning.startswith(mark)), "")
    declared = _DECLARED.match(beginning)
    if wide or declared is None:
        return wide
    try:
        found = codecs.lookup(declared[1].decode())
    except LookupError:
        return ""
    if not found._is_text_encoding or found.name.startswith(("utf", "ascii")):
        return ""
    try:  # text beyond ASCII that is valid UTF-8 is never in another encoding by accident
        if not beginning.isascii() and codecs.getincrementaldecoder("utf-8")().decode(beginning) is not None:
            return ""
    except UnicodeDecodeError:
        pass
    return "cp1252" if found.name == "iso8859-1" else found.name  # as HTML reads Latin-1


class Characters:
    """Replaces forbidden characters in a stream; a character cut off by a piece's end waits for the next."""

    def __init__(self) -> None:
        self._held = b""

    def __call__(self, data: bytes, final: bool = False) -> bytes:
        data = self._held + data
        cut = len(data) if final else _cut(data)
        self._held = data[cut:]
        return _replaced(data[:cut])


def _cut(data: bytes) -> int:
    """Where the last character or reference that may be incomplete begins."""
    reference = data.find(b"&#", max(0, len(data) - _LONGEST))
    if reference >= 0:
        # The reference before it may be the first half of a pair.
        before = _ENDS_IN_HIGH.search(data, max(0, reference - _LONGEST), reference)
        return before.start() if before else reference
    end = len(data) - data.endswith(b"&")
    half = _ENDS_IN_HALF.search(data, max(0, end - 6), end)
    if half:
        return half.start()
    for place in range(end - 1, max(-1, end - 4), -1):
        if data[place] >= 0xC0:  # the first byte of a character
            return place
        if data[place] < 0x80:
            break
    return end


def _replaced(data: bytes) -> bytes:
    if len(data.translate(None, _CONTROLS)) != len(data):
        data = _BY_CONTROL.sub(_REPLACEMENT, data)
    if b"&#" in data:
        data = _REFERENCE.sub(_reference, data)
    if b"\xef\xbf" in data:
        data = _NONCHARACTERS.sub(_REPLACEMENT, data)
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            data = _PAIR.sub(_pair, data).decode(errors="replace").encode()
    return data


def _pair(match: re.Match[bytes]) -> bytes:
    return (
        match[0].decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass").decode("utf-16").encode()
    )


def _reference(match: re.Match[bytes]) -> bytes:
    high, low, one = match.groups()
    if one:
        return match[0] if _is_allowed(_number(one)) else _REPLACEMENT
    first, second = _number(high), _number(low)
    return chr(0x10000 + ((first - 0xD800) << 10) + second - 0xDC00).encode()


def _number(digits: bytes) -> int:
    return int(digits[1:], 16) if digits.startswith(b"x") else int(digits)


def _is_allowed(number: int) -> bool:
    """Whether XML 1.0 allows this character (its `Char` production)."""
    return (
        number in (9, 10, 13)
        or 0x20 <= number < 0xD800
        or 0xE000 <= number < 0xFFFE
        or 0x10000 <= number < 0x110000
    )
