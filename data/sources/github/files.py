"""Reads the files of repositories: from folders, snapshots, and rows of code datasets.

In: an input. Out: for each source file, a record with the license that covers it, or a drop.
"""

import bz2
import codecs
import gzip
import io
import lzma
import os
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from data import folders
from data.documents import EXCERPT, Drop, Record
from data.errors import raise_passing
from data.sources.files import rows, tars
from data.sources.files.json_values import value_in
from data.sources.files.limits import Expansion, TooLarge
from data.sources.github import licenses, reuse
from data.sources.github.comments import is_markup, language
from data.sources.github.decoding import decoded

MAX_BYTES = 1 << 20  # the same limit as in BigQuery's table
_SKIPPED_FOLDERS = {".git", ".hg", ".svn", "__pycache__"}
_THIRD_PARTY = re.compile(  # folders of other people's code (GitHub Linguist's vendor.yml, and more)
    r"^(?:deps|dependencies)/|(?:^|/)(?:extern(?:als?)?|_?vendor(?:s|ed)?|(?:3rd|third)[-_ ]?part(?:y|ies)"
    r"|(?:site|dist)-packages|node_modules|\.?(?:virtual|v)env"
    r"|bower_components|jspm_packages|Pods|Carthage|Godeps)/",
    re.IGNORECASE,
)
_GENERATED_NAMES = (
    ".min.js",
    ".min.css",
    ".bundle.js",
    "_pb2.py",
    "_pb2_grpc.py",
    ".pb.go",
    ".pb.h",
    ".pb.cc",
)
_MAX_LICENSE_TEXT = 64 << 20  # characters of all license files of a repository
_PEEKED = 5  # files of rows that show whether a folder is a dataset of code
_MAX_LICENSES = 20  # per row; further ones count as unknown
_SNAPSHOTS = (".tar.gz", ".tgz", ".tar")
_PACKED = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open}  # by their first bytes
# Column names in code datasets: BigQuery, github-code, The Stack, RedPajama.
_COLUMNS = {
    "content": ("content", "code", "text"),
    "path": ("path", "sample_path", "max_stars_repo_path", "file_path"),
    "repository": ("repo_name", "sample_repo_name", "max_stars_repo_name", "repo"),
    "license": ("license", "licence", "max_stars_repo_licenses", "licenses"),
}
_INPUT = "folders of repositories, .tar.gz snapshots, or BigQuery exports (.json.gz, .jsonl, .parquet)"


def inputs(path: Path) -> list[Path]:
    """The inputs under `path`: snapshots, exports and repositories.

    A folder is a repository if it has a license file, a `.git`, source files or a README, or holds only
    files; otherwise, each folder in it is one. A dataset looks like one, because the Hub puts a README, a
    script or a `.git` beside the rows, and Spark a `_SUCCESS`.
    """
    if path.is_file() and _is_packed(path):
        return [path]
    return [one for place in _places(path) for one in (_exports(place) if place.is_dir() else []) or [place]]


def left_out(path: Path) -> str | None:
    """What a folder holds beside repositories, snapshots and rows, in a sentence; None for a repository."""
    taken = set(inputs(path))
    if path in taken:
        return None
    is_deep = not any(one.is_dir() for one in taken)  # else each folder in it is a repository
    files = (
        rows.visible_files(path)
        if is_deep
        else [child for child in sorted(path.iterdir()) if child.is_file()]
    )
    others = [file for file in files if file not in taken and file.name[0] != "."]
    return f"{path}: not read: {rows.kinds_of(others)}" if others else None


