"""Posts in, questions and answers out: the best first, whatever the order, size and state of the file."""

import contextlib
import gc
import hashlib
import json
import re
import tempfile
import tracemalloc
import xml.etree.ElementTree as ET
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from random import Random
from xml.sax.saxutils import quoteattr

import py7zr
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from data.documents import Document, Drop
from data.errors import DataError
from data.sources.stackexchange import posts
from data.sources.stackexchange import recipe as stackexchange

SITE = "tea.stackexchange.com"
BZIP2 = [{"id": py7zr.FILTER_BZIP2}]


def row(**attributes: object) -> dict[str, str]:
    return {key: str(value) for key, value in attributes.items() if value is not None}


def question(number: int, title: str = "Why?", body: str = "<p>Asked.</p>", **more) -> dict[str, str]:
    return row(**{"Id": number, "PostTypeId": 1, "Score": 1, "Title": title, "Body": body} | more)


def answer(number: int, to: int, score: int | None = 1, body: str = "<p>Said.</p>", **more) -> dict[str, str]:
    return row(**{"Id": number, "PostTypeId": 2, "ParentId": to, "Score": score, "Body": body} | more)


def written(attributes: dict[str, str]) -> str:
    """A row as the site's dumps have it: on one line, line ends in it as references."""
    pairs = (
        f"{key}={quoteattr(value, {chr(10): '&#xA;', chr(13): '&#xD;'})}" for key, value in attributes.items()
    )
    return f"  <row {' '.join(pairs)} />"


def xml(rows: list[dict[str, str]]) -> str:
    lines = ['<?xml version="1.0" encoding="utf-8"?>', "<posts>", *map(written, rows), "</posts>"]
    return "\n".join(lines)


def site(folder: Path, content: str | bytes | list) -> Path:
    content = xml(content) if isinstance(content, list) else content
    path = folder / "tea.Posts.xml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def packed(path: Path, members: dict[str, bytes], **options) -> Path:
    with py7zr.SevenZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(content, name)
    return path


def items(path: Path, index: int = 0, n_slices: int = 1) -> list[Document | Drop]:
    found = stackexchange.read(path, index, n_slices)
    return [item if isinstance(item, Drop) else stackexchange.clean(item) for item in found]


def until_broken(path: Path) -> tuple[list[Document | Drop], str]:
    """What is read of a file that breaks off, and what it is said to break off with."""
    found = []
    with pytest.raises(posts.Unreadable) as error:
        for item in stackexchange.read(path):
            found.append(item if isinstance(item, Drop) else stackexchange.clean(item))
    return found, str(error.value)


def documents(found: list) -> list[Document]:
    return [item for item in found if isinstance(item, Document)]


def texts(found: list) -> set[str]:
    return {document.text for document in documents(found)}


def reasons(found: list) -> dict[str, int]:
    return dict(Counter(item.reason for item in found if isinstance(item, Drop)))


# ---- what a document is


def test_answers_follow_by_their_score_as_a_number_and_ties_by_their_id(tmp_path):
    scores = {11: 9, 12: 100, 13: -3, 14: 10, 15: 10, 16: 0}
    rows = [answer(name, 1, score, f"<p>by {name}</p>") for name, score in reversed(scores.items())]
    (document,) = items(site(tmp_path, [*rows, question(1, "Which tea?", "<p>I <b>ask</b>.</p>", Score=7)]))
    said = "\n\n".join(f"A: by {name}" for name in (12, 14, 15, 11, 16, 13))
    assert document.text == f"Q: Which tea?\n\nI ask.\n\n{said}"
    assert document.url == f"https://{SITE}/questions/1" and document.record == 6
    meta = json.loads(document.meta)
    assert [(said["id"], said["score"]) for said in meta["answers"]] == [
        (12, 100),
        (14, 10),
        (15, 10),
        (11, 9),
        (16, 0),
        (13, -3),
    ]
    assert (meta["site"], meta["id"], meta["title"], meta["score"]) == (SITE, 1, "Which tea?", 7)


