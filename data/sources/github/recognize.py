"""Recognizes the license that a text grants: a license file, or the notice at the top of a source file.

In: text. Out: an SPDX expression in lower case ("mit", "apache-2.0 OR mit", "mit AND unknown"). A license is
recognized by the phrases that grant its rights. Further text counts against it: another license's name is
joined by AND, and so is `unknown` for conditions that are not in the license's own text.
"""

import re
from functools import cache
from itertools import islice
from pathlib import Path

from data.sources.github.conditions import (
    has_conditions,
    has_foreign_conditions,
    is_proprietary,
    without_grant,
)
from data.sources.github.names import (
    ADDRESS,
    ANY_NAME,
    NAME,
    is_as_others,
    is_changed,
    named,
    named_by_address,
    names_unknown,
)
from data.sources.github.plain_form import bare, plain_form

UNKNOWN = "unknown"
_TEXTS = Path(__file__).parent / "texts"  # the licenses' own, as in the SPDX list
_GRAM = 5  # consecutive words that must match a known text
_MAX_TAG = 1000  # most characters of a license file that only holds an SPDX tag
_MAX_STATEMENT = 80  # most words of a license file that only names its license

# For each license, phrases that must all occur and phrases that must not, in plain form.
_BSD = (  # with the freedom that authors take
    re.compile(
        r"\bredistributions? (?:of this software (?:and documentation )?)?and use (?:of this software )?"
        r"in source and binary forms?\b"
    ),
    re.compile(r"\bwith or without modification (?:is|are) permitted\b"),
    re.compile(
        r"\bredistributions? (?:of|in) source code (?:form )?must (?:retain|include|reproduce) "
        r"(?:the (?:above )?|any existing )copyright notices?\b"
    ),
    re.compile(
        r"\bredistributions? in (?:binary|bytecode) forms? must (?:retain|include|reproduce) "
        r"(?:the (?:above )?|any existing )copyright notices?\b"
    ),
)
_ENDORSE = "to endorse or promote products derived from this software"
_ADVERTISE = "all advertising materials mentioning features or use of this software"
_MIT_BEGINS = "permission is hereby granted free of charge to any person obtaining a copy of this software"
# All of MIT's rights, of which some texts take one away; others only lack or misspell "sublicense".
_MIT_RIGHTS = re.compile(
    r"\bto use copy modify merge publish dis ?tribute "
    r"(?:(?:and|or|andor|distribute|with|modifications|sublice\w*) ){1,6}sell cop(?:y|ies)\b"
)
_MIT_DENIES = re.compile(
    r"\bno permission is hereby\b|\bbut not sell\b|\b(?:with|little) restriction including\b"
)
_SENTENCE = re.compile(r"[.;](?=\s)")
_KNOWN: dict[str, tuple[tuple[str | re.Pattern[str], ...], tuple[str, ...]]] = {
    "psf-2.0": (("python software foundation license version 2",), ()),
    "mit": (
        (
            _MIT_BEGINS,
            "the above copyright notice and this permission notice",
        ),
        (),
    ),
    "bsd-2-clause": (_BSD, (_ENDORSE, _ADVERTISE)),
    "bsd-3-clause": ((*_BSD, _ENDORSE), (_ADVERTISE,)),
    "bsd-4-clause": ((*_BSD, _ADVERTISE), ()),
    "apache-2.0": (("version 2.0 january 2004", "terms and conditions for use"), ()),
    "isc": (("permission to use copy modify and or distribute this software", "provided that the above"), ()),
    "mpl-2.0": (("mozilla public license version 2.0", "covered software"), ()),
    "agpl-3.0": (("gnu affero general public license version 3 19 november 2007",), ()),
    "lgpl-3.0": (("gnu lesser general public license version 3 29 june 2007",), ()),
    "lgpl-2.1": (("gnu lesser general public license version 2.1 february 1999",), ()),
    "gpl-3.0": (("gnu general public license version 3 29 june 2007",), ()),
    "gpl-2.0": (("gnu general public license version 2 june 1991",), ()),
    "commons-clause": (("commons clause",), ()),
    "zlib": (("permission is granted to anyone to use this software for any purpose",), ()),
    "hpnd": (("this software and its documentation for any purpose", "hereby granted"), ()),
    "unlicense": (("this is free and unencumbered software released into the public domain",), ()),
    "cc": (("creative commons",), ()),
}
_TEXT_OF = {name: name for name in ("mit", "bsd-3-clause", "apache-2.0", "isc")} | {
    "bsd-2-clause": "bsd-3-clause"
}
_MORE_TEXTS = (("apache", "apache-2.0"), ("llvm", "llvm-exception"))  # also known texts, if the word occurs
_GRANTED = re.compile(
    r"\b(?:licensed|released|distributed|provided|available|covered|published|offered|governed|redistribute"
    r"|modify|copied|used?|subject|contributed)(?: \w+){0,6} (?:under|by|with|to)\b"
    r"|\bunder (?:the )?(?:terms|conditions|provisions)\b|\blicense (?:is )?"
)
_OR_LATER = re.compile(
    r"(?:either )?version [\d.]+ (?:of the license )?or (?:at your option )?any later version"
)
_CHOICE = re.compile(
    r"\beither (?:of|the|under|license|one)\b|\bunder (?:the terms of )?either\b"
    r"|\bat your (?:option|choice|discretion)\b|\byour (?:own )?(?:choice|choosing)\b"
    r"|\b(?:dual|triple|multi)(?:ly)? (?:\w+ ){0,3}?licens\w+|\bchoice (?:of|between)\b|\balternatively\b"
    r"|\bmay (?:choose|select|pick)\b|\b(?:choose|select|pick) (?:\w+ ){0,5}?(?:licens\w+|terms)\b"
    r"|\b(?:any|one) (?:one )?of (?:the |these )?(?:two |three |following |above )*licenses\b"
)
_OF_TWO = re.compile(  # without more, a choice only if these are all that a text names
    rf"(?<!similar to )(?<!similar to the )(?<!like the )\b(?:{ANY_NAME})(?: [\w.]+){{0,3}}? or "
    rf"(?:the |an? )?(?:{ANY_NAME})\b"
)
_OTHER_LICENSE = re.compile(
    r"\b(?!(?:the|this|an?|your|of|following|each|both|either|see|file|permissive|source|open|free"
    r"|software|same|above"
    r"|project|md|txt|dual|or|and|under|is|in|which|style|own|these|their|its|full|compatible|version"
    r"|name|by|licenses?|licensed)\b)"
    r"[a-z]\w* licenses?\b"
)
_SPDX_MARK = r"SPDX-License-Identifier:"
_SPDX = re.compile(
    rf"{_SPDX_MARK}[ \t]*+("
    rf"(?:(?!-->|#}}|{_SPDX_MARK})[^\n* \t])++(?:[ \t]++(?:(?!-->|#}}|{_SPDX_MARK})[^\n* \t])++)*|(?<=[ \t])"
    rf")[ \t]*+(?:\*/|-->|#}}|\*\)|$|(?={_SPDX_MARK}))",
    re.IGNORECASE | re.MULTILINE,
)

