"""The training loop. `Trainer.step` is one optimizer step, `Trainer._after_step` is what follows it.

The order of the data is a function of the step alone, so a resumed run needs the weights, AdamW's state and
one integer (train/state.py).
"""

import math
import signal
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

from torch import Tensor

from data.loader import Loader
from data.tokens.tokenizer import Tokenizer
from train.checkpoint.certificate import Certifier
from train.integrity.computation import Computation, MicroBatches
from train.loggers.journal import Journal
from train.metrics.attention_kernel import attention_kernel
from train.metrics.clock import Clock
from train.metrics.communication import Communication
from train.metrics.profiler import Profiler
from train.metrics.stragglers import Stragglers
from train.metrics.throughput import Throughput
from train.optimizer import rate_of, set_learning_rate
from train.phases.timeline import Phase
from train.preflight import Resolved
from train.ranks import identity
from train.ranks.setup import Ranks
from train.ranks.signals import Signals
from train.ranks.together import first_rank_does
from train.ranks.watchdog import LONG, Watchdog
from train.run import ending, starts
from train.run.folder import RunFolder
from train.state import State


def run_training(run: Resolved, ranks: Ranks, folder: RunFolder, watchdog: Watchdog) -> int:
    """Train to the last step, a signal or an error; returns the exit code. Raises RunError.

    All ranks call it.
    """
    beat = partial(watchdog.beat, patience=LONG)
    state = State(run, ranks, folder, beat)
    if state.is_at_end and not state.owed:
        state.uploads.finish(beat)
        return ending.already_finished(folder.path, run.config, state.step)
    folder.refuse_unwritable()
    return Trainer(state, watchdog).run()


