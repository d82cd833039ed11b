"""Damaged and hostile files: only bad rows are lost, and memory is bounded."""

import gc
import tempfile
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data.documents import Drop
from data.sources.stackexchange import posts, recipe
from tests.support.stackexchange import (
    answer,
    documents,
    items,
    question,
    reasons,
    row,
    site,
    texts,
    until_broken,
    written,
    xml,
)


@pytest.mark.parametrize(
    "damage",
    [
        b"&nothing;",
        b"<",
        b'" Body="',
        b"&#x;",
        b'"',
    ],
)
def test_only_the_damaged_row_is_quarantined(tmp_path, damage):
    content = xml(
        [question(1, "One"), question(2, "Two"), question(3, "Three"), question(4, "Four")]
    ).encode()
    found = items(site(tmp_path, content.replace(b"Two", b"T" + damage)))
    assert texts(found) == {f"Q: {title}\n\nAsked." for title in ("One", "Three", "Four")}
    (drop,) = [item for item in found if isinstance(item, Drop)]
    assert (drop.reason, drop.record, drop.malformed) == ("malformed record", 1, True)
    assert sorted(document.record for document in documents(found)) == [0, 2, 3]


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 9), st.integers(0, 200), st.binary(min_size=1, max_size=1))
@example(0, 3, b"?")  # of `<row` the beginning of an instruction that never ends
def test_one_damaged_byte_costs_at_most_its_row_which_is_counted(damaged, place, byte):
    lines = xml([question(1000 + 37 * n, f"No {n}") for n in range(10)]).encode().split(b"\n")
    line = lines[2 + damaged]
    place %= len(line)
    lines[2 + damaged] = line[:place] + byte + line[place + 1 :]
    with tempfile.TemporaryDirectory() as folder:
        found = items(site(Path(folder), b"\n".join(lines)))
    others = {f"Q: No {n}\n\nAsked." for n in range(10) if n != damaged}
    assert others <= texts(found)
    assert len(found) >= 10


@pytest.mark.parametrize("second", ["&bad;", '" Id="7', "&#x;", '" Title="'])
def test_two_adjacent_damaged_rows_count_twice(tmp_path, second):
    content = xml([question(n, f"No {n}") for n in range(6)])
    content = content.replace('No 1"', "No 1").replace("No 2", second).replace("No 4", '" Title="')
    found = items(site(tmp_path, content))
    assert len(documents(found)) == 3 and reasons(found) == {"malformed record": 3}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95, 0.999])
def test_a_truncated_file_gives_the_posts_before_the_break(tmp_path, share):
    rows = [question(n, f"No {n}") for n in range(50)]
    content = xml(rows)
    found, message = until_broken(site(tmp_path, content[: int(len(content) * share)]))
    assert "truncated" in message
    assert 50 * share - 3 < len(documents(found)) <= 50 * share + 1


def test_a_file_without_rows_gives_no_documents(tmp_path):
    assert items(site(tmp_path, [])) == []
    assert items(site(tmp_path, "<posts/>")) == []
    for content in ("", "tea " * 1000, "\0" * 1000, "{}"):
        assert not documents(until_broken(site(tmp_path, content))[0])


def test_utf_16_is_read(tmp_path):
    content = xml([question(1, "Ünïcode 😀"), answer(2, 1)])
    for encoded in (
        content.encode("utf-16"),
        b"\xfe\xff" + content.encode("utf-16-be"),
        content.encode("utf-8-sig"),
    ):
        assert texts(items(site(tmp_path, encoded))) == {"Q: Ünïcode 😀\n\nAsked.\n\nA: Said."}
    cut = content.encode("utf-16").replace("Asked".encode("utf-16-le"), b"\x00\xd8")
    assert texts(items(site(tmp_path, cut))) == {"Q: Ünïcode 😀\n\n\ufffd.\n\nA: Said."}


