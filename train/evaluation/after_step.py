"""What is measured on the weights after a step, once they are saved: held-out losses and benchmark scores."""

from collections.abc import Callable

from torch import nn

from data.tokens.tokenizer import Tokenizer
from train.evaluation.in_loop import InLoop
from train.evaluation.validation import Validation
from train.metrics.clock import Clock
from train.preflight import Resolved
from train.ranks import identity
from train.ranks.setup import Ranks
from train.ranks.signals import Signals


class AfterStep:
    """The measurements of one run; all ranks construct one and call it alike."""

    def __init__(self, run: Resolved, ranks: Ranks, beat: Callable[[str], None]) -> None:
        """`beat` tells the watchdog what is being done."""
        self._validation, self._in_loop, self._beat = Validation(run, ranks), InLoop(run.config, ranks), beat

    def owes(self, line: dict) -> bool:
        """Whether held-out losses or scores are due after this line's step, and missing."""
        step = line["step"]
        return (self._validation.is_due(step) and "validation" not in line) or (
            self._in_loop.is_due(step) and "evaluation" not in line
        )

    def complete(
        self,
        line: dict,
        model: nn.Module,
        tokenizer: Tokenizer,
        clock: Clock,
        signals: Signals,
    ) -> None:
        """Add the measurements that are due to a step's line of metrics, unless a signal ends the run."""
        step = line["step"]

        def must_stop() -> bool:
            self._beat(f"validating after step {step}")  # with each batch
            return signals.must_stop()

        with clock.stretch("validate"):
            if self._validation.is_due(step) and "validation" not in line:
                line |= self._validation.measure(model, tokenizer, must_stop)
            if self._in_loop.is_due(step) and not signals.must_stop():
                line |= self._in_loop.measure(model, tokenizer, self._beat, signals)
        if self.owes(line):
            identity.say(f"step {step}: validation is skipped; the next start does it first")
