"""Real posts, compared with a simple independent reader."""

import hashlib
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from tests.support.stackexchange import documents, items, reasons

INLINE = {"a", "b", "strong", "em", "i", "code", "sub", "sup", "del", "s", "strike", "kbd", "span", "img"}


class _Words(HTMLParser):
    """The words of a post by Python's own parser; every tag that is not inline separates words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: list) -> None:
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
        replies = [other for other in every if other["PostTypeId"] == "2" and other["ParentId"] == number]
        replies.sort(key=lambda other: (-int(other["Score"]), int(other["Id"])))
        document = by_url[f"https://{host}/questions/{number}"]
        expected = ["Q", *words(made["Title"]), *words(_Words(made["Body"]).text)]
        for other in replies:
            expected += ["A", *words(_Words(other["Body"]).text)]
        assert words(document.text) == expected
        assert [score["id"] for score in json.loads(document.meta)["answers"]] == [
            int(other["Id"]) for other in replies
        ]
        assert every[document.record] is made
    others = [made for made in every if made["PostTypeId"] not in "12"]
    assert sum(reasons(found).values()) == len(others)


@pytest.mark.parametrize(
    ("name", "number", "answers", "marks", "digest"),
    [
        # Checked by eye: a numbered list; a drawing in code, kept to the column; an answer of 10 points
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
