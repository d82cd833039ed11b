"""`python -m tests.chaos.corruption`: bits flipped in memory while a small model trains.

In: random flips by place and class of bits. Out: the table of docs/faults.md.

Every flip is planted three times into the same steps of the same run: never (the undisturbed run), with the
guards off (what it does to the loss within 50 steps), and with the guards on (what is reported, and whether
the run ends bitwise as the undisturbed one). Non-zero exit if a flip that changes the loss by 1 % is missed,
if a flip is detected without its tensor and rank, or if anything is reported in the run without flips.
"""

import argparse
import contextlib
import io
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor

from data.prepare.sample import prepare_sample
from tests.support.runs import SMALL, learned, metrics, tensors
from train import main as entry
from train.checkpoint.checksums import local
from train.checkpoint.staging import Staging
from train.decisions import read_log
from train.integrity import computation
from train.integrity.sentinel import Sentinel
from train.state import State
from train.trainer import Trainer

BEFORE, AFTER = 70, 50  # steps to learn what is usual, and steps in which a flip can do harm
SETTINGS = ("steps=400", "checkpoint.every=5", f"checkpoint.keep={BEFORE}", "recovery.back=3")
GUARDED = ("watchdog.integrity=1",)
UNGUARDED = ("watchdog.integrity=0", "recovery.sigma=1000000", "recovery.limit=1000000")
HARM = 0.01  # relative change of the loss
DETECTED, UNNAMED, MISSED, HARMLESS = "detected", "detected, not named", "MISSED", "harmless"
BITS = {
    "sign": [31],
    "exponent, highest": [30],
    "exponent, middle": [26, 27, 28, 29],
    "exponent, lowest": [23, 24, 25],
    "mantissa, upper half": list(range(12, 23)),
    "mantissa, lower half": list(range(0, 12)),
}
# Where a flip strikes, and when within its step.
PLACES = (
    "weights",
    "exp_avg",
    "exp_avg_sq",
    "gradients",
    "weights during the update",
    "exp_avg during the update",
    "exp_avg_sq during the update",
    "staging copy",
    "weights before a save",
)


@dataclass(frozen=True)
class Flip:
    """One bit of one number of the tensor `number` (modulo the number of tensors there), in `step`."""

    place: str
    step: int
    number: int
    entry: int
    bit: int


@dataclass
class Outcome:
    """What a flip did. `harm`: the largest relative change of a loss with the guards off."""

    flip: Flip
    tensor: str
    harm: float
    report: str  # with the guards on; empty if nothing was noticed
    is_repaired: bool  # ended bitwise as undisturbed

    @property
    def is_named(self) -> bool:
        return self.tensor in self.report and "rank 0" in self.report

    @property
    def verdict(self) -> str:
        if self.report:
            return DETECTED if self.is_named else UNNAMED
        return MISSED if self.harm >= HARM else HARMLESS


def flip_bit(tensor: Tensor, place: int, bit: int) -> None:
    """Flip one bit of a float32 tensor's entry, whatever its layout."""
    flat = local(tensor)
    assert flat.data_ptr() == (tensor.to_local() if isinstance(tensor, DTensor) else tensor).data_ptr()
    mask = -(2**31) if bit == 31 else 1 << bit
    flat.view(torch.int32)[place % flat.numel()] ^= mask


def train_on(folder: Path, corpora: Path, stop_at: int, *arguments: str) -> str:
    """Train in this process; returns what it printed."""
    printed = io.StringIO()
    command = [*SMALL, f"corpora={corpora}", f"run={folder}", *SETTINGS, *arguments, f"stop_at={stop_at}"]
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        code = entry.main(command)
    return printed.getvalue() + ("" if code == 0 else f"\nexit {code}")


