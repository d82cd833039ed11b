"""The training loop: everything that happens at step k, on one screen (`Trainer.step` and `Trainer.run`).

The data's order is a function of the step alone, so a resumed run needs the weights, AdamW's state and
one integer. What a run leaves is in its folder: config, order, metrics, checkpoints.
"""

import os
import signal
from dataclasses import asdict, replace
from pathlib import Path

import torch
import torch.distributed as dist

from data.loader import Loader
from data.order import Order
from data.store import TokenStore
from data.tokenizer import Tokenizer
from model.flops import flops_per_token
from model.formats.weights import Weights
from model.initialize import initialize
from model.llama import Llama, LlamaConfig
from model.parallelize.apply import parallelize
from train import checkpoint, markers
from train.config import RunError, TrainConfig
from train.distributed import Ranks, first_rank_does, gather_objects
from train.metrics import Clock, Journal, device_peak, peak_memory_gib
from train.optimizer import build_optimizer, learning_rate, set_learning_rate
from train.peak import measured_sgemm_peak
from train.profiler import Profiler
from train.run_folder import RunFolder
from train.validation import validate
from train.weights import fill, model_state, open_weights, same_tokenizer


class Trainer:
    """One run on one group of ranks; all ranks make one and call `run`."""

    def __init__(
        self,
        config: TrainConfig,
        model_config: LlamaConfig,
        ranks: Ranks,
        stores: dict[str, TokenStore],
        heldout: dict[str, TokenStore],
    ) -> None:
        self.config = replace(config, model=model_config)  # resolved: what is saved with the run
        self.model_config, self.ranks = model_config, ranks
        self.stores, self.heldout = stores, heldout
        self.step_done = 0
        self.stopped_by: int | None = None  # the signal that ended the run, known to all ranks
        self._signal: int | None = None  # the signal that this rank got
        self.folder: RunFolder | None = None  # rank 0's
        first_rank_does(self._claim_folder)
        self.path = Path(first_rank_does(lambda: str(self.folder.path)))
        self.order = Order.start(
            seed=config.seed,
            weights=config.data.chosen(),
            n_sequences={source: store.n_sequences(config.seq_len) for source, store in stores.items()},
            seq_len=config.seq_len,
        )
        self.tokenizer_fingerprint = next(iter(stores.values())).tokenizer_fingerprint
        self.fingerprints = {source: store.fingerprint for source, store in stores.items()}

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
            param_dtype=torch.bfloat16 if on_gpu else torch.float32,
            reduce_dtype=torch.float32,
        )
        self.model.to_empty(device=ranks.device)
        self.optimizer = build_optimizer(self.model, config.optim)
        self._resume_or_start()
        self.loader = Loader(
            self.order,
            self.stores,
            micro_batch=config.micro_batch,
            global_batch=config.batch_sequences,
            dp_rank=ranks.dp_rank,
            dp_size=ranks.dp_size,
            workers=config.workers,
        )

    def run(self) -> int:
        """Train to the last step, or to a SIGINT, SIGTERM or SIGUSR1; returns the exit code.

        Raises RunError if it cannot go on.
        """
        config = self.config
        if self.step_done >= config.last_step:
            self._say(f"{self.path} has finished: {self.step_done} of {config.last_step} steps are done")
            self._mark(markers.FINISHED)
            return 0
        micro_batches = config.batch_sequences // (config.micro_batch * self.ranks.dp_size)
        tokenizer = Tokenizer(self.path / "tokenizer.model")
        flops = flops_per_token(self.model_config, config.seq_len)
        peak = self._peak_flops()
        profiler = self._profiler()
        journal = self._journal()
        self._listen_for_signals()
        failed = True
        try:
            with self.loader as loader:
                batches = loader.batches(self.step_done, config.last_step)
                clock = Clock()
                while self.step_done < config.last_step and not self.stopped_by:
                    step = self.step_done + 1
                    profiler and profiler.begin_step()
                    line = self.step(step, micro_batches, batches, clock)
                    profiler and profiler.end_step()
                    self.step_done = step
                    line |= self._rates(clock, flops, peak)
                    clock.restart()  # what follows the step is counted on the next line
                    if self._validates_after(step):
                        with clock.stretch("validate"):
                            line["validation"] = validate(
                                self.model,
                                self.heldout,
                                tokenizer,
                                self.ranks,
                                seq_len=config.seq_len,
                                sequences=config.validate.sequences,
                                batch=config.micro_batch,
                            )
                    if journal:
                        journal.write(line)
                        if "validation" in line:
                            journal.say(_validation_line(step, line["validation"]))
                    if step == config.last_step or step % config.checkpoint.every == 0 or self.stopped_by:
                        with clock.stretch("checkpoint"):
                            self.save()
            failed = False
        finally:
            profiler and profiler.close()
            journal and journal.close(failed)
        return self._farewell()

    def step(self, step: int, micro_batches: int, batches, clock: Clock) -> dict:
        """One optimizer step over the global batch; returns its line of metrics.jsonl."""
        rate = learning_rate(step, self.config.steps, self.config.optim)
        set_learning_rate(self.optimizer, rate)
        total = torch.zeros(2, device=self.ranks.device)  # loss, and whether a rank was told to stop
        for micro in range(micro_batches):
            with clock.stretch("data"):
                inputs, labels = (part.to(self.ranks.device, non_blocking=True) for part in next(batches))
            self.model.set_requires_gradient_sync(micro == micro_batches - 1)
            with clock.stretch("compute"):
                loss = self.model(inputs, labels) / micro_batches
                loss.backward()
                total[0] += loss.detach()
        with clock.stretch("compute"):
            norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optim.clip)
            norm = getattr(norm, "full_tensor", lambda: norm)()
        total[1] = 0.0 if self._signal is None else 1.0
        dist.all_reduce(total)
        loss = total[0].item() / self.ranks.world_size
        if total[1].item():  # all ranks agree on the step after which they stop
            self.stopped_by = self._signal or signal.SIGTERM
        if not torch.isfinite(norm) or loss != loss:
            raise RunError(
                f"step {step}: loss {loss}, gradient norm {norm.item()}: nothing of this step reached the "
                f"weights; read its data with `relama explain run={self.config.run} step={step}`, lower "
                "optim.lr, and run the same command from the last checkpoint"
            )
        with clock.stretch("compute"):
            self.optimizer.step()
            self.optimizer.zero_grad()
        return {
            "step": step,
            "loss": loss,
            "grad_norm": norm.item(),
            "lr": rate,
            "tokens": step * self.config.global_batch,
        }

    def _validates_after(self, step: int) -> bool:
        every = self.config.validate.every
        return bool(self.heldout) and (step == self.config.last_step or (every > 0 and step % every == 0))

    def save(self) -> None:
        """Commit a checkpoint of the step just done."""
        state = {
            "step": self.step_done,
            "tokens": self.step_done * self.config.global_batch,
            "model": asdict(self.model_config),
            "order": self.order.to_json(),
            "fingerprints": self.fingerprints,
            "tokenizer": self.tokenizer_fingerprint,
        }
        checkpoint.save(
            self.path / "checkpoints", self.model, self.optimizer, state, keep=self.config.checkpoint.keep
        )

    def _claim_folder(self) -> None:
        self.folder = RunFolder(self.config)
        checkpoint.remove_leftovers(self.folder.checkpoints)

    def _resume_or_start(self) -> None:
        config = self.config
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
        if config.data.sources is not None:
            total = sum(config.data.weights.values())
            shares = (f"{source} {weight / total:.1%}" for source, weight in config.data.weights.items())
            self._say(f"data.sources leaves, weights renormalised: {', '.join(shares)}")
        first_rank_does(self._write_what_is_known)

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

    def _rates(self, clock: Clock, flops: float, peak: float | None) -> dict:
        seconds, spent = clock.total(), clock.spent
        stalls = sum(spent.get(name, 0.0) for name in ("data", "validate", "checkpoint"))
        per_second = self.config.global_batch / seconds
        consumed = self.order.consumed(self.step_done * self.config.batch_sequences)
        return {
            "tokens_per_second": per_second,
            "tokens_per_second_computing": self.config.global_batch / max(1e-9, seconds - stalls),
            "mfu": None if peak is None else per_second * flops / peak,
            "memory_gib": peak_memory_gib(self.ranks.device),
            "epochs": {source: count / self.order.n_sequences[source] for source, count in consumed.items()},
            "seconds": {"total": seconds, **spent},
        }

    def _peak_flops(self) -> float | None:
        """FLOP/s of all ranks together: measured on CPUs, from the data sheet on GPUs, None if unknown."""
        if self.ranks.device.type == "cuda":
            mine = device_peak(torch.cuda.get_device_name(self.ranks.device))
        else:
            dist.barrier()  # all at once, as they will compute
            mine = measured_sgemm_peak(torch.get_num_threads())
        peaks = gather_objects(mine)
        return None if None in peaks else sum(peaks)

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
        """The first SIGINT, SIGTERM or SIGUSR1 (a scheduler's warning) ends the run after its step, saved."""

        def stop(signum: int, _frame: object) -> None:
            self._signal = signum
            # torchrun passes the terminal's Ctrl-C on a second time; alone, a second one ends at once.
            again = signal.SIG_IGN if "TORCHELASTIC_RUN_ID" in os.environ else signal.default_int_handler
            signal.signal(signal.SIGINT, again)

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGUSR1, stop)

    def _farewell(self) -> int:
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


def _validation_line(step: int, results: dict[str, dict[str, float]]) -> str:
    parts = (
        f"{source}: loss {result['loss']:.4f}, {result['bits_per_byte']:.4f} bits/byte"
        for source, result in results.items()
    )
    return f"held out after step {step}: " + "; ".join(parts)
