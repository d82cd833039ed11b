"""Judges whether a template is part of a sentence, by the text on either side of it on its line."""

import re
from html import unescape

from data.sources.wikipedia.marks import APOSTROPHE, BREAK, END, GONE, HOLE, SOUND, SUB_END, SUP_END

_OPENING = f"([{{\"'«„“‘’-–—/*†~≈±+×$€£ \xa0{APOSTROPHE}"
_ENDING = ".!?;"
_FOLLOWING = ",.;:!?)]}»”“\"'’-–—([{/+%°=×…~≈±<>&$€£"  # characters of a sentence that may follow its words
_CLOSING = f".,!?:;)]}}»”%°{END}"
_MARKS = re.compile(f"[{SUP_END}{SUB_END}{BREAK}{GONE}{HOLE}{SOUND}]+")
_TAGS = re.compile(r"<[^<>]{1,200}>")
_LIST_MARKS = tuple("*#:;")
_LIST = " \t*#:;'"  # characters that may precede a line's first word
_SUBJECT = re.compile(r"[ \xa0](?:\([^()]*\)[ \xa0])?[—–-][ \xa0][^\W\d_]")  # Foxes (''Vulpes'') — animals


def continues_sentence(before: str, text: str, after: str) -> bool:
    """Whether the text is part of a sentence that has words before or after it.

    `before` and `after` are the rest of the line. A template right after a word or a period is a note.
    """
    before, after = unescape(before), unescape(_TAGS.sub("", after))
    left, right = before.lstrip(_LIST), after.lstrip(" \xa0'")
    begins_lower = right.lstrip("[")[:1].islower() and after[:1] in " \xa0'"
    if before.endswith("''") and after.startswith("''"):  # no note or box is in italics or bold
        return True
    if not any(map(str.isalnum, left)):
        if not before.strip(" '") and _is_subject(after):
            return any(map(str.isalpha, text))
        return begins_lower or (after[:1] == "," and any(map(str.isalpha, text)))
    if left[-1].isalpha():  # within a word, such as the mark of a stressed vowel
        return text.isalpha() and len(text) < 4 and after[:1].isalpha()
    if left[-1] not in _OPENING:
        return False
    if left.rstrip(" \xa0'")[-1:] in _ENDING and not in_brackets(before):
        return begins_lower or (before[:1] not in _LIST_MARKS and _is_subject(after))
    if not right:
        return _is_unfinished(before)
    return right[0].isalnum() or right[0] in _FOLLOWING


def _is_subject(after: str) -> bool:
    """Whether a definition follows: the template before ` — a word` is what the article is about."""
    subject = _SUBJECT.match(after.lstrip("'"))
    return bool(subject) and subject[0][-1].islower()


def is_repeated(text: str, after: str) -> bool:
    """Whether the next words say the text again, as they do after a flag: {{X|Peru}} [[Peru]]."""
    following = after.replace("&nbsp;", " ").lstrip(" \xa0'").removeprefix("[[")
    is_name = text[:1].isupper() and following.startswith(text)
    return is_name and not following[len(text) : len(text) + 1].isalnum()


def _is_unfinished(line: str) -> bool:
    """Whether a line, which is no item of a list, needs one more word: `He was born in the town of `."""
    *words, last = line.split()
    return line[:1] not in _LIST_MARKS and len(words) > 2 and (last[-1] == "," or last[-1:].islower())


def follows_word(before: str) -> bool:
    """Whether this text ends in a word or a sign and no space, so that a note would be attached to it."""
    left = _MARKS.sub("", before)
    left = left.rstrip("'") if left.endswith("''") else left  # the end of italics
    return bool(left) and (left[-1].isalnum() or left[-1] in _CLOSING)


def is_joined(left: str, right: str) -> bool:
    """Whether only a note that was dropped separated two sentences or clauses: `It fell.[1]Then`."""
    last, following = left[-1:], right.lstrip("['")[:1]
    return following.isupper() if last == "." else following.isalpha() and last in tuple(",;:!?)")


def in_brackets(before: str) -> bool:
    """Whether a bracket is open at the end of this text."""
    return before.rfind("(") > before.rfind(")")
