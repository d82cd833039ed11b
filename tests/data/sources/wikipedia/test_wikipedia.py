"""Wikipedia's dumps: every page once however they are cut, what is dropped and why, damaged files."""

import bz2
import gzip
import json
import random
import re
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lxml import etree

from data.documents import Document, Drop, Record
from data.errors import DataError
from data.sources.wikipedia import dump as dump_reader
from data.sources.wikipedia import recipe as wikipedia

SHARED = Path(__file__).resolve().parents[5] / "shared" / "data" / "wiki"
NAME = "enwiki-20220620-pages-articles.xml"


def head(language: str = "en", database: str = "", doctype: str = "") -> bytes:
    return (
        f'{doctype}<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" '
        f'xml:lang="{language}">\n<siteinfo><sitename>Wikipedia</sitename>'
        f"<dbname>{database or language + 'wiki'}</dbname>"
        f"<base>https://{language}.wikipedia.org/wiki/Main_Page</base><namespaces>"
        '<namespace key="0" case="first-letter" /><namespace key="6" case="first-letter">Fájl</namespace>'
        "</namespaces></siteinfo>\n"
    ).encode()


def page(number: int, text: str = "Prose.", title: str = "", space: int = 0, more: str = "") -> bytes:
    return (
        f"  <page>\n<title>{escape(title or f'Page {number}')}</title><ns>{space}</ns><id>{number}</id>{more}"
        f"<revision><id>{number + 7}</id><contributor><id>5</id></contributor><model>wikitext</model>"
        f'<text xml:space="preserve">{escape(text)}</text></revision></page>\n'
    ).encode()


def dump(*pages: bytes, **of_head) -> bytes:
    return head(**of_head) + b"".join(pages) + b"</mediawiki>\n"


def write(folder: Path, content: bytes, name: str = NAME) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def read_all(path: Path, part: int = 0, parts: int = 1) -> tuple[list[Record | Drop], str]:
    """What is read, and what the file's breaking off said, if it did."""
    items = []
    try:
        for item in wikipedia.read(path, part, parts):
            items.append(item)
    except OSError as error:
        return items, str(error)
    return items, ""


def documents(items: list[Record | Drop]) -> list[Document | Drop]:
    return [wikipedia.clean(item) if isinstance(item, Record) else item for item in items]


# ---- pages and what becomes of them


def test_an_article_becomes_prose_with_its_provenance(tmp_path):
    text = "{{Infobox|a=b}}\n'''Été''' is [[summer|hot]].<ref>x</ref>\n[[Fájl:a.jpg|thumb|b]]"
    path = write(tmp_path, dump(page(12, text, 'Été & co: "a/b" (c)')))
    [record] = wikipedia.read(path)
    found = wikipedia.clean(record)
    assert found.text == 'Été & co: "a/b" (c)\n\nÉté is hot.'
    assert found.url == "https://en.wikipedia.org/wiki/%C3%89t%C3%A9_%26_co:_%22a/b%22_(c)"
    assert (found.file, found.record, found.licence) == (str(path), 12, "cc-by-sa-4.0")
    assert json.loads(found.meta) == {"title": 'Été & co: "a/b" (c)', "language": "en", "revision": 19}


def test_all_but_articles_is_dropped_under_a_reason(tmp_path):
    pages = [
        page(1),
        page(2, space=1, title="Talk:A"),
        page(3, "#REDIRECT [[Page 1]]", more='<redirect title="Page 1" />'),
        page(4, "#WEITERLEITUNG [[Page 1]]"),
        page(5, ""),
        page(6, "{{stub}}"),
        page(7).replace(b"<model>wikitext", b"<model>json"),
        page(8).replace(b"<title>Page 8</title>", b""),
        page(9).replace(b"<id>9</id>", b"<id>nine</id>"),
        page(10).replace(b"<revision>", b"").replace(b"</revision>", b""),
        b"<page><title>a</title><ns>0</ns><id>11</id></page>",
        page(12, "{" * 10),
        page(1),
    ]
    items, broken = read_all(write(tmp_path, dump(*pages)))
    reasons = [item.reason if isinstance(item, Drop) else "" for item in documents(items)]
    assert not broken
    assert reasons == [
        *("", "not an article", "redirect", "redirect", "no text", "empty", "not wikitext", "malformed page"),
        *("malformed page", "no text", "no text", "empty", ""),
    ]
    kept = [item for item in documents(items) if isinstance(item, Document)]
    assert kept[0].id == kept[1].id  # a page that is there twice is a duplicate
    assert wikipedia.DUPLICATES == "exact"


