"""The training loop: everything that happens at step k, on one screen (`Trainer.step` and `Trainer.run`).

The data's order is a function of the step alone, so a resumed run needs the weights, AdamW's state and
one integer. What a run leaves is in its folder: config, order, metrics, checkpoints.
"""

import copy
import math
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import torch
import torch.distributed as dist

from data.loader import Loader
from data.order import Order
from data.tokens.store import TokenStore
from data.tokens.tokenizer import Tokenizer
from model.formats.weights import Weights
from model.initialize import initialize
from model.llama import Llama, LlamaConfig
from model.parallelize.apply import parallelize
from model.parallelize.gradients import clip_gradients, forward_backward
from train import recovery
from train.attention_kernel import attention_kernel
from train.checkpoint import tensors as checkpoint
from train.checkpoint.certificate import Certifier
from train.checkpoint.folder import read_state, remove, whole_steps
from train.checkpoint.saver import Saver
from train.config import RunError, TrainConfig
from train.metrics.clock import Clock
from train.metrics.communication import Communication
from train.metrics.journal import Journal
from train.metrics.profiler import Profiler
from train.metrics.stragglers import Stragglers
from train.metrics.throughput import Throughput
from train.optimizer import build_optimizer, learning_rate, set_learning_rate
from train.ranks.setup import Ranks, first_rank_does
from train.ranks.watchdog import LONG, Watchdog
from train.recovery import Recovery
from train.run import attempts as goodput
from train.run import markers
from train.run.folder import RunFolder
from train.validation import validate
from train.weights.open import fill, model_state, open_weights, same_tokenizer


