"""Decodes a web page, which may declare a wrong encoding.

A page is UTF-8 if its bytes are, or almost are: crawlers cut pages within a character, and sites paste text
in other encodings into their pages. Otherwise the header, the meta tag and detection are believed, in this
order, unless they say UTF-8. Two encodings look like ASCII to a UTF-8 decoder: UTF-16 of Latin text without a
byte order mark, and ISO-2022-JP, which switches alphabets by escape sequences.
"""

import codecs
import re
from collections.abc import Iterator

from resiliparse.parse.encoding import bytes_to_str, detect_encoding

from data.sources.files.encodings import codec_of, detected

_BOM = "\ufeff"
_WIDE = re.compile(rb"(?:\s\0)*+(<\0[!?a-zA-Z]\0)|(?:\0\s)*+\0<\0[!?a-zA-Z]")  # a page's first tag in UTF-16
_SWITCHING = "iso2022_jp"  # as resiliparse names it
_RARE = 4  # more characters in UTF-8 than this for each byte that is not: the page is UTF-8


def decode_html(body: bytes, charset: str) -> str:
    """HTML as text. In a UTF-8 page, bytes that are not UTF-8 are read as Windows-1252."""
    return _decoded(body, charset).lstrip(_BOM)  # included files may begin with one of their own


def _decoded(body: bytes, charset: str) -> str:
    if wide := _WIDE.match(body):
        return body.decode("utf-16-le" if wide[1] else "utf-16-be", errors="replace")
    try:
        text = body.decode("utf-8-sig")
        # Searching for one byte is many times faster than for two, and few pages have this one.
        may_switch = b"\x1b" in body and b"\x1b$" in body
        return _of_iso_2022(body, charset) or text if may_switch else text
    except UnicodeDecodeError:
        pass
    n_marked = len(body.decode("utf-8-sig", errors="surrogateescape"))  # each wrong byte is a character
    n_wrong = n_marked - len(body.decode("utf-8-sig", errors="ignore"))
    if len(body) - n_marked > _RARE * n_wrong:  # each character beyond ASCII has one to three bytes more
        return body.decode("utf-8-sig", errors=_HANDLER)
    for encoding in _named(body, charset):
        try:
            if encoding and encoding != "utf-8":
                return bytes_to_str(body, encoding)
        except LookupError:
            continue
    return body.decode("windows-1252", errors="replace")


def _named(body: bytes, charset: str) -> Iterator[str | None]:
    """Candidates for the page's encoding, determined only as needed."""
    yield codec_of(charset)
    yield codec_of(detect_encoding(body, from_html_meta=True) or "")
    yield detected(body)


def _of_iso_2022(body: bytes, charset: str) -> str:
    """The text of a page with a header or meta tag that says ISO-2022-JP; else ""."""
    is_declared = _SWITCHING in (codec_of(charset), detect_encoding(body, from_html_meta=True))
    return bytes_to_str(body, _SWITCHING) if is_declared else ""


def _as_windows_1252(error: UnicodeError) -> tuple[str, int]:
    """The invalid byte read as Windows-1252; nothing for a character that is cut off at the end."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    if error.reason == "unexpected end of data":
        return "", len(error.object)
    byte = error.object[error.start : error.start + 1]
    return byte.decode("windows-1252", errors="replace"), error.start + 1


_HANDLER = "relama-windows-1252"
codecs.register_error(_HANDLER, _as_windows_1252)
