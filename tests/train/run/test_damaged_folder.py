"""Every file of a run folder × every damage: the run resumes to the same losses, or one line says what to do.

All runs are trained in this process, by the trainer itself: only the launcher is left out.
"""

import builtins
import io
import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from configs.load import ConfigError, entry, from_yaml, load
from data.errors import DataError
from launch.main import progress
from model.formats.errors import FormatError
from tests.support.runs import SMALL, learned
from train.checkpoint import folder as checkpoints
from train.config import RunError, TrainConfig
from train.metrics import throughput
from train.preflight import Resolved, resolve
from train.ranks.setup import Ranks, set_up, tear_down
from train.ranks.watchdog import Watchdog
from train.report.life import goodput, heading
from train.report.runs import rows
from train.run import configuration, starts
from train.run.attempts import account
from train.run.configuration import settle_precision
from train.run.folder import claimed
from train.run.history import read_samples
from train.run.record import RunRecord
from train.trainer import run_training

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP)
STEPS, STOP = 12, 10
WORDS = [
    *SMALL,
    f"steps={STEPS}",
    "checkpoint.every=4",
    "checkpoint.asynchronous=false",
    "model.dim=16",
    "model.n_layers=1",
    "global_batch=128",
]
# Decisions that act, before the checkpoint at the stop and after it.
WORDS += ["recovery=skip", "recovery.sigma=0.3", "recovery.window=2"]
NEWEST = f"checkpoints/step-{STOP:06d}"
FILES = [
    "config.yaml",
    "order.json",
    "tokenizer.model",
    "metrics.jsonl",
    "starts.jsonl",
    "decisions.jsonl",
    "finished.json",
    "stopped.json",
    "preempted.json",
    "wandb.json",
    ".lock",
    "checkpoints/latest",
    f"{NEWEST}/state.json",
    f"{NEWEST}/.metadata",
    f"{NEWEST}/__0_0.distcp",
    f"{NEWEST}/tokenizer.model",
    f"{NEWEST}/verified.json",
]
READ_ONLY_BY_THE_REPORT = ["command.txt", "attempts.jsonl", "samples.jsonl"]
FOR_PEOPLE = [name for name in FILES if "/" not in name] + READ_ONLY_BY_THE_REPORT


@dataclass
class Place:
    """Where the runs of this module are trained."""

    resolved: Resolved
    ranks: Ranks

    def train(self, folder: Path, stop_at: int = STEPS) -> int:
        """As `relama train run=FOLDER`; returns the exit code."""
        config = replace(self.resolved.config, run=str(folder), stop_at=stop_at)

        def run(arguments: list[str]) -> int:
            watchdog = Watchdog(folder / "hangs", 0, 0.0)
            with claimed(config, arguments) as claimed_folder:
                return run_training(
                    replace(self.resolved, config=config), self.ranks, claimed_folder, watchdog
                )

        return entry(run, WORDS, errors=(RunError, DataError, FormatError))


def reading_once() -> Callable:
    """from_yaml, which takes a twentieth of a second, once for each content of a file."""
    known = {}

    def read(path: Path, schema: type) -> object:
        if path.is_symlink() or not path.is_file() or path.stat().st_size > 1 << 20:
            return from_yaml(path, schema)
        try:
            content = path.read_bytes()
        except OSError:
            return from_yaml(path, schema)
        if content not in known:
            known[content] = from_yaml(path, schema)
        return deepcopy(known[content])

    return read


@pytest.fixture(scope="module")
def place(corpora):
    resolved = resolve(load("train", TrainConfig, [*WORDS, f"corpora={corpora}"]))
    ranks = set_up(resolved.layout, "cpu", threads=1)
    resolved = replace(resolved, config=settle_precision(resolved.config, ranks.device))
    handlers = [(number, signal.getsignal(number)) for number in ENDING]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(throughput, "peak_flops", lambda *_: None)  # a second for each start
        patched.setattr(starts, "_commit", lambda: None)
        patched.setattr(configuration, "from_yaml", reading_once())
        patched.setattr(checkpoints, "PAUSE", 0.0)
        yield Place(replace(resolved, heldout={}), ranks)
    for number, handler in handlers:
        signal.signal(number, handler)
    tear_down()