def test_a_question_without_answers_is_kept_and_an_empty_answer_is_not_written(tmp_path):
    rows = [question(1, "One"), question(2, "Two"), answer(3, 2, body="<p> </p>"), answer(4, 2, 0)]
    assert texts(items(site(tmp_path, rows))) == {"Q: One\n\nAsked.", "Q: Two\n\nAsked.\n\nA: Said."}


def test_a_question_of_nothing_is_dropped(tmp_path):
    rows = [question(1, " ", "<p></p>"), answer(2, 1), row(Id=3, PostTypeId=1, Score=1)]
    assert reasons(items(site(tmp_path, rows))) == {"empty": 2}


def test_entities_are_decoded_once_and_a_title_is_no_html(tmp_path):
    body = (
        "<p>&amp;lt; &lt;b&gt; &amp;amp;</p><pre><code>if a &lt; b:\n\n\treturn &quot;&quot;\n</code></pre>"
    )
    (document,) = items(site(tmp_path, [question(1, "Is <b> &amp; bold?", body)]))
    assert document.text == 'Q: Is <b> &amp; bold?\n\n&lt; <b> &amp;\n\nif a < b:\n\n\treturn ""'


@pytest.mark.parametrize(
    ("tags", "names"), [("<a-b><c#>", ["a-b", "c#"]), ("|a-b|c#|", ["a-b", "c#"]), ("", [])]
)
def test_tags_are_read_as_old_and_new_dumps_write_them(tmp_path, tags, names):
    (document,) = items(site(tmp_path, [question(1, Tags=tags)]))
    assert json.loads(document.meta)["tags"] == names


def test_the_licence_is_what_the_posts_say(tmp_path):
    three, four = {"ContentLicense": "CC BY-SA 3.0"}, {"ContentLicense": "CC BY-SA 4.0"}
    rows = [question(1), question(2, **three), question(3, **three), answer(4, 3, **four)]
    rows += [question(5, ContentLicense="\t!")]
    found = {document.url[-1]: document.licence for document in items(site(tmp_path, rows))}
    assert found == {
        "1": "cc-by-sa-4.0",
        "2": "cc-by-sa-3.0",
        "3": "cc-by-sa-3.0 AND cc-by-sa-4.0",
        "5": "unknown",
    }


def test_a_missing_score_is_nought_and_said(tmp_path):
    rows = [question(1, Score=None), answer(2, 1, None), answer(3, 1, -1), answer(4, 1, 1)]
    (document,) = items(site(tmp_path, [*rows, answer(5, 1, Score="many")]))
    meta = json.loads(document.meta)
    assert [said["id"] for said in meta["answers"]] == [4, 2, 5, 3]
    assert meta["answers"][1]["score"] is None and meta["score"] is None and meta["missing_scores"] == 3


# ---- what is left out


def test_other_types_are_counted_by_type(tmp_path):
    rows = [
        row(Id=n, PostTypeId=kind, Body="x") for n, kind in enumerate([3, 4, 4, 5, 99, -7, "1e3", None], 1)
    ]
    assert reasons(items(site(tmp_path, rows))) == {
        "post type 3: orphaned tag wiki": 1,
        "post type 4: tag wiki excerpt": 2,
        "post type 5: tag wiki": 1,
        "unknown post type": 2,
        "no PostTypeId": 2,
    }


def test_orphans_and_posts_without_an_id_are_counted_with_their_place(tmp_path):
    rows = [
        answer(1, 7),
        question(2),
        row(PostTypeId=1, Title="x"),
        row(PostTypeId=2, Id=5),
        answer("9" * 5000, 2),
    ]
    found = items(site(tmp_path, rows))
    dropped = {(item.reason, item.record, item.malformed) for item in found if isinstance(item, Drop)}
    assert dropped == {
        ("orphan answer", 0, False),
        ("no Id", 2, True),
        ("answer without ParentId", 3, True),
        ("no Id", 4, True),
    }
    assert len(documents(found)) == 1