_ASSIGNED = re.compile(r"^__licen[cs]e__\s*=\s*['\"]{1,3}([^'\"\n]{1,100})['\"]", re.MULTILINE)
# A page or file called license at an address (`https://` or not), or beside a file: app.js.LICENSE.txt.
_LICENSE_ADDRESS = re.compile(
    r"(?:https?://|(?<![\w./-])(?=[\w-]{1,63}(?:\.[\w-]{1,63}){1,5}/))[^\s/]++(?:/[^\s/]++){0,20}?"
    r"/licen[cs]e[^\s/]{0,20}/?(?![^\s)>\]])"
    r"|(?<![\w./-])[\w-]{1,60}(?:\.[\w-]{1,60}){1,5}\.licen[cs]e\.txt\b",
    re.IGNORECASE,
)
# Words around the name in a file that says nothing more than a license's name.
_BESIDE_NAME = re.compile(
    r"(?:the|this|is|a|an|of|and|or|see|at|for|text|file|project|software|code|copyright|c|version|v|terms|full"
    r"|licensed?|licenses|spdx|identifier|\d[\d.]*)"
)
_MAX_NAME = 15  # most words beside the name in such a file
# Headings above the licenses of third-party software that comes with the project.
_BUNDLED = re.compile(
    r"^[^\w\n]{0,20}(?:"
    r"(?:(?:licenses?|notices?|terms) (?:for|of) )?(?:(?:other|included|bundled) )?(?:third|3rd)[- ]party"
    r"(?: (?:and|or) \w+)?(?:[- ](?:software|components?|licen[cs]es?|librar(?:y|ies)|notices?|code"
    r"|dependencies|materials?|attributions?|packages?))+\b[^\n]{0,60}$"
    r"|(?:\w+ ){0,4}(?:subcomponents|bundled (?:software|components|libraries|dependencies|licen[cs]es))"
    r"[^\w\n]{0,20}$"
    r"|(?:this|the) [\w -]{1,60}?(?:bundles|includes|contains|uses|depends on|ships with|redistributes)"
    r"(?: \w+){0,3} (?:third|3rd)[- ]party\b)",
    re.IGNORECASE | re.MULTILINE,
)
# Code that became part of this project; if it is under copyleft, so are some of the project's files.
_INCORPORATED = re.compile(r"\b(?:includes|contains)\b", re.IGNORECASE)
_COPYLEFT = re.compile(r"\b(?:affero|lesser|gnu)\s+(?:general\s+)?public\s+license\b", re.IGNORECASE)
_MAX_HEADINGS = 5  # look at this many
_COPYRIGHT = re.compile(
    r"^[ \t\W]{0,200}(?:portions )?(?:copyright|\(c\)|©|&copy;|authors?:|written by)[^\n]*$",
    re.IGNORECASE | re.MULTILINE,
)
_LONG_WORD = re.compile(r"[a-z0-9]{4,}")