@pytest.mark.parametrize(
    ("of_head", "language"),
    [
        ({"language": "hu"}, "hu"),
        ({"language": "ja"}, None),
        ({"language": "en", "database": "simplewiki"}, None),
        ({"language": "en", "database": "enwiktionary"}, "en"),
        ({"language": "de", "database": "dewiki"}, "de"),
    ],
)
def test_the_20_languages_are_told_by_the_dump(tmp_path, of_head, language):
    items, _ = read_all(write(tmp_path, dump(page(1), page(2), **of_head), "a.xml"))
    if language:
        assert {item.meta["language"] for item in items} == {language}
    else:
        assert [item.reason for item in items] == ["language is not one of the 20"] * 2


def test_a_wiktionary_is_no_wikipedia(tmp_path):
    content = dump(page(1), database="enwiktionary").replace(b"en.wikipedia.org", b"en.wiktionary.org")
    [item], _ = read_all(write(tmp_path, content, "a.xml"))
    assert item.detail == "en.wiktionary.org"


def test_parquet_is_prose_already_and_has_the_same_addresses(tmp_path):
    rows = {
        "id": ["12", "13", "14", "15"],
        "url": [
            "https://de.wikipedia.org/wiki/A%20%C3%B6%27s",
            "https://ja.wikipedia.org/wiki/B",
            None,
            "https://de.wikipedia.org/wiki/D",
        ],
        "title": ["A ö's", "B", "C", "D"],
        "text": ["It is {{kept}}.", "b", "c", None],
    }
    (tmp_path / "20231101.sv").mkdir()
    path = tmp_path / "20231101.sv" / "train-00000-of-00001.parquet"
    pq.write_table(pa.table(rows), path)
    first, second, third, fourth = documents(list(wikipedia.read(path)))
    assert first.text == "A ö's\n\nIt is {{kept}}."
    assert first.url == wikipedia.page_url("A ö's", "", "de") == "https://de.wikipedia.org/wiki/A_%C3%B6%27s"
    assert (first.record, first.licence) == (12, "cc-by-sa-4.0")
    assert (second.reason, second.detail) == ("language is not one of the 20", "ja")
    assert third.url == "https://sv.wikipedia.org/wiki/C"
    assert fourth.malformed
    assert list(wikipedia.read(path, 1, 2)) == []


def test_inputs_are_dumps_and_parquet_and_nothing_else(tmp_path):
    names = [
        "enwiki-20220620-pages-articles-multistream1.xml-p1p41242.bz2",
        "enwiki-20220620-pages-articles.xml",
        "a/b.xml.gz",
        "a/train.parquet",
    ]
    others = [
        "enwiki-20220620-pages-articles-multistream-index.txt.bz2",
        "md5sums.txt",
        ".hidden.xml",
        "a.7z",
    ]
    (tmp_path / "a").mkdir()
    for name in (*names, *others):
        (tmp_path / name).write_bytes(b"")
    assert wikipedia.inputs(tmp_path) == sorted(tmp_path / name for name in names)
    assert wikipedia.inputs(tmp_path / names[0]) == [tmp_path / names[0]]
    for place in (tmp_path / "md5sums.txt", tmp_path / "none"):
        with pytest.raises(DataError, match=r"pages-articles"):
            wikipedia.inputs(place)


# ---- parts


def _streams(content: bytes, cuts: list[int]) -> bytes:
    bounds = [0, *sorted(cuts), len(content)]
    return b"".join(bz2.compress(content[a:b]) for a, b in pairwise(bounds))


