"""The WARC reader: only bad records are lost, in any compression; each good one is read once."""

import gzip
import random
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("backports.zstd", reason="backports.zstd is not installed (pip install -e '.[data]')")

from data.documents import Record
from data.sources.commoncrawl import members, recipe
from data.sources.commoncrawl.members import zstd
from data.sources.commoncrawl.warc import Fault, WarcRecord, read_records
from tests.support.web import PACKINGS, SUFFIXES, http, packed, wet

LONG = "A line of some length that is part of the page's text.\n" * 8
PAGE = f"<html><head><title>t</title></head><body><p>{LONG}</p></body></html>".encode()
HTML_HEAD = "Content-Type: text/html\r\n"


def good(number: int) -> bytes:
    return wet(number, f"title {number}\n{LONG}")


def wrong(header: str) -> bytes:
    return http(1, PAGE, HTML_HEAD + header + "\r\n")


# A bad record, and whether its text is still read.
BAD = {
    "longer than it is": (wet(1, "t\n" + LONG, Content_Length="900"), False),
    "far longer": (wet(1, "t\n" + LONG, Content_Length=str(10**15)), False),
    "longer by its empty lines and a byte": (wet(1, "t\n" + LONG, Content_Length=str(len(LONG) + 7)), False),
    "shorter by one": (wet(1, "t\n" + LONG + "!", Content_Length=str(len(LONG) + 2)), True),
    "far shorter": (wet(1, "t\n" + LONG, Content_Length="20"), True),
    "of no bytes": (wet(1, "t\n" + LONG, Content_Length="0"), True),
    "negative": (wet(1, "t\n" + LONG, Content_Length="-5"), False),
    "no length": (wet(1, "t\n" + LONG, without="Content-Length"), False),
    "a length in words": (wet(1, "t\n" + LONG, Content_Length="many"), False),
    "no type": (wet(1, "t\n" + LONG, without="WARC-Type"), False),
    "no url": (wet(1, "t\n" + LONG, without="WARC-Target-URI"), False),
    "not UTF-8": (wet(1, b"t\n" + LONG.encode() + b"\xff\xfe"), False),
    "no headers": (b"this is not a record at all\r\n\r\n" * 9, False),
    "gzip, which it is not": (wrong("Content-Encoding: gzip"), True),
    "chunked, which it is not": (wrong("Transfer-Encoding: chunked"), True),
    "an encoding that does not exist": (wrong("Content-Encoding: utf-8"), True),
    "packed, but by nothing known": (
        http(1, bytes(range(256)) * 9, HTML_HEAD + "Content-Encoding: br\r\n"),
        False,
    ),
}
BAD_CASES = [pytest.param(*case, id=name) for name, case in BAD.items()]


def read(folder: Path, content: bytes, packing: str = "gzip") -> list:
    path = folder / f"x.{SUFFIXES[packing]}"
    path.write_bytes(content)
    return list(recipe.read(path))


@pytest.mark.parametrize("packing", PACKINGS)
@pytest.mark.parametrize(("bad", "readable"), BAD_CASES)
def test_a_bad_record_costs_at_most_itself(tmp_path, bad, readable, packing):
    records = [good(0), bad, good(2), good(3)]
    found = read(tmp_path, PACKINGS[packing](records), packing)
    assert [item.record for item in found] == [0, 1, 2, 3]
    texts = [f"title {number}\n{LONG}" for number in (0, 2, 3)]
    assert [found[place].text for place in (0, 2, 3)] == texts
    if readable:
        assert isinstance(found[1], Record) and LONG.strip() in found[1].text and found[1].meta["note"]
    else:
        assert found[1].malformed and found[1].reason == "malformed record"


@pytest.mark.parametrize("packing", PACKINGS)
@settings(max_examples=60, deadline=None)
@given(places=st.lists(st.sampled_from([None, *BAD]), min_size=1, max_size=12))
def test_every_good_record_comes_out_once_before_and_after_any_bad_ones(tmp_path_factory, packing, places):
    records = [good(99)]  # a plain file that does not begin with a record is refused
    records += [good(100 + place) if bad is None else BAD[bad][0] for place, bad in enumerate(places)]
    records.append(good(999))  # a file whose last record is truncated raises OSError, tested below
    found = read(tmp_path_factory.mktemp("warc"), PACKINGS[packing](records), packing)
    urls = [item.url.rpartition("/")[2] for item in found if isinstance(item, Record)]
    expected = [str(100 + place) for place, bad in enumerate(places) if bad is None]
    assert [url for url in urls if url != "1"] == ["99", *expected, "999"]
    assert urls.count("1") >= sum(BAD[bad][1] for bad in places if bad)  # bytes without headers lengthen one