def recognize(text: str) -> str:
    """The license that a license file's text grants, or `unknown`."""
    if len(text) < _MAX_TAG and (tags := tagged(text)) and _only_names(bare(_SPDX.sub("", text))):
        return tags
    text = bare(ADDRESS.sub(r" \1 \2 ", _without_bundled(text)))
    plain = plain_form(text)
    found = _found(plain)
    sentences = [] if found else [plain_form(sentence) for sentence in _SENTENCE.split(text)]
    if _is_altered(plain, sentences):
        return UNKNOWN
    if "psf-2.0" in found:  # Python's file has the history of its licenses; this one governs
        return "psf-2.0"
    if any(name not in _TEXT_OF for name in found):
        return (" OR " if _offers(plain, found) else " AND ").join(found)
    texts = {_TEXT_OF[name] for name in found} | {name for word, name in _MORE_TEXTS if word in plain}
    rest = _rest(plain_form(_COPYRIGHT.sub("", text)).split(), texts)
    others = named(" . ".join(rest) if found else plain)
    if not found and not _only_states(plain, rest) and not _only_names(text):
        return UNKNOWN
    names = {"bsd-3-clause" if name == "bsd" else name for name in others} | {*found}
    if "bsd" in others and any(name.startswith("bsd-") for name in found):
        names -= {"bsd-3-clause"} - {*found}
    if not names:
        return UNKNOWN
    joined = (" OR " if len(names) > 1 and _is_choice(plain) else " AND ").join(sorted(names))
    if any(has_conditions(_CHOICE.sub("", run)) for run in rest) or has_foreign_conditions(text):
        return f"({joined}) AND {UNKNOWN}" if " OR " in joined else f"{joined} AND {UNKNOWN}"
    return joined


def _offers(plain: str, found: list[str]) -> bool:
    """Whether the words above several licenses' texts leave a choice between them, without conditions."""
    begins = {name: _begin(name, plain) for name in found}
    preamble = plain[: min(begins.values())]
    families = {name.partition("-")[0] for name in named(preamble)}
    if not _is_choice(preamble) or families != {name.partition("-")[0] for name in found}:
        return False
    others = [begin for name, begin in begins.items() if name not in _TEXT_OF]
    texts = {_TEXT_OF[name] for name in found if name in _TEXT_OF}
    # Below another license's text, its own conditions cannot be told from further ones.
    rest = _rest(plain[: min(others)].split(), texts)
    return not any(has_conditions(_CHOICE.sub("", run)) for run in rest)


def _begin(name: str, plain: str) -> int:
    """Where a license that the plain text contains begins."""
    phrase = _KNOWN[name][0][0]
    found = None if isinstance(phrase, str) else phrase.search(plain)
    return found.start() if found else plain.find(str(phrase))


def _without_bundled(text: str) -> str:
    """The text without what follows a complete license but only concerns bundled software."""
    for heading in islice(_BUNDLED.finditer(text), _MAX_HEADINGS):
        found = _found(plain_form(bare(text[: heading.start()])))
        if found and _INCORPORATED.search(heading[0]) and _COPYLEFT.search(text, heading.start()):
            return text
        if found:
            return text[: heading.start()] if all(name in _TEXT_OF for name in found) else text
    return text


def _only_states(plain: str, rest: list[str]) -> bool:
    """Whether a text that contains no license's text only grants licenses by their names."""
    short = sum(len(run.split()) for run in rest) <= _MAX_STATEMENT
    return short and bool(_GRANTED.search(plain)) and not _OTHER_LICENSE.search(NAME.sub("the", plain))


def _only_names(text: str) -> bool:
    """Whether a text is nothing but a license's name, perhaps with a copyright line."""
    words = NAME.sub("", plain_form(_COPYRIGHT.sub("", text))).split()
    return len(words) <= _MAX_NAME and all(map(_BESIDE_NAME.fullmatch, words))


