"""ArXiv: LaTeX from the first section on, macros expanded, without bibliography (docs/recipe.md §2).

In: arXiv's bulk tars (`arXiv_src_YYMM_NNN.tar`, with a `.gz` of a tar or a `.tex` per paper), such a `.gz`
alone, folders of papers, or JSON lines and Parquet of LaTeX. Out: a document for each main file of each
paper. A paper is read into bounded memory and never unpacked to disk.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data.documents import Document, Drop, Record
from data.sources import text
from data.sources.arxiv import acronyms, archives, papers
from data.sources.arxiv.encoding import as_tex_reads
from data.sources.arxiv.families import written_out
from data.sources.arxiv.latex.comments import strip_comments
from data.sources.arxiv.latex.macros import TooMuch, expand
from data.sources.arxiv.latex.verbatim import declared
from data.sources.arxiv.names import arxiv_url
from data.sources.arxiv.structure import body
from data.sources.arxiv.units import inputs
from data.sources.files import rows

__all__ = ["DUPLICATES", "VERSION", "clean", "clean_latex", "inputs", "read"]

VERSION = 24  # increase when the same input gives different text
DUPLICATES = "exact"

_WITHDRAWN = re.compile(
    r"(?:paper|article|submission|manuscript|preprint|work|it)\s+(?:has\s+been|have\s+been|is|was|is\s+being)\s+"
    r"(?:\w+\s+)?(?:withdrawn|retracted)",
    re.IGNORECASE,
)
_SHORT = 3000  # maximum length of a withdrawal note


def read(path: Path) -> Iterator[Record | Drop]:
    """Every paper of an input: a record for each of its main files, or the reason for none."""
    if path.is_dir():
        return papers.read_folder(path)
    if rows.has_rows(path):
        return _read_rows(path)
    if path.name.lower().endswith(".tar") and archives.is_bulk(path):
        return archives.read_bulk(path)
    return archives.read_file(path)


def clean(record: Record, *, source: str = "arxiv") -> Document | Drop:
    """The paper from its first section on, or the reason to drop it."""
    latex = as_tex_reads(record.text)
    if len(latex) < _SHORT and _WITHDRAWN.search(latex):
        return record.drop("withdrawn", str(record.meta.get("name", "")))
    try:
        return record.document(source, clean_latex(latex))
    except TooMuch as error:
        return record.drop("macros explode", str(error))


def clean_latex(latex: str) -> str:
    """A paper from its first section on, with macros expanded. Raises TooMuch."""
    verbatim = declared(latex)
    latex, opaque = expand(written_out(strip_comments(latex, verbatim=verbatim), verbatim), verbatim)
    return acronyms.written_out(body(latex, opaque), latex)


def _read_rows(path: Path) -> Iterator[Record | Drop]:
    """LaTeX in rows, complete or already cut by others."""
    for item in text.read_rows(path):
        if isinstance(item, Record):
            identifier = str(item.meta.get("arxiv_id") or item.url.rpartition("arxiv.org/abs/")[2])
            item = replace(item, text=as_tex_reads(item.text), url=arxiv_url(identifier) or item.url)
            if len(item.text) > papers.MAX_TEX:
                item = replace(item.drop("too large", f"{len(item.text):,} characters"), malformed=True)
        yield item