def _places(path: Path) -> list[Path]:
    """The snapshots, exports and folders of which each is a repository or has rows."""
    children = [child for child in sorted(path.iterdir()) if child.name[0] != "."] if path.is_dir() else []
    if not children:
        raise rows.expected(path, _INPUT)
    names = [child.name for child in children]
    if (path / ".git").exists() or licenses.FOLDER in names or any(map(licenses.is_license_file, names)):
        return [path]
    if any(child.is_file() and _is_of_repository(child.name) for child in children):
        return [path]
    are_files = not any(child.is_dir() for child in children)
    if are_files and not all(map(_is_packed, children)) and not any(map(_is_snapshot, children)):
        return [path]
    return [child for child in children if child.is_dir() or _is_packed(child)]


def _exports(folder: Path) -> list[Path]:
    """The rows and snapshots below a folder that has rows of code, and not more source files than those."""
    files = rows.visible_files(folder)
    found = [file for file in files if rows.are_rows(file)]
    # package.json and the like; BigQuery may name rows so, but then all of them.
    found = [file for file in found if file.suffix.lower() != ".json"] or found
    n_sources = sum(language(file.name) is not None and not is_markup(file.name) for file in files)
    if n_sources > len(found) or not any(map(_has_code, found[:_PEEKED])):
        return []
    return sorted([*found, *filter(_is_snapshot, files)])


def _has_code(path: Path) -> bool:
    """Whether a file's first row has the columns of a code dataset."""
    try:
        first = next(iter(rows.read_rows(path)), None)
    except (*rows.UNREADABLE, TooLarge):
        return False
    except ValueError:  # from a server that sends only whole files, which are fetched to be read
        return True
    if first is None or isinstance(first, Drop):
        return False
    content, place, *about = (_with_meta(first[1]).keys() & {*names} for names in _COLUMNS.values())
    return bool(content and place and any(about))


def _is_of_repository(name: str) -> bool:
    return language(name) is not None or name.lower().startswith("readme")


def read(path: Path) -> Iterator[Record | Drop]:
    """Every file of a repository, or every row of an export."""
    if path.is_dir():
        return read_folder(path)
    if _is_snapshot(path):
        return _read_snapshot(path)
    return _read_export(path)


def read_folder(
    root: Path, *, skipped: frozenset[str] = frozenset(), license: str = ""
) -> Iterator[Record | Drop]:
    """The files of one repository, without the folders named in `skipped`.

    `license` applies if the repository's top folder does not name a license.
    """
    files, texts = [], _LicenseTexts()
    for folder, subfolders, names in folders.walk(root):
        subfolders[:] = sorted(set(subfolders) - _SKIPPED_FOLDERS - skipped)
        paths = [Path(folder, name) for name in sorted(names)]
        files += [path for path in paths if path.is_file() and not path.is_symlink()]
        places = [PurePosixPath(path.relative_to(root).as_posix()) for path in paths]
        for place in filter(_is_legal, places):
            texts.add(place, _read_license(root / place))
    found = _licenses(texts.kept)
    if license and found.licenses.get(".", licenses.UNKNOWN) == licenses.UNKNOWN:
        found.licenses["."] = license
    for path in files:
        place = path.relative_to(root).as_posix()
        try:
            unread = _unwanted(str(path), 0, place, path.stat().st_size)
            yield unread or _record(str(path), 0, path.read_bytes(), root.name, place, found)
        except OSError as error:
            raise_passing(error)
            yield Drop("malformed record", str(path), 0, str(error), malformed=True)


def _licenses(texts: dict[PurePosixPath, str]) -> licenses.Coverage:
    """The license of each folder, from the license files' texts."""
    folders: dict[PurePosixPath, dict[str, str]] = {}
    declarations = {place: text for place, text in texts.items() if reuse.is_declaration(place)}
    for place, text in texts.items():
        if place in declarations:
            continue
        folder = licenses.covered_folder(place)
        if folder:
            known = text if len(text) <= licenses.MAX_TEXT else ""  # no license is this long
            folders.setdefault(folder, {})[str(place.relative_to(folder))] = known
    found = {str(folder): licenses.folder_license(files) for folder, files in folders.items()}
    declared = reuse.read(declarations)
    follow = {str(folder) for folder, files in folders.items() if any("/" in name for name in files)}
    return licenses.Coverage(found, frozenset(follow | declared.annotations.keys()), declared)