def notice_license(notice: str, repository: str = "") -> str:
    """The license that a source file's own notice names, or "" if it names none.

    Contains `unknown` if the notice names an unknown license, changes one, or sets conditions in a foreign
    language or, if it names no license, sets other conditions or points to another project's license.
    """
    if tags := tagged(notice):
        return tags
    text = bare(notice)
    plain, sentences = plain_form(text), [plain_form(sentence) for sentence in _SENTENCE.split(text)]
    called = named(plain)
    names = {*_found(plain), *called}
    families = {name.partition("-")[0] for name in names}
    is_choice = _is_choice(plain) or (len(families) == 2 and _OF_TWO.search(plain) is not None)
    is_secret = any(map(is_proprietary, sentences))
    if is_choice and "bsd" in names and len(names) > 1 and not any(name.startswith("bsd-") for name in names):
        names.add("bsd-3-clause")
    names -= {"bsd"}
    if names_unknown(text) or has_foreign_conditions(notice):
        names.add(UNKNOWN)
    if not names and not called and not is_secret:
        names = named_by_address(notice)
        own = {"", *_LONG_WORD.findall(repository.lower())}
        is_elsewhere = not names and _is_elsewhere(notice, repository)
        if _has_own_conditions(plain) or is_elsewhere or is_as_others(text, own):
            names.add(UNKNOWN)
    joined = (" OR " if len(names) > 1 and is_choice else " AND ").join(sorted(names))
    if is_secret:
        return f"({joined}) AND proprietary" if joined else "proprietary"
    return f"({joined}) AND {UNKNOWN}" if joined and _is_altered(plain, sentences) else joined


def _is_altered(plain: str, sentences: list[str]) -> bool:
    """Whether a text changes the words or the meaning of a license that it names."""
    if _MIT_BEGINS in plain:
        lacks_a_right = " rights to " in plain and _MIT_RIGHTS.search(plain) is None
        if lacks_a_right or _MIT_DENIES.search(plain):
            return True
    return any(map(is_changed, sentences))


def _has_own_conditions(plain: str) -> bool:
    """Whether a notice sets conditions in words that no known license text contains."""
    if not has_conditions(plain):
        return False
    return any(has_conditions(without_grant(run)) for run in _rest(plain.split(), {*_TEXT_OF.values()}))


def _is_elsewhere(notice: str, repository: str) -> bool:
    """Whether a notice gives the address of a license that names neither this repository nor its owner."""
    own = {*_LONG_WORD.findall(repository.lower())}
    return any(
        own.isdisjoint(_LONG_WORD.findall(found[0].lower())) for found in _LICENSE_ADDRESS.finditer(notice)
    )


def assigned_license(text: str) -> str:
    """The license that a Python file names in `__license__`, or ""."""
    found = _ASSIGNED.search(text)
    return " AND ".join(sorted(named(plain_form(found[1])) - {"bsd"})) if found else ""


def tagged(text: str) -> str:
    """The SPDX expression of a file's tags, or ""."""
    tags = [tag.strip(" \t'\"") for tag in _SPDX.findall(text)]
    # A slash leaves a choice, as in Rust's older manifests.
    choices = (" or ".join(one.strip(" ") for one in tag.lower().split("/")) for tag in dict.fromkeys(tags))
    return " AND ".join(f"({choice})" for choice in choices)


def leaves_choice(text: str) -> bool:
    """Whether a text contains no license's text but leaves a choice between several licenses."""
    plain = plain_form(bare(text))
    return not _found(plain) and _is_choice(plain)


def _is_choice(plain: str) -> bool:
    """Whether a text leaves a choice between licenses, beyond the GPL's own `or any later version`."""
    return _CHOICE.search(_OR_LATER.sub("", plain)) is not None


def _found(plain: str) -> list[str]:
    """The licenses with all their granting phrases in the text, and none of the barred ones."""
    return [
        name
        for name, (needed, barred) in _KNOWN.items()
        if all(_occurs(phrase, plain) for phrase in needed) and not any(phrase in plain for phrase in barred)
    ]


def _occurs(phrase: str | re.Pattern[str], plain: str) -> bool:
    return phrase in plain if isinstance(phrase, str) else phrase.search(plain) is not None


@cache
def _grams(name: str) -> frozenset[tuple[str, ...]]:
    words = plain_form(bare((_TEXTS / f"{name}.txt").read_text())).split()
    return frozenset(zip(*(words[start:] for start in range(_GRAM))))


def _rest(words: list[str], texts: set[str]) -> list[str]:
    """The stretches of words that occur in none of the licenses' texts."""
    grams = frozenset().union(*map(_grams, texts))
    known = [False] * len(words)
    for start, gram in enumerate(zip(*(words[start:] for start in range(_GRAM)))):
        if gram in grams:
            known[start : start + _GRAM] = [True] * _GRAM
    runs: list[list[str]] = [[]]
    for word, is_known in zip(words, known):
        if not is_known:
            runs[-1].append(word)
        elif runs[-1]:
            runs.append([])
    return [" ".join(run) for run in runs if run]
