"""Wikipedia's dumps: every page once, however they are cut; damaged and hostile files."""

import bz2
import gzip
import random
import re
import time
from itertools import pairwise

import pytest

from data.documents import Drop, Record
from data.sources.wikipedia import dump as dump_reader
from data.sources.wikipedia import recipe as wikipedia
from data.sources.wikipedia import streams as stream_reader
from tests.support.wikipedia import NAME, dump, head, page, read_all, write

# ---- slices


def _streams(content: bytes, cuts: list[int]) -> bytes:
    bounds = [0, *sorted(cuts), len(content)]
    return b"".join(bz2.compress(content[a:b]) for a, b in pairwise(bounds))


def _bz2s(seed: int) -> dict[str, bytes]:
    """One dump as one stream, as Wikimedia's streams of complete pages, and cut anywhere, as by pbzip2."""
    rng = random.Random(seed)
    texts = ["".join(rng.choices("abcdefgh \n", k=rng.choice([0, 5, 300, 4000]))) or "x" for _ in range(60)]
    pages = [page(number, text) for number, text in enumerate(texts)]
    begin, whole = head(), dump(*pages)
    tags = [found.start() + rng.randint(0, 6) for found in re.finditer(b"<page>", whole)]
    groups = [b"".join(pages[i : i + 7]) for i in range(0, 60, 7)]
    return {
        "single": bz2.compress(whole),
        "multistream": b"".join(map(bz2.compress, [begin, *groups, b"</mediawiki>"])),
        "cut anywhere": _streams(whole, rng.sample(range(len(whole)), 40)),
        "cut in every tag": _streams(whole, tags),
        "empty streams": b"".join(bz2.compress(b"") + bz2.compress(group) for group in [begin, *groups]),
    }


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", _bz2s(0))
def test_the_parts_of_a_bz2_give_every_page_once(tmp_path, name, seed):
    content = _bz2s(seed)[name]
    path = write(tmp_path, content, NAME + ".bz2")
    whole, broken = read_all(path)
    assert [item.record for item in whole] == list(range(60)) and not broken
    for n_slices in (2, 3, 5, 11, 40):
        pieces = [read_all(path, index, n_slices) for index in range(n_slices)]
        assert [item for items, _ in pieces for item in items] == whole
        assert not any(broken for _, broken in pieces)


@pytest.mark.parametrize("name", ["single", "multistream", "cut anywhere"])
def test_bytes_that_only_look_like_a_stream_break_nothing(tmp_path, name, monkeypatch):
    """Here every byte `B` looks like a beginning; in real files one place in 2**80 does."""
    content = _bz2s(3)[name]
    path = write(tmp_path, content, NAME + ".bz2")
    whole, _ = read_all(path)
    monkeypatch.setattr(stream_reader, "_STREAM", re.compile(rb"B(?=.{9})", re.DOTALL))
    assert content.count(b"B") > content.count(b"BZh9") + 20
    for n_slices in (1, 2, 3, 7):
        assert [item for index in range(n_slices) for item in read_all(path, index, n_slices)[0]] == whole


def test_the_number_of_slices_depends_only_on_the_size(tmp_path, monkeypatch):
    path = write(tmp_path, bytes(1000), NAME + ".bz2")
    assert wikipedia.slices(path) == 1
    monkeypatch.setattr(wikipedia, "SLICE_BYTES", 300)
    assert wikipedia.slices(path) == 3
    assert wikipedia.slices(write(tmp_path, bytes(1000))) == 1


# ---- damaged and hostile files


