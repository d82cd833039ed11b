"""`relama report run=NAME`: one page on a run, compared with the paper; run=a,b,c compares runs.

In: only run folders, in any state. Out: report.html, self-contained, for phone, desktop and print.
If the model is small enough, samples are made first and kept in samples.jsonl.
"""

from dataclasses import dataclass
from pathlib import Path

from configs import terminal
from configs.load import entry, load
from configs.overrides import as_key
from data import folders
from data.errors import DataError
from data.folders import find_run, run_word
from data.page import render
from model.flops import n_params
from model.formats.errors import FormatError
from train.config import RunError
from train.report import curves, life, recipe
from train.report.compare import comparison
from train.run.record import RunRecord

TEMPLATES = Path(__file__).with_name("templates")
QUICK_TO_SAMPLE = 200_000_000  # parameters, up to which samples=auto makes them


@dataclass
class ReportConfig:
    """Which run or runs, and where the page is written."""

    run: list[str]  # a name under runs/, or a path; several, with commas between them, are compared
    output: str | None = None  # null: report.html in the run folder; of several: comparison.html in the first
    samples: str = "auto"  # continue fixed prompts at each checkpoint: auto (small models) | always | never
    watts: float | None = None  # what a device draws; null: by its name, if that is known

    def __post_init__(self) -> None:
        if not self.run:
            raise ValueError("run=[]: expected a run (run=NAME), or several to compare (run=A,B)")
        if self.output and Path(self.output).suffix.lower() not in ("", ".html", ".htm"):
            raise ValueError(
                f"output={self.output}: expected a name that ends in .html (browsers can print it as PDF)"
            )
        if self.samples not in ("auto", "always", "never"):
            raise ValueError(f"samples={self.samples}: expected one of auto, always, never")
        if self.watts is not None and not 0 < self.watts < float("inf"):
            raise ValueError(f"watts={self.watts}: expected above 0")


def run(argv: list[str]) -> None:
    config = load("report", ReportConfig, as_key("run", argv))
    paths = [find_run(name) for name in config.run]
    if repeated := next((path for path in paths if paths.count(path) > 1), None):
        raise RunError(f"run={','.join(config.run)}: {repeated} twice; give different runs")
    if len(paths) > 1:
        records = [RunRecord.read(path) for path in paths]
        return _write(config, paths[0] / "comparison.html", comparison_page(records))
    record = RunRecord.read(paths[0])  # before anything is written, so that an unreadable run is not changed
    output = Path(config.output) if config.output else record.path / "report.html"
    if not output.parent.is_dir():
        raise RunError(f"output={output}: cannot be written ({output.parent}: no such folder)")
    folders.refuse_unwritable(output)  # before samples are made, which takes a while
    if _makes_samples(config, record):
        from train.generation.samples import make_samples  # imports torch, which a page alone does not need

        for line in make_samples(record.path):
            terminal.write(f"relama: {line}")
    _write(config, output, report_page(record, output.parent, config.watts))


def report_page(record: RunRecord, folder: Path, watts: float | None = None) -> str:
    """The page of one run, to be saved in `folder`."""
    return render(
        "report.html",
        TEMPLATES,
        title=record.path.resolve().name,
        under=life.heading(record),
        word=run_word(record.path),
        model=record.model,
        train=record.config,
        x_axes=[curves.x_axes(record)],
        summary=curves.summary(record),
        losses=curves.losses(record),
        optimization=curves.optimization(record),
        speed=curves.speed(record),
        goodput=life.goodput(record),
        mixture=recipe.mixture(record),
        samples=recipe.samples(record),
        evaluation=recipe.evaluation(record),
        cost=recipe.cost(record, watts),
        deviations=recipe.deviations(record),
        reproduce=recipe.reproduce(record, folder),
    )


def comparison_page(records: list[RunRecord]) -> str:
    """The page of several runs."""
    names = ", ".join(record.path.resolve().name for record in records)
    return render("comparison.html", TEMPLATES, title=names, under=["Runs compared"], **comparison(records))


def _makes_samples(config: ReportConfig, record: RunRecord) -> bool:
    is_small = n_params(record.model) <= QUICK_TO_SAMPLE
    return config.samples == "always" or (config.samples == "auto" and is_small)


def _write(config: ReportConfig, output: Path, page: str) -> None:
    output = Path(config.output) if config.output else output
    try:
        folders.write_whole(output, page)
    except OSError as error:
        raise RunError(f"output={output}: cannot be written ({error.strerror or error})") from None
    print(f"relama: wrote {output}")


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError, FormatError))
