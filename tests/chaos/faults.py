"""The kinds of faults by name: each is inflicted on a live `Run` at once."""

import random
from collections.abc import Callable

from tests.chaos import files, limits, processes
from tests.chaos.run import Run

KINDS: dict[str, Callable[[Run, random.Random], None]] = processes.KINDS | files.KINDS | limits.KINDS
# Only another rank ends such a run: for a watchdog, time in which its process is stopped does not count.
NEED_ANOTHER_RANK = {"a rank hangs (SIGSTOP)", "a rank hangs during a save"}
DISK = 160  # MiB, for three runs of three checkpoints each, and one more being written
NEED_A_SMALL_DISK = {"disk full", "disk full during a save"}
# After these a run may continue without a restart.
NEED_NO_RESTART = {
    "all ranks pause, then continue",
    "started a second time",
    "checkpoint: deleted under a live run",
    "checkpoints/ deleted under a live run",
    "checkpoints/ moved away and back",
    "metrics.jsonl saved by an editor",
    "metrics.jsonl truncated under a live run",
    "metrics.jsonl deleted under a live run",
    ".lock removed",
    "folder moved away and back",
    "disk full",
    "disk full during a save",
    "no file descriptors",
    "files may not grow (EFBIG)",
    "no memory",
    "the clock jumps",
    "wandb raises",
}
