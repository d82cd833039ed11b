"""Save while training continues: copy the state during the next step, write it during the following ones.

`save` starts a thread that copies the state (staging.py), then writes and commits it exactly as a
synchronous save does, over its own process group. Meanwhile the weights may be read, but must not change
before `before_update` returns. Before the commit, the copy's checksums must still be those of the state. A
failed write loses only that checkpoint: it is reported at once, training continues, and the next save tries
again. Where no save will follow (`wait`), a failure is an error.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from train.checkpoint.checksums import checksum, local, values
from train.checkpoint.folder import retain, step_of
from train.checkpoint.staging import Staging, local_parts
from train.checkpoint.tensors import RETRY, tensors_of, write
from train.config import RunError
from train.ranks import identity
from train.ranks.together import gloo_group


class Saver:
    """Saves one run's checkpoints, one at a time. All ranks construct one and call it alike."""

    def __init__(
        self, checkpoints: Path, *, keep: int, keep_every: int = 0, asynchronous: bool = True
    ) -> None:
        self.checkpoints = checkpoints
        self.staging = Staging()
        self.attached: dict[str, bytes] = {}  # small files that each checkpoint has as well
        self.committed: list[Callable[[Path], None]] = []  # called after each commit, on ranks that have them
        self.newest: Path | None = None  # the run's newest checkpoint, which is complete; on the first rank
        self._keep, self._keep_every, self._asynchronous = keep, keep_every, asynchronous
        # Its own group: the thread's collectives must not interleave with training's.
        self._group: Any = gloo_group() if identity.has_group() else None
        self._thread: threading.Thread | None = None
        self._staged = threading.Event()
        self._error: RunError | None = None
        self._is_last_word = False  # whether the caller waits for this save and reports its error

    def save(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        state: dict,
        *,
        sums: dict[str, Tensor] | None = None,
        wait: bool = False,
    ) -> None:
        """Save the current state, after waiting for the previous save. `state` is JSON and has "step".

        `sums`: the tensors' checksums by name, if the caller has them from when the state was last updated.
        With `wait`, return once the checkpoint is committed. Raises RunError only with `wait`.
        """
        self._join()
        self._is_last_word = wait
        tensors = tensors_of(model, optimizer)
        parts = dict(local_parts(tensors))
        known = sums or {}
        complete = {
            name: known[name] if name in known else checksum(local(part)) for name, part in parts.items()
        }
        if not self._asynchronous:
            expected = values(complete)
            self._write(tensors, state, check=lambda: refuse_changed(parts, expected))
        else:
            self._staged.clear()
            # a run on CPUs leaves this machine's GPUs alone: they may be another's, or full
            device = next((part.device for part in parts.values() if part.is_cuda), None)
            ready = None if device is None else torch.cuda.current_stream(device).record_event()
            self._thread = threading.Thread(
                target=self._stage_and_write,
                args=(tensors, state, complete, device, ready),
                name="saver",
                daemon=True,
            )
            self._thread.start()
        if wait:
            self.wait()

    @property
    def is_writing(self) -> bool:
        """Whether a save is in progress; once it commits, `newest` may be removed."""
        return self._thread is not None and self._thread.is_alive()

    def before_update(self) -> None:
        """Return once the weights may change: the copy made during the step is complete."""
        if self._thread is not None:
            self._staged.wait()

    def wait(self) -> bool:
        """Wait for the latest save. Returns whether it was committed, the same on all ranks.

        Raises RunError if it failed and was called with `wait`; otherwise its failure has been reported.
        """
        self._join()
        if self._error and self._is_last_word:
            raise self._error
        return self._error is None

    def close(self) -> None:
        """Let a save in progress finish; called however the run ends."""
        self._join()

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _stage_and_write(
        self,
        tensors: dict,
        state: dict,
        sums: dict[str, Tensor],
        device: torch.device | None,
        ready: torch.cuda.Event | None,
    ) -> None:
        expected: dict[str, int] = {}

        def copy() -> None:
            self.staging.copy(tensors)
            expected.update(values(sums))

        def stage() -> None:
            try:
                if ready is None:
                    copy()
                else:  # its own stream: the default one also holds the steps that are queued meanwhile
                    with torch.cuda.device(device), torch.cuda.stream(torch.cuda.Stream()):
                        torch.cuda.current_stream().wait_event(ready)
                        copy()
            finally:
                self._staged.set()

        self._write(
            tensors,
            state,
            planner=self.staging.planner(),
            first=stage,
            check=lambda: refuse_changed(self.staging.buffers, expected),
        )

    def _write(self, tensors: dict, state: dict, **how: Any) -> None:
        self._error = None
        try:
            self._make_room()
            final = write(
                self.checkpoints,
                tensors,
                state,
                keep=self._keep,
                keep_every=self._keep_every,
                attached=self.attached,
                group=self._group,
                **how,
            )
            self.newest = final if identity.is_first() else None
            for tell in self.committed:
                tell(final)
        except Exception as error:  # any error: a thread that ends must not pass for a commit
            self._error = error if isinstance(error, RunError) else RunError(f"not saved ({error!r})")
            if not self._is_last_word:
                what = str(self._error).removesuffix(RETRY)
                identity.say(f"warning: {what}; training continues, and the next save tries again")

    def _make_room(self) -> None:
        """Before writing, remove what a lowered `keep` no longer covers: on a full disk, later is too late.

        Checkpoints beyond `newest` do not count: they may be damaged.
        """
        if self.newest is not None:
            with suppress(OSError, RunError):  # tried again after the commit, which says why
                retain(self.checkpoints, self._keep, step_of(self.newest), self._keep_every)


def refuse_changed(parts: dict[str, Tensor], expected: dict[str, int]) -> None:
    """Raise RunError, naming rank, host and tensor, if a part no longer has its checksum."""
    for name, found in values({name: checksum(local(part)) for name, part in parts.items()}).items():
        if found != expected[name]:
            host = identity.node()
            raise RunError(
                f"{name} changed in memory before it was written, on rank {identity.rank()} ({host})"
            )
