"""`relama report run=NAME`: one self-contained page on a run, beside the paper (no network, no script).

In: the run folder alone, whatever is in it. Out: report.html, for a phone, a desk and paper. Where the
checkpoints are small enough their samples are made first, and kept in samples.jsonl.
"""

from dataclasses import dataclass
from pathlib import Path

from configs.load import entry, load
from data import folders
from data.errors import DataError
from model.flops import n_params
from model.formats.weights import FormatError
from train.config import RunError
from train.generation.samples import make_samples
from train.report import curves, recipe
from train.report.page import block, page
from train.run.folder import run_path
from train.run.record import RunRecord

QUICK_TO_SAMPLE = 200_000_000  # parameters, up to which samples=auto makes them


@dataclass
class ReportConfig:
    """Which run, and where the page goes."""

    run: str  # a name under runs/, or a path
    output: str | None = None  # null: report.html in the run folder
    samples: str = "auto"  # continue fixed prompts at each checkpoint: auto (small models) | always | never
    watts: float | None = None  # what a device draws; null: by its name, if that is known

    def __post_init__(self) -> None:
        if self.samples not in ("auto", "always", "never"):
            raise ValueError(f"samples={self.samples}: expected one of auto, always, never")
        if self.watts is not None and not 0 < self.watts < float("inf"):
            raise ValueError(f"watts={self.watts}: expected above 0")


def render(run: RunRecord, watts: float | None = None) -> str:
    """The page."""
    last, config = run.last, run.config
    finished = last["step"] >= config.steps
    state = "finished" if finished else f"{last['step'] / config.steps:.0%} of its steps done"
    under = f"A run of Relama, {state}: step {last['step']:,} of {config.steps:,}"
    under += f", {run.ranks_at(last['step'])} × {run.device}" if run.device else ""
    return page(
        run.path.resolve().name,
        under,
        [
            ("summary", "In short", curves.summary(run)),
            ("loss", "Loss", curves.losses(run)),
            ("optimisation", "Optimisation", curves.optimisation(run)),
            ("speed", "Speed and goodput", curves.speed(run)),
            ("mixture", "Mixture", recipe.mixture(run)),
            ("samples", "Samples through time", recipe.samples(run)),
            ("evaluation", "Evaluation", recipe.evaluation(run)),
            ("cost", "Cost", recipe.cost(run, watts)),
            ("deviations", "Beside the recipe", recipe.deviations(run)),
            ("again", "Do it again", recipe.again(run)),
            ("config", "Config", block((run.path / "config.yaml").read_text())),
        ],
    )


def run(argv: list[str]) -> None:
    config = load("report", ReportConfig, argv)
    path = run_path(config.run)
    record = RunRecord.read(path)  # first of all: what cannot be read leaves nothing behind
    small = n_params(record.model) <= QUICK_TO_SAMPLE
    if config.samples == "always" or (config.samples == "auto" and small):
        for line in make_samples(path):
            print(f"relama: {line}")
    output = Path(config.output) if config.output else path / "report.html"
    try:
        folders.write_whole(output, render(record, config.watts))
    except OSError as error:
        raise RunError(f"output={output}: cannot be written ({error})") from None
    print(f"relama: wrote {output}")


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError, FormatError))
