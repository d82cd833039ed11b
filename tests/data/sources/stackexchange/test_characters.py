"""A character that XML forbids is replaced, and its post is kept."""

import re
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.sources.stackexchange.characters import Characters
from tests.support.stackexchange import answer, items, question, reasons, site, texts, xml

LOST = "\N{REPLACEMENT CHARACTER}"
FORBIDDEN = [
    (b"&#0;", LOST),
    (b"&#x0B;", LOST),
    (b"&#31;", LOST),
    (b"&#x8;", LOST),
    (b"&#xD800;", LOST),
    (b"&#57343;", LOST),
    (b"&#xFFFF;", LOST),
    (b"&#x110000;", LOST),
    (b"&#xD83D;&#xDE00;", "\N{GRINNING FACE}"),
    (b"&#55357;&#56832;", "\N{GRINNING FACE}"),
    (b"&#xDE00;&#xD83D;", LOST * 2),
    (b"&#xD83D;&#65;", LOST + "A"),
    (b"\0", LOST),
    (b"\x1f", LOST),
    (b"\x0e\x0f", LOST * 2),
    (b"\xff", LOST),
    (b"\xef\xbf\xbf", LOST),
    (b"\xed\xa0\x80", LOST * 3),
    (b"\xed\xa0\xbd\xed\xb8\x80", "\N{GRINNING FACE}"),
    (b"\xed\xa0\xbd\xed\xa0\xbd\xed\xb8\x80", LOST * 3 + "\N{GRINNING FACE}"),
    (b"&#x00D83D;&#x0dE00;", "\N{GRINNING FACE}"),
    (b"&#x1F600;", "\N{GRINNING FACE}"),
    (b"&#10;&#xA;", " "),
]


@pytest.mark.parametrize(("forbidden", "read"), FORBIDDEN)
@pytest.mark.parametrize("kind", ["question", "answer"])
def test_the_character_is_replaced_and_its_thread_kept(tmp_path, forbidden, read, kind):
    rows = [
        question(1, "One"),
        question(2, "Two MARK end"),
        answer(3, 2, body="Said MARK too."),
        question(4, "Four"),
    ]
    rows = rows if kind == "answer" else rows[:2] + rows[3:]
    content = xml(rows).encode().replace(b"MARK", forbidden)
    found = items(site(tmp_path, content))
    assert reasons(found) == {}
    (thread,) = [text for text in texts(found) if "Two" in text]
    assert f"Two {read} end" in thread.replace("\n", " ") or read == " "
    assert kind == "question" or f"Said {read} too." in thread or read == " "
    assert len(texts(found)) == 3


allowed = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"]), max_size=40)


@settings(deadline=None)
@given(
    st.lists(st.one_of(allowed.map(str.encode), st.sampled_from(FORBIDDEN).map(lambda pair: pair[0]))),
    st.data(),
)
def test_any_cut_into_pieces_gives_the_same_and_the_result_is_xml(parts, data):
    content = b"".join(re.sub(b"[<&](?!#)", b"_", part) for part in parts)
    whole = Characters()(content, final=True)
    at = data.draw(st.integers(0, len(content)))
    pieces = Characters()
    assert pieces(content[:at]) + pieces(content[at:]) + pieces(b"", final=True) == whole
    if not re.search(rb"&#(?!x?[0-9a-fA-F]{1,7};)", whole):
        ET.fromstring(b"<row Body='" + whole.replace(b"'", b"_") + b"'/>")  # where posts have their text


@pytest.mark.parametrize(
    "pair", [b"&#55357;&#56832;", b"&#xD83D;&#xDE00;", b"&#55296;&#57343;", b"&#56319;&#56320;"]
)
def test_no_cut_divides_a_surrogate_pair(pair):
    content = pair + b"&#0;" + b"x" * 85 + pair + pair + b"&#56320;" + pair
    whole = Characters()(content, final=True)
    assert whole.count("\ufffd".encode()) == 2  # &#0; and the lone half
    for at in range(len(content) + 1):
        pieces = Characters()
        assert pieces(content[:at]) + pieces(content[at:]) + pieces(b"", final=True) == whole


def test_no_cut_divides_a_pair_in_six_bytes():
    content = (
        b"a" + b"\xed\xa0\xbd\xed\xb8\x80" * 2 + b"\xed\xa0\xbdb\xed\xb8\x80" + b"\xed\xaf\xbf\xed\xbf\xbf"
    )
    whole = Characters()(content, final=True)
    assert whole.decode() == "a😀😀" + LOST * 3 + "b" + LOST * 3 + "\U0010ffff"
    for at in range(len(content) + 1):
        pieces = Characters()
        assert pieces(content[:at]) + pieces(content[at:]) + pieces(b"", final=True) == whole


@given(allowed)
def test_allowed_text_passes_unchanged(text):
    assert Characters()(text.encode(), final=True) == text.encode()


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 4),
    st.integers(0, 4),
    st.sampled_from([pair[0] for pair in FORBIDDEN] + [b"&bad;", b"<", b'"']),
)
def test_good_posts_around_a_bad_one_come_out_once(before, after, fault):
    rows = [question(n, f"No {n}") for n in range(before + after + 1)]
    lines = xml(rows).encode().split(b"\n")
    lines[2 + before] = lines[2 + before].replace(b"Asked", b"As" + fault + b"ked")
    with tempfile.TemporaryDirectory() as folder:
        found = items(site(Path(folder), b"\n".join(lines)))
    good = [f"Q: No {n}\n\nAsked." for n in range(before + after + 1) if n != before]
    out = [document.text for document in found if hasattr(document, "text") and document.text in good]
    assert sorted(out) == sorted(good)
