"""metrics.jsonl keeps its lines whatever happens to the disk or the terminal."""

import errno
import json
import math
import os
import resource
import sys
from contextlib import contextmanager

import pytest

from train.config_groups import LoggerConfig
from train.loggers.follow import Position, values
from train.loggers.journal import Journal
from train.ranks.output import survive_broken_output
from train.run.history import read_metrics
from train.run.schema import heldout_of


@contextmanager
def largest_file(size: int):
    """Limit files to `size` bytes: a write beyond is cut short, and the next fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def line(step: int) -> dict:
    sums = {"seconds": {}, "tokens_per_second": 1.0, "mfu": None, "epochs": {}}
    return {"step": step, "loss": 1.5, "lr": 1e-3, **sums}


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "metrics.jsonl", 100, LoggerConfig(), {}, Position(0, 0))
    yield journal
    journal.close()


def test_what_is_not_finite_is_null_and_the_line_is_whole_when_read_back(journal, tmp_path):
    """Other readers of JSON refuse NaN, and the file's own schema took such a score for damage."""
    heldout = {"c4": {"loss": math.nan, "perplexity": math.nan, "bits_per_byte": math.inf, "tokens": 8}}
    found = {"sequences": 1, "of_sequences": 2}
    journal.write(line(1) | {"validation": {"c4": heldout["c4"] | found}, "evaluation": {"piqa": math.nan}})
    (text,) = (tmp_path / "metrics.jsonl").read_text().splitlines()

    def refuse(constant: str):
        raise AssertionError(constant)

    json.loads(text, parse_constant=refuse)
    (read,) = read_metrics(tmp_path / "metrics.jsonl")
    assert read["evaluation"] == {"piqa": None}
    assert all(map(math.isnan, list(heldout_of(read)["c4"].values())[:3]))
    assert math.isnan(values(read)["validation/c4/loss"])


def test_lines_wait_while_the_disk_is_full_and_are_never_half_written(journal, tmp_path, capsys):
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


class Broken:
    """A stream on which every operation fails."""

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        raise OSError(errno.EBADF, "Bad file descriptor")

    def __getattr__(self, name: str):
        def fail(*_args: object, **_kwargs: object) -> None:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

        return fail


def test_a_closed_stderr_loses_no_line(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", sys.stdout)  # restored afterwards, too
    monkeypatch.setattr(sys, "stderr", Broken())
    survive_broken_output()
    journal = Journal(tmp_path / "metrics.jsonl", 2, LoggerConfig(), {}, Position(0, 0))
    for step in (1, 2):
        journal.write(line(step))
        journal.say("a warning")
    assert journal.settle()
    journal.close()
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_lines_follow_a_file_that_an_editor_replaced_or_a_person_removed(journal, tmp_path, capsys):
    path = tmp_path / "metrics.jsonl"
    journal.write(line(1))
    path.with_suffix(".new").write_bytes(path.read_bytes())
    path.with_suffix(".new").replace(path)
    journal.write(line(2))
    assert [json.loads(text)["step"] for text in path.read_text().splitlines()] == [1, 2]
    path.unlink()
    journal.write(line(3))
    assert [json.loads(text)["step"] for text in path.read_text().splitlines()] == [3]
    assert capsys.readouterr().err.count("replaced or removed while this run trains") == 2


@pytest.mark.parametrize("left", [0, 10])
def test_a_file_that_is_cut_short_is_reported_once_and_its_torn_line_costs_no_other(
    left, journal, tmp_path, capsys
):
    path = tmp_path / "metrics.jsonl"
    journal.write(line(1))
    os.truncate(path, left)
    for step in (2, 3):
        journal.write(line(step))
    whole = path.read_text().splitlines()[1 if left else 0 :]
    assert [json.loads(text)["step"] for text in whole] == [2, 3]
    assert capsys.readouterr().err.count("cut short while this run trains") == 1
