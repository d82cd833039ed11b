"""ArXiv: LaTeX sources from the first section on, macros written out, bibliography gone (RECIPE §2).

In: arXiv's bulk tars (`arXiv_src_YYMM_NNN.tar`, each of `.gz` of a tar or of one `.tex`), such a `.gz`
alone, folders of papers, or JSON lines and parquet of LaTeX. Out: a document for each main file of each
paper. The one idea: a paper is read into memory, within bounds, and never unpacked to the disk.
"""

import gzip
import os
import posixpath
import re
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from data.documents import Document, Drop, Record
from data.sources import rows, text
from data.sources.arxiv.files import Paper, TooLong
from data.sources.arxiv.latex import body, strip_comments
from data.sources.arxiv.macros import TooMuch, expand

VERSION = 2  # of what this recipe gives: raise it when the same input gives other text
DUPLICATES = "exact"

MAX_UNPACKED = 1 << 30  # bytes of one paper with its figures; arXiv takes less than a tenth of it
MAX_TEX = 32 << 20  # bytes of TeX in one paper
MAX_OTHER = 1 << 20  # bytes of a file that might be TeX by its name
MAX_READ = 1 << 20  # bytes that tarfile may ask for at once: a header's size is the archive's word
MAX_FILES = 20_000  # in one paper

_TEX = (".tex", ".ltx", ".latex", ".sty", ".cls", ".clo", ".inc", ".tikz", ".pgf", ".pdf_tex", ".pstex_t")
_NOT_TEX = re.compile(
    r"\.(?:eps[fi]?|ps|pdf|png|jpe?g|gif|tiff?|bmp|svg|fig|bib|bst|bbl|blg|aux|log|out|toc|dvi|gz|z|zip|bz2|xz|7z|tar"
    r"|mp4|avi|mov|mpe?g|wav|mp3|ttf|otf|pfb|tfm|vf|afm|csv|dat|h5|npy|npz|fits|nb|ipynb|py|c|cc|cpp|h|m|r|java|js"
    r"|html?|xml|xlsx?|docx?|pptx?|swp|ds_store)(?:\.gz|\.z)?\Z",
    re.IGNORECASE,
)
_ARCHIVES = (".tar", ".gz", ".tgz")
_INPUT = (
    "arXiv's tars (arXiv_src_*.tar), .gz or .tar.gz of a paper, folders of papers, or JSON lines or parquet"
)
_BROKEN = (tarfile.TarError, OSError, EOFError, zlib.error, ValueError, RecursionError)
_OLD = (
    "acc-phys adap-org alg-geom ao-sci astro-ph atom-ph bayes-an chao-dyn chem-ph cmp-lg comp-gas cond-mat cs"
    " dg-ga funct-an gr-qc hep-ex hep-lat hep-ph hep-th math-ph math mtrl-th nlin nucl-ex nucl-th patt-sol"
    " physics plasm-ph q-alg q-bio quant-ph solv-int supr-con"
)
_NEW_ID = re.compile(
    r"(?:arxiv[-_.: ]?)?((?:0[7-9]|[1-9]\d)(?:0[1-9]|1[0-2])\.\d{4,5})(v\d+)?(?![0-9])", re.IGNORECASE
)
_OLD_ID = re.compile(
    rf"(?:arxiv[-_.: ]?)?({'|'.join(_OLD.split())})(?:\.[A-Za-z-]{{2,8}})?[-_/. ]?(\d{{7}})(v\d+)?(?![0-9])",
    re.IGNORECASE,
)
_WITHDRAWN = re.compile(
    r"(?:paper|article|submission|manuscript|preprint|work|it)\s+(?:has\s+been|have\s+been|is|was|is\s+being)\s+"
    r"(?:\w+\s+)?(?:withdrawn|retracted)",
    re.IGNORECASE,
)
_OTHERS = {
    b"%PDF": "PDF only",
    b"%!PS": "PostScript only",
    b"\xf7\x02": "DVI only",
    b"PK\x03\x04": "not TeX",
    b"<!DOCTYPE": "not TeX",
    b"<html": "not TeX",
}
_SHORT = 3000  # characters of a note that a paper was withdrawn


