"""Collects the files of one paper within bounds, and makes a record of each main file."""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from data import folders
from data.documents import Drop, Record
from data.sources.arxiv.files import Paper, TooLong
from data.sources.arxiv.latex.macros import TooMuch
from data.sources.arxiv.names import arxiv_url, stem

MAX_TEX = 32 << 20  # bytes of TeX in one paper
MAX_OTHER = 1 << 20  # bytes of all files in one paper that may be TeX under another name
MAX_FILES = 20_000  # in one paper

_TEX = (".tex", ".ltx", ".latex", ".sty", ".cls", ".clo", ".inc", ".tikz", ".pgf", ".pdf_tex", ".pstex_t")
_NOT_TEX = re.compile(
    r"\.(?:eps[fi]?|ps|pdf|png|jpe?g|gif|tiff?|bmp|svg|fig|bib|bst|bbl|blg|aux|log|out|toc|dvi|gz|z|zip|bz2|xz|7z|tar"
    r"|mp4|avi|mov|mpe?g|wav|mp3|ttf|otf|pfb|tfm|vf|afm|csv|dat|h5|npy|npz|fits|nb|ipynb|py|c|cc|cpp|h|m|r|java|js"
    r"|html?|xml|xlsx?|docx?|pptx?|swp|ds_store)(?:\.gz|\.z)?\Z",
    re.IGNORECASE,
)


class TooLarge(Exception):
    """A paper exceeds a bound."""


class Files:
    """A paper's files that may be TeX, and the kinds of all its files."""

    def __init__(self) -> None:
        self.contents: dict[str, bytes] = {}
        self.kinds: set[str] = set()
        self.others: set[str] = set()  # names of bibliographies, which show what was compiled
        self._tex = self._other = self._count = 0

    def has_tex(self) -> bool:
        """Whether a file with a TeX name was kept."""
        return any(name.lower().endswith(_TEX) for name in self.contents)

    def wants(self, name: str, size: int) -> bool:
        """Whether to keep a file. Raises TooLarge."""
        self._count += 1
        if self._count > MAX_FILES:
            raise TooLarge(f"more than {MAX_FILES:,} files")
        suffix = posixpath.splitext(name.lower())[1]
        self.kinds.add(suffix)
        if name.lower().endswith(_TEX):
            self._tex += size
            if self._tex > MAX_TEX:
                raise TooLarge(f"more than {MAX_TEX >> 20} MiB of TeX")
            return True
        if suffix == ".bbl":
            self.others.add(name)
        if _NOT_TEX.search(name) or self._other + size > MAX_OTHER:
            return False
        self._other += size
        return True


def read_folder(folder: Path) -> Iterator[Record | Drop]:
    kept = Files()
    try:
        for place, subfolders, names in folders.walk(folder):
            subfolders[:] = sorted(name for name in subfolders if name[0] != ".")
            for name in sorted(names):
                path = Path(place, name)
                if name[0] == "." or path.is_symlink() or not path.is_file():
                    continue
                relative = path.relative_to(folder).as_posix()
                if kept.wants(relative, path.stat().st_size):
                    kept.contents[relative] = path.read_bytes()
    except TooLarge as error:
        yield Drop("too large", str(folder), 0, f"{folder.name}: {error}", malformed=True)
        return
    yield from records(kept, str(folder), 0, folder.name)


def records(kept: Files, file: str, number: int, name: str) -> Iterator[Record | Drop]:
    """A record for each main file of a paper."""
    name = name.encode(errors="backslashreplace").decode()
    paper = Paper(kept.contents, stem(name), kept.others)
    found = paper.mains()
    mains = found.read
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
        except TooMuch as error:
            yield Drop("macros explode", file, number, f"{name}: {error}")
    for path, reason in found.left_out.items():
        yield Drop(reason, file, number, f"{name}: {path}")