@pytest.mark.parametrize("compress", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
@pytest.mark.parametrize("bad", [case[0] for case in BAD.values()], ids=BAD)
def test_a_bad_record_inside_a_single_member_costs_at_most_itself(tmp_path, bad, compress):
    found = read(tmp_path, compress(b"".join([good(0), bad, good(2), good(3)])))
    urls = [item.url[-1] for item in found if isinstance(item, Record)]
    assert [url for url in urls if url != "1"] == ["0", "2", "3"] and len(found) == 4


def unpacked_bytes(monkeypatch, path: Path) -> tuple[int, int]:
    """The number of bytes that reading a file unpacks, and the number of records."""
    counted = [0]

    class Counting(members.Inflate):
        def decompress(self, data: bytes, max_length: int = -1) -> bytes:
            out = super().decompress(data, max_length)
            counted[0] += len(out)
            return out

    monkeypatch.setattr(members, "Inflate", Counting)
    n_records = sum(1 for _ in read_records(path))
    monkeypatch.undo()
    return counted[0], n_records


@pytest.mark.parametrize("kind", ["damaged", "wrong", "short", "long", "headless"])
def test_each_byte_is_unpacked_once_however_many_records_are_bad(tmp_path, monkeypatch, kind):
    bad = {
        "damaged": gzip.compress(good(1))[:-30],
        "wrong": gzip.compress(BAD["gzip, which it is not"][0]),
        "short": gzip.compress(BAD["shorter by one"][0]),
        "long": gzip.compress(BAD["far longer"][0]),
        "headless": gzip.compress(BAD["no headers"][0]),
    }[kind]
    for n_bad in (100, 200):
        path = tmp_path / f"{n_bad}.warc.gz"
        path.write_bytes(
            b"".join(gzip.compress(good(n)) + bad for n in range(n_bad)) + gzip.compress(good(9))
        )
        unpacked, n_records = unpacked_bytes(monkeypatch, path)
        assert n_records == 2 * n_bad + 1
        assert unpacked < 2 * n_bad * (len(good(100)) + 1000)


def test_members_cut_or_damaged_at_any_byte_cost_one_record(tmp_path):
    packs = {"gzip": gzip.compress, "zstd": lambda data: zstd.compress(data, options=CHECKED)}
    for packing, compress in packs.items():
        parts = [compress(good(number)) for number in range(4)]
        draw = random.Random(0)
        for _ in range(60):
            broken, at = bytearray(parts[1]), draw.randrange(len(parts[1]))
            broken = broken[:at] if draw.random() < 0.5 else broken[:at] + b"\xff" + broken[at + 1 :]
            if bytes(broken) == parts[1]:
                continue
            found = read(tmp_path, parts[0] + bytes(broken) + parts[2] + parts[3], packing)
            urls = [item.url[-1] for item in found if isinstance(item, Record)]
            assert urls in (["0", "2", "3"], ["0", "1", "2", "3"]), (
                packing,
                at,
            )  # a name's bit harms nothing
            assert len(found) >= 3 + (urls != ["0", "1", "2", "3"]) - (at == 0)


CHECKED = {int(zstd.CompressionParameter.checksum_flag): 1}


@pytest.mark.parametrize("packing", ["gzip", "zstd", "plain"])
@pytest.mark.parametrize("cut", [1, 30, 60, 200])
def test_a_truncated_file_gives_the_records_before_the_break_and_reports_it(tmp_path, packing, cut):
    content = PACKINGS[packing]([good(number) for number in range(3)])
    if packing == "plain":
        cut += 4  # its empty lines may be missing
    path = tmp_path / f"x.{SUFFIXES[packing]}"
    path.write_bytes(content[:-cut])
    found = []
    with pytest.raises(OSError, match="after a damaged one"):
        for item in recipe.read(path):
            found.append(item)
    assert [item.url[-1] for item in found if isinstance(item, Record)] == ["0", "1"]
    assert [item.malformed for item in found if not isinstance(item, Record)] == [True]


@pytest.mark.parametrize("content", [b"", b"\0" * 999, b"<html>", b"PK\x03\x04"])
def test_other_files_are_refused(tmp_path, content):
    with pytest.raises(OSError, match="not a WARC"):
        read(tmp_path, content)


def test_records_across_members_and_many_in_one_are_read(tmp_path):
    one, two = (wet(number, f"t\n{LONG}") for number in (1, 2))
    cut = gzip.compress(one[:80]) + gzip.compress(one[80:]) + gzip.compress(two)
    assert [item.url[-1] for item in read(tmp_path, cut)] == ["1", "2"]
    assert [item.url[-1] for item in read(tmp_path, gzip.compress(one + two))] == ["1", "2"]


def test_padding_between_records_and_members_is_skipped(tmp_path):
    one, two = good(1), good(2)
    for content, packing in (
        (gzip.compress(one) + b"\0" * 500 + gzip.compress(two) + b"\0" * 100, "gzip"),
        (gzip.compress(one) + gzip.compress(b"") + gzip.compress(two), "gzip"),
        (one + b"\r\n" * 20 + two + b"\0" * 4096, "plain"),
    ):
        assert [item.url[-1] for item in read(tmp_path, content, packing)] == ["1", "2"]


def test_zstd_frames_with_a_dictionary_are_read(tmp_path):
    samples = [good(number) for number in range(300)]
    dictionary = zstd.train_dict(samples, 4096)
    content = dictionary.dict_content
    head = b"\x5d\x2a\x4d\x18" + len(content).to_bytes(4, "little") + content
    frames = [zstd.compress(record, zstd_dict=dictionary) for record in samples[:3]]
    found = read(tmp_path, head + b"".join(frames), "zstd")
    assert [item.text for item in found] == [f"title {number}\n{LONG}" for number in range(3)]


def test_old_versions_and_bare_line_ends_are_read(tmp_path):
    old = good(0).replace(b"WARC/1.0", b"WARC/0.18")
    bare = good(1).replace(b"\r\n", b"\n")
    assert [item.url[-1] for item in read(tmp_path, packed([old, bare]))] == ["0", "1"]
    assert [item.url[-1] for item in read(tmp_path, bare + bare, "plain")] == ["1", "1"]


def test_a_page_about_warc_is_one_record(tmp_path):
    text = "How a record begins:\r\n\r\nWARC/1.0\r\nWARC-Type: response\r\n\r\n" + LONG
    for packing in PACKINGS:
        found = read(tmp_path, PACKINGS[packing]([wet(0, text), good(1)]), packing)
        assert [item.text for item in found if isinstance(item, Record)] == [text, f"title 1\n{LONG}"]


def test_a_record_above_the_limit_is_skipped_in_bounded_memory(tmp_path):
    content = packed([wet(0, b"t\n" + b"y" * (100 << 20)), wet(1, f"t\n{LONG}")])
    tracemalloc.start()
    found = read(tmp_path, content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found[0].malformed and "above 32 MiB" in found[0].detail
    assert found[1].url == "http://page.org/1" and peak < 8 << 20


def test_real_samples_are_read_as_fastwarc_reads_them(shared_data):
    iterator = pytest.importorskip("fastwarc.warc").ArchiveIterator
    n_records = 0
    for path in sorted((shared_data / "cc").glob("*.warc*.gz")):
        ours = [record for record in read_records(path) if not isinstance(record, Fault)]
        with path.open("rb") as file:
            theirs = []
            for record in iterator(file, parse_http=False):
                name = str(record.record_type).rpartition(".")[2]
                url = record.headers.get("WARC-Target-URI")
                theirs.append(WarcRecord(name, {"url": url or ""}, record.reader.read()))
        ours = [
            WarcRecord(record.kind, {"url": record.headers.get("warc-target-uri", "")}, record.body)
            for record in ours
        ]
        assert ours == theirs
        n_records += len(ours)
    assert n_records > 900