def inputs(path: Path) -> list[Path]:
    """What can be read one by one: archives, files of rows and papers' folders.

    A folder is a paper if it holds a main file itself, unless folders in it are named as papers or two
    of them hold main files; else each folder in it that holds TeX is one. Folders of archives are searched.
    """
    if path.is_file() and (_is_archive(path) or _is_tex(path) or rows.has_rows(path)):
        return [path]
    found = _units(path, 0) if path.is_dir() else []
    if not found:
        raise rows.expected(path, _INPUT)
    return found


def read(path: Path) -> Iterator[Record | Drop]:
    """Every paper of a unit: a record for each of its main files, or why there is none."""
    if path.is_dir():
        return _read_folder(path)
    if rows.has_rows(path):
        return _read_rows(path)
    if path.name.lower().endswith(".tar") and _is_bulk(path):
        return _read_bulk(path)
    return _read_file(path)


def clean(record: Record, *, source: str = "arxiv") -> Document | Drop:
    """The paper from its first section on, or why it is left out."""
    latex = record.text.replace("\r\n", "\n").replace("\0", "")
    if len(latex) < _SHORT and _WITHDRAWN.search(latex):
        return record.drop("withdrawn", str(record.meta.get("name", "")))
    try:
        return record.document(source, clean_latex(latex))
    except TooMuch as error:
        return record.drop("macros explode", str(error))


def clean_latex(latex: str) -> str:
    """A paper from its first section on, its macros written out. Raises TooMuch."""
    return body(*expand(strip_comments(latex)))


def arxiv_url(name: str) -> str:
    """The paper's page, from the name of its file or folder, or '' if that is no arXiv number."""
    found = _NEW_ID.match(name)
    if found:
        return f"https://arxiv.org/abs/{found[1]}"
    found = _OLD_ID.match(name)
    return f"https://arxiv.org/abs/{found[1].lower()}/{found[2]}" if found else ""


# ---- folders


def _units(folder: Path, depth: int) -> list[Path]:
    children = [
        child for child in sorted(folder.iterdir()) if child.name[0] != "." and not child.is_symlink()
    ]
    folders = [child for child in children if child.is_dir()]
    files = [child for child in children if child not in folders]
    packed = [child for child in files if _is_archive(child) or rows.has_rows(child)]
    tex = [child for child in files if _is_tex(child)]
    has_main = any(_holds_main(child) for child in tex)
    if has_main or (tex and not packed):
        if any(arxiv_url(child.name) for child in folders):
            is_shelf = True
        else:
            with_main = [child for child in folders if any(map(_holds_main, _tex_below(child, 0)))]
            is_shelf = len(with_main) > (1 if has_main else 0)
        if not is_shelf:
            return [folder]
        folders = [child for child in folders if arxiv_url(child.name) or any(_tex_below(child, 0))]
        packed += [child for child in tex if _holds_main(child)]
    units = list(packed)
    for child in folders:
        if any(_tex_below(child, 0)) or depth >= 8:
            units.append(child)
        else:
            units += _units(child, depth + 1) or [child]
    return sorted(units)


def _tex_below(folder: Path, depth: int) -> Iterator[Path]:
    """The TeX files of a folder, at any depth."""
    children = [
        child for child in sorted(folder.iterdir()) if child.name[0] != "." and not child.is_symlink()
    ]
    yield from (child for child in children if _is_tex(child) and child.is_file())
    if depth < 8:
        for child in children:
            if child.is_dir():
                yield from _tex_below(child, depth + 1)