@contextlib.contextmanager
def planted(flip: Flip) -> Iterator[list[str]]:
    """Plant the flip into the training inside the block, once; yields the name of its tensor."""
    struck: list[str] = []

    def strike(tensors_there: dict[str, Tensor]) -> None:
        names = sorted(tensors_there)
        struck.append(names[flip.number % len(names)])
        flip_bit(tensors_there[struck[0]], flip.entry, flip.bit)

    def state(trainer: Trainer) -> dict[str, Tensor]:
        named = {name: parameter for name, parameter in trainer.state.model.named_parameters()}
        kind = flip.place.split()[0]
        if kind == "weights":
            return dict(named)
        if kind == "gradients":
            return {name: p.grad for name, p in named.items() if p.grad is not None}
        return {name: trainer.state.optimizer.state[parameter][kind] for name, parameter in named.items()}

    current: list[Trainer] = []  # the trainer, once the step has come

    def step(trainer: Trainer, number: int, *rest):
        if number == flip.step and not struck:
            current[:] = [trainer]
            if flip.place in ("weights", "exp_avg", "exp_avg_sq"):
                strike(state(trainer))
        return real_step(trainer, number, *rest)

    def clip(*arguments):
        if current and not struck and flip.place == "gradients":
            strike(state(current[0]))
        return real_clip(*arguments)

    def record(sentinel: Sentinel, *arguments, **options):
        if current and not struck and flip.place.endswith("during the update"):
            strike(state(current[0]))
        return real_record(sentinel, *arguments, **options)

    def save(saved: State, *arguments, **options):
        if current and saved.step >= flip.step and not struck and flip.place == "weights before a save":
            strike(state(current[0]))
        return real_save(saved, *arguments, **options)

    def copy(staging: Staging, *arguments):
        real_copy(staging, *arguments)
        if current and not struck and flip.place == "staging copy":
            strike({name: part for name, part in staging.buffers.items() if part.ndim})

    real_step, real_clip, real_save = Trainer.step, computation.clip_gradients, State.save
    real_record, real_copy = Sentinel.record, Staging.copy
    with (
        mock.patch.object(Trainer, "step", step),
        mock.patch.object(State, "save", save),
        mock.patch.object(computation, "clip_gradients", clip),
        mock.patch.object(Sentinel, "record", record),
        mock.patch.object(Staging, "copy", copy),
    ):
        yield struck


class Corruption:
    """Flips in one run, which was trained once to its step BEFORE and once undisturbed to the end."""

    def __init__(self, work: Path, corpora: Path) -> None:
        self._work, self._corpora = work, corpora
        self._last = f"checkpoints/step-{BEFORE + AFTER:06d}"
        self._base, self._undisturbed = work / "base", work / "undisturbed"
        train_on(self._base, corpora, BEFORE, *GUARDED)
        shutil.copytree(self._base, self._undisturbed)
        train_on(self._undisturbed, corpora, BEFORE + AFTER, *GUARDED)
        self._end = tensors(self._undisturbed / self._last)
        assert not read_log(self._undisturbed), "reported without a flip"

    def strike(self, flip: Flip) -> Outcome:
        """Plant the flip with the guards off and on."""
        with mock.patch("train.checkpoint.saver.refuse_changed", lambda *_: None):
            unguarded, tensor, _ = self._train(flip, *UNGUARDED)
        harm = self._harm(unguarded, flip)
        guarded, _, printed = self._train(flip, *GUARDED)
        lines = [line for line in printed.splitlines() if "relama: " in line and tensor in line]
        report = "; ".join(decision["why"] for decision in read_log(guarded)) or "; ".join(lines)
        return Outcome(flip, tensor, harm, report, self._is_repaired(guarded))

    def _train(self, flip: Flip, *arguments: str) -> tuple[Path, str, str]:
        folder = self._work / "struck"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self._base, folder)
        with planted(flip) as struck:
            printed = train_on(folder, self._corpora, BEFORE + AFTER, *arguments)
        (tensor,) = struck
        return folder, tensor.removeprefix("model.").removeprefix("optimizer."), printed

    def _harm(self, folder: Path, flip: Flip) -> float:
        if flip.place in ("staging copy", "weights before a save"):
            return self._harm_of_a_checkpoint(folder)
        usual = {line["step"]: line["loss"] for line in metrics(self._undisturbed)}
        found = {line["step"]: line["loss"] for line in metrics(folder)}
        steps = range(flip.step, BEFORE + AFTER + 1)
        values = [(found.get(step), usual[step]) for step in steps]
        return max(float("inf") if loss is None else abs(loss / was - 1) for loss, was in values)

    def _harm_of_a_checkpoint(self, folder: Path) -> float:
        """What is written to disk differs, and so does what is resumed from it."""
        for step in (f"checkpoints/step-{n:06d}" for n in range(BEFORE + 5, BEFORE + AFTER + 1, 5)):
            here, there = tensors(folder / step), tensors(self._undisturbed / step)
            if any(not torch.equal(here[name], there[name]) for name in there):
                return float("inf")
        return 0.0

    def _is_repaired(self, folder: Path) -> bool:
        if not (folder / self._last).exists() or learned(folder) != learned(self._undisturbed):
            return False
        end = tensors(folder / self._last)
        return all(torch.equal(end[name], self._end[name]) for name in self._end)


