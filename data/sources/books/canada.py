"""Books by Canadian volunteers: Faded Page (Distributed Proofreaders Canada) and Project Gutenberg Canada.

In: a file as text. Out: the book, and the header above it. Such a header has no START mark; it consists of
the paragraphs at the top about the file, and its fields (`_Title:_`, `Title:`). `[The end of …]` closes the
book.
"""

import re

HEAD = 4000  # a header names its makers within this many characters
_PARAGRAPHS = 40  # most paragraphs of a header
_NOTES = 3000  # most characters of notes below the closing line

_MAKERS = re.compile(
    r"distributed proofreaders canada e-?book|faded page e-?book\s*#\s*\d|project gutenberg canada e-?book"
    r"|livre électronique d[eu] (?:distributed proofreaders|proje[ct]t? gutenberg|faded page) canada",
    re.IGNORECASE,
)
_FIELD = (
    r"(?:(?:sub-?)?titles?|authors?|illustrators?|translators?|editors?|contributors?|photographers?|series"
    r"|publishers?|volumes?|language|(?:place and )?dates? [\w ]{2,40}|edition [\w ]{2,40}"
    r"|(?:sous-)?titre|auteure?s?|traduct(?:eur|rice)s?|illustrat(?:eur|rice)s?|édit(?:eur|rice)s?|langue|collection"
    r"|(?:lieu et )?date [\w’' ]{2,90}|édition [\w’' ]{2,60}|dernière [\w ]{2,40})\b[^:\n]{0,60}:"
)
_HEADER = re.compile(
    r"[\s=*_\[]*(?:(?:an?\s|the\s)?(?:distributed proofreaders canada|faded page|project gutenberg canada)"
    r"\se-?book"
    r"|this e-?(?:book|text)\s+(?:is|was|has been)\s+(?:made|produced|prepared|transcribed)"
    r"|this\s+work\s+is\s+in\s+the\s+canadian\s+public\s+domain|if\s+you\s+live\s+outside\s+canada"
    r"|livre\s+électronique\s+d[eu]\s|(?:le\s+présent|ce)\s+livre\s+électronique\s+(?:est|a\s+été)\s"
    r"|cette\s+(?:oeuvre|œuvre)\s+appartient\s+au\s+domaine\s+public|si\s+vous\s+(?:habitez|résidez|vivez)\s+(?:hors|à\s+l['’]ext)"
    r"|if\s+the\s+book\s+is\s+under\s+copyright|thousands\s+more\s+free|produced\s+by\s"
    rf"|{_FIELD})",
    re.IGNORECASE,
)
_PARAGRAPH = re.compile(r"(?:[ \t\f]*+\n)*+(?P<text>(?:[ \t\f]*+\S[^\n]*+\n?)++)")
_END = re.compile(
    r"^[ \t]*\[[\s_]*(?:(?:the\s+)?end\s+of|fin\s+d[eu]s?)\s[^\]]{1,300}\][ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)


def split(text: str) -> tuple[str, str] | None:
    """The book and its header, without emphasis marks; None if it has no such header."""
    if not _MAKERS.search(text, 0, HEAD):
        return None
    start = 0
    for _ in range(_PARAGRAPHS):
        found = _PARAGRAPH.match(text, start)
        if found is None or not _HEADER.match(found["text"]):
            break
        start = found.end()
    if not _MAKERS.search(text, 0, start):
        return None
    end = len(text)
    for closing in _END.finditer(text, start):
        if len(text[closing.end() :].strip()) <= _NOTES:
            end = closing.start()
            break
    return text[start:end], text[:start].replace("_", "")
