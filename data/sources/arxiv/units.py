"""Finds the papers of an input: archives, files of rows, and folders that hold one paper each."""

import re
from collections.abc import Iterator
from pathlib import Path

from data.sources.arxiv.names import arxiv_url, is_archive, is_tex
from data.sources.files import rows

_INPUT = (
    "arXiv's tars (arXiv_src_*.tar), .gz or .tar.gz of a paper, folders of papers, or JSON lines or parquet"
)


def inputs(path: Path) -> list[Path]:
    """What can be read separately: archives, files of rows and folders of papers.

    A folder with a main file is a paper, unless a subfolder has a paper's name or two hold main files. A
    folder with other TeX and no archive is a paper, unless a subfolder has a paper's name or holds a main
    file. Otherwise, each subfolder with TeX is a paper, and the others are searched.
    """
    if path.is_file() and (is_archive(path) or is_tex(path) or rows.has_rows(path)):
        return [path]
    found = _units(path, 0) if path.is_dir() else []
    if not found:
        raise rows.expected(path, _INPUT)
    return found


def _units(folder: Path, depth: int) -> list[Path]:
    children = [
        child for child in sorted(folder.iterdir()) if child.name[0] != "." and not child.is_symlink()
    ]
    folders = [child for child in children if child.is_dir()]
    files = [child for child in children if child.is_file()]  # no pipe, which would never end
    packed = [child for child in files if is_archive(child) or rows.has_rows(child)]
    tex = [child for child in files if is_tex(child)]
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
    yield from (child for child in children if is_tex(child) and child.is_file())
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
