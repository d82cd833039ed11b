"""A training run as on a cluster: torchrun restarts dead workers, and a scheduler starts torchrun again.

In: a folder, a number of ranks. Out: what can be seen from outside during the run (the step reached, the
process ids, each resumption) and, at its end, whether it is bitwise equal to an undisturbed run.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.chaos.worker import FOLDER
from tests.support.fork_server import Forked, fork
from tests.support.narrow import present
from tests.support.runs import REPOSITORY, SMALL, end, learned, same_tensors, workers_of

STEPS = 800
VALIDATE_EVERY = 20
SETTINGS = (
    f"steps={STEPS}",
    "seq_len=32",  # steps take milliseconds, so that many faults strike one run
    "global_batch=128",
    "model.dim=16",
    "checkpoint.every=10",
    "checkpoint.keep=3",
    "restart=true",
    f"validate.every={VALIDATE_EVERY}",
    "validate.sequences=2",
    "watchdog.timeout=6",
    "verify_data=never",
    "logger=wandb",  # worker.py's own
)
MAX_RESTARTS = 1000
SAID = re.compile(r"metrics\.jsonl: (?:cut short|replaced or removed) while this run trains|no metrics for")
_RESUMED = re.compile(r"relama: (?:resuming \S+ after step (\d+)|starting )")


class Run:
    """One run; `keep_alive` starts it again whenever it ends before its last step."""

    def __init__(
        self,
        folder: Path,
        corpora: Path,
        ranks: int,
        settings: tuple[str, ...] = SETTINGS,
        forked: bool = False,
    ) -> None:
        """`forked`: torchrun and its ranks start in an instant, with torch imported."""
        self._forked = forked
        self.folder, self.ranks, self._log = folder, ranks, folder.with_name(folder.name + ".log")
        self._switches = folder.with_name(folder.name + ".switches")
        arguments = [*SMALL, f"corpora={corpora}", f"run={folder}", *settings]
        self.command_of_one_rank = [sys.executable, "-m", "tests.chaos.worker", *arguments]
        self._command = [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc_per_node", str(ranks), "--max-restarts", str(MAX_RESTARTS)),
            *("-m", *self.command_of_one_rank[2:]),
        ]
        self.environment = os.environ | {
            "PYTHONPATH": str(REPOSITORY),
            "OMP_NUM_THREADS": "1",
            FOLDER: str(self._switches),
        }
        self._agent: subprocess.Popen | Forked | None = None
        self.lost_metrics = False  # a fault has removed lines, which nothing can bring back
        self.starts = 0  # of torchrun
        self._read = 0  # bytes of the log

    def start(self) -> None:
        self.starts += 1
        self._switches.mkdir(exist_ok=True)
        env = self.environment
        with open(self._log, "ab") as log:  # in a session, so that a signal to it reaches nothing else
            if self._forked:
                self._agent = fork(*self._command[1:], out=log, err=log, new_session=True, env=env)
            else:
                self._agent = subprocess.Popen(
                    self._command, stdout=log, stderr=log, start_new_session=True, env=env
                )

    def keep_alive(self) -> bool:
        """Whether the run has not finished; starts it again, like a scheduler, if it ended early."""
        code = self.agent.poll()
        if code is None:
            return True
        if code == 0:
            return False
        self.start()
        return True

    @contextmanager
    def switched(self, name: str, value: str = "") -> Iterator[None]:
        """Turn a fault within the ranks (worker.py) on during the block."""
        (self._switches / name).write_text(value)
        try:
            yield
        finally:
            (self._switches / name).unlink()

    @property
    def agent(self) -> subprocess.Popen | Forked:
        """The torchrun of the last start."""
        return present(self._agent)

    @property
    def workers(self) -> list[int]:
        return workers_of(self.agent)

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    @property
    def metrics(self) -> Path:
        return self.folder / "metrics.jsonl"

    def newest_checkpoint(self) -> Path | None:
        """The newest committed checkpoint by name, which may be damaged."""
        # step-0…: excludes stray folders
        found = [path for path in self.checkpoints.glob("step-0*") if path.name[5:].isdigit()]
        return max(found, key=lambda path: int(path.name[5:]), default=None)

    def has_ended(self) -> bool:
        """Whether the run is complete, though torchrun may still live: a fault would come after it."""
        return (self.folder / "finished.json").exists()

    def is_saving(self) -> bool:
        return any(self.checkpoints.glob("step-*.tmp"))

    def last_step(self) -> int:
        """The last step in metrics.jsonl; 0 if there is none."""
        try:
            with open(self.metrics, "rb") as file:
                file.seek(max(0, self.metrics.stat().st_size - 4096))
                lines = file.read().split(b"\n")[:-1]
        except OSError:
            return 0
        for line in reversed(lines):
            try:
                return int(json.loads(line)["step"])
            except (ValueError, KeyError, TypeError):
                continue
        return 0

    def new_resumptions(self) -> list[int]:
        """The step from which each start since the last call resumed."""
        try:
            with open(self._log, "rb") as file:
                file.seek(self._read)
                text = file.read()
        except OSError:
            return []
        lines = text[: text.rfind(b"\n") + 1]
        self._read += len(lines)
        return [int(step or 0) for step in _RESUMED.findall(lines.decode(errors="replace"))]

    def stop(self) -> None:
        """End all its processes, including suspended ones."""
        if self._agent is None:
            return
        for worker in self.workers:
            kill(worker, signal.SIGKILL)
        end(self.agent)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def log_tail(self, lines: int = 40) -> str:
        return "\n".join(self.log().splitlines()[-lines:])

    def remove(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self._switches, ignore_errors=True)
        self._log.unlink(missing_ok=True)


def kill(pid: int, signum: int) -> None:
    with suppress(ProcessLookupError):  # it has ended meanwhile
        os.kill(pid, signum)


def train(run: Run, timeout: float = 600) -> Run:
    """Run to the end, undisturbed."""
    run.start()
    deadline = time.monotonic() + timeout
    try:
        while run.keep_alive():
            assert run.starts == 1, run.log_tail()
            assert time.monotonic() < deadline, f"took longer than {timeout} s\n{run.log_tail()}"
            time.sleep(0.05)
    finally:
        run.stop()
    return run


def same_end(run: Run, undisturbed: Run) -> str:
    """Raises AssertionError unless weights, AdamW's state and all metrics of learning are bitwise equal.

    Lines that a fault has removed may be missing, if the run said so. Returns what is missing, for people.
    """
    ours, theirs = learned(run.folder), learned(undisturbed.folder)
    missing = 0
    if ours != theirs:
        assert run.lost_metrics, "metrics.jsonl differs"
        left = iter(theirs)
        assert all(line in left for line in ours), "metrics.jsonl has a line that differs"  # in order
        missing = len(theirs) - len(ours)
        assert SAID.search(run.log()), f"metrics.jsonl lacks {missing} lines, and the run did not say so"
    last, other = present(run.newest_checkpoint()), present(undisturbed.newest_checkpoint())
    assert last.name == other.name, f"ended at {last.name}, the other at {other.name}"
    same_tensors(last, other)
    return f", but for {missing} lines of metrics, as it said" if missing else ""
