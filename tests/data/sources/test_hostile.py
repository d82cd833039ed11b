"""Inputs made to exhaust memory or time: each is quarantined by its location, and what is good is kept."""

import bz2
import gzip
import io
import json
import random
import subprocess
import sys
import tarfile
import time
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.accounts import MANY, Report
from data.documents import Document, Drop, Record, read_documents, text_files
from data.main import main
from data.sources import commoncrawl, text
from data.sources.arxiv.recipe import clean_latex
from data.sources.commoncrawl import nesting
from data.sources.commoncrawl.members import ZSTD, read_pieces, zstd
from data.sources.files import limits
from data.sources.files.limits import Limits, TooLarge
from data.sources.files.tables import arrow_rows, parquet_rows
from data.sources.github.files import read as read_github
from data.sources.wikipedia import dump
from data.sources.wikipedia.page import Namespaces
from data.sources.wikipedia.wikitext import wikitext_to_text
from tests.support.cpu_time import takes_over
from tests.support.narrow import as_a

ROOT = Path(__file__).parents[3]
MIB = 1 << 20
SMALL = Limits(record_bytes=MIB, max_expansion=100)
EVIL = "\x1b]0;owned\x07\u202egpj.exe"  # a terminal escape and an override of the writing direction


def drops(items) -> list[Drop]:
    return [item for item in items if isinstance(item, Drop)]


def dictionary_bomb(path: Path, n_rows: int = 3000) -> None:
    """A cell of 1 MB that every row refers to, in a few kilobytes."""
    cells = pa.DictionaryArray.from_arrays(pa.array([0] * n_rows, pa.int32()), pa.array(["x" * 1_000_000]))
    pq.write_table(pa.table({"text": cells}), path, compression="zstd")