@pytest.mark.parametrize("name", ["single", "multistream", "cut anywhere"])
def test_a_truncated_bz2_gives_its_pages_up_to_there(tmp_path, name):
    content = _bz2s(1)[name]
    path = write(tmp_path, content[: len(content) * 2 // 3], NAME + ".bz2")
    items, broken = read_all(path)
    records = [item.record for item in items if isinstance(item, Record)]
    assert "truncated" in broken
    assert records == list(range(len(records)))
    assert len(records) > 20 or name == "single"  # all of a small single stream is one block
    pieces = [read_all(path, index, 4) for index in range(4)]
    assert [item.record for items, _ in pieces for item in items if isinstance(item, Record)] == records
    assert sum(bool(broken) for _, broken in pieces) == 1


def test_a_corrupt_stream_is_quarantined_and_the_next_is_read(tmp_path):
    pages = [page(number, "prose " * (number + 1)) for number in range(40)]
    streams = [
        bz2.compress(part) for part in [head(), *(b"".join(pages[i : i + 10]) for i in range(0, 40, 10))]
    ]
    bad = bytearray(streams[2])
    bad[len(bad) // 2] ^= 0xFF
    path = write(tmp_path, b"".join([*streams[:2], bytes(bad), *streams[3:]]), NAME + ".bz2")
    for n_slices in (1, 2, 5, 9):
        items = [item for index in range(n_slices) for item in read_all(path, index, n_slices)[0]]
        drops = [item for item in items if isinstance(item, Drop)]
        records = [item.record for item in items if isinstance(item, Record)]
        assert [(drop.reason, drop.malformed, drop.record) for drop in drops] == [
            ("corrupt bz2 stream", True, len(streams[0]) + len(streams[1]))
        ]
        assert [number for number in records if not 10 <= number < 20] == [*range(10), *range(20, 40)]


def test_a_corrupt_head_leaves_the_language_to_the_files_name(tmp_path):
    content = bytearray(bz2.compress(head()) + bz2.compress(page(1)))
    content[30] ^= 0xFF
    items, _ = read_all(write(tmp_path, bytes(content), NAME + ".bz2"))
    assert [type(item).__name__ for item in items] == ["Drop", "Record"]
    assert items[1].meta["language"] == "en"


def test_a_bad_page_is_quarantined_and_the_next_is_read(tmp_path):
    bad = {
        "invalid UTF-8": page(2).replace(b"Prose", b"Pro\xff\xfese"),
        "NUL": page(2).replace(b"Prose", b"Pro\0se"),
        "not closed": page(2).replace(b"</revision>", b""),
        "unknown entity": page(2).replace(b"Prose", b"&bomb;"),
        "surrogate": page(2).replace(b"Prose", b"&#xD800;"),
        "control": page(2).replace(b"Prose", b"&#1;"),
    }
    for name, content in bad.items():
        items, broken = read_all(write(tmp_path, dump(page(1), content, page(3))))
        assert [item.record for item in items] == [1, 2, 3], name
        assert (items[1].reason, items[1].malformed) == ("malformed page", True), name
        assert not broken


def test_entities_of_the_dumps_own_making_are_never_read(tmp_path):
    (tmp_path / "secret").write_text("SECRET")
    bomb = '<!ENTITY a "lol">' + "".join(
        f'<!ENTITY {b} "{f"&{a};" * 100}">' for a, b in zip("abcdefgh", "bcdefghi")
    )
    external = f'<!ENTITY x SYSTEM "file://{tmp_path}/secret">'
    doctype = f"<!DOCTYPE mediawiki [{bomb}{external}]>"
    pages = [page(1), page(2).replace(b"Prose", b"&i;"), page(3).replace(b"Prose", b"&x;"), page(4, "&amp;x")]
    own = b"<page><!DOCTYPE page [" + external.encode() + b"]>" + page(5)[8:].replace(b"Prose", b"&x;")
    begin = time.process_time()
    items, _ = read_all(write(tmp_path, dump(*pages, own, doctype=doctype)))
    assert time.process_time() - begin < 10  # expanded, it would be a terabyte
    assert [getattr(item, "reason", "") for item in items] == [
        "",
        *["malformed page"] * 2,
        "",
        "malformed page",
    ]
    assert not any("SECRET" in str(item) for item in items)


def test_a_page_of_any_size_is_skipped_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(dump_reader, "MAX_PAGE", 100_000)
    monkeypatch.setattr(dump_reader, "PIECE", 1000)
    content = dump(page(1), page(2, "x" * 1_000_000), page(3))
    for cuts in ([], [400_000, 900_000], [50_000, 900_000], [99_000, 1_000_500]):
        path = write(tmp_path, _streams(content, cuts), NAME + ".bz2")
        for n_slices in (1, 2, 3, 50):
            items = [item for index in range(n_slices) for item in read_all(path, index, n_slices)[0]]
            assert [getattr(item, "reason", "") for item in items] == ["", "page too large", ""]
            assert items[1].malformed


def test_a_bz2_bomb_is_read_in_bounded_memory(tmp_path):
    tracemalloc = pytest.importorskip("tracemalloc")
    content = bz2.compress(head() + page(1) + b"<page>" + b" " * (100 << 20))
    path = write(tmp_path, content, NAME + ".bz2")
    tracemalloc.start()
    items, _ = read_all(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [getattr(item, "reason", "") for item in items] == ["", "malformed page"]
    assert peak < dump_reader.MAX_PAGE * 2.5


@pytest.mark.parametrize("pack", [bytes, bz2.compress, gzip.compress])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_dumps_in_other_encodings_are_read(tmp_path, encoding, pack):
    content = dump(page(1, "Prose ж."), page(2)).decode()
    content = "\ufeff" + content if encoding == "utf-16-be" else content
    suffix = {bytes: "", bz2.compress: ".bz2", gzip.compress: ".gz"}[pack]
    path = write(tmp_path, pack(content.encode(encoding)), NAME + suffix)
    items = [item for index in range(3) for item in read_all(path, index, 3)[0]]
    assert [(item.record, item.text) for item in items] == [(1, "Prose ж."), (2, "Prose.")]


def test_empty_dumps_are_read_and_other_files_refused(tmp_path):
    assert read_all(write(tmp_path, dump())) == ([], "")
    assert read_all(write(tmp_path, bz2.compress(dump()), NAME + ".bz2")) == ([], "")
    for name, content in {
        NAME: b"",
        "a.xml": b"<html>404</html>",
        "b.xml.bz2": b"<html>404</html>",
        "c.xml.bz2": b"",
        "d.xml.gz": b"<html>404</html>",
    }.items():
        items, broken = read_all(write(tmp_path, content, name))
        assert items == [] and broken, name


def test_a_truncated_xml_or_gz_gives_its_pages_up_to_there(tmp_path):
    content = dump(*(page(number, str(random.Random(number).random()) * 90) for number in range(300)))
    items, broken = read_all(write(tmp_path, content[: len(content) // 2]))
    assert "ends within a page" in broken
    assert [item.record for item in items[:-1]] == list(range(len(items) - 1)) and len(items) > 100
    assert (items[-1].reason, items[-1].malformed) == ("malformed page", True)
    packed = gzip.compress(content)
    items, broken = read_all(write(tmp_path, packed[: len(packed) // 2], NAME + ".gz"))
    assert broken
    flipped = bytearray(packed)
    flipped[len(packed) // 2 : len(packed) // 2 + 50] = bytes(50)
    items, broken = read_all(write(tmp_path, bytes(flipped), NAME + ".gz"))
    assert broken
