"""Reads the licenses that a repository declares outside the files: REUSE.toml, .reuse/dep5, .license files.

In: the texts of those files with their paths. Out: an SPDX expression in lower case for a file's path.
Source: the REUSE specification 3.3, "Licensing Information", and Debian's copyright format 1.0.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from data.sources.github.recognize import UNKNOWN, tagged

_TOML, _DEP5, _SIDECAR = "REUSE.toml", ".reuse/dep5", ".license"
_MAX_ANNOTATIONS = 1000  # of one file
_STANZA = re.compile(r"\n[ \t]*\n")
_FIELD = re.compile(r"^(Files|License):[ \t]*((?:.*)(?:\n[ \t]+.*)*)", re.MULTILINE)


_Glob = tuple[str, ...]  # wildcards (`**`: anything, `*`: within a folder, `?`: one character) and text


@dataclass(frozen=True)
class _Annotation:
    paths: tuple[_Glob, ...]  # relative to the folder of the file that has the annotation
    license: str
    precedence: str


@dataclass
class Declared:
    """A repository's declarations: annotations by their file's folder, sidecars by the file they cover."""

    annotations: dict[str, list[_Annotation]] = field(default_factory=dict)
    sidecars: dict[str, str] = field(default_factory=dict)

    def of(self, path: str, own: str) -> str:
        """A file's license, given its own tags; "" if nothing declares it."""
        own = self.sidecars.get(path) or own
        found = []
        for folder in map(str, PurePosixPath(path).parents):  # from the nearest to the top
            relative = path if folder == "." else path[len(folder) + 1 :]
            matching = [
                one
                for one in self.annotations.get(folder, ())
                if any(_matches(glob, relative) for glob in one.paths)
            ]
            found += matching[-1:]  # the last one counts
        overriding = [one for one in found if one.precedence == "override"]
        if overriding:
            return overriding[-1].license
        closest = next((one.license for one in found if one.precedence == "closest"), "")
        together = [own or closest, *(one.license for one in found if one.precedence == "aggregate")]
        return " AND ".join(dict.fromkeys(filter(None, together)))


def is_declaration(path: PurePosixPath) -> bool:
    """Whether a file declares licenses of other files."""
    name = path.name
    return name == _TOML or str(path).endswith(_DEP5) or (name.endswith(_SIDECAR) and name != _SIDECAR)


def read(texts: Mapping[PurePosixPath, str]) -> Declared:
    """The declarations in these files. Those that cannot be read make their folder's license unknown."""
    declared = Declared()
    for path, text in texts.items():
        if path.name == _TOML:
            declared.annotations.setdefault(str(path.parent), []).extend(_from_toml(text))
        elif str(path).endswith(_DEP5):
            declared.annotations.setdefault(str(path.parent.parent), []).extend(_from_dep5(text))
        else:
            declared.sidecars[str(path)[: -len(_SIDECAR)]] = tagged(text)
    return declared


def _from_toml(text: str) -> list[_Annotation]:
    try:
        tables = tomllib.loads(text).get("annotations", [])
        return [_annotation(table) for table in tables[:_MAX_ANNOTATIONS]]
    except (tomllib.TOMLDecodeError, AttributeError, TypeError, KeyError, RecursionError):
        return [_Annotation((("**",),), UNKNOWN, "aggregate")]


def _annotation(table: dict) -> _Annotation:
    paths, licenses = (
        [value] if isinstance(value, str) else value
        for value in (table["path"], table.get("SPDX-License-Identifier", []))
    )
    return _Annotation(tuple(map(_glob, paths)), _joined(licenses), table.get("precedence", "closest"))


def _glob(path: str) -> _Glob:
    r"""REUSE.toml's paths: * stays in a folder, ** does not, and a backslash escapes."""
    parts = re.findall(r"\\.|\*\*|\*|[^\\*]+|\\", path, re.DOTALL)
    return tuple("\\" + part[-1] if part[0] == "\\" else part for part in parts)


def _matches(glob: _Glob, path: str) -> bool:
    """Whether a path matches, in time linear in its length, whatever the wildcards."""
    places = {0}
    for part in glob:
        if part == "**":
            places = set(range(min(places), len(path) + 1))
        elif part == "*":
            reached: set[int] = set()
            for place in sorted(places):
                end = path.find("/", place)
                if place not in reached:
                    reached.update(range(place, (end if end >= 0 else len(path)) + 1))
            places = reached
        elif part == "?":
            places = {place + 1 for place in places if place < len(path)}
        else:
            text = part.removeprefix("\\")
            places = {place + len(text) for place in places if path.startswith(text, place)}
        if not places:
            return False
    return len(path) in places


def _joined(licenses: list[str]) -> str:
    return " AND ".join(f"({name.strip().lower()})" for name in dict.fromkeys(licenses) if name.strip())


def _from_dep5(text: str) -> list[_Annotation]:
    found = []
    for stanza in _STANZA.split(text.replace("\r\n", "\n")):
        fields = dict(_FIELD.findall(stanza))
        if "Files" in fields and "License" in fields:
            globs = [
                tuple("**" if sign == "*" else sign for sign in re.findall(r"[*?]|[^*?]+", glob))
                for glob in fields["Files"].split()
            ]
            license = re.sub(r"\b(and|or)\b", lambda word: word[0].upper(), fields["License"].split("\n")[0])
            found.append(_Annotation(tuple(globs), _joined([license]), "aggregate"))
    return found[:_MAX_ANNOTATIONS]
