"""Decodes a LaTeX file.

As UTF-8 if that is valid, else as the file or its paper's main file declares, else as Windows-1252. A
class of pLaTeX declares Japanese, in one of its encodings.
"""

import codecs
import re
from collections.abc import Iterator

# inputenc's names that are not Python's.
_CODECS = {
    "latin1": "latin-1",
    "latin2": "iso8859-2",
    "latin3": "iso8859-3",
    "latin4": "iso8859-4",
    "latin5": "iso8859-9",
    "latin9": "iso8859-15",
    "latin10": "iso8859-16",
    "ansinew": "cp1252",
    "applemac": "mac_roman",
    "macce": "mac_latin2",
    "maccyr": "mac_cyrillic",
    "koi8-ru": "koi8-u",
    "cp437de": "cp437",
    "iso88595": "iso8859-5",
    "iso-8859-7": "iso8859-7",
    "gb": "gb18030",
    "gbk": "gb18030",
    "bg5": "big5",
    "jis": "euc_jp",
    "sjis": "shift_jis",
    "ks": "euc_kr",
}
_CODEC = re.compile(r"cp\d{3,4}|koi8-[rtu]|iso-?8859-\d{1,2}")  # Python's own names of text encodings
_INPUTENC = re.compile(
    r"\\(?:usepackage\s*+\[([^\]]{1,60})\]\s*+\{inputenc\}|inputencoding\s*+\{([^}]{1,30})\}"
    r"|begin\s*+\{CJK\*?\}\s*+(?:\[[^\]]{0,30}\]\s*+)?\{([^}]{1,30})\})"
)
_PLATEX = re.compile(
    r"\\document(?:class|style)\s*+(?:\[[^\]]{0,300}\]\s*+)?\{\s*+(?:[jt](?:article|report|book)|js(?:article|report|book))\s*+\}"
)
_KANA = re.compile("[ぁ-ヶ]")
_PERCENT = re.compile(r"(?<!\\)(?:\\\\)*+%")


def decode(content: bytes, main: bytes = b"") -> str:
    """The text of a file: UTF-8, else what it or the main file declares, else Windows-1252.

    Without a declaration, each byte that is not UTF-8 is read as Windows-1252 or, where that has no
    character, as Latin-1. NULs, which TeX ignores, are removed; line ends become newlines.
    """
    return as_tex_reads(_decode(content, main))


def as_tex_reads(text: str) -> str:
    """The text without NULs, with newlines for all line ends."""
    if "\0" in text:
        text = text.replace("\0", "")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _decode(content: bytes, main: bytes) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    if b"\x1b$" in content and (text := _as_japanese(content, "iso2022_jp")):
        return text
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    for declaration in (first(_INPUTENC, file.decode("latin-1")) for file in (content, main)):
        if declaration is None:
            continue
        name = next(str(group) for group in declaration.groups() if group)
        name = name.split(",")[-1].strip().lower()
        try:
            if name in _CODECS or _CODEC.fullmatch(name):
                return content.decode(_CODECS.get(name, name))
        except (LookupError, UnicodeDecodeError):
            pass
        break
    if any(first(_PLATEX, file.decode("latin-1")) for file in (content, main)):
        text = _as_japanese(content, "euc_jp") or _as_japanese(content, "cp932")
        if text:
            return text
    return content.decode("utf-8-sig", errors="relama.cp1252")


def _as_japanese(content: bytes, codec: str) -> str:
    """The text, if the encoding gives one with kana."""
    try:
        text = content.decode(codec)
    except UnicodeDecodeError:
        return ""
    return text if _KANA.search(text) else ""


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    bad = error.object[error.start : error.end]
    return "".join(
        bytes([byte]).decode("cp1252" if byte not in _NOT_CP1252 else "latin-1") for byte in bad
    ), error.end


_NOT_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")
codecs.register_error("relama.cp1252", _as_cp1252)


def uncommented(pattern: re.Pattern, text: str) -> Iterator[re.Match]:
    """Matches outside comments, judged by the line that each is on. Linear in the text."""
    looked = 0  # how far the last match's line was searched
    is_comment = False
    for mark in pattern.finditer(text):
        line = text.rfind("\n", looked, mark.start()) + 1
        if line:
            looked, is_comment = line, False
        is_comment = is_comment or _PERCENT.search(text, looked, mark.start()) is not None
        looked = max(looked, mark.start())
        if not is_comment:
            yield mark


def first(pattern: re.Pattern, text: str) -> re.Match | None:
    return next(uncommented(pattern, text), None)
