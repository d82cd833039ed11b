"""CommonCrawl's pages are parsed as by CCNet."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("resiliparse", reason="resiliparse is not installed (pip install -e '.[data]')")

from data.documents import Document, Drop
from data.errors import DataError
from data.sources.commoncrawl import recipe as commoncrawl
from tests.support.web import http, packed, prepare, report, sentence, wet

LONG = "A line of some length that stands in the text of the page.\n" * 8


def read(tmp_path: Path, content: bytes, name: str = "x.warc.wet.gz") -> list:
    (tmp_path / name).write_bytes(content)
    return list(commoncrawl.read(tmp_path / name))


def clean_one(tmp_path: Path, record: bytes) -> Any:
    (found,) = read(tmp_path, packed([record]))
    return found if isinstance(found, Drop) else commoncrawl.clean(found)


def test_a_page_is_parsed_as_ccnet_does(tmp_path):
    page = clean_one(tmp_path, wet(7, "  The title \r\n\n\t" + LONG + "   \n last one \n"))
    assert page.text == LONG + "last one"
    assert (page.url, page.record, page.source) == ("http://page.org/7", 0, "commoncrawl")
    assert page.meta == '{"date": "2024-05-18T01:58:10Z", "title": "The title"}'


@pytest.mark.parametrize(("characters", "kept"), [(299, False), (300, True)])
def test_the_title_does_not_count_towards_the_three_hundred_characters(tmp_path, characters, kept):
    page = clean_one(tmp_path, wet(0, "title " * 100 + "\n" + "é" * characters))
    assert isinstance(page, Document) is kept


@pytest.mark.parametrize("text", ["", "a", "\n", "only a title"])
def test_the_shortest_pages_are_counted_not_kept(tmp_path, text):
    assert clean_one(tmp_path, wet(0, text)).reason == "under 300 characters"


def test_old_headers_and_new_and_line_ends_without_carriage_return(tmp_path):
    old = wet(0, "t\n" + LONG, without="WARC-Identified-Content-Language")
    assert clean_one(tmp_path, old).text == clean_one(tmp_path, wet(0, "t\n" + LONG)).text
    bare = old.replace(b"\r\n", b"\n")
    (found,) = read(tmp_path, bare, "x.warc.wet")
    assert commoncrawl.clean(found).text == LONG.strip()


def test_other_records_are_counted_by_their_type(tmp_path):
    kinds = ["warcinfo", "request", "metadata", "resource", "revisit"]
    records = [wet(number, "x", WARC_Type=kind) for number, kind in enumerate(kinds)]
    found = read(tmp_path, packed(records))
    assert [(item.reason, item.detail) for item in found] == [("not a page", kind) for kind in kinds]


HTML = "<html><head><title>The title</title></head><body><main><p>" + "Ein schöner Satz. " * 30
HTML += "</p><p>Zweiter Absatz.</p><script>var x</script></main></body></html>"


def test_html_gives_its_text_and_title(tmp_path):
    page = clean_one(tmp_path, http(0, HTML.encode()))
    assert page.text == ("Ein schöner Satz. " * 30).strip() + "\nZweiter Absatz."
    assert '"title": "The title"' in page.meta


@pytest.mark.parametrize(
    ("content", "claimed"),
    [
        (HTML.encode("utf-8"), "iso-8859-1"),  # the most frequent wrong header
        (HTML.encode("latin-1"), "utf-8"),
        (HTML.encode("latin-1"), "iso-8859-1"),
        (HTML.encode("latin-1"), "no-such-charset"),
        (HTML.encode("utf-8-sig"), "ascii"),
        (HTML.encode("utf-16"), "utf-16"),
    ],
)
def test_a_wrong_charset_does_not_harm_the_text(tmp_path, content, claimed):
    head = f"Content-Type: text/html; charset={claimed}\r\n"
    assert "Ein schöner Satz." in clean_one(tmp_path, http(0, content, head)).text


def test_records_that_are_not_web_pages_are_counted(tmp_path):
    cases = {
        "HTTP 404": http(0, HTML.encode(), status="404 Not Found"),
        "image/png": http(0, b"\x89PNG", "Content-Type: image/png\r\n"),
    }
    for detail, record in cases.items():
        found = clean_one(tmp_path, record)
        assert (found.reason, found.detail) == ("not a page", detail)


def test_inputs_are_found_and_others_refused(tmp_path):
    for name in ("b.warc.gz", "a.warc.wet.gz", "a.warc.wat.gz", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    assert [path.name for path in commoncrawl.inputs(tmp_path)] == ["a.warc.wet.gz", "b.warc.gz"]
    for place in (tmp_path / "notes.txt", tmp_path / "absent"):
        with pytest.raises(DataError, match="WET or WARC"):
            commoncrawl.inputs(place)


def test_real_samples(shared_data):
    pages = {}
    for path in commoncrawl.inputs(shared_data / "cc"):
        items = [
            item if isinstance(item, Drop) else commoncrawl.clean(item) for item in commoncrawl.read(path)
        ]
        pages[path.name] = [item for item in items if isinstance(item, Document)]
        assert not [item for item in items if isinstance(item, Drop) and item.malformed]
    counts = {name: len(found) for name, found in pages.items()}
    assert counts == {
        "dolma-sample-0000.warc.gz": 22,  # every page
        "iah-blackbook.warc.gz": 91,
        "resiliparse-warcfile.warc.gz": 11,
        "whirlwind.warc.gz": 1,
        "whirlwind.warc.wet.gz": 1,
    }
    (wet_page,) = pages["whirlwind.warc.wet.gz"]
    assert wet_page.text.startswith("Ir al contenido\nMenú principal\n")
    assert '"title": "Escopete - Biquipedia, a enciclopedia libre"' in wet_page.meta


def test_the_report_counts_corrected_pages(tmp_path):
    head = "Content-Type: text/html\r\nContent-Encoding: gzip\r\n"
    html = [
        f"<html><body><p>{sentence(number)} {sentence(number + 9)}</p></body></html>" for number in range(3)
    ]
    records = [http(0, html[0].encode(), head), http(1, html[1].encode()), http(2, html[2].encode(), head)]
    (tmp_path / "dump").mkdir()
    (tmp_path / "dump" / "0.warc.gz").write_bytes(packed(records))
    assert (
        prepare(
            tmp_path / "dump", tmp_path, "ccnet.skip=language,paragraphs,perplexity,references", "stage=text"
        )
        == 0
    )
    found = report(tmp_path)
    assert (found["kept"], found["notes"]) == (3, {"wrong content-encoding": 2})
    assert "wrong content-encoding" in (tmp_path / "commoncrawl" / "report.html").read_text()