class Trainer:
    """Trains one run on one group of ranks; all of them construct one and call `run`."""

    def __init__(self, state: State, watchdog: Watchdog) -> None:
        self.state, self.config, self.ranks, self.watchdog = state, state.config, state.ranks, watchdog
        config, ranks, folder, self.judge = self.config, self.ranks, state.folder, state.judge
        self.timeline = config.timeline
        self.phase = self.timeline.phases[0]
        self.stragglers = Stragglers(config.watchdog.compare_every, ranks.device)
        # torch allows one profiler at a time.
        profiled_for_communication = 0 if config.profile else config.watchdog.communication_every
        self.communication = Communication(profiled_for_communication, ranks, config.model.n_layers)
        profile_steps = config.profile_steps if config.profile else []
        self.profiler = Profiler(folder.path, profile_steps, ranks.rank, ranks.device)
        self.measured = state.measured
        self.certifier = Certifier(state.saving.saver, config.checkpoint.verify, ranks.device)
        self.computation = Computation(state.model, config.optim.clip, ranks, watchdog.beat_on)
        identity.say(f"attention kernel: {attention_kernel(config, ranks)}")
        self.tokenizer = Tokenizer(folder.tokenizer)
        self.throughput = Throughput(config, ranks)
        self._warm = False  # the first step has run
        self._owed: dict | None = None  # the last step's line, while it lacks its held-out losses
        self.journal = None
        if ranks.is_first:
            self.journal = Journal(
                folder.metrics, config.last_step, config.logger, asdict(config), state.position
            )
        self.signals = Signals(ranks.device)

    def run(self) -> int:
        """Train to the last step, a signal or an error; returns the exit code. Raises RunError."""
        how = "failed"
        try:
            self._pay()
            while self._continues():
                self._train()
                if self.judge.is_returning:
                    self._rewind()
            if first_rank_does(self.state.saving.has_lost_the_newest):  # and no later step would save it
                self._save(Clock(), self._owed)
            self.state.saving.insist_on_log(self.state.step, self.journal)
            stopped_by = self.signals.agreed
            how = signal.Signals(stopped_by).name if stopped_by else "finished"
        finally:
            self._close(how)
        return ending.conclude(self.state.folder.path, self.config, self.state.step, stopped_by)

    def _train(self) -> None:
        """Steps to the end of the run, a stop or a rewind."""
        with self.state.loader() as loader:
            batches = loader.batches(self.state.step, self.config.last_step)
            clock = Clock()
            while self._continues():
                with self.profiler.step(), self.communication.watch(self.state.step + 1, clock):
                    line = self.step(self.state.step + 1, batches, clock)
                if not self.judge.is_returning:
                    self._after_step(line, clock, loader)
                if self.judge.is_returning:
                    return

    def step(self, step: int, batches: MicroBatches, clock: Clock) -> dict:
        """One optimizer step over the global batch; returns its line of metrics.jsonl."""
        self._enter(self.timeline.at(step))
        rate = rate_of(step, self.config, self.timeline)
        optimizer, judge = self.state.optimizer, self.judge
        set_learning_rate(optimizer, rate)
        self.signals.save = self.state.saving.has_lost_the_newest()
        result = self.computation.gradients(
            self._read(batches, clock),
            self._micro_batches,
            clock,
            judge.recovery.problem,
            self.signals,
            lambda: judge.sentinel.changes(optimizer, step),
        )
        if result.must_stop:
            self.signals.must_stop()  # and all ranks know which signal
        if result.must_save:
            self.state.saving.owe()
        decision = judge.step(step, result, optimizer, self.state.order)
        if decision is None or decision["action"] == "warn":
            with clock.stretch("checkpoint"):
                self.state.saving.saver.before_update()
            with clock.stretch("compute"):
                optimizer.step()
        optimizer.zero_grad()
        with clock.stretch("compute"):
            judge.sentinel.record(optimizer, step, rate, whole=self._is_save_due(step))
        return {
            "step": step,
            "loss": result.loss if math.isfinite(result.loss) else None,
            "grad_norm": result.norm if math.isfinite(result.norm) else None,
            "lr": rate,
            "tokens": self.timeline.tokens(step),
            **({"phase": self.phase.name} if self.config.phases else {}),
            **({"decision": decision["action"]} if decision else {}),
        }

    def _after_step(self, line: dict, clock: Clock, loader: Loader) -> None:
        """Measure, log, verify, save and validate, in this order: what a kill would lose is saved first."""
        state = self.state
        step = state.step = line["step"]
        line |= self.throughput.of(self.phase, self.timeline.steps.sample(step), state.order, clock)
        if comparison := self.stragglers.after_step(step, clock.spent.get("data", 0.0)):
            line["ranks"] = comparison
        clock.restart()  # the rest is counted on the next line
        owed = line if self.measured.owes(line) else None
        if not owed:
            self._log(line)
        self.certifier.saw(step, _number(line["loss"]))
        if self.certifier.is_due(step) and not self.signals.agreed:
            self.watchdog.beat(f"verifying a checkpoint at step {step}", LONG)
            with clock.stretch("certificate"):
                ailing = self.judge.recovery.ailing()
                replay = partial(self._replay, loader)
                self.certifier.certify(state.model, state.optimizer, replay, ailing)
        is_saved = self._is_save_due(step) and self._save(clock, owed)
        if owed and not self.judge.is_returning:
            self._measure(owed, clock)
            self._owed = owed if self.measured.owes(owed) else None
            if self.signals.agreed and not (is_saved and state.saving.saver.wait()):
                self._save(clock, self._owed)

    def _enter(self, phase: Phase) -> None:
        """Train by `phase` from now on."""
        if phase is not self.phase and phase.start == self.state.step:
            identity.say(f"step {phase.start + 1}: phase {phase.name}, to step {phase.end}")
        self.phase = phase
        if self.state.model.config.rope_theta != phase.rope_theta:
            self.state.model.set_rope_theta(phase.rope_theta)

    @property
    def _micro_batches(self) -> int:
        return self.phase.batch // (self.config.micro_batch * self.ranks.dp_size)

    def _read(self, batches: MicroBatches, clock: Clock) -> Iterator[tuple[Tensor, Tensor]]:
        """One step's micro-batches, on the device."""
        for micro in range(self._micro_batches):
            self.communication.before(micro, self._micro_batches)
            # The first step may compile, and connects all ranks.
            self.watchdog.beat(f"training after step {self.state.step}", 1.0 if self._warm else LONG)
            with clock.stretch("data"):
                inputs, labels = (self._on_device(part) for part in next(batches))
            yield inputs, labels
        self.communication.after_last(self._micro_batches)
        self._warm = True

    def _on_device(self, part: Tensor) -> Tensor:
        """`part` on the device; copied from pinned memory, because otherwise the host waits for the GPU."""
        device = self.ranks.device
        if device.type == "cuda":
            part = part.contiguous().pin_memory()
        return part.to(device, non_blocking=True)

    def _continues(self) -> bool:
        return not self.state.is_at_end and not self.signals.agreed

    def _is_save_due(self, step: int) -> bool:
        is_last = step >= self.config.last_step or bool(self.signals.agreed)
        return is_last or self.state.saving.is_due(step)

    def _save(self, clock: Clock, owed: dict | None) -> bool:
        """Save the step just finished; returns whether the save has started."""
        self.watchdog.beat(f"saving after step {self.state.step}", LONG)
        with clock.stretch("checkpoint"):
            has_started = self.state.save(self.journal, owed, is_last=not self._continues())
        if has_started:
            self.certifier.saved(self.state.step)
        return has_started

    def _measure(self, line: dict, clock: Clock) -> None:
        """Log a step's line with its held-out losses and scores, or without them if a signal ends the run."""
        self.measured.complete(line, self.state.model, self.tokenizer, clock, self.signals)
        self._log(line)

    def _pay(self) -> None:
        """Complete the line of metrics whose held-out losses were not measured before the checkpoint."""
        if self.state.owed:
            self._enter(self.timeline.at(self.state.step))  # its rope_theta
            self._measure(self.state.owed, Clock())
            self.state.owed = None

    def _log(self, line: dict) -> None:
        if self.journal:
            self.journal.write(line)

    def _rewind(self) -> None:
        self.watchdog.beat("rewinding to a checkpoint", LONG)
        self.certifier.forget()
        self.state.rewind()
        if self.journal:
            self.journal.reopen(self.state.position)
        self._pay()

    def _replay(self, loader: Loader, first: int, last: int) -> dict[int, float]:
        """Train these steps again and return their losses; logs nothing."""
        batches, clock = loader.batches(first - 1, last), Clock()
        judge, self.judge = self.judge, self.state.judge_of_replay()
        try:
            return {step: _number(self.step(step, batches, clock)["loss"]) for step in range(first, last + 1)}
        finally:
            self.judge = judge

    def _beat(self, doing: str) -> None:
        self.watchdog.beat(doing, LONG)

    def _close(self, how: str) -> None:
        self.watchdog.beat("ending", LONG)
        self.state.saving.saver.close()
        self.profiler.close()
        if self.journal:
            self.state.saving.decision_log.settle()
            self.journal.close(failed=how == "failed")
            starts.ended(self.state.folder.path, self.state.step, how)
        if how == "failed":
            self.state.uploads.finish_alone()
        else:
            self.state.uploads.finish(self._beat)


def _number(loss: float | None) -> float:
    return math.inf if loss is None else loss