def _is_legal(place: PurePosixPath) -> bool:
    return licenses.covered_folder(place) is not None or reuse.is_declaration(place)


def _read_snapshot(archive: Path) -> Iterator[Record | Drop]:
    """The files of a packed repository: one pass for its licenses, another for its files."""
    repository = archive.name[: archive.name.lower().rindex(".t")]
    top, texts = None, _LicenseTexts()
    for _, member, content in _members(archive):
        if tars.is_too_long(member.name):
            continue
        path = _place(member)
        top = os.path.commonpath([path.parent if top is None else top, path.parent])
        if _is_legal(path):
            texts.add(path, _license_text(content.read(licenses.MAX_TEXT + 1)))
    top = top or "."
    found = _licenses({path.relative_to(top): text for path, text in texts.kept.items()})
    for number, member, content in _members(archive):
        if tars.is_too_long(member.name):
            detail = f"{member.name[:EXCERPT]}…"
            yield Drop("path too long", str(archive), number, detail, malformed=True)
            continue
        path = _place(member)
        if not _SKIPPED_FOLDERS & {*path.parts}:
            place = path.relative_to(top).as_posix()
            unread = _unwanted(str(archive), number, place, member.size)
            yield unread or _record(str(archive), number, content.read(), repository, place, found)


class _LicenseTexts:
    """The texts of a repository's license files, in bounded memory; texts beyond it count as unknown."""

    def __init__(self) -> None:
        self.kept: dict[PurePosixPath, str] = {}
        self._size = 0

    def add(self, path: PurePosixPath, text: str) -> None:
        self._size += len(text)
        self.kept[path] = text if self._size <= _MAX_LICENSE_TEXT else ""


def _members(archive: Path) -> Iterator[tuple[int, tarfile.TarInfo, IO[bytes]]]:
    """The regular files of a tar, each with its number among all members, in constant memory.

    Raises if the tar is damaged or truncated, because the missing part may contain a license.
    """
    with archive.open("rb") as file:
        magic = file.read(6)
    unpack: Callable[[Path, str], Any] = next(
        (opened for start, opened in _PACKED.items() if magic.startswith(start)), open
    )
    bounded = _Bounded(unpack(archive, "rb"), archive.stat().st_size)
    with bounded.raw:
        for number, (member, content) in enumerate(tars.members(bounded, needs_end=True)):
            if content:
                yield number, member, content
        while bounded.read(tars.READ_BYTES):  # to the end, where gzip has its checksum
            pass


