"""From a step to its samples, when the global batch may change between phases."""

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True)
class Steps:
    """Stretches of steps that share a global batch: (steps before it, sequences per step), from step 0 on."""

    stretches: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, known: "int | list | Steps") -> "Steps":
        """From order.json, or from a number of sequences per step. Raises ValueError or TypeError."""
        if isinstance(known, Steps):
            return known
        pairs = [(0, known)] if isinstance(known, int) else known
        steps = cls(tuple((int(done), int(batch)) for done, batch in pairs))
        if not steps.stretches or steps.stretches[0][0] != 0 or min(b for _, b in steps.stretches) < 1:
            raise ValueError(f"global_batch {known}")
        return steps

    def to_json(self) -> int | list[list[int]]:
        """The sequences per step, or the stretches if there are several."""
        return self.stretches[0][1] if len(self.stretches) == 1 else [list(pair) for pair in self.stretches]

    def batch(self, step: int) -> int:
        """How many sequences the global batch of `step` (1, 2, …) has."""
        return self.stretches[bisect_right(self.stretches, (step - 1, 1 << 62)) - 1][1]

    def sample(self, steps_done: int) -> int:
        """How many samples come before the step after `steps_done`."""
        ends = [done for done, _ in self.stretches[1:]] + [steps_done]
        return sum(
            (min(end, steps_done) - done) * batch
            for (done, batch), end in zip(self.stretches, ends)
            if done < steps_done
        )

    def step_of(self, n: int) -> int:
        """The step (1, 2, …) that sample `n` belongs to."""
        done, batch = max(stretch for stretch in self.stretches if self.sample(stretch[0]) <= n)
        return done + (n - self.sample(done)) // batch + 1
