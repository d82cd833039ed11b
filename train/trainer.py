"""The training loop. `Trainer.step` is one optimizer step, `Trainer._after_step` is what follows it.

The order of the data is a function of the step alone, so a resumed run needs the weights, AdamW's state and
one integer (train/resume.py).
"""

import math
import signal
from collections.abc import Iterator
from dataclasses import asdict

from torch import Tensor

from data.loader import Loader
from data.tokens.tokenizer import Tokenizer
from train import decisions
from train.attention_kernel import attention_kernel
from train.build import build_model
from train.checkpoint.certificate import Certifier
from train.evaluation.after_step import AfterStep
from train.integrity.computation import Computation, MicroBatches
from train.integrity.judge import Judge
from train.loggers.follow import Position
from train.metrics.clock import Clock
from train.metrics.communication import Communication
from train.metrics.journal import Journal
from train.metrics.profiler import Profiler
from train.metrics.stragglers import Stragglers
from train.metrics.throughput import Throughput
from train.optimizer import rate_of, set_learning_rate
from train.phases.timeline import Phase
from train.precision import DTYPES
from train.preflight import Resolved
from train.ranks import identity
from train.ranks.setup import Ranks, node_of
from train.ranks.signals import Signals
from train.ranks.watchdog import LONG, Watchdog
from train.resume import resume_or_start
from train.run import ending, starts
from train.run.folder import RunFolder
from train.saving import Saving


