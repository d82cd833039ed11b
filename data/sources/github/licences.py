"""Which licence a repository is under, from its licence files.

In: licence texts and where they lie. Out: an expression in SPDX's words, lower case ("mit",
"apache-2.0 OR mit"), held against the licences that were accepted. The one idea: a text is
recognised by the sentences that grant the rights, and whatever else it contains counts against it.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from data.sources.github.comments import LANGUAGES

# Each licence: the phrases that must all be there, and those that must not (lower case, single spaces).
_BSD = (
    "redistribution and use in source and binary forms, with or without modification, are permitted",
    "redistributions of source code must retain the above copyright notice",
    "redistributions in binary form must reproduce the above copyright notice",
)
_ENDORSE = "to endorse or promote products derived from this software"
_ADVERTISE = "all advertising materials mentioning features or use of this software"
_KNOWN: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "psf-2.0": (("python software foundation license version 2",), ()),
    "mit": (
        (
            "permission is hereby granted, free of charge, to any person obtaining a copy of this software",
            "the above copyright notice and this permission notice",
        ),
        ("good, not evil",),
    ),
    "bsd-2-clause": (_BSD, (_ENDORSE, _ADVERTISE)),
    "bsd-3-clause": ((*_BSD, _ENDORSE), (_ADVERTISE,)),
    "bsd-4-clause": ((*_BSD, _ADVERTISE), ()),
    "apache-2.0": (("apache license version 2.0",), ()),
    "isc": (
        ("permission to use, copy, modify, and/or distribute this software", "provided that the above"),
        (),
    ),
    "mpl-2.0": (("mozilla public license version 2.0",), ()),
    "agpl-3.0": (("gnu affero general public license version 3, 19 november 2007",), ()),
    "lgpl-3.0": (("gnu lesser general public license version 3, 29 june 2007",), ()),
    "lgpl-2.1": (("gnu lesser general public license version 2.1, february 1999",), ()),
    "gpl-3.0": (("gnu general public license version 3, 29 june 2007",), ()),
    "gpl-2.0": (("gnu general public license version 2, june 1991",), ()),
    "commons-clause": (("commons clause",), ()),
    "unlicense": (("this is free and unencumbered software released into the public domain",), ()),
    "cc": (("creative commons",), ()),
}
_NAMES = ("license", "licence", "copying")
_FILE = re.compile(  # LICENSE, COPYING.txt, LICENSE-MIT, MIT-LICENSE, UNLICENSE, ...
    r"(?:un|(?:mit|apache|bsd|isc|mpl|psf|[al]?gpl)[-_.\d]*)?(?:licen[cs]e|copying)(?:[-._]|$)", re.IGNORECASE
)
FOLDER = "LICENSES"  # REUSE's LICENSES/MIT.txt; in lower case it often holds those of others
_TEXT = ("", ".txt", ".md", ".markdown", ".rst")
_NOT_TEXT = {*LANGUAGES, ".json", ".toml", ".yml", ".yaml", ".xml", ".svg", ".png", ".pdf"} - {*_TEXT}
UNKNOWN = "unknown"
_LONG_NAMES = {  # as GitHub and package indices write them, without quotes, commas, "the" and "version"
    "mit license": "mit",
    "apache license 2.0": "apache-2.0",
    "apache 2.0": "apache-2.0",
    "bsd 2-clause simplified license": "bsd-2-clause",
    "bsd 2-clause license": "bsd-2-clause",
    "bsd 3-clause new or revised license": "bsd-3-clause",
    "bsd 3-clause license": "bsd-3-clause",
    "isc license": "isc",
    "mozilla public license 2.0": "mpl-2.0",
    "gnu general public license v2.0": "gpl-2.0",
    "gnu general public license v3.0": "gpl-3.0",
}


def is_licence_file(name: str) -> bool:
    """Whether a file of this name holds a licence: LICENSE, COPYING.txt, MIT-LICENSE, ..."""
    return PurePosixPath(name.lower()).suffix not in _NOT_TEXT and _FILE.match(name) is not None


def covered_folder(path: PurePosixPath) -> PurePosixPath | None:
    """The folder that a licence file covers, its own or the one with LICENSES/ in it; None if it is none."""
    if is_licence_file(path.name):
        return path.parent
    if path.parent.name == FOLDER and path.suffix.lower() in _TEXT:
        return path.parent.parent
    return None


def recognise(text: str) -> str:
    """The licence of a text: an SPDX name, several joined by AND, or `unknown`."""
    plain = " ".join(text.lower().replace("``", '"').split())
    plain = plain.replace("apache license, version", "apache license version")
    found = [
        name
        for name, (needed, barred) in _KNOWN.items()
        if all(phrase in plain for phrase in needed) and not any(phrase in plain for phrase in barred)
    ]
    if "psf-2.0" in found:  # Python's file tells the whole history of its licences, this one governs
        return "psf-2.0"
    return " AND ".join(found) or UNKNOWN


def folder_licence(files: Mapping[str, str]) -> str:
    """The licence of a folder from its licence files {path in it: text}.

    LICENSE and COPYING hold together (AND), and so do those in LICENSES/, each for some of the files;
    LICENSE-MIT beside LICENSE-APACHE leave the choice (OR).
    """
    whole = {name + suffix for name in _NAMES for suffix in _TEXT}
    plain = {name: text for name, text in files.items() if name.lower() in whole}
    joint = " AND " if plain or any("/" in name for name in files) else " OR "
    return joint.join(sorted({recognise(text) for text in (plain or files).values()}))


def nearest(path: str, licences: Mapping[str, str]) -> str:
    """The licence that covers a file: of the nearest folder {folder: licence} above it, else `none`."""
    for folder in PurePosixPath(path).parents:
        if str(folder) in licences:
            return licences[str(folder)]
    return "none"


def spdx(name: str) -> str:
    """A licence's SPDX name in lower case, from that or from its common long name."""
    plain = " ".join(re.sub(r'[",]|\b(?:the|version)\b', " ", name.lower()).split())
    return _LONG_NAMES.get(plain, name.strip().lower())


def is_accepted(expression: str, accepted: frozenset[str]) -> bool:
    """Whether an SPDX expression is satisfied by the accepted licences (lower case)."""
    alternatives = expression.lower().strip("() ").split(" or ")
    return any(all(part.strip() in accepted for part in one.split(" and ")) for one in alternatives)
