"""When a run saves, and what its checkpoints hold in addition to the model and AdamW's state."""

import copy
import os
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from configs.redact import redact_tree
from data.order import Order
from data.tokens.store import tokenizer_files
from train import decisions
from train.checkpoint.folder import complete_steps, step_of
from train.checkpoint.remote import Remote
from train.checkpoint.saver import Saver
from train.config import RunError
from train.loggers.journal import Journal
from train.preflight import Resolved
from train.ranks import identity
from train.ranks.together import first_rank_does
from train.recovery import Recovery
from train.run import starts
from train.run.folder import RunFolder


class Saving:
    """Saves one run. Before a save, all its steps' log lines are on disk; it may hold the last one itself.

    All ranks call it alike.
    """

    def __init__(self, run: Resolved, folder: RunFolder, remote: Remote | None) -> None:
        """`remote`: the run's copies at checkpoint.remote, on the first rank."""
        self._run, self._folder, self._remote = run, folder, remote
        self.decision_log = decisions.Log(folder.path)
        checkpoint = run.config.checkpoint
        self.saver = Saver(
            folder.checkpoints,
            keep=checkpoint.keep,
            keep_every=checkpoint.keep_every,
            asynchronous=checkpoint.asynchronous,
        )
        self.recovery_state: dict = {}  # as of the newest checkpoint
        any_store = next(iter(run.train.values()))
        for name, file in tokenizer_files(any_store.tokenizer).items():
            self.saver.attached[name] = file.read_bytes()
        self._is_first_commit = True
        if identity.is_first():
            self.saver.committed.append(self._committed)
        self._is_owed = False  # a save was due when the disk had no room for the log, or the folder was away

    def steps_to_return_to(self, last: int | None) -> list[int]:
        """The steps of the checkpoints here, on the first rank. Raises RunError.

        With `last`, if none here is that old, one is downloaded from checkpoint.remote: a restored disk has
        only the newest.
        """
        steps = complete_steps(self._folder.checkpoints)
        if last is not None and self._remote is not None and not any(step <= last for step in steps):
            self._remote.fetch(last)
            steps = complete_steps(self._folder.checkpoints)
        return steps

    def is_due(self, step: int) -> bool:
        return step % self._run.config.checkpoint.every == 0 or self._is_owed

    def owe(self) -> None:
        """Save after the current step. All ranks call it."""
        self._is_owed = True

    def has_lost_the_newest(self) -> bool:
        """Whether somebody removed the newest checkpoint while the run trains; said once."""
        if self.saver.is_writing or (newest := self.saver.newest) is None:
            return False
        try:
            os.stat(newest / "state.json")
            return False
        except (FileNotFoundError, NotADirectoryError):
            if not self._folder.path.is_dir():  # the whole folder is away: the lease says so
                return False
        except OSError:  # a transient error proves nothing
            return False
        identity.say(
            f"warning: {newest}: removed while this run trains; a checkpoint is saved after this step"
        )
        self.saver.newest = None
        return True

    def resumed(self, recovery: Recovery, newest: Path | None) -> None:
        """The run continues from its checkpoint `newest`, which holds this state of `recovery`."""
        self._remember(recovery)
        self.saver.newest = newest if identity.is_first() else None

    def _committed(self, checkpoint: Path) -> None:
        if self._is_first_commit:
            starts.saved(self._folder.path, step_of(checkpoint))
        self._is_first_commit = False

    def _remember(self, recovery: Recovery) -> None:
        self.recovery_state = copy.deepcopy(recovery.state())

    def save(
        self,
        step: int,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        order: Order,
        recovery: Recovery,
        journal: Journal | None,
        *,
        sums: dict[str, Tensor] | None,
        owed: dict | None,
        is_last: bool,
    ) -> bool:
        """Save `step`, just finished; returns whether the save has started.

        `sums`: the checksums of the state, if known. `owed`: the step's line of metrics, if it is logged
        later, with its held-out losses.
        If no save can follow (`is_last`), return once it is committed, or raise RunError.
        """
        if not self._may_save(step, journal, is_last):
            return False
        self._remember(recovery)
        config = self._run.config
        state = {
            "config": redact_tree(asdict(config) | {"restart": False}),
            "step": step,
            "tokens": config.timeline.tokens(step),
            "model": asdict(config.model_at(step)),
            "order": order.to_json(),
            "fingerprints": self._run.fingerprints,
            "tokenizer": self._run.tokenizer_fingerprint,
            "recovery": self.recovery_state,
            **({"owed": dict(owed)} if owed else {}),
        }
        self.saver.save(model, optimizer, state, sums=sums, wait=is_last)
        return True

    def insist_on_log(self, step: int, journal: Journal | None) -> None:
        """Raise RunError unless the last line, logged after `step` was saved, is on disk."""
        if not first_rank_does(lambda: journal is None or journal.settle()):
            raise RunError(
                f"{self._folder.metrics}: no room for the last line; step {step} is saved; make room and run "
                "the same command to complete the file"
            )

    def _may_save(self, step: int, journal: Journal | None, is_last: bool) -> bool:
        """Whether the folder is this run's, and has the log up to `step`. Raises RunError if it `is_last`."""
        problem = first_rank_does(lambda: self._problem(journal))
        if problem and is_last:
            raise RunError(
                f"{problem} and run the same command to resume from the checkpoint before: "
                f"step {step} is not saved"
            )
        if problem and not self._is_owed:
            identity.say(f"warning: {problem}; step {step} is not saved, a later one will be")
        self._is_owed = problem is not None
        return problem is None

    def _problem(self, journal: Journal | None) -> str | None:
        if self._folder.lease and (problem := self._folder.lease.problem()):
            return problem
        is_on_disk = (journal is None or journal.settle()) and self.decision_log.settle()
        return None if is_on_disk else f"{self._folder.metrics}: no room for the last lines; make room"
