"""metrics.jsonl where the disk is full: lines wait whole, and a save that would outlive them is known."""

import json
import resource
from contextlib import contextmanager

import pytest

from train.config import LoggerConfig
from train.metrics.journal import Journal


@contextmanager
def largest_file(size: int):
    """Files end at `size` bytes: a write beyond is cut short, the next one fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def line(step: int) -> dict:
    return {"step": step, "loss": 1.5, "lr": 1e-3, "tokens_per_second": 1.0, "mfu": None, "epochs": {}}


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "metrics.jsonl", 100, LoggerConfig(), {})
    yield journal
    journal.close()


def test_lines_that_find_no_room_wait_and_none_is_written_by_half(journal, tmp_path, capsys):
    path = tmp_path / "metrics.jsonl"
    journal.write(line(1))
    assert journal.settle()
    with largest_file(path.stat().st_size + 20):  # less than a line
        journal.write(line(2))
        journal.write(line(3))
        assert not journal.settle()
        assert [json.loads(text)["step"] for text in path.read_text().splitlines()] == [1]
    assert capsys.readouterr().err.count("training continues, and the lines wait") == 1
    assert journal.settle()
    journal.write(line(4))
    assert [json.loads(text)["step"] for text in path.read_text().splitlines()] == [1, 2, 3, 4]