def _bz2s(seed: int) -> dict[str, bytes]:
    """One dump in one stream, in Wikimedia's streams of whole pages, and cut anywhere, as pbzip2 does."""
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
    for parts in (2, 3, 5, 11, 40):
        pieces = [read_all(path, part, parts) for part in range(parts)]
        assert [item for items, _ in pieces for item in items] == whole
        assert not any(broken for _, broken in pieces)


@pytest.mark.parametrize("name", ["single", "multistream", "cut anywhere"])
def test_what_only_looks_like_a_stream_breaks_nothing(tmp_path, name, monkeypatch):
    """Every byte `B` is taken for a beginning; in true files one of 2**80 places looks like one."""
    content = _bz2s(3)[name]
    path = write(tmp_path, content, NAME + ".bz2")
    whole, _ = read_all(path)
    monkeypatch.setattr(dump_reader, "_STREAM", re.compile(rb"B(?=.{9})", re.DOTALL))
    assert content.count(b"B") > content.count(b"BZh9") + 20
    for parts in (1, 2, 3, 7):
        assert [item for part in range(parts) for item in read_all(path, part, parts)[0]] == whole


def test_parts_come_from_the_size_alone(tmp_path, monkeypatch):
    path = write(tmp_path, bytes(1000), NAME + ".bz2")
    assert wikipedia.parts(path) == 1
    monkeypatch.setattr(wikipedia, "PART_BYTES", 300)
    assert wikipedia.parts(path) == 3
    assert wikipedia.parts(write(tmp_path, bytes(1000))) == 1


# ---- damaged and hostile files


