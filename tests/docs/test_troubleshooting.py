"""docs/guides/troubleshooting.md quotes messages that the code prints."""

import ast
import re

import pytest

from tests.support.runs import REPOSITORY

PAGE = REPOSITORY / "docs" / "guides" / "troubleshooting.md"
ROOMS = ("configs", "data", "launch", "model", "train")
ANY = "…"


def quoted(page: str) -> list[str]:
    """The first column of each table."""
    return re.findall(r"^\| `(.+?)` \|", page, re.MULTILINE)


@pytest.fixture(scope="module")
def literals() -> list[str]:
    """Every string in the code, with … for what an f-string fills in."""
    found = []
    for room in ROOMS:
        for path in (REPOSITORY / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    parts = (value.value if isinstance(value, ast.Constant) else ANY for value in node.values)
                    found.append("".join(map(str, parts)))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return found


def holds(literal: str, message: str) -> bool:
    """Whether the pieces of `message` between its … are in `literal`, in this order."""
    at = 0
    for piece in filter(None, (piece.strip() for piece in message.split(ANY))):
        at = literal.find(piece, at)
        if at < 0:
            return False
        at += len(piece)
    return True


MESSAGES = quoted(PAGE.read_text())


def test_the_page_quotes_many_messages_once():
    assert len(MESSAGES) > 30 and len(set(MESSAGES)) == len(MESSAGES)
    assert not any(holds("a: no such verb", message) for message in MESSAGES)


@pytest.mark.parametrize("message", MESSAGES)
def test_a_quoted_message_is_in_the_code(message, literals):
    assert any(holds(literal, message) for literal in literals), f"no string in the code reads {message}"