def _holds_main(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(1 << 20)
    return (
        re.search(rb"^[^%\n]*\\document(?:class|style)", head, re.MULTILINE) is not None
        and b"{document}" in head
    )


def _is_archive(path: Path) -> bool:
    name = path.name.lower()
    if name.endswith((".gz", ".tgz")):
        return not rows.has_rows(path)
    return name.endswith((".tar", ".pdf"))


def _is_tex(path: Path) -> bool:
    return path.name.lower().endswith((".tex", ".ltx", ".latex"))


class _TooLarge(Exception):
    """A paper is larger than a bound."""


class _Files:
    """The files of a paper that may be TeX, and the kinds of all of them."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.kinds: set[str] = set()
        self._tex = self._other = self._count = 0

    def wants(self, name: str, size: int) -> bool:
        """Whether a file is to be kept. Raises _TooLarge."""
        self._count += 1
        if self._count > MAX_FILES:
            raise _TooLarge(f"more than {MAX_FILES:,} files")
        suffix = posixpath.splitext(name.lower())[1]
        self.kinds.add(suffix)
        if name.lower().endswith(_TEX):
            self._tex += size
            if self._tex > MAX_TEX:
                raise _TooLarge(f"more than {MAX_TEX >> 20} MiB of TeX")
            return True
        if _NOT_TEX.search(name) or self._other + size > MAX_OTHER:
            return False
        self._other += size
        return True


def _read_folder(folder: Path) -> Iterator[Record | Drop]:
    kept = _Files()
    try:
        for place, subfolders, names in os.walk(folder):
            subfolders[:] = sorted(name for name in subfolders if name[0] != ".")
            for name in sorted(names):
                path = Path(place, name)
                if name[0] == "." or path.is_symlink() or not path.is_file():
                    continue
                relative = path.relative_to(folder).as_posix()
                if kept.wants(relative, path.stat().st_size):
                    kept.contents[relative] = path.read_bytes()
    except _TooLarge as error:
        yield Drop("too large", str(folder), 0, f"{folder.name}: {error}", malformed=True)
        return
    yield from _records(kept, str(folder), 0, folder.name)


def _read_rows(path: Path) -> Iterator[Record | Drop]:
    """LaTeX in rows, whole or as others have cut it."""
    for item in text.read_rows(path):
        if isinstance(item, Record):
            identifier = str(item.meta.get("arxiv_id") or item.url.rpartition("arxiv.org/abs/")[2])
            item = replace(item, url=arxiv_url(identifier) or item.url)
            if len(item.text) > MAX_TEX:
                item = replace(item.drop("too large", f"{len(item.text):,} characters"), malformed=True)
        yield item


def _records(kept: _Files, file: str, number: int, name: str) -> Iterator[Record | Drop]:
    """A record for each main file of a paper."""
    name = name.encode(errors="backslashreplace").decode()
    paper = Paper(kept.contents, _stem(name))
    mains = paper.mains()
    if not mains:
        kinds = {"PDF only": {".pdf"}, "PostScript only": {".ps", ".eps"}}
        reason = next((reason for reason, suffixes in kinds.items() if suffixes & kept.kinds), "no TeX")
        yield Drop(reason, file, number, name)
    for main in mains:
        meta = {"main": main, "name": name}
        url = arxiv_url(posixpath.basename(name)) or arxiv_url(posixpath.basename(main))
        if len(mains) == 1 and paper.files[main].lstrip().startswith(b"%auto-ignore"):
            yield Drop("withdrawn", file, number, name)
            continue
        try:
            yield Record(file, number, paper.text(main), url, "", meta)
        except TooLong as error:
            yield Drop("too large", file, number, f"{name}: {error}", malformed=True)


# ---- archives


def _read_file(path: Path) -> Iterator[Record | Drop]:
    """One paper: a .tex, .pdf or .tar, or a .gz of one."""
    with path.open("rb") as file:
        yield from _read_paper(file, path.name, str(path), 0)


def _read_bulk(path: Path) -> Iterator[Record | Drop]:
    """Each member is a paper."""
    with path.open("rb") as file:
        stream = _Stream(file, None, can_seek=True)
        for number, (member, tar) in enumerate(_members(stream, needs_end=True)):
            name = member.name.encode(errors="backslashreplace").decode()
            if member.isdir():
                continue
            if not member.isreg() or _climbs(member.name):
                yield Drop("not a file inside", str(path), number, name, malformed=True)
                continue
            try:
                yield from _read_paper(tar.extractfile(member), name, str(path), number)
            except _BROKEN as error:
                detail = f"{name}: {type(error).__name__}: {error}"
                yield Drop("malformed paper", str(path), number, detail, malformed=True)


def _is_bulk(path: Path) -> bool:
    """Whether a tar holds papers, not the files of one."""
    if path.name.lower().startswith("arxiv_src"):
        return True
    packed = False
    with path.open("rb") as file:
        for member, _ in _members(_Stream(file, None, can_seek=True)):
            name = posixpath.basename(member.name).lower()
            if name.endswith((".tex", ".ltx", ".latex")):
                return False
            if name.endswith((".gz", ".pdf")) and arxiv_url(name):
                return True
            packed |= name.endswith(".gz")
    return packed


def _read_paper(raw: BinaryIO, name: str, file: str, number: int) -> Iterator[Record | Drop]:
    """A paper from its bytes: one file or a tar, with gzip around it or not."""
    stream = _Stream(raw, MAX_UNPACKED)
    kept = _Files()
    try:
        if stream.peek(2) == b"\x1f\x8b":
            stream = _Stream(gzip.GzipFile(fileobj=stream), MAX_UNPACKED)
        head = stream.peek(tarfile.BLOCKSIZE)
        kind = next((kind for magic, kind in _OTHERS.items() if head.lstrip().startswith(magic)), None)
        if kind or not head:
            yield Drop(kind or "empty", file, number, name)
            return
        if _is_tar(head):
            for member, tar in _members(stream):
                if member.isreg() and not _climbs(member.name) and kept.wants(member.name, member.size):
                    kept.contents[member.name] = _content(tar.extractfile(member))
            while stream.read(MAX_READ):  # to its end, where gzip has its checksum
                pass
        else:
            kept.contents[_stem(name) + ".tex"] = _content(stream)
    except _TooLarge as error:
        yield Drop("too large", file, number, f"{name}: {error}", malformed=True)
        return
    yield from _records(kept, file, number, name)


def _members(stream: "_Stream", needs_end: bool = False) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """The members of a tar. Raises one of `_BROKEN` where it is damaged, which tarfile takes for its end."""
    with tarfile.open(fileobj=stream, mode="r:") as tar:
        while member := tar.next():
            yield member, tar
            tar.members = []  # tarfile keeps them all
    if stream.last.strip(b"\0"):
        raise tarfile.ReadError(f"damaged header at byte {stream.position - len(stream.last)}")
    if needs_end and not stream.last:
        raise tarfile.ReadError("the tar ends without its end mark")


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return len(head) == tarfile.BLOCKSIZE and not head.strip(b"\0")
    return True


def _content(stream: BinaryIO) -> bytes:
    """All of a file's bytes. Raises _TooLarge."""
    content = bytearray()
    while piece := stream.read(1 << 16):
        content += piece
        if len(content) > MAX_TEX:
            raise _TooLarge(f"more than {MAX_TEX >> 20} MiB of TeX")
    return bytes(content)


def _climbs(name: str) -> bool:
    return name.startswith("/") or ".." in name.split("/")


def _stem(name: str) -> str:
    stem = posixpath.basename(name)
    for suffix in (".gz", ".tgz", ".tar", ".tex"):
        stem = stem[: -len(suffix)] if stem.lower().endswith(suffix) else stem
    return stem


class _Stream:
    """Bytes that are read once, forward and within bounds, and may be looked at before."""

    def __init__(self, raw: BinaryIO, limit: int | None, can_seek: bool = False) -> None:
        self._raw, self._limit, self._can_seek = raw, limit, can_seek
        self._ahead = self.last = b""  # what was looked at; what the last `read` gave
        self.position = 0

    def peek(self, size: int) -> bytes:
        """The next bytes, fewer only at the end."""
        while len(self._ahead) < size and (piece := self._raw.read(size - len(self._ahead))):
            self._ahead += piece
        return self._ahead[:size]

    def read(self, size: int = -1) -> bytes:
        """As many bytes, fewer only at the end. Raises _TooLarge beyond the limit."""
        if not 0 <= size <= MAX_READ:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        pieces, left = [self._ahead[:size]], size - len(self._ahead[:size])
        self._ahead = self._ahead[size:]
        while left and (piece := self._raw.read(left)):
            pieces.append(piece)
            left -= len(piece)
        self.last = b"".join(pieces)
        self.position += len(self.last)
        if self._limit is not None and self.position > self._limit:
            raise _TooLarge(f"more than {self._limit >> 20:,} MiB unpacked")
        return self.last

    def tell(self) -> int:
        return self.position

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        """Goes on to a place further on."""
        if whence != os.SEEK_SET or position < self.position:
            raise OSError(f"cannot go back from byte {self.position} to {position}")
        if self._can_seek and not self._ahead:
            self._raw.seek(position)
            self.position = position
        while self.position < position and self.read(min(position - self.position, 1 << 16)):
            pass
        return self.position
