"""The state of a run on one rank: everything that a checkpoint holds, and how far training is."""

from collections.abc import Callable
from functools import partial

import torch

from data.loader import Loader
from data.order import Order
from train import decisions
from train.build import build_model
from train.checkpoint.uploads import Uploads, restored
from train.evaluation.after_step import AfterStep
from train.integrity.judge import Judge
from train.loggers.follow import Position
from train.loggers.journal import Journal
from train.preflight import Resolved
from train.ranks.setup import Ranks, node_of
from train.resume import refuse_remote, resume_or_start
from train.run import starts
from train.run.folder import RunFolder
from train.saving import Saving


class State:
    """The model, AdamW's state, the order of the data and the last finished step of one run.

    All ranks construct one and call it alike.
    """

    step: int  # the last finished one
    optimizer: torch.optim.AdamW
    order: Order
    owed: dict | None  # the step's line of metrics, if its held-out losses are yet to be measured

    def __init__(self, run: Resolved, ranks: Ranks, folder: RunFolder, beat: Callable[[str], None]) -> None:
        """Build the model, and restore the newest complete checkpoint. Raises RunError.

        `beat` reports progress to the watchdog.
        """
        self.run, self.config, self.ranks, self.folder, self._beat = run, run.config, ranks, folder, beat
        self.model = build_model(run.config, ranks)
        self.measured = AfterStep(run, ranks, beat)
        refuse = partial(refuse_remote, run, folder)
        restart = run.config.restart
        remote = restored(run.config.checkpoint, folder.path, decisions.abandons, refuse, restart)
        self.saving = Saving(run, folder, remote)
        self.judge = self._new_judge()
        self._node = node_of(ranks)
        self._restore(folder.arguments)
        self.uploads = Uploads(run.config.checkpoint, folder.checkpoints, remote, self.saving.saver)

    @property
    def is_at_end(self) -> bool:
        return self.step >= self.config.last_step

    @property
    def position(self) -> Position:
        """What the loggers need to know to continue without gaps or repetitions."""
        return Position(self.step, decisions.returns(self.judge.recovery.decisions))

    def save(self, journal: Journal | None, owed: dict | None, *, is_last: bool) -> bool:
        """Save the last finished step, unless the state is corrupt; returns whether the save has started.

        `owed` and `is_last` are those of `Saving.save`.
        """
        if not self.judge.is_sound(self.step, self.optimizer, self.order):
            return False
        return self.saving.save(
            self.step,
            self.model,
            self.optimizer,
            self.order,
            self.judge.recovery,
            journal,
            sums=self.judge.sentinel.sums(self.optimizer),
            owed=owed,
            is_last=is_last,
        )

    def loader(self) -> Loader:
        """Reads this rank's micro-batches of any step."""
        return Loader(
            self.order,
            self.run.train,
            micro_batch=self.config.micro_batch,
            global_batch=self.config.timeline.steps,
            dp_rank=self.ranks.dp_rank,
            dp_size=self.ranks.dp_size,
            workers=self.config.workers,
            node=self._node,
        )

    def judge_of_replay(self) -> Judge:
        """A judge of the steps since the last save, which knows what was known then."""
        judge = self._new_judge(is_replay=True)
        judge.recovery.resume(self.saving.recovery_state, self.judge.recovery.decisions, self.order)
        return judge

    def rewind(self) -> None:
        """Return to the checkpoint that the last decision names, as a restart would, in the same process."""
        self.judge.is_returning = False
        if self.ranks.is_first:
            starts.ended(self.folder.path, self.step, "rewound")
        # Like a restart, a reload refuses to start over if all checkpoints are damaged.
        is_reload = self.judge.recovery.decisions[-1]["action"] == "reload"
        self._restore(self.folder.arguments if is_reload else None)

    def _new_judge(self, *, is_replay: bool = False) -> Judge:
        return Judge(
            self.run, self.ranks, self.folder, self.model, self.saving, self._beat, is_replay=is_replay
        )

    def _restore(self, arguments: list[str] | None) -> None:
        recovery, sentinel = self.judge.recovery, self.judge.sentinel
        found = resume_or_start(
            self.run, self.ranks, self.folder, self.model, recovery, arguments, self.measured.owes
        )
        self.step, self.optimizer = found.step, found.optimizer
        self.order, self.owed = found.order, found.owed
        self.saving.resumed(recovery, found.checkpoint)
        sentinel.forget()
        sentinel.record(self.optimizer, found.step, rate=0.0)
