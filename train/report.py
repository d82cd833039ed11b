"""`relama report run=NAME`: one self-contained page on a run (plots as inline SVG, no network)."""

import html
import io
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from configs.load import entry, load
from model.flops import n_params
from train.config import RunError, TrainConfig
from train.metrics import read_metrics
from train.run_folder import read_run_config, run_path

STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff; margin: 0 auto;
       max-width: 60rem; padding: 1rem; }
h1 { font-size: 1.6rem; margin: .5rem 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; } .wide { overflow-x: auto; }
td, th { text-align: left; padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #ddd; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)); gap: 1rem; }
svg { width: 100%; height: auto; } pre { background: #f5f5f5; padding: .8rem; overflow-x: auto;
      font-size: .85rem; }
@media print { body { max-width: none; } .plots { grid-template-columns: 1fr 1fr; } }
"""


@dataclass
class ReportConfig:
    """Which run, and where the page goes."""

    run: str  # a name under runs/, or a path
    output: str | None = None  # null: report.html in the run folder


def render(path: Path) -> str:
    """The page of the run at `path`. Raises RunError if there is no run or no metrics in it."""
    config = read_run_config(path)
    lines = read_metrics(path / "metrics.jsonl")
    sections = [
        ("Run", _summary(path, config, lines)),
        ("Held out", _heldout(lines)),
        ("Curves", f'<div class="plots">{"".join(_plots(lines))}</div>'),
        ("Again", _again(path)),
        ("Config", f"<pre>{html.escape((path / 'config.yaml').read_text())}</pre>"),
    ]
    body = "".join(f"<h2>{title}</h2>{content}" for title, content in sections)
    name = html.escape(path.name)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{name}</title><style>{STYLE}</style></head><body><h1>{name}</h1>{body}</body></html>\n"
    )


def _summary(path: Path, config: TrainConfig, lines: list[dict]) -> str:
    last = lines[-1]
    model = config.model
    if model.vocab_size == -1:
        from data.tokenizer import Tokenizer

        model = replace(model, vocab_size=Tokenizer(path / "tokenizer.model").vocab_size)
    seconds = sum(line["seconds"]["total"] for line in lines)
    recent = lines[len(lines) // 2 :]
    rate = sum(line["tokens_per_second"] for line in recent) / len(recent)
    mfus = [line["mfu"] for line in recent if line["mfu"] is not None]
    return _table(
        [
            (
                "model",
                f"dim {model.dim}, {model.n_layers} layers, {model.n_heads} heads, "
                f"vocabulary {model.vocab_size:,}",
            ),
            ("parameters", f"{n_params(model):,}"),
            ("step", f"{last['step']:,} of {config.steps:,}"),
            (
                "tokens",
                f"{last['tokens']:,} ({config.global_batch:,} a step, sequences of {config.seq_len:,})",
            ),
            ("loss", f"{last['loss']:.4f}"),
            ("tokens per second", f"{rate:,.0f} (mean of the second half, stalls included)"),
            ("MFU", f"{sum(mfus) / len(mfus):.1%}" if mfus else "unknown (the device's peak is not known)"),
            ("peak memory", f"{max(line['memory_gib'] for line in lines):.2f} GiB on the first rank"),
            ("time in steps", f"{seconds / 3600:.2f} h"),
            ("mixture", ", ".join(f"{source} {weight:g}" for source, weight in config.data.weights.items())),
        ]
    )


def _heldout(lines: list[dict]) -> str:
    measured = [line for line in lines if "validation" in line]
    if not measured:
        return "<p>Not measured yet.</p>"
    last = measured[-1]
    rows = "".join(
        f"<tr><td>{html.escape(source)}</td>"
        + "".join(
            f'<td class="number">{value}</td>'
            for value in (
                f"{result['loss']:.4f}",
                f"{result['perplexity']:.2f}",
                f"{result['bits_per_byte']:.4f}",
                f"{result['tokens']:,}",
                f"{last['epochs'][source]:.3f}",
            )
        )
        + "</tr>"
        for source, result in last["validation"].items()
    )
    names = ("loss", "perplexity", "bits/byte", "tokens", "epochs trained")
    head = "<tr><th>source</th>" + "".join(f'<th class="number">{name}</th>' for name in names) + "</tr>"
    return f'<p>After step {last["step"]:,}.</p><div class="wide"><table>{head}{rows}</table></div>'


def _plots(lines: list[dict]) -> list[str]:
    steps = [line["step"] for line in lines]
    measured = [line for line in lines if "validation" in line]

    def losses(axes) -> None:
        axes.plot(steps, [line["loss"] for line in lines], label="train", linewidth=1)
        for source in measured[-1]["validation"] if measured else []:
            points = [(line["step"], line["validation"][source]["loss"]) for line in measured]
            axes.plot(*zip(*points), marker="o", markersize=3, label=f"held out: {source}")

    def epochs(axes) -> None:
        for source in lines[-1]["epochs"]:
            axes.plot(steps, [line["epochs"][source] for line in lines], label=source)

    def one(key: str) -> Callable:
        return lambda axes: axes.plot(steps, [line[key] for line in lines], linewidth=1)

    def rates(axes) -> None:
        axes.plot(
            steps, [line["tokens_per_second_computing"] for line in lines], linewidth=1, label="computing"
        )
        axes.plot(steps, [line["tokens_per_second"] for line in lines], linewidth=1, label="with stalls")

    drawings = [("loss (nats per token)", losses), ("epochs by source", epochs), ("learning rate", one("lr"))]
    drawings += [("gradient norm", one("grad_norm")), ("tokens per second", rates)]
    if all(line["mfu"] is not None for line in lines):
        drawings.append(("MFU", one("mfu")))
    return [_svg(title, draw) for title, draw in drawings]


def _svg(title: str, draw: Callable) -> str:
    from matplotlib.figure import Figure  # drawn without a display

    figure = Figure(figsize=(5.2, 3.4), layout="constrained")
    axes = figure.add_subplot(title=title, xlabel="step")
    draw(axes)
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")
    text = io.StringIO()
    figure.savefig(text, format="svg")
    return "<div>" + text.getvalue()[text.getvalue().index("<svg") :] + "</div>"


def _again(path: Path) -> str:
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, {platform.platform()}"
    command = (path / "command.txt").read_text().strip()
    told = f"{html.escape(versions)}. The same command goes on from the last checkpoint."
    return f"<p>{told}</p><pre>{html.escape(command)}</pre>"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(
        f"<tr><th>{html.escape(key)}</th><td>{html.escape(value)}</td></tr>" for key, value in rows
    )
    return f'<div class="wide"><table>{cells}</table></div>'


def run(argv: list[str]) -> None:
    config = load("report", ReportConfig, argv)
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise RunError("report: needs matplotlib; install it with pip install -e '.[report]'") from None
    path = run_path(config.run)
    page = render(path)
    output = Path(config.output) if config.output else path / "report.html"
    aside = output.with_name(output.name + ".tmp")
    aside.write_text(page, encoding="utf-8")
    aside.replace(output)
    print(f"relama: wrote {output}")


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError,))