def test_of_a_repeated_id_the_post_touched_last_stays(tmp_path):
    old, new = (
        {"LastActivityDate": "2015-01-01T00:00:00.000"},
        {"LastActivityDate": "2016-01-01T00:00:00.000"},
    )
    rows = [question(1), question(1), answer(2, 1, body="new", **new), answer(2, 1, 5, body="old", **old)]
    found = items(site(tmp_path, rows))
    assert texts(found) == {"Q: Why?\n\nAsked.\n\nA: new"}
    assert reasons(found) == {"duplicate post": 1, "duplicate id, other content": 1}


def test_a_question_too_large_to_join_is_dropped_post_by_post(tmp_path, monkeypatch):
    monkeypatch.setattr(stackexchange, "MAX_QUESTION", 1000)
    rows = [question(1), *(answer(n, 1, body="x" * 100) for n in range(2, 12)), question(20)]
    found = items(site(tmp_path, rows))
    assert len(documents(found)) == 1 and len(found) == 12
    assert all(item.malformed for item in found if isinstance(item, Drop))


# ---- the same from any order, number of runs and slices

ids = st.integers(1, 6)
bodies = st.sampled_from(["<p>a</p>", "b &lt; c", "", "<pre>x\n y</pre>"])
dates = st.sampled_from(["2015", "2016"])
scores = st.one_of(st.none(), st.integers(-3, 12))
some_posts = st.lists(
    st.one_of(
        st.builds(question, ids, st.sampled_from(["T", "U"]), bodies, Score=scores, LastActivityDate=dates),
        st.builds(answer, st.integers(4, 12), ids, scores, bodies, LastActivityDate=dates),
        st.builds(row, Id=ids, PostTypeId=st.sampled_from([3, 5, None])),
    ),
    max_size=14,
)


@settings(deadline=None, max_examples=80)
@given(some_posts, st.randoms(use_true_random=False))
def test_any_order_of_the_rows_gives_the_same_documents_in_the_same_order(rows, random):
    shuffled = list(rows)
    random.shuffle(shuffled)
    with tempfile.TemporaryDirectory() as folder:
        first = items(site(Path(folder), rows))
        second = items(site(Path(folder), shuffled))
    known = [[(document.id, document.meta) for document in documents(found)] for found in (first, second)]
    assert known[0] == known[1]
    posts_in = Counter(made["Id"] for made in rows if made.get("PostTypeId") == "1")
    assert len(documents(first)) + reasons(first).get("empty", 0) == len(posts_in)
    assert len(first) - len(documents(first)) == len(second) - len(documents(second))


@settings(deadline=None, max_examples=60)
@given(some_posts, st.integers(1, 9), st.integers(1, 4))
def test_runs_and_slices_change_nothing(rows, n_runs, n_slices):
    with tempfile.TemporaryDirectory() as folder:
        path = site(Path(folder), rows)
        whole = items(path)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(stackexchange, "RUN_BYTES", max(1, path.stat().st_size // n_runs))
            assert items(path) == whole
            pieces = [item for index in range(n_slices) for item in items(path, index, n_slices)]
    assert documents(pieces) == documents(whole)
    assert Counter(map(repr, pieces)) == Counter(map(repr, whole))


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 64])
def test_the_pieces_in_which_a_file_is_parsed_change_nothing(tmp_path, monkeypatch, piece):
    lines = xml([question(1, "Ä" * 30), answer(2, 1), question(3), answer(4, 3), question(5)]).split("\n")
    lines[3] = lines[3].replace("Said", "S\0id")
    lines[5] = lines[5].replace(" />", "")
    path = site(tmp_path, "\n".join(lines))
    whole = items(path)
    monkeypatch.setattr(posts, "PIECE", piece)
    assert items(path) == whole
    assert len(documents(whole)) == 3 and reasons(whole) == {"malformed record": 2}


# ---- damaged and hostile files


