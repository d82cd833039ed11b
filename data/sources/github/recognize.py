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

UNKNOWN = "unknown"
_TEXTS = Path(__file__).parent / "texts"  # the licenses' own, as in the SPDX list
_GRAM = 5  # consecutive words that must match a known text
_MAX_TAG = 1000  # most characters of a license file that only holds an SPDX tag
_MAX_STATEMENT = 80  # most words of a license file that only names its license

# For each license, phrases that must all occur and phrases that must not, in the form that `_plain` gives.
_BSD = (
    "redistribution and use in source and binary forms",
    "with or without modification are permitted",
    "redistributions of source code must retain the above copyright notice",
    "redistributions in binary form must reproduce the above copyright notice",
)
_ENDORSE = "to endorse or promote products derived from this software"
_ADVERTISE = "all advertising materials mentioning features or use of this software"
_KNOWN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "psf-2.0": (("python software foundation license version 2",), ()),
    "mit": (
        (
            "permission is hereby granted free of charge to any person obtaining a copy of this software",
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
# Licenses by the names that people write; if two match at the same place, the first counts. `{}`: a version.
_NAMES = (
    ("agpl-{}", r"affero general public license|agpl(?:v?\d(?:\.\d)?)?"),
    ("lgpl-{}", r"(?:lesser|library) general public license|lesser gpl|lgpl(?:v?\d(?:\.\d)?)?"),
    ("gpl-{}", r"general public license|gnu public license|gpl(?:v?\d(?:\.\d)?)?"),
    ("mpl-{}", r"mozilla public license|mpl(?:v?\d(?:\.\d)?)?"),
    ("bsd-4-clause", r"bsd 4 clause|(?:4|four) clause bsd|original bsd"),
    ("bsd-2-clause", r"bsd 2 clause|(?:2|two) clause bsd|simplified bsd|freebsd license"),
    ("bsd-3-clause", r"bsd 3 clause|(?:3|three) clause bsd|(?:new|modified|revised) bsd"),
    ("bsd-protection", r"bsd protection license"),
    ("bsd", r"bsd"),
    ("apache-1.1", r"apache(?: software)?(?: license)?(?: v| version)? ?1(?:\.[01])?"),
    (
        "apache-2.0",
        r"(?:apache|asl)(?: software)?(?: license)?(?: v| version)? ?2(?:\.0)?|apache(?: license)?",
    ),
    ("mit-0", r"mit 0|mit no attribution"),
    ("mit", r"mit|expat license|x11 license"),
    ("isc", r"isc license"),
    ("zlib", r"zlib license"),
    ("bsl-1.0", r"boost software license"),
    ("psf-2.0", r"python software foundation license|psf license"),
    ("cc0-1.0", r"cc0"),
    ("cc", r"creative commons|cc by(?: nc| nd| sa)*"),
    ("unlicense", r"unlicense"),
    ("commons-clause", r"commons clause"),
    ("busl-1.1", r"business source license|busl|bsl 1.1"),
    ("fsl-1.1", r"functional source license|fsl 1.1"),
    ("sspl-1.0", r"server side public license|sspl"),
    ("elastic-2.0", r"elastic license"),
    ("polyform", r"polyform"),
    ("epl-{}", r"eclipse public license|epl"),
    ("cddl-1.0", r"common development and distribution license|cddl"),
    ("artistic-2.0", r"artistic license"),
    ("artistic-1.0-perl", r"(?:same|license) terms as perl"),
    ("eupl-1.2", r"european union public license|eupl"),
    ("cecill-2.1", r"cecill"),
    ("ms-pl", r"microsoft (?:public|reciprocal|limited public|permissive) license|ms pl"),
    ("lppl-1.3c", r"latex project public license|lppl"),
    ("ncsa", r"university of illinois(?: ncsa)? open source license|ncsa open source license"),
    ("ofl-1.1", r"sil open font license"),
    ("cpl-1.0", r"common public license"),
    ("osl-3.0", r"open software license"),
    ("afl-3.0", r"academic free license"),
    ("json", r"json license"),
    ("wtfpl", r"wtfpl|do what the fuck you want to"),
)
_NAME = re.compile(rf"\b(?:{'|'.join(f'(?P<n{i}>{pattern})' for i, (_, pattern) in enumerate(_NAMES))})\b")
_VERSION = re.compile(r"(?:\w+ ){0,12}?(?:version |v ?|[al]?gpl ?v?|mpl ?|epl ?)(\d(?:\.\d)?)\b")
_GRANTED = re.compile(
    r"\b(?:licensed|released|distributed|provided|available|covered|published|offered|governed|redistribute"
    r"|modify|copied|used?|subject|contributed)(?: \w+){0,6} (?:under|by|with|to)\b"
    r"|\bunder (?:the )?(?:terms|conditions|provisions)\b|\blicense (?:is )?"
)
_OR_LATER = re.compile(
    r"(?:either )?version [\d.]+ (?:of the license )?or (?:at your option )?any later version"
)
_CHOICE = re.compile(
    r"\beither (?:of|the|license|one)\b|\bunder (?:the terms of )?either\b|\bat your (?:option|choice"
    r"|discretion)\b"
    r"|\byour (?:own )?(?:choice|choosing)\b|\bdual(?:ly)? licensed\b|\bmay (?:choose|select|pick)\b"
    r"|\balternatively\b"
)
_OTHER_LICENSE = re.compile(
    r"\b(?!(?:the|this|an?|your|of|following|each|both|either|see|file|permissive|source|open|free"
    r"|software|same|above"
    r"|project|md|txt|dual|or|and|under|is|in|which|style|own|these|their|its|full|compatible|version"
    r"|name|by|licenses?|licensed)\b)"
    r"[a-z]\w* licenses?\b"
)
# A license that a notice names in capitals, and words that name none.
_UNDER = re.compile(
    r"\b[Uu]nder\s+(?:the\s+)?(?:terms\s+(?:and\s+conditions\s+)?of\s+(?:the\s+)?)?"
    r"((?:[A-Z][\w.+-]*\s+){1,4})[Ll]icen[cs]e\b"
)
_NO_NAME = re.compile(
    r"(?:the|this|a|an|open|source|free|software|permissive|project|same|accompanying|file|general|following)"
)
_SPDX_MARK = r"SPDX-License-Identifier:"
_SPDX = re.compile(
    rf"{_SPDX_MARK}[ \t]*+("
    rf"(?:(?!-->|#}}|{_SPDX_MARK})[^\n* \t])++(?:[ \t]++(?:(?!-->|#}}|{_SPDX_MARK})[^\n* \t])++)*|(?<=[ \t])"
    rf")[ \t]*+(?:\*/|-->|#}}|\*\)|$|(?={_SPDX_MARK}))",
    re.IGNORECASE | re.MULTILINE,
)

_ASSIGNED = re.compile(r"^__licen[cs]e__\s*=\s*['\"]{1,3}([^'\"\n]{1,100})['\"]", re.MULTILINE)
_MARK = re.compile(r"^(?:[^\w(©&\n]+|dnl\b|@?rem\b)", re.IGNORECASE | re.MULTILINE)
# The addresses of license texts; the last part names the license.
_ADDRESS = re.compile(
    r"https?://(?:www\.)?(?:(?:opensource|spdx)\.org/licenses?/(?:licenses/)?|(apache)\.org/licenses/license-"
    r"|choosealicense\.com/licenses/)([\w-]++(?:\.\d++)*)(?:\.(?:txt|html|php))?/?",
    re.IGNORECASE,
)
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
_BULLET = re.compile(r"^[ \t]*[(\[]?(?:\d{1,2}|[a-h]|[ivx]{1,4})[.)\]](?=\s)", re.IGNORECASE | re.MULTILINE)
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
_TAG = re.compile(r"https?://\S+|<[\w.-]+@[\w.-]+>|</?[a-z][a-z0-9]{0,9}(?:\s[^>\n]{0,80})?>", re.IGNORECASE)
_WORD = re.compile(r"[a-z0-9]+(?:\.\d+)*")
_LONG_WORD = re.compile(r"[a-z0-9]{4,}")


def recognize(text: str) -> str:
    """The license that a license file's text grants, or `unknown`."""
    if len(text) < _MAX_TAG and (tags := tagged(text)) and _only_names(_bare(_SPDX.sub("", text))):
        return tags
    text = _bare(_ADDRESS.sub(r" \1 \2 ", _without_bundled(text)))
    plain = _plain(text)
    found = _found(plain)
    if "psf-2.0" in found:  # Python's file has the history of its licenses; this one governs
        return "psf-2.0"
    if any(name not in _TEXT_OF for name in found):
        return " AND ".join(found)
    texts = {_TEXT_OF[name] for name in found} | {name for word, name in _MORE_TEXTS if word in plain}
    rest = _rest(_plain(_COPYRIGHT.sub("", text)).split(), texts)
    named = _named(" . ".join(rest) if found else plain)
    if not found and not _only_states(plain, rest) and not _only_names(text):
        return UNKNOWN
    names = {"bsd-3-clause" if name == "bsd" else name for name in named} | {*found}
    if "bsd" in named and any(name.startswith("bsd-") for name in found):
        names -= {"bsd-3-clause"} - {*found}
    if not names:
        return UNKNOWN
    joined = (" OR " if len(names) > 1 and _is_choice(plain) else " AND ").join(sorted(names))
    if any(has_conditions(_CHOICE.sub("", run)) for run in rest) or has_foreign_conditions(text):
        return f"({joined}) AND {UNKNOWN}" if " OR " in joined else f"{joined} AND {UNKNOWN}"
    return joined


def _without_bundled(text: str) -> str:
    """The text without what follows a complete license but only concerns bundled software."""
    for heading in islice(_BUNDLED.finditer(text), _MAX_HEADINGS):
        found = _found(_plain(_bare(text[: heading.start()])))
        if found and _INCORPORATED.search(heading[0]) and _COPYLEFT.search(text, heading.start()):
            return text
        if found:
            return text[: heading.start()] if all(name in _TEXT_OF for name in found) else text
    return text


def _only_states(plain: str, rest: list[str]) -> bool:
    """Whether a text that contains no license's text only grants licenses by their names."""
    short = sum(len(run.split()) for run in rest) <= _MAX_STATEMENT
    return short and bool(_GRANTED.search(plain)) and not _OTHER_LICENSE.search(_NAME.sub("the", plain))


def _only_names(text: str) -> bool:
    """Whether a text is nothing but a license's name, perhaps with a copyright line."""
    words = _NAME.sub("", _plain(_COPYRIGHT.sub("", text))).split()
    return len(words) <= _MAX_NAME and all(map(_BESIDE_NAME.fullmatch, words))


def notice_license(notice: str, repository: str = "") -> str:
    """The license that a source file's own notice names, or "" if it names none.

    Contains `unknown` if the notice names an unknown license or sets conditions in a foreign language or, if
    it names no license, sets other conditions or links to a license outside this repository.
    """
    if tags := tagged(notice):
        return tags
    plain = _plain(_bare(notice))
    names = {*_found(plain), *_named(plain)} - {"bsd"}
    sentences = [_plain(sentence) for sentence in re.split(r"[.;](?=\s)", _bare(notice))]
    if any(map(is_proprietary, sentences)):
        names.add("proprietary")
    if any(map(_is_unknown_name, _UNDER.findall(_bare(notice)))) or has_foreign_conditions(notice):
        names.add(UNKNOWN)
    is_nameless = not names and not _named(plain)
    if is_nameless and (_has_own_conditions(plain) or _is_elsewhere(notice, repository)):
        names.add(UNKNOWN)
    return (" OR " if len(names) > 1 and _is_choice(plain) else " AND ").join(sorted(names))


def _is_unknown_name(name: str) -> bool:
    """Whether a license's name is none of the known ones."""
    plain = _plain(f"{name} license")
    return not _named(plain) and not all(map(_NO_NAME.fullmatch, plain.split()[:-1]))


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
    return " AND ".join(sorted(_named(_plain(found[1])) - {"bsd"})) if found else ""


def tagged(text: str) -> str:
    """The SPDX expression of a file's tags, or ""."""
    tags = [tag.strip(" \t'\"") for tag in _SPDX.findall(text)]
    # A slash leaves a choice, as in Rust's older manifests.
    choices = (" or ".join(one.strip(" ") for one in tag.lower().split("/")) for tag in dict.fromkeys(tags))
    return " AND ".join(f"({choice})" for choice in choices)


def leaves_choice(text: str) -> bool:
    """Whether a text contains no license's text but leaves a choice between several licenses."""
    plain = _plain(_bare(text))
    return not _found(plain) and _is_choice(plain)


def _is_choice(plain: str) -> bool:
    """Whether a text leaves a choice between licenses, beyond the GPL's own `or any later version`."""
    return _CHOICE.search(_OR_LATER.sub("", plain)) is not None


def _found(plain: str) -> list[str]:
    """The licenses with all their granting phrases in the text, and none of the barred ones."""
    return [
        name
        for name, (needed, barred) in _KNOWN.items()
        if all(phrase in plain for phrase in needed) and not any(phrase in plain for phrase in barred)
    ]


def _named(plain: str) -> set[str]:
    names = set()
    for match in _NAME.finditer(plain.replace("gpl compatible", "")):
        name = _NAMES[int((match.lastgroup or "n0")[1:])][0]
        if "{}" in name:
            version = _VERSION.match(match[0] + match.string[match.end() : match.end() + 100])
            number = version[1] if version else ""
            name = name.replace("-{}", f"-{number}" + (".0" if len(number) == 1 else "") if number else "")
        names.add(name)
    return names


def _bare(text: str) -> str:
    """The text without comment marks, bullets, tags and addresses."""
    text = _MARK.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _TAG.sub(" ", _BULLET.sub("", _MARK.sub("", text)))


def _plain(text: str) -> str:
    """The text's words in lower case and one spelling, joined by single spaces."""
    return (
        " ".join(_WORD.findall(text.lower()))
        .replace("licence", "license")
        .replace("sub license", "sublicense")
    )


@cache
def _grams(name: str) -> frozenset[tuple[str, ...]]:
    words = _plain(_bare((_TEXTS / f"{name}.txt").read_text())).split()
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