class Trainer:
    """One run on one group of ranks; all ranks make one and call `run`."""

    def __init__(
        self,
        config: TrainConfig,
        model_config: LlamaConfig,
        ranks: Ranks,
        stores: dict[str, TokenStore],
        heldout: dict[str, TokenStore],
        watchdog: Watchdog,
    ) -> None:
        self.config = replace(config, model=model_config)  # resolved: what is saved with the run
        self.model_config, self.ranks = model_config, ranks
        self.stores, self.heldout, self.watchdog = stores, heldout, watchdog
        self.step_done = 0
        self.stopped_by: int | None = None  # the signal that ended the run, known to all ranks
        self._signal: int | None = None  # the signal that this rank got
        self._owes_a_save = False  # the disk had no room when one was due
        self.rewinding = False
        self._warm = False
        self.folder: RunFolder | None = None  # rank 0's
        first_rank_does(self._claim_folder)
        self.path = Path(first_rank_does(lambda: str(self.folder.path)))
        self.order = self._first_order()
        self.tokenizer_fingerprint = next(iter(stores.values())).tokenizer_fingerprint
        self.fingerprints = {source: store.fingerprint for source, store in stores.items()}

    def _first_order(self) -> Order:
        config = self.config
        return Order.start(
            seed=config.seed,
            weights=config.data.chosen(),
            n_sequences={name: store.n_sequences(config.seq_len) for name, store in self.stores.items()},
            seq_len=config.seq_len,
        )

    def build(self) -> None:
        """Model, optimizer, and where the last whole checkpoint left them."""
        config, ranks = self.config, self.ranks
        with torch.device("meta"):
            model = Llama(self.model_config)
        on_gpu = ranks.device.type == "cuda"
        self.model = parallelize(
            model,
            ranks.mesh,
            activation_checkpointing=config.parallel.activation_checkpointing,
            compile=config.parallel.compile,
            reshard=config.parallel.reshard,
            tensor=config.parallel.tensor,
            schedule=config.parallel.schedule,
            stages_per_rank=config.parallel.stages_per_rank,
            param_dtype=torch.bfloat16 if on_gpu else torch.float32,
            reduce_dtype=torch.float32,
        )
        self.model.to_empty(device=ranks.device)
        if ranks.layout.pp > 1:
            self._say(self.model.describe())
        self.recovery = Recovery(config.recovery)
        self.stragglers = Stragglers(config.watchdog.compare_every, ranks.device)
        # Two profiles at once cannot be.
        self.communication = Communication(
            0 if config.profile else config.watchdog.communication_every, ranks.device
        )
        self.saver = Saver(
            self.path / "checkpoints",
            keep=config.checkpoint.keep,
            asynchronous=config.checkpoint.asynchronous,
        )
        self.certifier = Certifier(self.saver, config.checkpoint.verify, ranks.device)
        self._resume_or_start()

    def _loader(self) -> Loader:
        return Loader(
            self.order,
            self.stores,
            micro_batch=self.config.micro_batch,
            global_batch=self.config.batch_sequences,
            dp_rank=self.ranks.dp_rank,
            dp_size=self.ranks.dp_size,
            workers=self.config.workers,
        )

    def run(self) -> int:
        """Train to the last step, or to a SIGINT, SIGTERM, SIGHUP or SIGUSR1; returns the exit code.

        Raises RunError if it cannot go on.
        """
        config = self.config
        if self.step_done >= config.last_step:
            self._say(f"{self.path} has finished: {self.step_done} of {config.last_step} steps are done")
            self._mark(markers.FINISHED)
            return 0
        kernel = attention_kernel(self.model_config, self.ranks.layout, config.seq_len, self.ranks.device)
        self._say(f"attention by SDPA's kernel: {kernel}")
        micro_batches = config.batch_sequences // (config.micro_batch * self.ranks.dp_size)
        tokenizer = Tokenizer(self.path / "tokenizer.model")
        throughput = Throughput(config, self.ranks)
        profiler = self._profiler()
        journal = self._journal()
        self._listen_for_signals()
        failed = True
        try:
            while self._goes_on():
                with self._loader() as self.loader:
                    batches = self.loader.batches(self.step_done, config.last_step)
                    clock = Clock()
                    while self._goes_on():
                        step = self.step_done + 1
                        profiler and profiler.begin_step()
                        with self.communication.watch(step, clock):
                            line = self.step(step, micro_batches, batches, clock)
                        profiler and profiler.end_step()
                        if self.rewinding:
                            break
                        self.step_done = step
                        line |= throughput.of(step, self.order, clock)
                        if ranks := self.stragglers.after_step(step, clock.spent.get("data", 0.0)):
                            line["ranks"] = ranks
                        clock.restart()  # what follows the step is counted on the next line
                        if self._validates_after(step):
                            self.watchdog.beat(f"validating after step {step}", LONG)
                            with clock.stretch("validate"):
                                line["validation"] = validate(
                                    self.model,
                                    self.heldout,
                                    tokenizer,
                                    self.ranks,
                                    seq_len=config.seq_len,
                                    sequences=config.validate.sequences,
                                    batch=config.micro_batch,
                                    seed=config.seed,
                                )
                        if journal:
                            journal.write(line)
                            for sentence in _sentences(line):
                                journal.say(sentence)
                        self.certifier.saw(step, _number(line["loss"]))
                        if self.certifier.is_due(step) and not self.stopped_by:
                            self.watchdog.beat(f"certifying at step {step}", LONG)
                            with clock.stretch("certificate"):
                                self.certifier.certify(
                                    self.model,
                                    self.optimizer,
                                    lambda first, last: self._replay(first, last, micro_batches),
                                )
                        due = step % config.checkpoint.every == 0 or self._owes_a_save
                        if due or not self._goes_on():
                            self.watchdog.beat(f"saving after step {step}", LONG)
                            with clock.stretch("checkpoint"):
                                if self._is_settled(journal):
                                    self.save(wait=not self._goes_on())
                if self.rewinding:
                    self._rewind(journal)
            failed = False
        finally:
            self.watchdog.beat("ending", LONG)
            self.saver.close()
            profiler and profiler.close()
            journal and journal.close(failed)
            self._note_end("failed" if failed else None)
        return self._farewell()

    def _is_settled(self, journal: Journal | None) -> bool:
        """Whether the metrics so far are on the disk; RunError if they are not and the run ends here."""
        settled = first_rank_does(lambda: journal.settle())
        if not settled and not self._goes_on():
            raise RunError(
                f"{self.path / 'metrics.jsonl'}: no room for its last lines, so step {self.step_done} is not "
                "saved; make room and run the same command: it goes on from the checkpoint before"
            )
        if not settled and not self._owes_a_save:
            self._say(
                f"warning: no room for metrics: step {self.step_done} is not saved, a later one will be"
            )
        self._owes_a_save = not settled
        return settled

    def _goes_on(self) -> bool:
        return self.step_done < self.config.last_step and not self.stopped_by

    def step(self, step: int, micro_batches: int, batches, clock: Clock) -> dict:
        """One optimizer step over the global batch; returns its line of metrics.jsonl."""
        rate = learning_rate(step, self.config.steps, self.config.optim)
        set_learning_rate(self.optimizer, rate)
        # The loss, the norm and whether a rank was told to stop: all ranks then decide alike.
        total = torch.zeros(3, device=self.ranks.device)
        with clock.stretch("compute"):
            total[0] = forward_backward(self.model, self._read(batches, micro_batches, clock), micro_batches)
            total[1] = clip_gradients(self.model, self.config.optim.clip)
        total[2] = 0.0 if self._signal is None else 1.0
        dist.all_reduce(total)
        loss, norm = (total[:2] / self.ranks.world_size).tolist()
        if total[2].item():
            self.stopped_by = self._signal or signal.SIGTERM
        decision = self.recovery.judge(step, loss, norm)
        if decision and "again" not in decision:
            self._decide(decision)
        if decision is None or decision["action"] == "warn":
            with clock.stretch("checkpoint"):
                self.saver.before_update()
            with clock.stretch("compute"):
                self.optimizer.step()
        self.optimizer.zero_grad()
        return {
            "step": step,
            "loss": loss if math.isfinite(loss) else None,
            "grad_norm": norm if math.isfinite(norm) else None,
            "lr": rate,
            "tokens": step * self.config.global_batch,
            **({"decision": decision["action"]} if decision else {}),
        }

    def _decide(self, decision: dict) -> None:
        """Make a new decision known: to the log, before it acts, and to the user. Raises RunError to stop."""
        step, batch = decision["step"], self.config.batch_sequences
        if decision["action"] == "rewind":
            self.saver.wait()
            steps = first_rank_does(lambda: whole_steps(self.path / "checkpoints"))
            decision = recovery.rewind(decision, steps, self.config.recovery.back, batch)
            self.rewinding = True
        first_rank_does(
            lambda: recovery.log(self.path, decision | recovery.seen(self.order, self.stores, step, batch))
        )
        if decision["action"] == "stop":
            why = recovery.stop_line(decision, self.config.run)
            if step > self.step_done:  # not when a certificate does it again
                self._mark(markers.STOPPED, why=why)
            raise RunError(why)
        self.recovery.decisions.append(decision)
        acts = {
            "warn": "a warning (recovery=skip and recovery=rewind would act)",
            "skip": "its update is left out",
            "rewind": f"back to step {decision.get('to_step')}, and on without the samples since step "
            f"{decision.get('samples', [0])[0] // batch}",
        }
        self._say(f"step {step}: {decision['why']}: {acts[decision['action']]}")

    def _rewind(self, journal: Journal | None) -> None:
        """Go back to where the last decision says: as a restart does, in the same process."""
        self.rewinding = False
        self.watchdog.beat("going back to a checkpoint", LONG)
        self.certifier.forget()
        self._note_end("rewound")
        self._resume_or_start()
        journal and journal.reopen()

    def _read(self, batches, count: int, clock: Clock):
        """The next `count` micro-batches, (inputs, labels) each, on the device."""
        for _ in range(count):
            self.watchdog.beat(f"training after step {self.step_done}", 1.0 if self._warm else LONG)
            with clock.stretch("data"):
                batch = tuple(part.to(self.ranks.device, non_blocking=True) for part in next(batches))
            yield batch
        self._warm = True  # the first step may compile, and connect all ranks

    def _replay(self, first: int, last: int, micro_batches: int) -> dict[int, float]:
        """Do these steps again, for the certificate; their losses. Nothing of them is logged."""
        batches = self.loader.batches(first - 1, last)
        recovery = self.recovery
        self.recovery = Recovery(self.config.recovery)
        self.recovery.resume(self._saved_recovery, recovery.decisions, self.order)
        try:
            return {
                step: _number(self.step(step, micro_batches, batches, Clock())["loss"])
                for step in range(first, last + 1)
            }
        finally:
            self.recovery = recovery

    def _validates_after(self, step: int) -> bool:
        every = self.config.validate.every
        return bool(self.heldout) and (step == self.config.last_step or (every > 0 and step % every == 0))

    def save(self, *, wait: bool) -> None:
        """Save the step just done; with `wait`, return (or raise RunError) when that is settled."""
        state = {
            "step": self.step_done,
            "tokens": self.step_done * self.config.global_batch,
            "model": asdict(self.model_config),
            "order": self.order.to_json(),
            "fingerprints": self.fingerprints,
            "tokenizer": self.tokenizer_fingerprint,
            "recovery": copy.deepcopy(self.recovery.state()),
        }
        self._saved_recovery = state["recovery"]
        self.saver.save(self.model, self.optimizer, state, wait=wait)
        self.certifier.saved(self.step_done)

    def _claim_folder(self) -> None:
        self.folder = RunFolder(self.config)
        markers.refuse_stopped(self.folder.path)
        checkpoint.remove_leftovers(self.folder.checkpoints)

    def _resume_or_start(self) -> None:
        """Model, optimizer, order and decisions as the newest whole checkpoint has them, or new."""
        config = self.config
        logged = first_rank_does(self._read_decisions)
        self.optimizer = build_optimizer(self.model, config.optim)
        state = None
        found = checkpoint.newest_whole(self.path / "checkpoints")
        if found:
            folder, state = found
            self._refuse_other_data(folder, state)
            checkpoint.load(folder, self.model, self.optimizer)
            self.step_done, self.order = state["step"], Order.from_json(state["order"])
            self._say(f"resuming {self.path} after step {self.step_done}")
        elif config.init:
            weights = open_weights(Path(config.init))
            checkpoint.refuse_other_shape(weights.path, model_state(weights), self.model_config)
            self._refuse_other_tokenizer(weights)
            fill(self.model, weights)
            self._say(f"starting {self.path} from the weights of {weights.path}")
        else:
            initialize(self.model, config.seed)
            self._say(f"starting {self.path}")
        if state is None:
            self.step_done, self.order = 0, self._first_order()
        self.order = self.recovery.resume(state and state.get("recovery"), logged, self.order)
        if config.data.sources is not None:
            total = sum(config.data.weights.values())
            shares = (f"{source} {weight / total:.1%}" for source, weight in config.data.weights.items())
            self._say(f"data.sources leaves, weights renormalised: {', '.join(shares)}")
        first_rank_does(self._write_what_is_known)

    def _read_decisions(self) -> list[dict]:
        """The run's log of decisions; checkpoints that one of them went back behind are removed."""
        logged = recovery.read_log(self.path)
        checkpoints = self.path / "checkpoints"
        for step in whole_steps(checkpoints) if recovery.rewinds(logged) else []:
            folder = checkpoint.step_folder(checkpoints, step)
            if recovery.is_abandoned(read_state(folder), logged):
                remove(folder)
        return logged

    def _refuse_other_data(self, folder: Path, state: dict) -> None:
        checkpoint.refuse_other_shape(folder, state, self.model_config)
        for source, fingerprint in state["fingerprints"].items():
            if self.fingerprints.get(source) != fingerprint:
                where = (
                    self.stores[source].folder if source in self.stores else f"{self.config.corpora}/{source}"
                )
                raise RunError(
                    f"{where}: not the tokens that {folder} was trained on ({fingerprint[:12]}… there); "
                    "bring those back, or start a new run=NAME with init= this checkpoint"
                )

    def _refuse_other_tokenizer(self, weights: Weights) -> None:
        if not same_tokenizer(weights, self.tokenizer_fingerprint, self.model_config.vocab_size):
            raise RunError(
                f"init={weights.path}: trained with another tokenizer than {self.config.corpora}; prepare "
                "the tokens with that run's tokenizer.model (relama prepare … stage=tokens tokenizer=…)"
            )

    def _write_what_is_known(self) -> None:
        goodput.started(self.path, self.step_done, self.ranks.world_size)
        markers.clear(self.path)
        any_store = next(iter(self.stores.values()))
        self.folder.keep_tokenizer(any_store.folder / "tokenizer.model")
        self.folder.write_config(self.config)
        self.folder.write_order(
            {
                "order": self.order.to_json(),
                "global_batch": self.config.batch_sequences,
                "stores": {source: str(store.folder.resolve()) for source, store in self.stores.items()},
                "fingerprints": self.fingerprints,
            }
        )
        self.folder.cut_metrics(self.step_done)

    def _journal(self) -> Journal | None:
        if not self.ranks.is_first:
            return None
        return Journal(self.folder.metrics, self.config.last_step, self.config.logger, asdict(self.config))

    def _profiler(self) -> Profiler | None:
        if not self.config.profile:
            return None
        first, last = self.config.profile_steps
        return Profiler(self.path, first, last, self.ranks.rank, self.ranks.device)

    def _listen_for_signals(self) -> None:
        """The first SIGINT, SIGTERM, SIGHUP or SIGUSR1 (a scheduler's) ends the run after its step, saved."""

        def stop(signum: int, _frame: object) -> None:
            self._signal = signum
            # torchrun passes the terminal's Ctrl-C on a second time; alone, a second one ends at once.
            again = signal.SIG_IGN if "TORCHELASTIC_RUN_ID" in os.environ else signal.default_int_handler
            signal.signal(signal.SIGINT, again)

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGUSR1, stop)
        if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup
            signal.signal(signal.SIGHUP, stop)

    def _note_end(self, how: str | None) -> None:
        if self.ranks.is_first:
            stopped = signal.Signals(self.stopped_by).name if self.stopped_by else "finished"
            goodput.ended(self.path, self.step_done, how or stopped)

    def _farewell(self) -> int:
        if self.ranks.is_first and (life := goodput.account(self.path)) and life["starts"] > 1:
            self._say(
                f"goodput {life['goodput']:.1%} of {life['seconds']:,.0f} s since its first start: "
                f"{life['starts']} starts, {life['steps_repeated']} steps trained again, "
                f"{life['seconds_down']:,.0f} s down"
            )
        if self.stopped_by and self.step_done < self.config.last_step:
            name = signal.Signals(self.stopped_by).name
            if self.stopped_by != signal.SIGINT:  # a person's own
                self._mark(markers.PREEMPTED, signal=name)
            self._say(
                f"stopped by {name} after step {self.step_done}, saved; the same command goes on from there"
            )
            return 128 + self.stopped_by
        self._mark(markers.FINISHED)
        self._say(
            f"{self.path}: step {self.step_done} of {self.config.steps} done. "
            f"Next: relama generate weights={self.path} prompt=…, relama report run={self.path}"
        )
        return 0

    def _mark(self, name: str, **what: object) -> None:
        if self.ranks.is_first:
            markers.leave(self.path, name, step=self.step_done, **what)

    def _say(self, text: str) -> None:
        if self.ranks.is_first:
            print(f"relama: {text}", flush=True)


def _number(loss: float | None) -> float:
    return math.inf if loss is None else loss


def _sentences(line: dict) -> Iterator[str]:
    """What of a line of metrics is said in words."""
    if "validation" in line:
        parts = (
            f"{source}: loss {result['loss']:.4f}, {result['bits_per_byte']:.4f} bits/byte "
            f"({result['sequences']:,} of {result['of_sequences']:,} sequences)"
            for source, result in line["validation"].items()
        )
        yield f"held out after step {line['step']}: " + "; ".join(parts)
    if "communication" in (seconds := line["seconds"]):
        share = seconds["communication"] / (seconds["total"] or 1)
        yield f"step {line['step']}: {share:.1%} of it was communication that no computing hid"
    for rank, times in line.get("ranks", {}).get("slow", {}).items():
        yield f"slow: {rank} computes at 1/{times} of the usual speed; all others wait for it"
