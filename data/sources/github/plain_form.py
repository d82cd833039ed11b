"""License texts and notices without comment marks, and as words alone, so that they can be compared."""

import re

_MARK = re.compile(r"^(?:[^\w(©&\n]+|dnl\b|@?rem\b)", re.IGNORECASE | re.MULTILINE)
_BULLET = re.compile(r"^[ \t]*[(\[]?(?:\d{1,2}|[a-h]|[ivx]{1,4})[.)\]](?=\s)", re.IGNORECASE | re.MULTILINE)
_TAG = re.compile(r"https?://\S+|<[\w.-]+@[\w.-]+>|</?[a-z][a-z0-9]{0,9}(?:\s[^>\n]{0,80})?>", re.IGNORECASE)
_WORD = re.compile(r"[a-z0-9]+(?:\.\d+)*")
_SPELLINGS = (
    ("licence", "license"),
    ("lisence", "license"),
    ("lisense", "license"),
    ("sub license", "sublicense"),
)


def bare(text: str) -> str:
    """The text without comment marks, bullets, tags and addresses."""
    text = _MARK.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _TAG.sub(" ", _BULLET.sub("", _MARK.sub("", text)))


def plain_form(text: str) -> str:
    """The text's words in lower case and one spelling, joined by single spaces."""
    plain = " ".join(_WORD.findall(text.lower()))
    for other, spelling in _SPELLINGS:
        plain = plain.replace(other, spelling)
    return plain