@pytest.mark.parametrize(
    "damage",
    [
        b"\xff\xfe",
        b"\0",
        b"&#0;",
        b"&nothing;",
        b"<",
        b'" Body="',
        b'"',
        b"&#xD800;",
        b"\xed\xa0\x80",
    ],
)
def test_a_damaged_row_is_set_aside_alone(tmp_path, damage):
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


@pytest.mark.parametrize("second", ["&bad;", '" Id="7', "&#0;", '" Title="'])
def test_two_damaged_rows_in_a_row_are_two(tmp_path, second):
    content = xml([question(n, f"No {n}") for n in range(6)])
    content = content.replace('No 1"', "No 1").replace("No 2", second).replace("No 4", '" Title="')
    found = items(site(tmp_path, content))
    assert len(documents(found)) == 3 and reasons(found) == {"malformed record": 3}


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95, 0.999])
def test_a_file_that_breaks_off_gives_what_came_before(tmp_path, share):
    rows = [question(n, f"No {n}") for n in range(50)]
    content = xml(rows)
    found, said = until_broken(site(tmp_path, content[: int(len(content) * share)]))
    assert "breaks off" in said
    assert 50 * share - 3 < len(documents(found)) <= 50 * share + 1


def test_no_rows_are_no_documents(tmp_path):
    assert items(site(tmp_path, [])) == []
    assert items(site(tmp_path, "<posts/>")) == []
    for content in ("", "tea " * 1000, "\0" * 1000, "{}"):
        assert not documents(until_broken(site(tmp_path, content))[0])


def test_utf_16_is_read_and_half_of_it_is_not(tmp_path):
    content = xml([question(1, "Ünïcode 😀"), answer(2, 1)])
    for encoded in (
        content.encode("utf-16"),
        b"\xfe\xff" + content.encode("utf-16-be"),
        content.encode("utf-8-sig"),
    ):
        assert texts(items(site(tmp_path, encoded))) == {"Q: Ünïcode 😀\n\nAsked.\n\nA: Said."}
    cut = content.encode("utf-16").replace("Asked".encode("utf-16-le"), b"\x00\xd8" * 5)
    assert "neither UTF-8 nor UTF-16" in until_broken(site(tmp_path, cut))[1]


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
    found, said = until_broken(site(tmp_path, content.replace("NAME", "&e11;")))
    assert found == [] and "DTD" in said


def test_elements_without_end_in_each_other_are_refused(tmp_path):
    found, said = until_broken(site(tmp_path, "<posts>" + "<a>" * 100_000))
    assert not documents(found) and "in each other" in said


def peak(path: Path) -> tuple[int, list]:
    gc.collect()
    tracemalloc.start()
    found = items(path)
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return size, found


def test_a_row_of_any_size_is_passed_over_in_bounded_memory(tmp_path, monkeypatch):
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
    monkeypatch.setattr(stackexchange, "RUN_BYTES", 1 << 20)
    sizes = []
    for copies in (1500, 6000):
        path = site(tmp_path, [question(n, f"No {n}", "<p>word</p> " * 100) for n in range(copies)])
        gc.collect()
        tracemalloc.start()
        assert sum(1 for _ in stackexchange.read(path)) == copies
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
    reading = stackexchange.read(path)
    next(reading)
    assert any((tmp_path / "t").iterdir())
    reading.close()
    assert not any((tmp_path / "t").iterdir())
    items(path)
    assert not any((tmp_path / "t").iterdir())


# ---- archives

ROWS = [
    question(1, "One"),
    answer(2, 1, 3),
    question(3, "Three"),
    answer(4, 3),
    answer(5, 1, 12, "<p>Best.</p>"),
]
CONTENT = xml(ROWS).encode()


def test_an_archive_gives_what_its_posts_give(tmp_path):
    plain = items(site(tmp_path, CONTENT))
    filters = [
        None,
        BZIP2,
        [{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 24}],
        [{"id": py7zr.FILTER_LZMA, "preset": 6}],
    ]
    for chain in filters:
        members = {"Badges.xml": b"<badges/>" * 9999, "Posts.xml": CONTENT, "Users.xml": b"<users/>"}
        path = packed(tmp_path / f"{SITE}.7z", members, filters=chain)
        found = items(path)
        assert [(d.id, d.text, d.url, d.meta) for d in found] == [
            (d.id, d.text, d.url, d.meta) for d in plain
        ]