def draw(place: str, bits: str, rng: random.Random) -> Flip:
    """A random flip of this place and class of bits."""
    step = BEFORE + rng.randint(1, 5)
    return Flip(place, step, rng.randrange(10**6), rng.randrange(10**9), rng.choice(BITS[bits]))


def table(outcomes: list[Outcome]) -> str:
    """By place and class of bits: how many were planted, how many did harm, and what became of them."""
    lines = [
        "| place | bit | planted | loss changed by 1 % | detected and named | detected only | missed "
        "| harmless | repaired |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for place in PLACES:
        for name, bits in BITS.items():
            group = [one for one in outcomes if one.flip.place == place and one.flip.bit in bits]
            if group:
                verdicts = [one.verdict for one in group]
                lines.append(
                    f"| {place} | {name} | {len(group)} | {sum(one.harm >= HARM for one in group)} "
                    f"| {verdicts.count(DETECTED)} | {verdicts.count(UNNAMED)} | {verdicts.count(MISSED)} "
                    f"| {verdicts.count(HARMLESS)} | {sum(one.is_repaired for one in group)} |"
                )
    return "\n".join(lines)


def false_alarms(
    folder: Path, corpora: Path, steps: int, say: Callable[[str], None] = print
) -> tuple[int, int]:
    """How many findings a run of `steps` without any flip has, and how many steps it has trained.

    It ends sooner if a signal stops it; the same folder continues it.
    """
    fast = ("micro_batch=8", "global_batch=512")
    arguments = ("checkpoint.every=500", "checkpoint.keep=2", "optim.lr=0.001", *fast, *GUARDED)
    printed = train_on(folder, corpora, steps, f"steps={steps}", *arguments)
    found = [decision for decision in read_log(folder) if decision["action"] in ("reload", "recompute")]
    found += [
        line for line in printed.splitlines() if "memory corruption" in line or "changed in memory" in line
    ]
    for one in found:
        say(str(one))
    return len(found), len(metrics(folder))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.corruption")
    parser.add_argument("--each", type=int, default=2, help="flips of each place and class of bits")
    parser.add_argument("--clean", type=int, default=10_000, help="steps of a run without flips")
    parser.add_argument("--clean-run", type=Path, help="its folder, to continue one that was stopped")
    parser.add_argument("--places", nargs="+", default=list(PLACES), help="parts of their names")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--corpora", type=Path, help="a prepared sample; made if left out")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        corpora = options.corpora or work / "corpora"
        prepare_sample(corpora)
        campaign = Corruption(work, corpora)
        for place in (one for one in PLACES if any(part in one for part in options.places)):
            for bits in BITS:
                for _ in range(options.each):
                    one = campaign.strike(draw(place, bits, rng))
                    outcomes.append(one)
                    print(
                        f"{one.verdict:<20} harm {one.harm:8.2g}  repaired {one.is_repaired!s:5}  "
                        f"bit {one.flip.bit:2} of {one.tensor} ({place})  {one.report[:150]}",
                        flush=True,
                    )
        print(f"\n{table(outcomes)}\n")
        alarms = trained = 0
        if options.clean:
            alarms, trained = false_alarms(options.clean_run or work / "clean", corpora, options.clean)
    verdicts = [one.verdict for one in outcomes]
    missed, unnamed = verdicts.count(MISSED), verdicts.count(UNNAMED)
    print(
        f"{len(outcomes)} flips, {missed} missed, {unnamed} detected without naming the tensor; "
        f"{alarms} false alarms in {trained} of {options.clean} clean steps"
    )
    return 1 if missed or unnamed or alarms or trained < options.clean else 0


if __name__ == "__main__":
    sys.exit(main())
