"""CommonCrawl's files: pages parsed as CCNet does, and one bad record never takes another with it."""

import gzip
import random
from pathlib import Path

import pytest

pytest.importorskip("fastwarc", reason="fastwarc is not installed (pip install -e '.[data]')")

from data.documents import Document, Drop, Record
from data.errors import DataError
from data.sources.commoncrawl import recipe as commoncrawl
from data.sources.commoncrawl import warc
from tests.support.web import http, packed, wet

LONG = "A line of some length that stands in the text of the page.\n" * 8


def read(tmp_path: Path, content: bytes, name: str = "x.warc.wet.gz") -> list[Record | Drop]:
    (tmp_path / name).write_bytes(content)
    return list(commoncrawl.read(tmp_path / name))


def clean_one(tmp_path: Path, record: bytes) -> Document | Drop:
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
def test_the_smallest_pages_are_counted_not_kept(tmp_path, text):
    assert clean_one(tmp_path, wet(0, text)).reason == "under 300 characters"


def test_old_headers_and_new_and_line_ends_without_carriage_return(tmp_path):
    old = wet(0, "t\n" + LONG, without="WARC-Identified-Content-Language")
    assert clean_one(tmp_path, old).text == clean_one(tmp_path, wet(0, "t\n" + LONG)).text
    bare = old.replace(b"\r\n", b"\n")
    (found,) = read(tmp_path, bare, "x.warc.wet")
    assert commoncrawl.clean(found).text == LONG.strip()


BAD = {
    "longer than it is": wet(1, "t\n" + LONG, Content_Length="900"),
    "shorter than it is": wet(1, "t\n" + LONG, Content_Length="20"),
    "far longer": wet(1, "t\n" + LONG, Content_Length=str(10**15)),
    "negative": wet(1, "t\n" + LONG, Content_Length="-5"),
    "no length": wet(1, "t\n" + LONG, without="Content-Length"),
    "no type": wet(1, "t\n" + LONG, without="WARC-Type"),
    "no url": wet(1, "t\n" + LONG, without="WARC-Target-URI"),
    "no headers": b"this is not a record at all\r\n\r\n" * 9,
    "not UTF-8": wet(1, b"t\n" + LONG.encode() + b"\xff\xfe"),
}


@pytest.mark.parametrize("pack", [packed, b"".join], ids=["gzip", "plain"])
@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_record_is_set_aside_and_its_neighbours_are_read(tmp_path, bad, pack):
    good = [wet(number, f"title {number}\n{LONG}") for number in (0, 2, 3)]
    name = "x.warc.wet.gz" if pack is packed else "x.warc.wet"
    found = read(tmp_path, pack([good[0], bad, *good[1:]]), name)
    assert [item.record for item in found] == [0, 1, 2, 3]
    assert isinstance(found[1], Drop) and found[1].malformed and found[1].reason == "malformed record"
    texts = [f"title {number}\n{LONG}" for number in (0, 2, 3)]
    assert [found[place].text for place in (0, 2, 3)] == texts


def test_gzip_members_cut_or_damaged_at_any_byte_cost_one_record(tmp_path):
    members = [gzip.compress(wet(number, f"title {number}\n{LONG}")) for number in range(4)]
    draw = random.Random(0)
    for _ in range(60):
        broken, at = bytearray(members[1]), draw.randrange(len(members[1]))
        broken = broken[:at] if draw.random() < 0.5 else broken[:at] + b"\xff" + broken[at + 1 :]
        if bytes(broken) == members[1]:
            continue
        found = read(tmp_path, members[0] + bytes(broken) + members[2] + members[3])
        urls = [item.url[-1] for item in found if isinstance(item, Record)]
        assert urls in (["0", "2", "3"], ["0", "1", "2", "3"]), at  # a flipped bit of a header harms nothing
        assert len(found) >= 3 + (urls != ["0", "1", "2", "3"]) - (at == 0)


def test_a_file_that_breaks_off_gives_what_stands_before_and_says_so(tmp_path):
    content = packed([wet(number, f"title {number}\n{LONG}") for number in range(3)])
    (tmp_path / "x.wet.gz").write_bytes(content[:-60])
    found = []
    with pytest.raises(OSError, match="after a damaged one"):
        for item in commoncrawl.read(tmp_path / "x.wet.gz"):
            found.append(item)
    assert [item.url[-1] for item in found if isinstance(item, Record)] == ["0", "1"]


