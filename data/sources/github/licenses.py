"""Finds the license that covers a file of a repository, and whether it is accepted.

In: the repository's license files with their paths. Out: an SPDX expression in lower case ("mit",
"apache-2.0 OR mit").
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from data.sources.github.comments import LANGUAGES
from data.sources.github.recognize import UNKNOWN, leaves_choice, recognize, tagged
from data.sources.github.reuse import Declared

_NAMES = ("license", "licence", "copying")
_FILE = re.compile(  # LICENSE, COPYING.txt, LICENSE-MIT, MIT-LICENSE, UNLICENSE, ...
    r"(?:un|(?:mit|apache|bsd|isc|mpl|psf|[al]?gpl)[-_.\d]*)?(?:licen[cs]e|copying)(?:[-._]|$)", re.IGNORECASE
)
_NOTICES = re.compile(
    r"(?:notices?|(?:third|3rd)[-_. ]?part(?:y|ies)[-_. ]?(?:licen[cs]es?|notices?|software|attributions?)?"
    r"(?:[-_.]?(?:licen[cs]es?|notices?))?)\.(?:md|markdown|rst|html?)",
    re.IGNORECASE,
)
FOLDER = "LICENSES"  # REUSE's LICENSES/MIT.txt; a lower-case folder often holds other projects' licenses
_WAIVER = re.compile(rf"{FOLDER}/CC0-1\.0\.\w+")
_HEAD = 4000  # search this many characters of a file for its SPDX tag
_TEXT = ("", ".txt", ".md", ".markdown", ".rst")
_GNU = (".lesser", ".lib")  # GNU's names for the Lesser (once Library) GPL: COPYING.LESSER
_NOT_TEXT = {*LANGUAGES, ".json", ".toml", ".yml", ".yaml", ".xml", ".svg", ".png", ".pdf"} - {*_TEXT}
MAX_TEXT = 256 << 10  # most bytes of a license file; the longest text that SPDX lists has 95,000
_FAMILY = re.compile(  # licenses that a drop's reason may name
    r"(?:mit|mit-0|isc|zlib|unlicense|proprietary|none|unknown|wtfpl|sspl-1.0|bsl-1.0|commons-clause"
    r"|psf-2.0|ms-[pr]l"
    r"|(?:apache|[al]?gpl|mpl|epl|lgpl|artistic|eupl|cc0?|cddl|bsd|busl|fsl|elastic|cecill|cc-by(?:-nc"
    r"|-nd|-sa)*)"
    r"(?:-[1-4](?:\.[0-2]|-clause)?)?)(?:-only|-or-later|\+)?"
)
_INNERMOST = re.compile(r"\(([^()]*+)\)")
_EXCEPTION = re.compile(r" with (?:[\w.-]{0,60}exception(?:-[\d.]+)?|shl-[\d.]+)(?![\w.-])")
_MET = "*"  # stands for a satisfied part of an expression
_LONG_NAMES = {  # as on GitHub and package indexes, without quotes, commas, "the" and "version"
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


def is_license_file(name: str) -> bool:
    """Whether a file of this name holds a license: LICENSE, COPYING.txt, MIT-LICENSE, ..."""
    return PurePosixPath(name.lower()).suffix not in _NOT_TEXT and _FILE.match(name) is not None


def is_legal_text(name: str) -> bool:
    """Whether a file of this name holds nothing but a license, or notices of bundled software."""
    return is_license_file(name) or _NOTICES.fullmatch(name) is not None


def covered_folder(path: PurePosixPath) -> PurePosixPath | None:
    """The folder that a license file covers: its own, or the parent of LICENSES/. None for other files."""
    if is_license_file(path.name):
        return path.parent
    if path.parent.name == FOLDER and path.suffix.lower() in _TEXT:
        return path.parent.parent
    return None


def folder_license(files: Mapping[str, str]) -> str:
    """The license of a folder, from its license files {path in the folder: text}.

    LICENSE and COPYING apply together (AND), and so do the files in LICENSES/, each to some of the code.
    LICENSE-MIT and LICENSE-APACHE leave a choice (OR), even next to a LICENSE that only says so.
    """
    files = _without_waivers(files)
    plain_names = {name + suffix for name in _NAMES for suffix in (*_TEXT, *_GNU)}
    plain = {name: text for name, text in files.items() if name.lower() in plain_names}
    named = {name: text for name, text in files.items() if name not in plain and "/" not in name}
    if named and all(leaves_choice(text) for text in plain.values()):
        plain = {}
    joint = " AND " if plain or not named else " OR "
    return joint.join(sorted({_one(recognize(text)) for text in (plain or named or files).values()}))


def _without_waivers(files: Mapping[str, str]) -> Mapping[str, str]:
    """The files without LICENSES/CC0-1.0.txt, if any are left: it covers data, and demands nothing."""
    others = {name: text for name, text in files.items() if not _WAIVER.fullmatch(name)}
    return others or files


def _one(expression: str) -> str:
    """The expression, in parentheses if needed to join it to others."""
    return f"({expression})" if " OR " in expression else expression


@dataclass
class Coverage:
    """Which license covers which files: {folder: license}, and the folders that follow REUSE."""

    licenses: dict[str, str]
    reuse: frozenset[str] = frozenset()
    declared: Declared = field(default_factory=Declared)

    def of(self, path: str, text: str) -> str:
        """The license of the nearest folder above a file, or `none`; under REUSE, what is declared for it."""
        for folder in map(str, PurePosixPath(path).parents):
            if folder in self.reuse:
                own = self.declared.of(path, tagged(text[:_HEAD]))
                return own or self.licenses.get(folder, "none")
            if folder in self.licenses:
                beside = self.declared.sidecars.get(path, "")
                return f"{_one(self.licenses[folder])} AND {beside}" if beside else self.licenses[folder]
        return "none"


def spdx(name: str) -> str:
    """The lower-case SPDX expression for a license in any case or by its common long name; else `unknown`."""
    plain = " ".join(re.sub(r'[",]|\b(?:the|version)\b', " ", name.lower()).split())
    name = _LONG_NAMES.get(plain, name.strip().lower())
    return name if re.fullmatch(r"[a-z0-9.+() -]{1,80}", name) else UNKNOWN


def is_accepted(expression: str, accepted: frozenset[str]) -> bool:
    """Whether the accepted licenses (lower case) satisfy an SPDX expression."""
    # An exception only ever adds permissions; "with Commons-Clause" is not an exception.
    expression = _EXCEPTION.sub("", expression.lower())
    n_inner = 1
    while n_inner:  # all of the innermost parentheses at once
        expression, n_inner = _INNERMOST.subn(
            lambda inner: _MET if _is_met(inner[1], accepted) else UNKNOWN, expression
        )
    return _is_met(expression, accepted)


def _is_met(expression: str, accepted: frozenset[str]) -> bool:
    """As `is_accepted`, for an expression without parentheses."""
    return any(_all_accepted(one, accepted) for one in expression.split(" or "))


def _all_accepted(conjunction: str, accepted: frozenset[str]) -> bool:
    parts = (part.strip().removesuffix("+") for part in conjunction.split(" and "))  # "or later"
    return all(part in accepted or part == _MET for part in parts)


def reason(expression: str) -> str:
    """The reason to drop a file under this license: one of a few, whatever names the data contains."""
    parts = re.split(r" and | or ", re.sub(r"[()]", "", expression.lower()))
    if len(parts) > 3:
        return "license: several"
    return f"license {expression}" if all(map(_FAMILY.fullmatch, parts)) else "license: other"