def test_bombs_next_to_good_files_cost_only_themselves_and_memory_is_bounded(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    zeros = b" " * (200 * MIB)
    (source / "bomb.jsonl.zst").write_bytes(pa.compress(zeros, "zstd", asbytes=True))
    (source / "dense.jsonl").write_bytes(b'{"text": "x", "y": [' + b"[]," * (MIB // 4) + b"[]]}\n")
    (source / "array.json").write_bytes(b'[{"text": "array"}, {"text": "' + zeros[: 4 * MIB] + b'"}]')
    (source / "literal.jsonl").write_text(json.dumps({"text": "literal", "meta": "[" + "[]," * 60_000 + "]"}))
    cells = pa.table({"text": ["cell", "x" * (30 * MIB), "after"]})
    pq.write_table(cells, source / "cell.parquet", compression="zstd", row_group_size=2)
    dictionary_bomb(source / "dictionary.parquet")
    (source / "good.jsonl").write_text('{"text": "good"}\n' + json.dumps({"text": "z" * 2 * MIB}) + "\n")
    arguments = ["recipe=text", "source=mine", f"input={source}", f"corpora={tmp_path / 'c'}"]
    arguments += ["record_bytes=1048576", "engine.workers=1"]
    code = (
        "import pathlib, sys; from data.main import main; rc = main(sys.argv[1:]); "
        "print(rc, pathlib.Path('/proc/self/status').read_text().split('VmHWM:')[1].split()[0])"
    )
    ran = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    rc, peak = map(int, ran.stdout.split()[-2:])
    assert rc == 0, ran.stderr
    if sys.platform == "linux":
        assert peak < 500 << 10, f"{peak:,} kB"
    kept = {d.text for path in text_files(tmp_path / "c/mine/text") for d in read_documents(path)}
    assert {one for one in kept if len(one) < 100} == {"array", "literal", "after", "good"}
    lines = map(json.loads, (tmp_path / "c/mine/quarantine.jsonl").read_text().splitlines())
    places = {(Path(line["file"]).name, line["record"]) for line in lines}
    assert places == {
        ("bomb.jsonl.zst", 0),
        ("dense.jsonl", 0),
        ("array.json", 1),
        ("cell.parquet", 0),
        ("good.jsonl", 1),
    }


def test_a_plain_text_that_unpacks_to_more_than_a_record_is_set_aside(tmp_path):
    for name, pack in (
        ("a.txt.gz", gzip.compress),
        ("a.txt.zst", lambda b: pa.compress(b, "zstd", asbytes=True)),
    ):
        path = tmp_path / name
        path.write_bytes(pack(b"x" * (3 * MIB)))
        with limits.within(SMALL):
            (drop,) = text.read(path)
        assert isinstance(drop, Drop) and drop.malformed and "above 1 MiB" in drop.detail


def test_a_file_that_unpacks_beyond_its_bound_is_read_up_to_there(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "FREE_BYTES", MIB)
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(b'{"text": "%s"}\n' % (b"x" * 10_000) * 2000))
    good = tmp_path / "b.jsonl"
    good.write_text('{"text": "good"}\n')
    arguments = ["recipe=text", "source=mine", f"input={path},{good}", f"corpora={tmp_path / 'c'}"]
    assert main([*arguments, "engine.workers=1", "max_expansion=1"]) == 0
    report = json.loads((tmp_path / "c/mine/report.json").read_text())
    assert report["dropped"]["too large"]["count"] == 1 and report["kept"] == 2
    assert "max_expansion" in report["dropped"]["too large"]["examples"][0]["detail"]


@pytest.mark.parametrize("name", ["dump.xml.gz", "dump.xml.bz2"])
def test_a_dump_that_unpacks_beyond_its_bound_ends_there(tmp_path, monkeypatch, name):
    monkeypatch.setattr(limits, "FREE_BYTES", MIB)
    content = b"<mediawiki><page>x</page>" + b" " * (40 * MIB)
    path = tmp_path / name
    path.write_bytes((gzip if name.endswith("gz") else bz2).compress(content))
    found = []
    with pytest.raises(TooLarge, match="unpacks to more than"):
        for page in dump.pages(path):
            found.append(page)
    assert found == [b"<page>x</page>"]


def test_a_dictionary_of_large_cells_is_read_a_row_at_a_time(tmp_path):
    path = tmp_path / "a.parquet"
    dictionary_bomb(path, 20)
    with limits.within(SMALL):
        assert [len(row[1]["text"]) for row in parquet_rows(path) if not isinstance(row, Drop)] == [
            10**6
        ] * 20
    with limits.within(Limits(record_bytes=100_000)):
        found = drops(parquet_rows(path))
    assert found and all(drop.malformed for drop in found)


def test_an_arrow_batch_that_claims_to_unpack_to_gigabytes_is_refused_before(tmp_path):
    path = tmp_path / "a.arrow"
    table = pa.table({"text": ["x" * (20 * MIB)]})
    for compression in ("zstd", "lz4", None):
        options = pa.ipc.IpcWriteOptions(compression=compression)
        with (
            pa.OSFile(str(path), "wb") as file,
            pa.ipc.new_stream(file, table.schema, options=options) as out,
        ):
            out.write_table(table)
        with limits.within(SMALL):
            if compression:
                with pytest.raises(TooLarge, match="Arrow batch"):
                    list(arrow_rows(path))
            else:  # mapped, not unpacked
                assert len(drops(arrow_rows(path))) == 1
        assert [len(as_a(tuple, item)[1]["text"]) for item in arrow_rows(path)] == [20 * MIB]


@pytest.mark.parametrize("name", ["x" * 50 + ".bin", "pages"])
def test_parquet_of_every_shape_is_read_as_before(tmp_path, name):
    """Pages of both versions, nested and empty columns, long statistics."""
    path = tmp_path / "a.parquet"
    rng = random.Random(0)
    table = pa.table(
        {
            "text": [rng.choice([None, "", name * rng.randrange(200)]) for _ in range(3000)],
            "list": [[{"a": i, "b": [str(i)] * rng.randrange(3)}] * rng.randrange(4) for i in range(3000)],
            "map": pa.array([[("k", 1.5)]] * 3000, pa.map_(pa.string(), pa.float64())),
            "none": pa.nulls(3000),
        }
    )
    for version in ("1.0", "2.0"):
        for dictionary in (True, False):
            pq.write_table(
                table, path, data_page_version=version, use_dictionary=dictionary, data_page_size=2000,
                row_group_size=700, compression="zstd",
            )  # fmt: skip
            assert [as_a(tuple, item)[1] for item in parquet_rows(path)] == table.to_pylist()


def tar_with(path: Path, *members: tarfile.TarInfo | tuple[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def test_a_tar_of_links_devices_and_climbing_names_gives_its_files_and_writes_nothing(tmp_path):
    code = b"def f(x):\n    return x + 1\n"
    archive = tar_with(
        tmp_path / "repo-main.tar.gz",
        ("repo/LICENSE", b"MIT License"),
        ("/etc/evil.py", code),
        ("repo/../../evil.py", code),
        ("repo/good.py", code),
        special("repo/link.py", tarfile.SYMTYPE, "/etc/passwd"),
        special("repo/hard.py", tarfile.LNKTYPE, "../../etc/passwd"),
        special("repo/device.py", tarfile.CHRTYPE),
        special("repo/pipe.py", tarfile.FIFOTYPE),
    )
    before = set(tmp_path.rglob("*"))
    found = [item for item in read_github(archive) if isinstance(item, Record)]
    assert {item.text for item in found} == {code.decode()}
    assert not any("passwd" in item.text for item in found)
    assert set(tmp_path.rglob("*")) == before and not Path("/etc/evil.py").exists()


def test_a_header_that_claims_gigabytes_ends_that_tar_alone(tmp_path):
    for kind in (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME):
        info = tarfile.TarInfo("././@LongLink")
        info.type, info.size = kind, 6 << 30
        path = tmp_path / "repo.tar"
        path.write_bytes(info.tobuf() + b"x" * 1024)
        with pytest.raises(tarfile.ReadError, match=r"headers? of"):
            list(read_github(path))


def test_a_tar_that_unpacks_beyond_its_bound_ends_there(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "FREE_BYTES", MIB)
    path = tar_with(tmp_path / "repo.tar.gz", ("repo/a.bin", b"\0" * (40 * MIB)), ("repo/b.py", b"x = 1\n"))
    with pytest.raises(TooLarge, match="unpacks to more than"):
        list(read_github(path))


def test_a_tar_of_many_names_takes_linear_time_and_no_growing_memory(tmp_path):
    """A million names cost ten times what is measured here."""
    small, large = tmp_path / "small.tar", tmp_path / "large.tar"
    block = tarfile.TarInfo("repo/empty.bin").tobuf()
    for path, count in ((small, 2500), (large, 10_000)):
        path.write_bytes(block * count + b"\0" * 1024)
        assert len(drops(read_github(path))) == count
    assert not takes_over(8, lambda: drops(read_github(large)), lambda: drops(read_github(small)))


def test_a_warc_dictionary_that_is_a_bomb_is_not_unpacked_completely(tmp_path):
    packed = zstd.compress(b"\0" * (200 * MIB))
    assert packed.startswith(ZSTD)
    path = tmp_path / "a.warc.zst"
    path.write_bytes(b"\x5d\x2a\x4d\x18" + len(packed).to_bytes(4, "little") + packed + b"rest")
    with path.open("rb") as file, pytest.raises((OSError, TooLarge)):
        list(read_pieces(file))
    path.write_bytes(b"\x5d\x2a\x4d\x18" + (0xFFFFFFFF).to_bytes(4, "little") + packed)
    with path.open("rb") as file, pytest.raises(TooLarge, match="dictionary"):
        list(read_pieces(file))


def test_an_entity_bomb_remains_a_few_characters():
    """Billion laughs, in a page: entities of its own are not declared, and a DTD is not read."""
    laughs = b"".join(b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 10))
    bomb = b'<!DOCTYPE page [<!ENTITY a0 "lol">' + laughs + b"]><page><text>&a9;</text></page>"
    begin = time.process_time()
    try:
        assert len(dump.parse(bomb).findtext("text") or "") < 100
    except Exception as error:
        assert "XMLSyntaxError" in type(error).__name__
    assert time.process_time() - begin < 10  # a billion laughs take longer


@pytest.mark.parametrize(
    "one", ["<div>", "<div><p>x</p>", "<ul><li>", "<span>", "<p><font size=%d>x", "<b a=%d><div>"]
)
def test_a_page_of_a_hundred_thousand_open_elements_is_dropped_before_it_is_parsed(one):
    html = "".join(one.replace("%d", str(i)) for i in range(100_000))
    record = Record("a.warc.gz", 7, html, "https://a.org", meta={"html": True})
    begin = time.process_time()
    drop = commoncrawl.clean(record)
    assert isinstance(drop, Drop) and drop.reason == "nested too deeply" and drop.malformed
    assert time.process_time() - begin < 10  # parsed, it takes minutes


def test_stray_end_tags_do_not_hide_depth_and_sloppy_pages_pass():
    assert nesting.is_too_deep("<div></b></i></p>" * 5000)
    assert not nesting.is_too_deep("<p>a<li>b<td>c<br><img>" * 20_000)
    assert not nesting.is_too_deep("<div><span>a</div>" * 20_000)
    assert not nesting.is_too_deep("<p><b>a" * 10_000)


DIGITS = "1" * 5000  # int() refuses more than 4,300


@pytest.mark.parametrize(
    "latex",
    [
        rf"\ifnum1<{DIGITS} word\else word\fi",
        rf"\newcount\n \n={DIGITS}\relax word",
        rf"\setcounter{{page}}{{{DIGITS}}}word",
        rf"\ifodd{DIGITS} word\else word\fi",
        rf"\newlength{{\w}}\setlength{{\w}}{{{DIGITS}pt}}word",
        r"\newcount\n \n=1 " + r"\advance\n by\n" * 15_000 + r"\ifnum\n>0 word\else word\fi",
        rf"\begin{{enumerate}}\setcounter{{enumi}}{{{DIGITS}}}\item word\end{{enumerate}}",
        rf"\def\a#1{{word}}\a{{{DIGITS}}}\vspace{{{DIGITS}pt}}",
    ],
)
def test_a_paper_with_a_number_of_thousands_of_digits_is_kept(latex):
    assert "word" in clean_latex("\\section{A}\n" + latex)


@pytest.mark.parametrize("language", ["en", "fr", "de", "ru"])
def test_a_page_with_a_number_of_thousands_of_digits_is_kept(language):
    templates = ["roman", "percentage", "date", "dts", "birth_date", "age", "convert", "val", "frac"]
    functions = ["#expr:", "#ifexpr:", "padleft:", "plural:", "formatnum:", "#if:", "#switch:"]
    calls = [f"{name}|{given}" for name in templates for given in (DIGITS, f"1|{DIGITS}", f"1|2|{DIGITS}")]
    calls += [f"{name}{DIGITS}|{DIGITS}|a" for name in functions]
    for call in calls:
        text = wikitext_to_text(f"before {{{{{call}}}}} after", "T", Namespaces.of({}), language)
        assert "before" in text and "after" in text, call[:20]


def test_deep_nesting_in_wikitext_and_latex_takes_linear_time():

    def wikitext(content: str) -> str:
        return wikitext_to_text(content, "Title", Namespaces.of({}), "en")

    works = {
        "latex groups": (clean_latex, r"\section{A}" + "{" * 30_000 + "x" + "}" * 30_000),
        "latex environments": (clean_latex, r"\section{A}" + r"\begin{a}" * 30_000),
        "templates": (wikitext, "text " + "{{a|" * 30_000),
        "links": (wikitext, "text " + "[[a|" * 30_000),
        "tables": (wikitext, "text\n" + "{|\n|" * 30_000),
    }
    for name, (clean, content) in works.items():
        begin = time.process_time()
        clean(content)
        assert time.process_time() - begin < 10, name


def test_nothing_of_the_data_reaches_the_terminal_or_a_page_as_more_than_text(tmp_path, capsys):
    rows_ = [
        {"content": "x = 1\n", "path": f"a{i}.py", "license": f"{EVIL}{i}<script>alert(1)</script>"}
        for i in range(3000)
    ]
    rows_.append({"content": "def f(x):\n    return x\n", "path": "a.py", "license": "mit"})
    path = tmp_path / f"{EVIL}<script>.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows_))
    arguments = ["recipe=github", f"input={tmp_path}", f"corpora={tmp_path / 'c'}", "engine.workers=1"]
    assert main([*arguments, "licences=[mit]"]) == 0
    shown = capsys.readouterr()
    assert all(c.isprintable() or c == "\n" for c in shown.out + shown.err)
    report = json.loads((tmp_path / "c/github/report.json").read_text())
    assert len(report["dropped"]) < 20
    page = next((tmp_path / "c/github").glob("*.html")).read_text()
    assert "<script>alert" not in page
    assert not any(unicodedata.category(c) in ("Cc", "Cf") for c in page if c not in "\n\t")


def test_reasons_languages_and_notes_are_bounded_in_number_and_length():
    report = Report()
    for number in range(3 * MANY):
        report.drop(Drop(f"{number} {'x' * 10_000}", "a", number))
        report.keep(Document(str(number), "s", "t", "a", number, meta=json.dumps({"language": str(number)})))
    assert len(report.dropped) == MANY + 1 and len(report.languages) == MANY + 1
    assert sum(one["count"] for one in report.dropped.values()) == 3 * MANY
    assert len(json.dumps(report.as_dict())) < 3_000_000
