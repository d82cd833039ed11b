"""Wikipedia's articles: which pages are kept or dropped, and why; the real samples."""

import bz2
import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]  # lxml ships no types

from data.documents import Document, Drop
from data.errors import DataError
from data.sources.wikipedia import recipe as wikipedia
from tests.support.wikipedia import documents, dump, page, read_all, write

SHARED = Path(__file__).resolve().parents[5] / "shared" / "data" / "wiki"


# ---- pages, kept and dropped


def test_an_article_becomes_prose_with_its_provenance(tmp_path):
    text = "{{Infobox|a=b}}\n'''Été''' is [[summer|hot]].<ref>x</ref>\n[[Fájl:a.jpg|thumb|b]]"
    path = write(tmp_path, dump(page(12, text, 'Été & co: "a/b" (c)')))
    [record], _ = read_all(path)
    [found] = documents([record])
    assert found.text == 'Été & co: "a/b" (c)\n\nÉté is hot.'
    assert found.url == "https://en.wikipedia.org/wiki/%C3%89t%C3%A9_%26_co:_%22a/b%22_(c)"
    assert (found.file, found.record, found.licence) == (str(path), 12, "cc-by-sa-4.0")
    assert json.loads(found.meta) == {"title": 'Été & co: "a/b" (c)', "language": "en", "revision": 19}


def test_everything_but_articles_is_dropped_for_a_reason(tmp_path):
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
    assert kept[0].id == kept[1].id  # a page that occurs twice is a duplicate
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


def test_a_wiktionary_is_refused(tmp_path):
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
    assert letter.text.startswith("A\n\nA (plural As, A's, as, a's or aes) is the first letter")
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


def test_text_made_by_an_older_version_is_refused_with_what_to_do(tmp_path, capsys):
    from data.main import main

    path = write(tmp_path, dump(page(1, "l'''Iliade'' ici"), language="fr"), "frwiki-pages-articles.xml")
    keys = [
        "recipe=wikipedia",
        f"input={path}",
        f"output={tmp_path / 'out'}",
        "stage=text",
        "engine.workers=1",
    ]
    assert main(keys) == 0
    [report] = (tmp_path / "out").rglob("report.json")
    made = json.loads(report.read_text())
    assert made["settings"]["version"] == wikipedia.VERSION > 2
    made["settings"]["version"] = 2
    report.write_text(json.dumps(made))
    assert main(keys) != 0
    refusal = capsys.readouterr().err
    assert "version" in refusal and "output=" in refusal
