"""Injects faults into runs until enough have been survived, and records the outcome of each.

Every run is kept alive as torchrun and a scheduler would, struck at random moments, and must end bitwise
equal to an undisturbed run with the same number of ranks. A fault counts once the run has passed the step
at which the fault struck.
"""

import json
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path

from tests.chaos.faults import KINDS, NEED_ANOTHER_RANK, NEED_NO_RESTART
from tests.chaos.run import SETTINGS, Run, same_end, train

PATIENCE = 240.0  # seconds within which a run must recover from a fault


class RunLost(Exception):
    """A run that did not recover, or did not end as it should have."""


@dataclass
class Survived:
    """One fault, and its cost."""

    kind: str
    ranks: int
    step: int  # reached when it struck
    seconds: float  # until the run had passed that step
    repeated: int  # steps trained again


class Campaign:
    """Undisturbed runs by number of ranks, and the faults survived so far."""

    def __init__(
        self,
        work: Path,
        corpora: Path,
        seed: int,
        kinds: list[str],
        settings: tuple[str, ...] = SETTINGS,
        until: float = float("inf"),
        kept: Path | None = None,
        forked: bool = False,
    ) -> None:
        """`until`: time.monotonic() after which no fault strikes and the current run trains to its end.

        `kept`: a folder with the undisturbed runs and all results, for this campaign and later ones.
        `forked`: as of a run.
        """
        self.work, self.corpora, self.kinds, self.settings = work, corpora, kinds, settings
        self.seed, self.rng, self._until = seed, random.Random(seed), until
        self._kept, self._forked = kept, forked
        self.survived: list[Survived] = []
        self.runs = 0
        self.ends: list[str] = []  # in what each run differs from the undisturbed one, as it said
        self._undisturbed: dict[int, Run] = {}
        self._next: Iterator[str] = self._shuffled()

    @property
    def is_late(self) -> bool:
        return time.monotonic() > self._until

    def strike(self, ranks: int, faults: int) -> None:
        """One run of `ranks`, struck `faults` times (fewer if it ends sooner). Raises RunLost."""
        undisturbed = self.undisturbed(ranks)
        self.runs += 1
        run = Run(self.work / f"run-{self.runs}", self.corpora, ranks, self.settings, self._forked)
        run.start()
        try:
            for _ in range(faults):
                if self.is_late or not self._wait_for_a_moment(run):
                    break
                kind = next(self._next)
                if ranks > 1 or kind not in NEED_ANOTHER_RANK:
                    self._one(run, kind)
            deadline = time.monotonic() + PATIENCE
            while run.keep_alive():
                if time.monotonic() > deadline + 600:
                    raise RunLost(f"{run.folder}: does not end\n{run.log_tail()}")
                time.sleep(0.05)
            try:
                self.ends.append(same_end(run, undisturbed))
            except AssertionError as error:
                raise RunLost(f"{run.folder}: ended unlike the undisturbed run: {error}") from None
        finally:
            run.stop()
            if self._kept:
                (self._kept / f"seed-{self.seed}-run-{self.runs}.log").write_text(run.log())
        run.remove()

    def undisturbed(self, ranks: int) -> Run:
        if ranks not in self._undisturbed:
            steps = [setting[6:] for setting in self.settings if setting.startswith("steps=")][-1]
            folder = (self._kept or self.work) / f"undisturbed-{ranks}-{steps}"
            run = Run(folder, self.corpora, ranks, self.settings, self._forked)
            self._undisturbed[ranks] = run if (folder / "finished.json").exists() else train(run)
        return self._undisturbed[ranks]

    def all_results(self) -> None:
        """Add the results of earlier campaigns that are kept with this one's to it."""
        assert self._kept is not None
        path = self._kept / "survived.jsonl"
        with path.open("a") as file:
            file.writelines(json.dumps(asdict(one)) + "\n" for one in self.survived)
        self.survived = [Survived(**json.loads(line)) for line in path.read_text().splitlines()]

    def table(self) -> str:
        """For each kind: the count, seconds to recover (median, worst), steps repeated (median, worst)."""
        head = "| fault | survived | recovery s, median | worst | steps repeated, median | worst |"
        lines = [head, "|---|---|---|---|---|---|"]
        groups = [(kind, [one for one in self.survived if one.kind == kind]) for kind in self.kinds]
        for kind, group in [*groups, ("**all**", self.survived)]:
            if group:
                seconds = [one.seconds for one in group]
                repeated = [one.repeated for one in group]
                lines.append(
                    f"| {kind} | {len(group)} | {statistics.median(seconds):.1f} | {max(seconds):.1f} "
                    f"| {statistics.median(repeated):g} | {max(repeated)} |"
                )
        return "\n".join(lines)

    def _shuffled(self) -> Iterator[str]:
        """All kinds equally often, in random order."""
        while True:
            yield from self.rng.sample(self.kinds, len(self.kinds))

    def _wait_for_a_moment(self, run: Run) -> bool:
        """Wait for a random time; False if the run ended before that."""
        steps = self.rng.choice((0, 0, self.rng.randint(1, 6), self.rng.randint(1, 25)))
        begin, deadline = run.last_step(), time.monotonic() + PATIENCE
        pause = time.monotonic() + self.rng.uniform(0, 0.5)
        while run.last_step() < begin + steps or time.monotonic() < pause:
            if not run.keep_alive():
                return False
            if time.monotonic() > deadline:
                raise RunLost(f"{run.folder}: stuck at step {run.last_step()}\n{run.log_tail()}")
            time.sleep(0.01)
        return run.keep_alive() and not run.has_ended()

    def _one(self, run: Run, kind: str) -> None:
        run.new_resumptions()
        reached = run.last_step()
        begin = time.monotonic()
        try:
            KINDS[kind](run, self.rng)
        except AssertionError as error:
            raise RunLost(f"{run.folder}: {kind}: {error}") from None
        resumed: list[int] = []
        alive = True
        while alive and time.monotonic() < begin + PATIENCE:
            now = run.last_step()
            resumed += run.new_resumptions()
            if not resumed:
                reached = max(reached, now) if kind not in NEED_NO_RESTART else reached
            if now > reached and (resumed or kind in NEED_NO_RESTART):
                break
            alive = run.keep_alive()
            time.sleep(0.01)
        else:
            if alive:
                raise RunLost(f"{run.folder}: did not recover from: {kind}\n{run.log_tail()}")
        if not alive:
            resumed += run.new_resumptions()
            if not resumed and kind not in NEED_NO_RESTART:  # it came after the run's end
                self._next = chain([kind], self._next)
                return
        one = Survived(
            kind,
            run.ranks,
            reached,
            time.monotonic() - begin,
            max(0, reached - min(resumed)) if resumed else 0,
        )
        self.survived.append(one)
        print(
            f"{len(self.survived):4} {kind:32} ranks {one.ranks}  step {one.step:4}  "
            f"{one.seconds:5.1f} s  {one.repeated} steps repeated",
            flush=True,
        )