@pytest.mark.parametrize("place", ["coffee/Posts.xml", "POSTS.XML"])
def test_the_posts_are_found_wherever_they_are_in_an_archive(tmp_path, place):
    assert len(items(packed(tmp_path / f"{SITE}.7z", {place: CONTENT}))) == 2


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"Users.xml": b"<users/>"}, "0 files Posts.xml in the archive, expected one .it holds Users.xml"),
        ({}, "0 files Posts.xml"),
        ({"a/Posts.xml": CONTENT, "b/Posts.xml": CONTENT}, "2 files Posts.xml"),
    ],
)
def test_an_archive_without_the_one_posts_file_is_said(tmp_path, members, said):
    found, error = until_broken(packed(tmp_path / f"{SITE}.7z", members))
    assert found == [] and re.search(said, error)


def renamed(path: Path, name: str, to: str) -> Path:
    """Another name for a member: the archive's header is not compressed, its checksums are set right."""
    import struct
    import zlib

    content = path.read_bytes().replace(name.encode("utf-16-le"), to.encode("utf-16-le"))
    offset, size = struct.unpack("<QQ", content[12:28])
    start = struct.pack("<QQI", offset, size, zlib.crc32(content[32 + offset : 32 + offset + size]))
    path.write_bytes(content[:8] + struct.pack("<I", zlib.crc32(start)) + start + content[32:])
    return path


@pytest.mark.parametrize("name", ["../../../Posts.xml", "/tmp/root/Posts.xml", "C:/x/..../Posts.xml"])
def test_a_member_that_would_climb_out_is_never_written(tmp_path, name):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / f"{SITE}.7z"
    with py7zr.SevenZipFile(path, "w") as archive:
        archive.set_encoded_header_mode(False)
        archive.writestr(CONTENT, "x" * (len(name) - 9) + "Posts.xml")
    before = sorted(tmp_path.rglob("*"))
    path = renamed(path, "x" * (len(name) - 9) + "Posts.xml", name)
    with contextlib.suppress(posts.Unreadable):
        assert len(items(path)) == 2
    assert sorted(tmp_path.rglob("*")) == before and not Path("/tmp/root").exists()