@pytest.mark.parametrize("name", ["single", "multistream", "cut anywhere"])
def test_a_truncated_bz2_gives_its_pages_up_to_there(tmp_path, name):
    content = _bz2s(1)[name]
    path = write(tmp_path, content[: len(content) * 2 // 3], NAME + ".bz2")
    items, broken = read_all(path)
    records = [item.record for item in items if isinstance(item, Record)]
    assert "breaks off" in broken
    assert records == list(range(len(records)))
    assert len(records) > 20 or name == "single"  # all of a small single stream is one block
    pieces = [read_all(path, part, 4) for part in range(4)]
    assert [item.record for items, _ in pieces for item in items if isinstance(item, Record)] == records
    assert sum(bool(broken) for _, broken in pieces) == 1


def test_a_corrupt_stream_is_set_aside_and_the_next_is_read(tmp_path):
    pages = [page(number, "prose " * (number + 1)) for number in range(40)]
    streams = [
        bz2.compress(part) for part in [head(), *(b"".join(pages[i : i + 10]) for i in range(0, 40, 10))]
    ]
    bad = bytearray(streams[2])
    bad[len(bad) // 2] ^= 0xFF
    path = write(tmp_path, b"".join([*streams[:2], bytes(bad), *streams[3:]]), NAME + ".bz2")
    for parts in (1, 2, 5, 9):
        items = [item for part in range(parts) for item in read_all(path, part, parts)[0]]
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


def test_a_bad_page_is_set_aside_and_the_next_is_read(tmp_path):
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
    assert time.process_time() - begin < 1
    assert [getattr(item, "reason", "") for item in items] == [
        "",
        *["malformed page"] * 2,
        "",
        "malformed page",
    ]
    assert not any("SECRET" in str(item) for item in items)


def test_a_page_of_any_size_is_passed_over_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(dump_reader, "MAX_PAGE", 100_000)
    monkeypatch.setattr(dump_reader, "PIECE", 1000)
    content = dump(page(1), page(2, "x" * 1_000_000), page(3))
    for cuts in ([], [400_000, 900_000], [50_000, 900_000], [99_000, 1_000_500]):
        path = write(tmp_path, _streams(content, cuts), NAME + ".bz2")
        for parts in (1, 2, 3, 50):
            items = [item for part in range(parts) for item in read_all(path, part, parts)[0]]
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
    assert peak < dump.MAX_PAGE * 2.5


@pytest.mark.parametrize("pack", [bytes, bz2.compress, gzip.compress])
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-8-sig"])
def test_dumps_in_other_encodings_are_read(tmp_path, encoding, pack):
    content = dump(page(1, "Prose ж."), page(2)).decode()
    content = "\ufeff" + content if encoding == "utf-16-be" else content
    suffix = {bytes: "", bz2.compress: ".bz2", gzip.compress: ".gz"}[pack]
    path = write(tmp_path, pack(content.encode(encoding)), NAME + suffix)
    items = [item for part in range(3) for item in read_all(path, part, 3)[0]]
    assert [(item.record, item.text) for item in items] == [(1, "Prose ж."), (2, "Prose.")]


def test_empty_dumps_and_what_is_no_dump(tmp_path):
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
    items, _ = read_all(write(tmp_path, content[: len(content) // 2]))
    assert [item.record for item in items[:-1]] == list(range(len(items) - 1)) and len(items) > 100
    assert (items[-1].reason, items[-1].malformed) == ("malformed page", True)
    packed = gzip.compress(content)
    items, broken = read_all(write(tmp_path, packed[: len(packed) // 2], NAME + ".gz"))
    assert broken
    flipped = bytearray(packed)
    flipped[len(packed) // 2 : len(packed) // 2 + 50] = bytes(50)
    items, broken = read_all(write(tmp_path, bytes(flipped), NAME + ".gz"))
    assert broken


# ---- the real samples


@pytest.fixture
def real():
    def documents_of(name: str) -> tuple[list[Document], Counter]:
        if not (SHARED / name).is_file():
            pytest.skip(f"the real samples are not on this machine ({SHARED / name})")
        items = documents(list(wikipedia.read(SHARED / name)))
        kept = [item for item in items if isinstance(item, Document)]
        return kept, Counter(item.reason for item in items if isinstance(item, Drop))

    return documents_of


def test_the_real_english_dump(real):
    name = "enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"
    kept, dropped = real(name)
    assert len(kept) == 106 and dropped == {"redirect": 99, "not an article": 1}
    anarchism, autism, albedo, letter = kept[:4]
    assert anarchism.text.startswith(
        "Anarchism\n\nAnarchism is a political philosophy that advocates self-governed societies based on "
        "voluntary institutions. These are often described as stateless societies, although several authors "
        "have defined them more specifically as institutions based on non-hierarchical free associations. "
        "Anarchism considers the state to be undesirable, unnecessary, and harmful."
    )
    assert "\n\nHistory\n\nOrigins\n\nThe earliest anarchist themes" in anarchism.text
    assert anarchism.url == "https://en.wikipedia.org/wiki/Anarchism"
    assert (anarchism.record, json.loads(anarchism.meta)["revision"]) == (12, 716551092)
    assert autism.text.startswith("Autism\n\nAutism is a neurodevelopmental disorder")
    assert letter.text.startswith("A\n\nA (named, plural As, A's, as, a's or aes) is the first letter")
    assert "$" in albedo.text
    tree = etree.fromstring(bz2.decompress((SHARED / name).read_bytes()), etree.XMLParser(huge_tree=True))
    pages = [page for page in tree.iter("{*}page") if page.findtext("{*}ns") == "0"]
    articles = [
        page for page in pages if "#REDIRECT" not in page.findtext("{*}revision/{*}text").upper()[:40]
    ]
    assert [document.record for document in kept] == [int(page.findtext("{*}id")) for page in articles]


def test_the_real_portuguese_and_bulgarian_dumps(real):
    kept, dropped = real("ericlief-test.xml.bz2")
    assert len(kept) == 24 and dropped == {"redirect": 3, "not an article": 2}
    assert kept[0].text.startswith(
        "Astronomia\n\nAstronomia é uma ciência natural que estuda corpos celestes"
    )
    [calendar], dropped = real("bgwiki-latest-pages-articles-shortened.xml.bz2")  # in UTF-16
    assert calendar.text.startswith(
        "Григориански календар\n\nГригорианският календар (понякога наричан и Грегориански календар, "
        "„нов стил“) е съвременният международно признат светски календар"
    )


def test_real_dumps_of_other_languages_are_counted_page_by_page(real):
    assert real("aawiki-20260101-pages-meta-current.xml.bz2") == ([], {"language is not one of the 20": 507})
    assert real("tinywiki-latest-pages-articles.xml") == ([], {"language is not one of the 20": 8})
