"""Papers made for tests, in tars, archives and folders, and the recipe's result for each."""

import gzip
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from data.documents import Document, Drop
from data.sources.arxiv import recipe as arxiv
from data.sources.arxiv.files import Paper
from data.sources.arxiv.recipe import clean_latex

PAPER = """\\documentclass{article}
\\newcommand{\\R}{\\mathbb{R}}
\\begin{document}
\\title{T}\\maketitle
\\section{Introduction}
Let $x\\in\\R$. % a comment
\\bibliography{refs}
\\end{document}
"""
WHOLE = "\\documentclass{article}\n\\begin{document}\nBODY\n\\end{document}"
CLEANED = "\\section{Introduction}\nLet $x\\in\\mathbb{R}$.\n"


def packed(files: Mapping[str, str | bytes]) -> bytes:
    """A tar of these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            content = content if isinstance(content, bytes) else content.encode()
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def paper(text: str = PAPER) -> bytes:
    return gzip.compress(text.encode())


def folder(root: Path, files: Mapping[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


def cleaned(path: Path) -> list[Any]:
    """The Document or Drop of every paper at a path."""
    items = (item for unit in arxiv.inputs(path) for item in arxiv.read(unit))
    return [item if isinstance(item, Drop) else arxiv.clean(item) for item in items]


def section(preamble: str, text: str) -> str:
    """What the recipe keeps of a section with this text, under this preamble."""
    start = f"\\documentclass{{article}}\n{preamble}\n\\begin{{document}}\n\\section{{A}}\n"
    return clean_latex(f"{start}{text}\n\\end{{document}}\n").partition("\n")[2].strip()


def texts(path: Path) -> list[str]:
    return [item.text if isinstance(item, Document) else f"dropped: {item.reason}" for item in cleaned(path)]


def one(files: Mapping[str, str | bytes]) -> str:
    """The text of a paper's one main file, with comments removed and inputs inserted."""
    mains = Paper({name: text if isinstance(text, bytes) else text.encode() for name, text in files.items()})
    (main,) = mains.mains().read
    return mains.text(main)


def bulk(tmp_path: Path, members: Mapping[str, bytes]) -> Path:
    path = tmp_path / "arXiv_src_0704_001.tar"
    path.write_bytes(packed(members))
    return path


def body(text: str) -> str:
    """The cleaned form of this text in a paper."""
    return clean_latex(f"\\documentclass{{article}}\n\\begin{{document}}\n{text}\n\\end{{document}}\n")