class Trainer:
    """One run on one group of ranks; all ranks construct one and call `run`."""

    def __init__(self, run: Resolved, ranks: Ranks, folder: RunFolder, watchdog: Watchdog) -> None:
        """Build the model, and bring it where the newest complete checkpoint left it. Raises RunError."""
        config = run.config
        self.resolved, self.config, self.ranks = run, config, ranks
        self.folder, self.watchdog = folder, watchdog
        self.model = build_model(config, ranks)
        self.saving = Saving(run, folder)
        self.judge = Judge(run, ranks, folder, self.model, self.saving)
        self.stragglers = Stragglers(config.watchdog.compare_every, ranks.device)
        # torch allows one profiler at a time.
        profiled_for_communication = 0 if config.profile else config.watchdog.communication_every
        self.communication = Communication(profiled_for_communication, ranks.device)
        self.profiler = Profiler(
            folder.path, config.profile_steps if config.profile else [], ranks.rank, ranks.device
        )
        self._node = node_of(ranks)
        self.measured = AfterStep(run, ranks, self._beat)
        self.certifier = Certifier(self.saving.saver, config.checkpoint.verify, ranks.device)
        self.computation = Computation(self.model, config.optim.clip, ranks)
        self.timeline = config.timeline
        self.phase, self.steps = self.timeline.phases[0], self.timeline.steps
        self._stopped_by: int | None = None  # the signal that ends the run, known to all ranks
        self._warm = False  # the first step has run
        self.saving.open_remote()
        self._return_to_checkpoint(folder.arguments)
        self.saving.begin_uploads()

    def run(self) -> int:
        """Train to the last step, a signal or an error; returns the exit code. Raises RunError."""
        config = self.config
        if self.step_done >= config.last_step and not self._owed:
            self.saving.finish_uploads()
            return ending.already_finished(self.folder.path, config, self.step_done)
        kernel = attention_kernel(
            config.model,
            self.ranks.layout,
            config.sequence_length,
            self.ranks.device,
            DTYPES[config.precision],
        )
        identity.say(f"attention kernel: {kernel}")
        self.tokenizer = Tokenizer(self.folder.tokenizer)
        self.throughput = Throughput(config, self.ranks)
        self.journal = None
        if self.ranks.is_first:
            self.journal = Journal(
                self.folder.metrics, config.last_step, config.logger, asdict(config), self._position()
            )
        self.signals = Signals()
        how = "failed"
        try:
            self._pay()
            while self._continues():
                self._train()
                if self.judge.is_returning:
                    self._rewind()
            self.saving.insist_on_log(self.step_done, self.journal)
            how = signal.Signals(self._stopped_by).name if self._stopped_by else "finished"
        finally:
            self._close(how)
        return ending.conclude(self.folder.path, self.config, self.step_done, self._stopped_by)

    def _train(self) -> None:
        """Steps to the end of the run, a stop or a rewind."""
        with self._loader() as self.loader:
            batches = self.loader.batches(self.step_done, self.config.last_step)
            clock = Clock()
            while self._continues():
                with self.profiler.step(), self.communication.watch(self.step_done + 1, clock):
                    line = self.step(self.step_done + 1, batches, clock)
                if not self.judge.is_returning:
                    self._after_step(line, clock)
                if self.judge.is_returning:
                    return

    def step(self, step: int, batches: MicroBatches, clock: Clock) -> dict:
        """One optimizer step over the global batch; returns its line of metrics.jsonl."""
        self._enter(self.timeline.at(step))
        rate = rate_of(step, self.config, self.timeline)
        set_learning_rate(self.optimizer, rate)
        judge, batches = self.judge, self._read(batches, clock)
        result = self.computation.gradients(
            batches,
            self._micro_batches,
            clock,
            judge.recovery.problem,
            self.signals,
            lambda: judge.sentinel.changes(self.optimizer, step),
        )
        if result.must_stop:
            self._stopped_by = self.signals.received or signal.SIGTERM
        decision = judge.step(step, result, self.optimizer, self.order)
        if decision is None or decision["action"] == "warn":
            with clock.stretch("checkpoint"):
                self.saving.saver.before_update()
            with clock.stretch("compute"):
                self.optimizer.step()
        self.optimizer.zero_grad()
        with clock.stretch("compute"):
            judge.sentinel.record(self.optimizer, step, rate, whole=self._is_save_due(step))
        return {
            "step": step,
            "loss": result.loss if math.isfinite(result.loss) else None,
            "grad_norm": result.norm if math.isfinite(result.norm) else None,
            "lr": rate,
            "tokens": self.timeline.tokens(step),
            **({"phase": self.phase.name} if self.config.phases else {}),
            **({"decision": decision["action"]} if decision else {}),
        }

    def _enter(self, phase: Phase) -> None:
        """Train by `phase` from now on."""
        if phase is not self.phase and phase.start == self.step_done:
            identity.say(f"step {phase.start + 1}: phase {phase.name}, to step {phase.end}")
        self.phase = phase
        if self.model.config.rope_theta != phase.rope_theta:
            self.model.set_rope_theta(phase.rope_theta)

    @property
    def _micro_batches(self) -> int:
        return self.phase.batch // (self.config.micro_batch * self.ranks.dp_size)

    def _after_step(self, line: dict, clock: Clock) -> None:
        """Measure, log, verify, save and validate, in this order: what a kill would lose is saved first."""
        step = self.step_done = line["step"]
        line |= self.throughput.of(self.phase, self.steps.sample(step), self.order, clock)
        if comparison := self.stragglers.after_step(step, clock.spent.get("data", 0.0)):
            line["ranks"] = comparison
        clock.restart()  # what follows is counted on the next line
        owed = line if self.measured.owes(line) else None
        if not owed:
            self._log(line)
        self.certifier.saw(step, _number(line["loss"]))
        if self.certifier.is_due(step) and not self._stopped_by:
            self.watchdog.beat(f"verifying a checkpoint at step {step}", LONG)
            with clock.stretch("certificate"):
                ailing = self.judge.recovery.ailing()
                self.certifier.certify(self.model, self.optimizer, self._replay, ailing)
        is_saved = self._is_save_due(step) and self._save(clock, owed)
        if owed and not self.judge.is_returning:
            self._measure(owed, clock)
            if self._stopped_by and not (is_saved and self.saving.saver.wait()):
                self._save(clock, owed if self.measured.owes(owed) else None)

    def _is_save_due(self, step: int) -> bool:
        return self.saving.is_due(step) or step >= self.config.last_step or bool(self._stopped_by)

    def _log(self, line: dict) -> None:
        if self.journal:
            self.journal.write(line)

    def _continues(self) -> bool:
        return self.step_done < self.config.last_step and not self._stopped_by

    def _read(self, batches: MicroBatches, clock: Clock) -> Iterator[tuple[Tensor, Tensor]]:
        """One step's micro-batches, on the device."""
        for _ in range(self._micro_batches):
            # The first step may compile, and connects all ranks.
            self.watchdog.beat(f"training after step {self.step_done}", 1.0 if self._warm else LONG)
            with clock.stretch("data"):
                inputs, labels = (part.to(self.ranks.device, non_blocking=True) for part in next(batches))
            yield inputs, labels
        self._warm = True

    def _measure(self, line: dict, clock: Clock) -> None:
        """Log a step's line with its held-out losses and scores, or without if the run must stop."""
        self.measured.complete(line, self.model, self.tokenizer, clock, self.signals, self._must_stop)
        self._log(line)

    def _beat(self, doing: str) -> None:
        self.watchdog.beat(doing, LONG)

    def _must_stop(self) -> bool:
        self._stopped_by = self._stopped_by or self.signals.agreed(self.ranks.device)
        return self._stopped_by is not None

    def _pay(self) -> None:
        """Complete the line of metrics that the checkpoint left owing."""
        if self._owed:
            self._measure(self._owed, Clock())
            self._owed = None

    def _rewind(self) -> None:
        """Return to the checkpoint that the last decision names, as a restart would, in the same process."""
        self.judge.is_returning = False
        self.watchdog.beat("rewinding to a checkpoint", LONG)
        self.certifier.forget()
        if self.ranks.is_first:
            starts.ended(self.folder.path, self.step_done, "rewound")
        # A reload is a restart: like one, it refuses to begin anew if all checkpoints are damaged.
        is_reload = self.judge.recovery.decisions[-1]["action"] == "reload"
        self._return_to_checkpoint(self.folder.arguments if is_reload else None)
        if self.journal:
            self.journal.reopen(self._position())
        self._pay()

    def _position(self) -> Position:
        return Position(self.step_done, decisions.returns(self.judge.recovery.decisions))

    def _return_to_checkpoint(self, arguments: list[str] | None) -> None:
        recovery, sentinel = self.judge.recovery, self.judge.sentinel
        found = resume_or_start(self.resolved, self.ranks, self.folder, self.model, recovery, arguments)
        self.step_done, self.optimizer, self.order = found.step, found.optimizer, found.order
        self._owed, self.judge.begun = found.owed, found.begun
        self.saving.remember(recovery)
        sentinel.forget()
        sentinel.record(self.optimizer, found.step, rate=0.0)

    def _replay(self, first: int, last: int) -> dict[int, float]:
        """Train these steps again and return their losses; logs nothing."""
        batches = self.loader.batches(first - 1, last)
        judge = self.judge
        self.judge = Judge(self.resolved, self.ranks, self.folder, self.model, self.saving, is_replay=True)
        self.judge.recovery.resume(self.saving.recovery_state, judge.recovery.decisions, self.order)
        try:
            return {
                step: _number(self.step(step, batches, Clock())["loss"]) for step in range(first, last + 1)
            }
        finally:
            self.judge = judge

    def _save(self, clock: Clock, owed: dict | None) -> bool:
        """Save the step just finished, unless the state is corrupt; whether the save has started."""
        self.watchdog.beat(f"saving after step {self.step_done}", LONG)
        with clock.stretch("checkpoint"):
            if not self.judge.is_sound(self.step_done, self.optimizer, self.order):
                return False
            has_started = self.saving.save(
                self.step_done,
                self.model,
                self.optimizer,
                self.order,
                self.judge.recovery,
                self.journal,
                sums=self.judge.sentinel.sums(self.optimizer),
                owed=owed,
                is_last=not self._continues(),
            )
        if has_started:
            self.certifier.saved(self.step_done)
        return has_started

    def _loader(self) -> Loader:
        return Loader(
            self.order,
            self.resolved.train,
            micro_batch=self.config.micro_batch,
            global_batch=self.steps,
            dp_rank=self.ranks.dp_rank,
            dp_size=self.ranks.dp_size,
            workers=self.config.workers,
            node=self._node,
        )

    def _close(self, how: str) -> None:
        self.watchdog.beat("ending", LONG)
        self.saving.saver.close()
        self.profiler.close()
        if self.journal:
            self.saving.decision_log.settle()
            self.journal.close(failed=how == "failed")
            starts.ended(self.folder.path, self.step_done, how)
        self.saving.finish_uploads()


def _number(loss: float | None) -> float:
    return math.inf if loss is None else loss