@pytest.mark.parametrize("content", [b"", b"\0" * 999, b"<html>", b"PK\x03\x04"])
def test_what_is_no_warc_is_refused(tmp_path, content):
    with pytest.raises(OSError, match="not a WARC"):
        read(tmp_path, content)


def test_records_cut_across_members_and_many_in_one_are_read(tmp_path):
    one, two = (wet(number, f"t\n{LONG}") for number in (1, 2))
    cut = gzip.compress(one[:80]) + gzip.compress(one[80:]) + gzip.compress(two)
    assert [item.url[-1] for item in read(tmp_path, cut)] == ["1", "2"]
    assert [item.url[-1] for item in read(tmp_path, gzip.compress(one + two))] == ["1", "2"]


def test_other_records_are_counted_by_their_type(tmp_path):
    kinds = ["warcinfo", "request", "metadata", "resource", "revisit"]
    records = [wet(number, "x", WARC_Type=kind) for number, kind in enumerate(kinds)]
    found = read(tmp_path, packed(records))
    assert [(item.reason, item.detail) for item in found] == [("not a page", kind) for kind in kinds]


def test_a_page_above_the_bound_is_passed_over_without_being_held(tmp_path):
    import tracemalloc

    content = packed([wet(0, b"t\n" + b"y" * (100 << 20)), wet(1, f"t\n{LONG}")])
    tracemalloc.start()
    found = read(tmp_path, content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found[0].malformed and "above 32 MiB" in found[0].detail
    assert found[1].url == "http://page.org/1" and peak < 8 << 20


HTML = "<html><head><title>The title</title></head><body><main><p>" + "Ein schöner Satz. " * 30
HTML += "</p><p>Zweiter Absatz.</p><script>var x</script></main></body></html>"


def test_html_gives_its_text_and_title(tmp_path):
    page = clean_one(tmp_path, http(0, HTML.encode()))
    assert page.text == ("Ein schöner Satz. " * 30).strip() + "\nZweiter Absatz."
    assert '"title": "The title"' in page.meta


@pytest.mark.parametrize(
    ("content", "claimed"),
    [
        (HTML.encode("utf-8"), "iso-8859-1"),  # the lie that is most frequent
        (HTML.encode("latin-1"), "utf-8"),
        (HTML.encode("latin-1"), "iso-8859-1"),
        (HTML.encode("latin-1"), "no-such-charset"),
        (HTML.encode("utf-8-sig"), "ascii"),
        (HTML.encode("utf-16"), "utf-16"),
    ],
)
def test_a_charset_that_lies_does_not_harm_the_text(tmp_path, content, claimed):
    head = f"Content-Type: text/html; charset={claimed}\r\n"
    assert "Ein schöner Satz." in clean_one(tmp_path, http(0, content, head)).text


def test_http_chunks_and_compression_are_undone_and_a_bomb_is_not(tmp_path):
    html = HTML.encode()
    chunked = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (html[:99], html[99:])) + b"0\r\n\r\n"
    head = "Content-Type: text/html\r\n"
    for body, more in (
        (chunked, "Transfer-Encoding: chunked\r\n"),
        (gzip.compress(html), "Content-Encoding: gzip\r\n"),
    ):
        assert "Ein schöner Satz." in clean_one(tmp_path, http(0, body, head + more)).text
    bomb = gzip.compress(b"\0" * (2 * warc.MAX_RECORD))
    found = clean_one(tmp_path, http(0, bomb, head + "Content-Encoding: gzip\r\n"))
    assert found.malformed and "unpacks to more" in found.detail


def test_what_is_not_a_web_page_is_counted(tmp_path):
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
        "dolma-sample-0000.warc.gz": 21,
        "iah-blackbook.warc.gz": 91,
        "resiliparse-warcfile.warc.gz": 11,
        "whirlwind.warc.gz": 1,
        "whirlwind.warc.wet.gz": 1,
    }
    (wet_page,) = pages["whirlwind.warc.wet.gz"]
    assert wet_page.text.startswith("Ir al contenido\nMenú principal\n")
    assert '"title": "Escopete - Biquipedia, a enciclopedia libre"' in wet_page.meta