def test_a_damaged_archive_is_said_and_ends_nothing_else(tmp_path):
    rows = [question(n, f"No {n}", f"<p>{n * 7919 % 1009}</p>" * 9) for n in range(2000)]
    path = packed(tmp_path / f"{SITE}.7z", {"Posts.xml": xml(rows).encode()})
    whole = path.read_bytes()
    for start in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:start] + bytes([whole[start] ^ 0x55]) + whole[start + 1 :])
        try:
            items(path)
        except posts.Unreadable:
            continue
        assert start < 32  # only the signature's version may change unseen
    for size in (0, 5, 32, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert until_broken(path)[1]


def test_what_a_damaged_archive_holds_before_the_damage_is_kept(tmp_path):
    random = Random(0)
    rows = [question(n, f"No {n}", random.randbytes(3000).hex()) for n in range(1000)]
    path = packed(tmp_path / f"{SITE}.7z", {"Posts.xml": xml(rows).encode()}, filters=BZIP2)
    whole = path.read_bytes()
    place = len(whole) * 3 // 4
    path.write_bytes(whole[:place] + b"damage" + whole[place + 6 :])
    found, said = until_broken(path)
    assert "damaged" in said and 100 < len(documents(found)) < 1000


def test_an_archive_that_grows_beyond_bounds_is_refused(tmp_path, monkeypatch):
    path = packed(tmp_path / f"{SITE}.7z", {"Posts.xml": b"<posts>" + b" " * (8 << 20) + b"</posts>"})
    assert items(path) == []
    monkeypatch.setattr(posts, "FREE_BYTES", 1 << 20)
    assert "would unpack to" in until_broken(path)[1]
    path = packed(tmp_path / f"{SITE}.7z", {"Users.xml": b" " * (8 << 20), "Posts.xml": b"<posts/>"})
    assert "would unpack to" in until_broken(path)[1]


def test_an_archive_that_needs_too_much_memory_is_refused(tmp_path, monkeypatch):
    for chain in (
        [{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 24}],
        [{"id": py7zr.FILTER_LZMA2, "preset": 6}],
    ):
        path = packed(tmp_path / f"{SITE}.7z", {"Posts.xml": CONTENT}, filters=chain)
        monkeypatch.setattr(posts, "MAX_DICTIONARY", 1 << 30)
        assert len(items(path)) == 2
        monkeypatch.setattr(posts, "MAX_DICTIONARY", 1 << 20)
        assert "bytes to unpack" in until_broken(path)[1]


def test_an_encrypted_archive_is_said(tmp_path):
    path = packed(tmp_path / f"{SITE}.7z", {"Posts.xml": CONTENT}, password="tea")
    assert "encrypted" in until_broken(path)[1]


# ---- which files


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("coffee.stackexchange.com.7z", "coffee.stackexchange.com"),
        ("coffee.meta.stackexchange.com.7z", "coffee.meta.stackexchange.com"),
        ("stackoverflow.com-Posts.7z", "stackoverflow.com"),
        ("es.stackoverflow.com.7z", "es.stackoverflow.com"),
        ("mathoverflow.net.7z", "mathoverflow.net"),
        ("coffee.Posts.xml", "coffee.stackexchange.com"),
        ("meta.datascience.Posts.xml", "datascience.meta.stackexchange.com"),
        ("meta.stackexchange.com.7z", "meta.stackexchange.com"),
        ("mathoverflow-Posts.xml", "mathoverflow.net"),
        ("es.stackoverflow.Posts.xml", "es.stackoverflow.com"),
        ("coffee.stackexchange.com/Posts.xml", "coffee.stackexchange.com"),
        ("dumps/Posts.xml", ""),
        ("backup.7z", ""),
        ("x/dump.xml", ""),
        ("a b.Posts.xml", ""),
    ],
)
def test_a_site_is_known_by_the_name_of_its_file_or_folder(name, host):
    assert stackexchange.site_of(Path("/data") / name) == host


def test_of_a_folder_the_28_largest_sites_are_read_and_a_named_file_always(tmp_path):
    for n in range(40):
        (tmp_path / f"s{n}.stackexchange.com.7z").write_bytes(b"x" * (n + 10))
    (tmp_path / "s0.meta.stackexchange.com.7z").write_bytes(b"x" * 1000)
    (tmp_path / "stackoverflow.com-Posts.7z").write_bytes(b"x" * 2000)
    (tmp_path / "stackoverflow.com-Users.7z").write_bytes(b"x" * 5000)
    (tmp_path / "readme.txt").write_text("x" * 9999)
    found = [path.name for path in stackexchange.inputs(tmp_path)]
    largest = [f"s{n}.stackexchange.com.7z" for n in range(14, 40)]
    assert found == sorted([*largest, "s0.meta.stackexchange.com.7z", "stackoverflow.com-Posts.7z"])
    assert len(found) == stackexchange.SITES
    smallest = tmp_path / "s0.stackexchange.com.7z"
    assert stackexchange.inputs(smallest) == [smallest]


def test_a_site_that_is_there_twice_is_read_once(tmp_path):
    (tmp_path / "tea.stackexchange.com").mkdir()
    (tmp_path / "tea.stackexchange.com" / "Posts.xml").write_bytes(CONTENT)
    (tmp_path / "tea.stackexchange.com" / "Users.xml").write_bytes(b"<users/>" * 999)
    (tmp_path / "tea.stackexchange.com.7z").write_bytes(b"x")
    assert stackexchange.inputs(tmp_path) == [tmp_path / "tea.stackexchange.com" / "Posts.xml"]


