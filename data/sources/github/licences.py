"""Which licence covers a file of a repository, from the repository's licence files.

In: licence texts and their places. Out: an SPDX expression in lower case ("mit", "apache-2.0 OR mit"),
compared with the licences that were accepted.
"""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath

from data.sources.github.comments import LANGUAGES
from data.sources.github.recognise import UNKNOWN, leaves_choice, recognise

_NAMES = ("license", "licence", "copying")
_FILE = re.compile(  # LICENSE, COPYING.txt, LICENSE-MIT, MIT-LICENSE, UNLICENSE, ...
    r"(?:un|(?:mit|apache|bsd|isc|mpl|psf|[al]?gpl)[-_.\d]*)?(?:licen[cs]e|copying)(?:[-._]|$)", re.IGNORECASE
)
FOLDER = "LICENSES"  # REUSE's LICENSES/MIT.txt; in lower case it often holds those of others
_TEXT = ("", ".txt", ".md", ".markdown", ".rst")
_NOT_TEXT = {*LANGUAGES, ".json", ".toml", ".yml", ".yaml", ".xml", ".svg", ".png", ".pdf"} - {*_TEXT}
MAX_TEXT = 256 << 10  # bytes of a licence file; the longest text that SPDX lists has 95,000
_FAMILY = re.compile(  # of licence names that are counted one by one
    r"(?:mit|mit-0|isc|zlib|unlicense|proprietary|none|unknown|wtfpl|sspl-1.0|bsl-1.0|commons-clause"
    r"|psf-2.0|ms-[pr]l"
    r"|(?:apache|[al]?gpl|mpl|epl|lgpl|artistic|eupl|cc0?|cddl|bsd|busl|fsl|elastic|cecill|cc-by(?:-nc"
    r"|-nd|-sa)*)"
    r"(?:-[1-4](?:\.[0-2]|-clause)?)?)(?:-only|-or-later|\+)?"
)
_MET = "*"  # part of an expression that is satisfied
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


def folder_licence(files: Mapping[str, str]) -> str:
    """The licence of a folder from its licence files {path in it: text}.

    LICENSE and COPYING hold together (AND), and so do those in LICENSES/, each for some of the files.
    LICENSE-MIT and LICENSE-APACHE leave the choice (OR), and so does a LICENSE that only says so.
    """
    whole = {name + suffix for name in _NAMES for suffix in _TEXT}
    plain = {name: text for name, text in files.items() if name.lower() in whole}
    named = {name: text for name, text in files.items() if name not in plain and "/" not in name}
    if named and all(leaves_choice(text) for text in plain.values()):
        plain = {}
    joint = " AND " if plain or not named else " OR "
    return joint.join(sorted({_one(recognise(text)) for text in (plain or named or files).values()}))


def _one(expression: str) -> str:
    """An expression that can be joined to others."""
    return f"({expression})" if " OR " in expression else expression


def nearest(path: str, licences: Mapping[str, str]) -> str:
    """The licence that covers a file: of the nearest folder {folder: licence} above it, else `none`."""
    for folder in PurePosixPath(path).parents:
        if str(folder) in licences:
            return licences[str(folder)]
    return "none"


def spdx(name: str) -> str:
    """A licence's SPDX expression in lower case, from that or from its common long name; else `unknown`."""
    plain = " ".join(re.sub(r'[",]|\b(?:the|version)\b', " ", name.lower()).split())
    name = _LONG_NAMES.get(plain, name.strip().lower())
    return name if re.fullmatch(r"[a-z0-9.+() -]{1,80}", name) else UNKNOWN


def is_accepted(expression: str, accepted: frozenset[str]) -> bool:
    """Whether an SPDX expression is satisfied by the accepted licences (lower case)."""
    expression = re.sub(r" with [\w.-]+", "", expression.lower())  # an exception only ever adds permissions
    while inner := re.search(r"\(([^()]*)\)", expression):
        met = any(_all_accepted(one, accepted) for one in inner[1].split(" or "))
        expression = expression[: inner.start()] + (_MET if met else UNKNOWN) + expression[inner.end() :]
    return any(_all_accepted(one, accepted) for one in expression.split(" or "))


def _all_accepted(conjunction: str, accepted: frozenset[str]) -> bool:
    return all(part.strip() in accepted or part.strip() == _MET for part in conjunction.split(" and "))


def reason(expression: str) -> str:
    """Why a file under this licence is dropped: one of few reasons, whatever the data name it."""
    parts = re.split(r" and | or ", re.sub(r"[()]", "", expression.lower()))
    if len(parts) > 3:
        return "licence: several"
    return f"licence {expression}" if all(map(_FAMILY.fullmatch, parts)) else "licence: another"
