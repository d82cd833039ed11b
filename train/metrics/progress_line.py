"""A run's progress line: step, loss, speed, time left. It fits the terminal.

When room is short, the epochs are dropped first, then the peak behind the MFU, the learning rate, the MFU and
the speed.
In a pipe or a log, the line is printed in full, at most every two seconds.
"""

import time
from collections import deque

from configs import terminal

EVERY = 2.0  # seconds between lines in a log
FIRST = 10  # steps after which the time left is printed
RECENT = 50  # steps whose mean time the ETA assumes for the remaining ones
PAUSES = ("validate", "checkpoint", "certificate")  # stretches of some steps only
_SHORTENED = (6, 6, 5, 2, 5, 3, 4, 1, 0)  # the order in which the parts of `_parts` are shortened


class ProgressLine:
    """Shows each step's line of metrics; `last_step` is where the run ends."""

    def __init__(self, last_step: int) -> None:
        self._last_step = last_step
        self._live = terminal.is_live()
        self._ends: deque[tuple[int, float]] = deque(maxlen=RECENT)  # (step, when it ended)
        self._printed = 0.0
        self._shown = 0  # steps

    def show(self, line: dict) -> None:
        """`line`: as in metrics.jsonl."""
        now, step = time.monotonic(), line["step"]
        if self._ends and step <= self._ends[-1][0]:
            self._ends.clear()  # the run was rewound
        self._ends.append((step, now))
        self._shown += 1
        left = seconds_left(self._ends, self._last_step)
        if self._shown == FIRST and left:
            terminal.say(f"relama: about {duration(left)} left at the speed of these {FIRST} steps")
        if not (self._live or now - self._printed >= EVERY or step == self._last_step):
            return
        self._printed = now
        parts = _parts(line, self._last_step, left)
        if not self._live:
            terminal.say("  ".join(filter(None, (forms[0] for forms in parts))))
            return
        step_text, loss, *others = terminal.choose(parts, terminal.columns() - 1, _SHORTENED)
        rest = [text for text in others if text]
        shown = [terminal.paint(step_text, "bold"), terminal.paint(loss, "cyan")]
        terminal.draw(
            "  ".join(filter(None, [step_text, loss, *rest])),
            "  ".join(filter(None, [*shown, terminal.paint("  ".join(rest), "dim")])),
        )


def seconds_left(ends: deque[tuple[int, float]], last_step: int) -> float | None:
    """Seconds that the steps after `ends` take at the mean speed between them; None after one step."""
    (first, begin), (step, end) = ends[0], ends[-1]
    return (end - begin) / (step - first) * (last_step - step) if step > first else None


def _parts(line: dict, last_step: int, left: float | None) -> list[list[str]]:
    """The line's parts, each in its forms from the longest to the shortest."""
    loss = "not finite" if line["loss"] is None else f"{line['loss']:.4f}"
    rate = f"{line['tokens_per_second'] * _unpaused(line):,.0f} tok/s"
    return [
        [f"step {line['step']}/{last_step}", f"{line['step']}/{last_step}"],
        [f"loss {loss}", loss],
        [f"lr {line['lr']:.2e}", ""],
        [rate, ""],
        [f"ETA {'–' if left is None else duration(left)}", ""],
        [*_mfu(line), ""],
        [*_epochs(line["epochs"]), ""],
    ]


def _mfu(line: dict) -> list[str]:
    """The MFU, with the peak that it is a share of, and without it."""
    if line["mfu"] is None:
        return ["MFU unknown"] * 2
    share = f"MFU {line['mfu'] * _unpaused(line):.1%}"
    return [f"{share} of {flops(line['peak_flops'])}" if line.get("peak_flops") else share, share]


def _unpaused(line: dict) -> float:
    """How many times as fast a step is without its pauses, which would make the speed seem to drop."""
    seconds = line.get("seconds", {})
    total = seconds.get("total", 0.0)
    left = total - sum(seconds.get(name, 0.0) for name in PAUSES)
    return total / left if left > 0 else 1.0


def _epochs(epochs: dict[str, float]) -> list[str]:
    """The epochs of all sources; with three or more, also a short form: the least and the most read."""
    if not epochs:
        return [""]
    every = f"epochs: {' '.join(f'{source} {count:.2f}' for source, count in epochs.items())}"
    if len(epochs) < 3:
        return [every]
    least, most = (choose(epochs, key=lambda source: epochs[source]) for choose in (min, max))
    return [every, f"epochs: {least} {epochs[least]:.2f} … {most} {epochs[most]:.2f}"]


def flops(rate: float) -> str:
    """A number of FLOP/s."""
    for unit, name in ((1e15, "PFLOP/s"), (1e12, "TFLOP/s"), (1e9, "GFLOP/s")):
        if rate >= unit:
            return f"{rate / unit:.3g} {name}" if rate < 1000 * unit else f"{rate / unit:,.0f} {name}"
    return f"{rate:,.0f} FLOP/s"


def duration(seconds: float) -> str:
    """For people: 45s, 2m50s, 3h05m, 12d04h."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02d}h"
    return f"{hours}h{minutes:02d}m" if hours else f"{minutes}m{seconds:02d}s" if minutes else f"{seconds}s"