@pytest.fixture(scope="module")
def undisturbed(place, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    assert place.train(folder) == 0
    return folder


@pytest.fixture(scope="module")
def stopped(place, tmp_path_factory):
    """A run to damage: every file that a run can have."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    assert place.train(folder, STOP) == 0
    one = json.loads((folder / "starts.jsonl").read_text().splitlines()[0])
    (folder / "attempts.jsonl").write_text(json.dumps(one) + "\n")
    (folder / "stopped.json").write_text(json.dumps({"step": STOP, "why": "step 11: loss nan"}))
    (folder / "preempted.json").write_text(json.dumps({"step": STOP, "signal": "SIGTERM"}))
    (folder / "samples.jsonl").write_text(json.dumps({"step": 4, "prompt": "a", "text": "b"}) + "\n")
    (folder / "wandb.json").write_text(json.dumps({"id": "0123456789ab"}))
    state = json.loads((folder / NEWEST / "state.json").read_text())
    (folder / NEWEST / "verified.json").write_text(json.dumps({"state": state["xxh3"], "losses": {}}))
    assert (folder / "decisions.jsonl").read_text() and state["recovery"]["decisions"]
    return folder


def replaced(content: bytes):
    return lambda path: path.write_bytes(content)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


def lacking_keys(path: Path) -> None:
    """The first key of each line's object, or of a YAML mapping's."""
    lines = []
    for line in path.read_text(errors="replace").splitlines():
        try:
            tree = json.loads(line)
            tree.pop(next(iter(tree)))
            lines.append(json.dumps(tree))
        except (ValueError, AttributeError, StopIteration, TypeError):
            lines.append(line)
    lines = lines if path.suffix == ".jsonl" else lines[:1] + lines[2:]
    path.write_text("\n".join(lines) + "\n")


def with_infinity(path: Path) -> None:
    """In place of every number."""
    path.write_bytes(re.sub(rb"(?<=: )-?[0-9][0-9.e-]*", b"Infinity", path.read_bytes()))


def with_a_huge_number(path: Path) -> None:
    path.write_bytes(re.sub(rb"(?<=: )-?[0-9][0-9.e-]*", b"1e999", path.read_bytes(), count=3))


def with_a_garbage_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:1], b"\xff\x00{]\n", *lines[1:]]))


def from_beyond(path: Path) -> None:
    """A line of a step that the run has not reached comes first."""
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([re.sub(rb'"step": [0-9]+', b'"step": 999999', lines[-1]), *lines]))


def without_its_last_newline(path: Path) -> None:
    path.write_bytes(path.read_bytes().rstrip(b"\n"))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def endless(path: Path) -> None:
    """A terabyte of zeros, as a disk's repair may leave behind; it takes no room."""
    os.truncate(path, 1 << 40)


def in_utf_16(path: Path) -> None:
    """An editor of another system saved it."""
    path.write_bytes(path.read_bytes().decode("latin-1").encode("utf-16"))


def with_windows_line_ends(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def a_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("no-such-folder/file")


def unreadable(path: Path) -> None:
    """By `closed`, for root reads everything."""


DAMAGES = {
    "deleted": os.remove,
    "empty": replaced(b""),
    "truncated": truncated,
    "garbage": replaced(bytes(range(256)) * 9),
    "null": replaced(b"null\n"),
    "{}": replaced(b"{}\n"),
    "a number": replaced(b"12\n"),
    "deep nesting": replaced(b'{"step": ' + b"[" * 100_000 + b"\n"),
    "missing keys": lacking_keys,
    "Infinity": with_infinity,
    "1e999": with_a_huge_number,
    "a garbage line": with_a_garbage_line,
    "a line from beyond": from_beyond,
    "no last newline": without_its_last_newline,
    "a folder": a_folder,
    "a link to itself": a_link_to_itself,
    "a pipe": a_pipe,
    "a device": a_device,
    "endless": endless,
    "UTF-16": in_utf_16,
    "Windows line ends": with_windows_line_ends,
    "a link to nothing": a_link_to_nothing,
    "unreadable": unreadable,
}


@pytest.fixture
def closed(monkeypatch):
    """Makes a file unreadable."""

    def close(target: Path) -> None:
        real = io.open

        def guarded(path, mode="r", *args, **options):
            if isinstance(path, str | os.PathLike) and Path(path) == target and "w" not in mode:
                raise PermissionError(13, "Permission denied", str(path))
            return real(path, mode, *args, **options)

        really = os.open

        def guarded_number(path, flags, *args, **options):
            if Path(path) == target and not flags & (os.O_WRONLY | os.O_CREAT):
                raise PermissionError(13, "Permission denied", str(path))
            return really(path, flags, *args, **options)

        monkeypatch.setattr(os, "open", guarded_number)
        monkeypatch.setattr(io, "open", guarded)
        monkeypatch.setattr(builtins, "open", guarded)

    return close


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_of_a_run_folder_costs_nothing(
    name, damage, place, stopped, undisturbed, tmp_path, closed, capsys
):
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    DAMAGES[damage](folder / name)
    if damage == "unreadable":
        closed(folder / name)
    code = place.train(folder)
    said = capsys.readouterr()
    assert "Traceback" not in said.out + said.err
    errors = [line for line in said.err.splitlines() if line.startswith("relama: error")]
    if code == 0:
        assert not errors
        kept = {row[0]: row for row in learned(folder)}
        assert kept and all(kept[row[0]] == row for row in learned(undisturbed) if row[0] in kept)
        assert max(kept) == STEPS
    else:
        assert len(errors) == 1 and code == 1, said
        assert str(folder / name) in errors[0], errors
        assert re.search("move|restore|choose", errors[0]), errors


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("name", FOR_PEOPLE)
def test_what_shows_a_run_reads_a_damaged_folder_or_names_the_file(name, damage, stopped, tmp_path, closed):
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    (folder / "command.txt").touch()
    DAMAGES[damage](folder / name)
    if damage == "unreadable":
        closed(folder / name)
    (row,) = rows(tmp_path)
    assert row.run == "run" and (row.problem is None or str(folder / name) in row.problem)
    account(folder)
    read_samples(folder)
    progress(folder)
    try:
        record = RunRecord.read(folder)
    except (RunError, ConfigError) as error:
        assert str(folder / name) in str(error) and "\n" not in str(error)
    else:
        assert heading(record) and goodput(record)
        record.rate("tokens_per_second")