def test_white_space_above_the_declaration_costs_nothing(tmp_path):
    found = items(site(tmp_path, "\r\n \t\n" + xml([question(1, "One")])))
    assert texts(found) == {"Q: One\n\nAsked."} and len(found) == 1


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("utf-16", "utf-16-le"),
        ("utf-16", "utf-16-be"),
        ("utf-32", "utf-32"),
        ("utf-32", "utf-32-be"),
        ("windows-1252", "cp1252"),
        ("ISO-8859-1", "cp1252"),  # as in HTML
        ("windows-1251", "cp1251"),
        ("Shift_JIS", "shift_jis"),
        ("ISO-8859-1", "utf-8"),  # the bytes show that the declaration is wrong
        ("utf-16", "utf-8"),
        ("no-such-name", "utf-8"),
    ],
)
def test_the_encoding_that_a_file_declares_or_shows_is_read(tmp_path, declared, codec):
    word = {"cp1251": "чай", "shift_jis": "お茶"}.get(codec, "thé – “vert”")
    rows = [question(n, f"{word} {n}", body=f"<p>{word}</p>" * 2000) for n in range(1, 5)]
    content = xml(rows).replace('encoding="utf-8"', f'encoding="{declared}"').encode(codec)
    path = site(tmp_path, content)
    body = "\n\n".join([word] * 2000)
    assert texts(items(path)) == {f"Q: {word} {n}\n\n{body}" for n in range(1, 5)}
    found: list[str] = []
    for size in (1000, 100_001):
        rows_read = posts.Rows(
            lambda _, attributes: found.append(attributes["Title"]), lambda *bad: pytest.fail(str(bad))
        )
        for start in range(0, len(content), size):
            rows_read.feed(content[start : start + size])
        rows_read.close()
    assert found == [f"{word} {n}" for n in range(1, 5)] * 2


@pytest.mark.parametrize(
    "declared",
    [
        "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12)) + '<!ENTITY e0 "lol">',
        '<!ENTITY e11 SYSTEM "file:///etc/passwd">',
        '<!ENTITY % e SYSTEM "http://127.0.0.1:9/x"> %e;',
    ],
)
def test_bombs_and_entities_from_outside_are_refused_unread(tmp_path, declared):
    content = f'<?xml version="1.0"?><!DOCTYPE posts [{declared}]>{xml([question(1, "NAME")])[38:]}'
    found, message = until_broken(site(tmp_path, content.replace("NAME", "&e11;")))
    assert found == [] and "DTD" in message


def test_endlessly_nested_elements_are_refused(tmp_path):
    found, message = until_broken(site(tmp_path, "<posts>" + "<a>" * 100_000))
    assert not documents(found) and "nested elements" in message


def peak(path: Path) -> tuple[int, list]:
    gc.collect()
    tracemalloc.start()
    found = items(path)
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return size, found


def test_a_row_of_any_size_is_skipped_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(posts, "MAX_ROW", 1 << 20)
    path = tmp_path / "tea.Posts.xml"
    with path.open("w") as file:
        file.write("<posts>" + written(question(1)) + '<row Id="2" PostTypeId="1" Title="')
        for _ in range(48):
            file.write("x" * (1 << 20))
        file.write('" />' + written(question(3, body="y" * (1 << 20))) + written(question(4)) + "</posts>")
    size, found = peak(path)
    assert {document.record for document in documents(found)} == {0, 3}
    assert reasons(found) == {posts.TOO_LARGE: 2} and size < 16 << 20


def test_memory_does_not_grow_with_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "PARTITION_BYTES", 1 << 20)
    sizes = []
    for copies in (1500, 6000):
        path = site(tmp_path, [question(n, f"No {n}", "<p>word</p> " * 100) for n in range(copies)])
        gc.collect()
        tracemalloc.start()
        assert sum(1 for _ in recipe.read(path)) == copies
        sizes.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert sizes[1] < 1.3 * sizes[0]


def test_deep_and_huge_html_is_read(tmp_path):
    deep = "<div>" * 100_000 + "<p>bottom</p>"
    found = items(site(tmp_path, [question(1, "Deep", deep), question(2, "Long", "<p>word</p>" * 100_000)]))
    by_title = {document.text.split("\n")[0]: document.text for document in found}
    assert by_title["Q: Deep"] == "Q: Deep\n\nbottom"
    assert by_title["Q: Long"].count("word") == 100_000


def test_nothing_is_left_behind_when_reading_ends_or_is_given_up(tmp_path, monkeypatch):
    (tmp_path / "t").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "t"))
    path = site(tmp_path, [question(1), question(2), row(Id=3, PostTypeId=5)])
    reading = recipe.read(path)
    next(reading)
    assert any((tmp_path / "t").iterdir())
    reading.close()  # pyright: ignore[reportAttributeAccessIssue]  (a generator)
    assert not any((tmp_path / "t").iterdir())
    items(path)
    assert not any((tmp_path / "t").iterdir())