class _Bounded(tars.Source):
    """A file that counts the bytes it unpacks to, and raises TooLarge."""

    def __init__(self, raw: IO[bytes], packed: int) -> None:
        self.raw = raw
        self.tell = raw.tell
        self._expansion = Expansion(packed)

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, counted from the beginning; bytes unpacked on the way count, too."""
        if whence != os.SEEK_SET:
            raise OSError("a tar is read from its beginning")
        if isinstance(self.raw, io.BufferedReader):  # not packed
            return self.raw.seek(place)
        while (left := place - self.raw.tell()) > 0 and self._counted(min(left, MAX_BYTES)):
            pass
        return self.raw.tell() if place > self.raw.tell() else self.raw.seek(place)

    def read(self, size: int = -1) -> bytes:
        self.allow(size)
        self.last = self._counted(size)
        return self.last

    def _counted(self, size: int) -> bytes:
        content = self.raw.read(size)
        self._expansion.add(len(content))
        return content


def _place(member: tarfile.TarInfo) -> PurePosixPath:
    return PurePosixPath(member.name.lstrip("/"))


def _read_export(path: Path) -> Iterator[Record | Drop]:
    for row in rows.read_rows(path):
        if isinstance(row, Drop):
            yield row
            continue
        number, columns = row
        columns = _with_meta(columns)
        content, place, repository, license = (_column(columns, kind) for kind in _COLUMNS)
        if isinstance(content, bytes):
            content = decoded(content)
            if content is None:
                yield Drop("unknown encoding", str(path), number, str(place))
                continue
        if isinstance(place, str) and content is None and {*_COLUMNS["content"]} & columns.keys():
            yield Drop("binary", str(path), number, place)
        elif not isinstance(content, str) or not isinstance(place, str):
            found = ", ".join(f"{name} ({type(value).__name__})" for name, value in columns.items())
            wanted = " and ".join(" or ".join(_COLUMNS[kind]) for kind in ("content", "path"))
            detail = f"expected strings as {wanted}; found {found or 'nothing'}"
            yield Drop("malformed record", str(path), number, detail, malformed=True)
        else:
            repository = str(next(iter(_listed(repository)), ""))
            url = f"https://github.com/{repository}/blob/HEAD/{place}" if repository else ""
            meta = {"repository": repository, "path": place}
            unread = _unwanted(str(path), number, place, len(content))
            yield unread or Record(str(path), number, content, url, _license(license), meta)


def _with_meta(columns: dict) -> dict:
    """The columns, with those in `meta`, as in RedPajama; on the Hub that is a string."""
    meta = value_in(columns.get("meta"))
    return meta | columns if isinstance(meta, dict) else columns


def _column(columns: dict, kind: str) -> object:
    """The first value under any of a column's names."""
    found = (columns[name] for name in _COLUMNS[kind] if columns.get(name) is not None)
    return next(found, None)


def _listed(value: object) -> list:
    return value if isinstance(value, list) else [] if value is None else [value]


def _license(value: object) -> str:
    """The license of a row: one name, or a list of those found in the repository, joined by AND."""
    names = [one.get("name") if isinstance(one, dict) else one for one in _listed(value)]
    found = [licenses.spdx(str(name)) for name in names if name]
    if len(found) > 1:
        found = [f"({name})" if " or " in name else name for name in dict.fromkeys(found)]
    return (
        " AND ".join(found[:_MAX_LICENSES]) + (" AND unknown" if len(found) > _MAX_LICENSES else "") or "none"
    )


def _record(
    file: str, number: int, content: bytes, repository: str, place: str, found: licenses.Coverage
) -> Record | Drop:
    text = decoded(content)
    if text is None:
        return Drop("unknown encoding", file, number, place)
    meta = {"repository": repository, "path": place}
    return Record(file, number, text, "", found.of(place, text), meta)


def _unwanted(file: str, number: int, place: str, size: int) -> Drop | None:
    """A drop, if the file's path or size is reason enough to leave it out unread."""
    if language(place) is None:
        return Drop("not a supported language", file, number, place)
    if licenses.is_legal_text(PurePosixPath(place).name):
        return Drop("a license or notices", file, number, place)
    if _THIRD_PARTY.search(place):
        return Drop("third-party folder", file, number, place)
    if size > MAX_BYTES:
        return Drop("larger than 1 MiB", file, number, place)
    if place.lower().endswith(_GENERATED_NAMES):
        return Drop("generated", file, number, place)
    return None


def _is_packed(path: Path) -> bool:
    return _is_snapshot(path) or rows.has_rows(path)


def _is_snapshot(path: Path) -> bool:
    return path.name.lower().endswith(_SNAPSHOTS)


def _read_license(path: Path) -> str:
    """The text of a license file, cut after MAX_TEXT + 1 bytes; empty for a pipe or a dangling link."""
    if not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            return _license_text(file.read(licenses.MAX_TEXT + 1))
    except OSError as error:
        raise_passing(error)
        return ""


def _license_text(raw: bytes) -> str:
    is_utf16 = raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return raw.decode("utf-16" if is_utf16 else "utf-8", errors="replace")
