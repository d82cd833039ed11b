"""Saves while training goes on: the weights are copied during the next step, written behind the ones after.

`save` starts a thread that first copies the state (staging.py) and then writes and commits it exactly
as a synchronous save does, over a process group of its own. Weights may be read meanwhile, and change only
after `before_update`. A write that fails costs that checkpoint alone: it is said at once, training goes on,
and the next save is another try; where none can follow (`wait`), it is an error.
"""

import threading
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn

from train.checkpoint import tensors as checkpoint
from train.checkpoint.staging import Staging
from train.config import RunError


class Saver:
    """The checkpoints of one run, one being written at a time; all ranks make one and call it alike."""

    def __init__(self, checkpoints: Path, *, keep: int, asynchronous: bool = True) -> None:
        self.checkpoints = checkpoints
        self.staging = Staging()
        self._keep, self._asynchronous = keep, asynchronous
        # Its own: the thread's collectives must not come between training's.
        self._group = dist.new_group(backend="gloo") if dist.is_initialized() else None
        self._thread: threading.Thread | None = None
        self._staged = threading.Event()
        self._error: RunError | None = None
        self._is_last_word = False  # whether the caller waits for this save, and reports its error

    def save(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict, *, wait: bool = False
    ) -> None:
        """Save the state of now; first waits for the save before. `state` needs "step" and is JSON.

        With `wait` it returns when the checkpoint is committed. Raises RunError only with `wait`.
        """
        self._join()
        self._is_last_word = wait
        tensors = checkpoint.tensors_of(model, optimizer)
        if not self._asynchronous:
            self._write(tensors, state, planner=None)
        else:
            self._staged.clear()
            device = torch.cuda.current_device() if torch.cuda.is_available() else None
            ready = None if device is None else torch.cuda.current_stream().record_event()
            self._thread = threading.Thread(
                target=self._stage_and_write, args=(tensors, state, device, ready), name="saver", daemon=True
            )
            self._thread.start()
        if wait:
            self.wait()

    def before_update(self) -> None:
        """Returns when the weights may change: the copy, made while the step computed, is whole."""
        if self._thread is not None:
            self._staged.wait()

    def wait(self) -> bool:
        """Wait for the save begun last; whether it was committed, the same on all ranks.

        Raises RunError if it failed and was asked for with `wait`; else its failure has been said.
        """
        self._join()
        if self._error and self._is_last_word:
            raise self._error
        return self._error is None

    def close(self) -> None:
        """Let a save that is under way finish; called however the run ends."""
        self._join()

    def _join(self) -> None:
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _stage_and_write(self, tensors: dict, state: dict, device: int | None, ready: object) -> None:
        def stage() -> None:
            try:
                if ready is None:
                    self.staging.copy(tensors)
                else:
                    with torch.cuda.device(device), torch.cuda.stream(torch.cuda.Stream()):
                        torch.cuda.current_stream().wait_event(ready)
                        self.staging.copy(tensors)
            finally:
                self._staged.set()

        self._write(tensors, state, planner=self.staging.planner(), first=stage)

    def _write(self, tensors: dict, state: dict, **how: object) -> None:
        self._error = None
        try:
            checkpoint.write(self.checkpoints, tensors, state, keep=self._keep, group=self._group, **how)
        except Exception as error:  # whatever it is: a thread's end must not pass for a commit
            self._error = error if isinstance(error, RunError) else RunError(f"not saved ({error!r})")
            if not self._is_last_word and (not dist.is_initialized() or dist.get_rank() == 0):
                what = str(self._error).removesuffix(checkpoint.MEND)
                print(f"relama: warning: {what}; training goes on, the next save tries again", flush=True)
