"""Finds the encoding of a book and the characters that its bytes mean.

In: a file's bytes. Out: its text, or None if no encoding fits. An encoding is accepted only if the bytes
support it. Where parts of a file are in UTF-8 and others in Windows-1252, as after an edit with another
program, each part is read as what it is.
"""

import codecs
import re

from data.sources.files import packed

_DECLARED = re.compile(rb"^[ \t]*Character set encoding:[ \t]*([^\r\n]{2,60})", re.MULTILINE | re.IGNORECASE)
_BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NO_CHARSETS = ("utf-7", "unicode", "raw", "idna", "punycode")
_SEVEN_BITS = ("iso2022", "hz")  # names of codecs that write all characters in ASCII
_JAPANESE = (b"\x1b$B", b"\x1b$@")  # how ISO-2022-JP begins Japanese characters
_CONTROLS = re.compile("[\x01-\x08\x0e-\x19\x1b-\x1f\x7f-\x84\x86-\x9f\ufffd]")
_UTF8_BYTES = re.compile(rb"[\xc3-\xf4][\x80-\xbf]+")
_IN_WORDS = re.compile(r"(?<=[a-z])[^\x00-\x7f\w’‘´·­\xa0–—-](?=[a-z])")

_FEWEST = 3  # different characters that prove that a text was encoded twice
_LETTER = re.compile(rb"[A-Za-z]")
_SIGNS = "‘’“”«»–—…\xa0"


def decode(raw: bytes) -> str | None:
    """The text of a file, read by its byte order mark, as UTF-8, as its header says, or as Windows-1252."""
    for mark, codec in _BOMS.items():
        if raw.startswith(mark):
            return _decoded(raw, codec)
    if b"\0" in raw[: 1 << 16] and (wide := packed.encoding_of(raw)) != "utf-8-sig":
        return _decoded(raw, wide)
    declared = _DECLARED.search(raw, 0, 20_000)
    codec = _codec(declared[1].decode("latin-1")) if declared else ""
    content = _decoded(raw, "utf-8")  # other text with bytes above 127 is never valid UTF-8 by accident
    if content is not None:
        return (_in_seven_bits(raw, codec) if content.isascii() else _once(content)) or content
    if codec and codec not in ("ascii", "utf-8", "iso8859-1", "cp1252"):
        content = _decoded(raw, codec)
        if content is not None and not _CONTROLS.search(content):
            return content
    content = _decoded(raw, "cp1252")  # the same as Latin-1 for letters and signs
    return content if content is not None and _is_western(raw, content) else _mixed(raw)


def _in_seven_bits(raw: bytes, codec: str) -> str | None:
    """Japanese or Chinese text written in ASCII; None for other text."""
    if not codec.startswith(_SEVEN_BITS):
        codec = "iso2022_jp" if any(map(raw.__contains__, _JAPANESE)) else ""
    return _decoded(raw, codec) if codec else None


def _once(content: str) -> str | None:
    """Text that was encoded as UTF-8 twice, the second time from Windows-1252; None for other text."""
    try:
        once = content.encode("cp1252", errors="relama-c1").decode()
    except UnicodeError:
        return None
    return once if len(set(once) - set(content)) >= _FEWEST else None


def _c1(error: UnicodeError) -> tuple[bytes, int]:
    """The five bytes that Windows-1252 does not define, as programs write them: as control characters."""
    assert isinstance(error, UnicodeEncodeError)
    found = error.object[error.start : error.end]
    if not all("\x80" <= char <= "\x9f" for char in found):
        raise error
    return found.encode("latin-1"), error.end


codecs.register_error("relama-c1", _c1)


def _mixed(raw: bytes) -> str | None:
    """Text in UTF-8 with parts in Windows-1252; None if the other bytes do not look like such parts."""
    others: list[str] = []
    n_beside = 0  # of the letters and signs beside an English letter, which a part in that encoding has

    def other(error: UnicodeError) -> tuple[str, int]:
        nonlocal n_beside
        assert isinstance(error, UnicodeDecodeError)
        # Several bytes begin a character of UTF-8 that was cut: damage, and not another encoding.
        is_one = error.end == error.start + 1
        char = raw[error.start : error.end].decode("cp1252", "replace") if is_one else "\ufffd"
        beside = raw[max(0, error.start - 1) : error.start] + raw[error.end : error.end + 1]
        n_beside += (char.isalpha() or char in _SIGNS) and _LETTER.search(beside) is not None
        others.append(char)
        return char, error.end

    codecs.register_error("relama-mixed", other)
    content = raw.decode("utf-8", errors="relama-mixed")
    is_western = (
        "\ufffd" not in others
        and len(_CONTROLS.findall(content)) <= len(content) // 1000
        and len(others) <= 0.4 * sum(map(str.isalpha, content))
        and n_beside >= 0.5 * len(others)
        and len(_IN_WORDS.findall(content)) <= 0.1 * len(others)
    )
    return content if is_western else None


def _decoded(raw: bytes, codec: str) -> str | None:
    try:
        return raw.decode(codec)
    except UnicodeDecodeError:
        return None


def _codec(name: str) -> str:
    """Python's name for the encoding that a header names; empty if it is not a text encoding."""
    for word in (name.strip(), *re.findall(r"[\w-]+", name), name.replace("-", "")):
        try:
            found = codecs.lookup(word.replace("ISO Latin-", "latin").replace("Codepage ", "cp"))
        except (LookupError, ValueError):
            continue
        if found._is_text_encoding and not found.name.startswith(_NO_CHARSETS):
            return found.name
    return ""


def _is_western(raw: bytes, content: str) -> bool:
    """Whether Windows-1252 fits the bytes: letters in words, few of them above 127, no garbage."""
    above = len(raw) - len(raw.translate(None, bytes(range(128, 256))))
    letters = sum(map(str.isalpha, content)) if above > len(raw) // 10 else len(raw)
    return (
        len(_CONTROLS.findall(content)) <= len(content) // 1000
        and above <= 0.4 * letters  # Cyrillic or Greek bytes would be nearly all of them
        and sum(map(len, _UTF8_BYTES.findall(raw))) <= 0.5 * above  # broken UTF-8
        and len(_IN_WORDS.findall(content)) <= 0.1 * above  # signs in words: a DOS code page
    )