def test_a_folder_without_posts_is_refused_by_name(tmp_path):
    (tmp_path / "Users.xml").write_text("<users/>")
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DataError, match=r"Posts\.xml"):
            stackexchange.inputs(path)


def test_a_large_file_is_read_in_slices(tmp_path):
    class Large:
        def __init__(self, name: str, size: int) -> None:
            self.name, self.st_size = name, size

        def stat(self) -> "Large":
            return self

    assert stackexchange.slices(Large("Posts.xml", 1 << 30)) == 1
    assert stackexchange.slices(Large("Posts.xml", 100 << 30)) == 12
    assert stackexchange.slices(Large("stackoverflow.com-Posts.7z", 20 << 30)) == 10
    assert stackexchange.slices(Large("Posts.xml", 10 << 40)) == stackexchange.MAX_SLICES


# ---- the real thing, beside a plain reading of it


INLINE = {"a", "b", "strong", "em", "i", "code", "sub", "sup", "del", "s", "strike", "kbd", "span", "img"}


class _Words(HTMLParser):
    """The words of a post by Python's own parser; a tag that is not of a line's inside parts words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attributes: list) -> None:
        self.text += "" if tag in INLINE else " "

    def handle_endtag(self, tag: str) -> None:
        self.handle_starttag(tag, [])


def words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text)


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("coffee.Posts.xml", "coffee.stackexchange.com"),
        ("meta.datascience.Posts.xml", "datascience.meta.stackexchange.com"),
    ],
)
def test_real_posts_read_plainly_are_the_same(shared_data, name, host):
    path = shared_data / "stackexchange" / name
    every = [element.attrib for element in ET.parse(path).getroot()]
    asked = {made["Id"]: made for made in every if made["PostTypeId"] == "1"}
    found = items(path)
    by_url = {document.url: document for document in documents(found)}
    assert by_url.keys() == {f"https://{host}/questions/{number}" for number in asked}
    for number, made in asked.items():
        said = [other for other in every if other["PostTypeId"] == "2" and other["ParentId"] == number]
        said.sort(key=lambda other: (-int(other["Score"]), int(other["Id"])))
        document = by_url[f"https://{host}/questions/{number}"]
        expected = ["Q", *words(made["Title"]), *words(_Words(made["Body"]).text)]
        for other in said:
            expected += ["A", *words(_Words(other["Body"]).text)]
        assert words(document.text) == expected
        assert [score["id"] for score in json.loads(document.meta)["answers"]] == [
            int(other["Id"]) for other in said
        ]
        assert every[document.record] is made
    others = [made for made in every if made["PostTypeId"] not in "12"]
    assert sum(reasons(found).values()) == len(others)


@pytest.mark.parametrize(
    ("name", "number", "answers", "marks", "digest"),
    [
        # Each read by eye: a numbered list; a drawing in code, kept to the column; an answer of 10 points
        # before those of 2 and 1; blocks of code between prose.
        ("coffee", 411, [6], ["1. ", "2. ", "3. ", "4. "], "add59a2b"),
        ("coffee", 115, [6, 4], ["    ||||||", "    /    "], "b9575023"),
        ("coffee", 479, [10, 2, 1, 1], [], "6c8d1414"),
        ("meta.datascience", 2195, [1, 0], ["data = ", "   F", "    {"], "5bd3119c"),
    ],
)
def test_real_questions_read_as_they_did_when_they_were_looked_at(
    shared_data, name, number, answers, marks, digest
):
    found = documents(items(shared_data / "stackexchange" / f"{name}.Posts.xml"))
    (document,) = [document for document in found if document.url.endswith(f"/questions/{number}")]
    assert [answer["score"] for answer in json.loads(document.meta)["answers"]] == answers
    lines = document.text.split("\n")
    assert all(any(line.startswith(mark) for line in lines) for mark in marks)
    assert document.text.count("\n\nA: ") == len(answers)
    assert hashlib.sha256(document.text.encode()).hexdigest()[:8] == digest
