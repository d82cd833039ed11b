"""`relama prepare` under faults: killed at a file operation, or given an error at one, then run again.

`python -m tests.support.prepare_faults SCRATCH KIND TRIALS SEED ARGUMENT…` prints JSON: for each trial, the
operation, how the attempts ended, and the differences from an undisturbed result. Attempts are forked
processes.
"""

import errno
import hashlib
import json
import os
import random
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow

import data.errors
import data.prepare.plan
import data.tokens.build  # imported here once, not in every attempt
import data.tokens.tokenizer
from data import engine
from data.main import main
from data.prepare import tasks

KILLED = 137
MOST = 4  # attempts after the fault
READS = ("open", "os.listdir", "os.scandir")
EVENTS = (*READS, "os.rename", "os.remove", "os.link", "os.mkdir", "os.rmdir", "shutil.rmtree")
ERRORS = (errno.EIO, errno.ESTALE, errno.EMFILE, errno.EACCES, errno.EUCLEAN, errno.EKEYEXPIRED)


def attempt(
    arguments: list[str],
    fault: Callable[[str, tuple], None] | None = None,
    verb: Callable[[list[str]], int] = main,
) -> tuple[int, str]:
    """The exit code and the last line on stderr of one forked attempt."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        os.dup2(write, 2)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        code = 99
        try:
            if fault is not None:
                sys.addaudithook(fault)
            code = verb(arguments)
            sys.stderr.flush()
        finally:
            os._exit(code)
    os.close(write)
    with os.fdopen(read, encoding="utf-8", errors="replace") as stream:
        lines = stream.read().splitlines()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), lines[-1] if lines else ""


def is_below(root: Path, arguments: tuple) -> bool:
    return any(isinstance(one, str | Path) and str(one).startswith(str(root)) for one in arguments)


def counter(root: Path, goal: int, act: Callable[[], None], events: tuple[str, ...] = EVENTS):
    """An audit hook that acts at the `goal`-th operation below `root`, and the list that counts them."""
    seen: list[int] = [0]

    def hook(event: str, arguments: tuple) -> None:
        if event in events and any(
            isinstance(one, str | Path) and str(one).startswith(str(root)) for one in arguments
        ):
            seen[0] += 1
            if seen[0] == goal:
                act()

    return hook, seen


def audit_native_reads() -> None:
    """Add audit events for files that pyarrow opens, which Python does not report."""
    opened = pyarrow.input_stream

    def audited(source: str, *arguments: object, **options: object):
        sys.audit("open", source, "r", 0)
        return opened(source, *arguments, **options)

    pyarrow.input_stream = audited


def report_no_progress() -> None:
    """Count no operations of the live line: a slow attempt has more of them than a quick one."""
    engine.STATUS_SECONDS = tasks.LIVE_SECONDS = 3600.0


def operations(
    arguments: list[str],
    root: Path,
    scratch: Path,
    events: tuple[str, ...] = EVENTS,
    verb: Callable[[list[str]], int] = main,
) -> int:
    """How many operations below `root` an attempt without faults makes."""
    note = scratch / "count"

    def count(event: str, event_arguments: tuple) -> None:
        if event in events and any(
            isinstance(one, str | Path) and str(one).startswith(str(root)) for one in event_arguments
        ):
            numbers[0] += 1
            os.pwrite(handle, f"{numbers[0]}\n".encode(), 0)

    numbers = [0]
    handle = os.open(note, os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
    code, last_line = attempt(arguments, count, verb)
    os.close(handle)
    assert code == 0, last_line
    return int(note.read_text().split()[0])


def fingerprint(folder: Path) -> dict[str, str]:
    """Every visible file's content, except durations."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith((".lock", "logs")) and path.suffix != ".html":
            content = path.read_bytes()
            if path.name == "report.json":
                content = json.dumps(json.loads(content) | {"seconds": 0}).encode()
            found[name] = hashlib.sha256(content).hexdigest()
    return found


def campaign(scratch: Path, kind: str, trials: int, seed: int, arguments: list[str]) -> list[dict]:
    """`kind`: `kill` or `fail` (an operation in the output), or `error` (one that reads the input, once)."""
    audit_native_reads()
    report_no_progress()
    data.errors.PAUSES = (0.0, 0.0)
    data.prepare.plan.TASK_BYTES = 20_000
    draw, found = random.Random(seed), []
    inputs = Path(next(word for word in arguments if word.startswith("input=")).removeprefix("input="))
    corpora = scratch / "corpora"
    arguments = [*arguments, f"corpora={corpora}", "engine.workers=1"]
    root, events = (inputs, READS) if kind == "error" else (corpora, EVENTS)
    n = operations(arguments, root, scratch, events)
    expected = fingerprint(corpora)
    assert len(expected) > 5
    for place in draw.sample(range(1, n + 1), min(trials, n)):
        shutil.rmtree(corpora)
        number = draw.choice(ERRORS)

        def act(number: int = number) -> None:
            if kind == "kill":
                os._exit(KILLED)
            raise OSError(number, os.strerror(number))

        ends = [attempt(arguments, counter(root, place, act, events)[0])]
        while ends[-1][0] != 0 and len(ends) <= MOST:
            ends.append(attempt(arguments))
        made = fingerprint(corpora)
        names = sorted(name for name in {*expected, *made} if expected.get(name) != made.get(name))
        found.append({"operation": place, "of": n, "errno": number, "ends": ends, "differ": names})
    return found


if __name__ == "__main__":
    scratch, kind, trials, seed, *arguments = sys.argv[1:]
    print(json.dumps(campaign(Path(scratch), kind, int(trials), int(seed), arguments)))
