"""Every source, end to end from raw files to counted text: our own small dumps, and the real samples."""

import bz2
import gzip
import json
from pathlib import Path

import pytest

from tests.support.source_tables import INPUTS, run, table
from tests.support.web import packed, sentence, wet

MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy of this software ...
The above copyright notice and this permission notice shall be included in all copies."""


def c4(folder: Path) -> None:
    rows = [{"text": "a page", "url": "https://example.org/1"}, {"text": "no address"}, {"txt": 1}]
    packed = gzip.compress("\n".join(map(json.dumps, rows)).encode())
    (folder / "c4-train.00000-of-01024.json.gz").write_bytes(packed)


def github(folder: Path) -> None:
    for name, license in {"free": MIT, "other": "All rights reserved."}.items():
        (folder / name).mkdir()
        (folder / name / "LICENSE").write_text(license)
        (folder / name / "a.py").write_text("def add(first, second):\n    return first + second\n")


def wikipedia(folder: Path) -> None:
    page = (
        "<page><title>{0}</title><ns>{1}</ns><id>{2}</id><revision><id>9</id>"
        "<text>'''{0}''' is a [[town|small town]].{{{{citation}}}}\n\n== History ==\nIt is old.</text>"
        "</revision></page>"
    )
    pages = page.format("Ham", 0, 1) + page.format("Talk:Ham", 1, 2)
    head = '<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="en">'
    site = (
        "<siteinfo><sitename>Wikipedia</sitename><dbname>enwiki</dbname>"
        "<base>https://en.wikipedia.org/wiki/Main_Page</base><namespaces>"
        '<namespace key="0" case="first-letter" /><namespace key="1" case="first-letter">Talk</namespace>'
        "</namespaces></siteinfo>"
    )
    content = f"{head}{site}{pages}</mediawiki>".encode()
    (folder / "enwiki-latest-pages-articles.xml.bz2").write_bytes(bz2.compress(content))


def books(folder: Path) -> None:
    words = " ".join(f"word{i * i % 997} and{i}" for i in range(2000))
    (folder / "whole.txt").write_text(words)
    (folder / "part.txt").write_text(words[: len(words) // 2])


def arxiv(folder: Path) -> None:
    for name, body in {"2301.00001": "\\section{One}\nText of \\me.", "2301.00002": ""}.items():
        (folder / name).mkdir()
        head = "\\documentclass{article}\n\\newcommand{\\me}{ours}\n\\begin{document}\n"
        source = f"{head}{body}\n\\end{{document}}"
        (folder / name / "main.tex").write_text(source if body else "")


def stackexchange(folder: Path) -> None:
    rows = [
        '<row Id="1" PostTypeId="1" Score="3" Title="How?" Body="&lt;p&gt;How is it done?&lt;/p&gt;" />',
        '<row Id="2" PostTypeId="2" ParentId="1" Score="9" Body="&lt;p&gt;So.&lt;/p&gt;" />',
        '<row Id="3" PostTypeId="2" ParentId="1" Score="10" Body="&lt;p&gt;Like this.&lt;/p&gt;" />',
        '<row Id="4" PostTypeId="5" Body="a tag" />',
    ]
    xml = '<?xml version="1.0" encoding="utf-8"?>\n<posts>\n' + "\n".join(rows) + "\n</posts>"
    (folder / "tea.Posts.xml").write_text(xml)


def text(folder: Path) -> None:
    (folder / "a.jsonl").write_text('{"text": "one"}\n{"text": "one"}\nnot json\n')


def commoncrawl(folder: Path) -> None:
    texts = [f"title\n{sentence(n)}\n{sentence(n + 9)}\n{sentence(5)}" for n in range(2)]
    records = [wet(n, text) for n, text in enumerate([*texts, "too short"])]
    (folder / "a.warc.wet.gz").write_bytes(packed([*records, wet(9, "", WARC_Type="metadata")]))


DUMPS = {  # who writes it; records read and kept
    "commoncrawl": (commoncrawl, 4, 2),
    "c4": (c4, 3, 1),
    "github": (github, 4, 1),
    "wikipedia": (wikipedia, 2, 1),
    "books": (books, 2, 1),
    "arxiv": (arxiv, 2, 1),
    "stackexchange": (stackexchange, 2, 1),
    "text": (text, 3, 1),
}


def accounted(report: dict) -> bool:
    return report["read"] == report["kept"] + sum(counted["count"] for counted in report["dropped"].values())


@pytest.mark.parametrize("source", DUMPS)
def test_every_record_of_our_own_dumps_is_kept_or_counted(source, tmp_path):
    write, read, kept = DUMPS[source]
    dump = tmp_path / "dump"
    dump.mkdir()
    write(dump)
    report = run(source, [str(dump)], tmp_path)
    assert (report["read"], report["kept"]) == (read, kept) and accounted(report)
    page = (tmp_path / source / "report.html").read_text()
    for reason, counted in report["dropped"].items():
        assert f"| {reason} | {counted['count']} |" in table(source, report) and reason in page


@pytest.mark.parametrize("source", INPUTS)
def test_every_record_of_the_real_samples_is_kept_or_counted(source, tmp_path, shared_data):
    report = run(source, [str(shared_data / name) for name in INPUTS[source]], tmp_path)
    assert accounted(report) and report["kept"] > 0
    print(table(source, report))
