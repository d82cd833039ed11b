"""A run beside the paper, for the report: mixture, samples, scores, cost, deviations, how to do it again."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

from data.audit import TABLE_1
from data.errors import DataError
from data.tokens.store import read_manifest
from train.generation.samples import read_samples
from train.metrics.hardware import gpu_of
from train.recipe.audit import compare_run
from train.recipe.facts import CARBON, GPU_HOURS, PUE, WATTS, size_of
from train.recipe.scores import PAPER_SCORES
from train.report.charts import Line, line_chart
from train.report.curves import colours
from train.report.page import block, bullets, count, hours, paragraph, table
from train.run.record import RunRecord

PAPER_TOKENS = 1.4e12  # that Table 1's epochs are of


def mixture(run: RunRecord) -> str:
    """Epochs by source, as seen and at the run's end, beside Table 1."""
    last, config = run.last, run.config
    epochs, weights, tint = last.get("epochs") or {}, config.data.weights, colours(run)
    total, done = sum(weights.values()), last["step"] / config.steps
    sources = [*weights, *(source for source in TABLE_1 if source not in weights)]
    rows = []
    for source in sources:
        paper, seen = TABLE_1.get(source), epochs.get(source)
        rows.append(
            (
                source,
                f"{weights[source] / total:.1%}" if source in weights else "not in it",
                f"{paper.share:.1%}" if paper else "–",
                "–" if seen is None else f"{seen:.3f}",
                "–" if seen is None else f"{seen / done:.3f}",
                f"{paper.epochs:.2f}" if paper else "–",
            )
        )
    heads = ("source", "share", "Table 1", "epochs seen", "at the run's end", "Table 1, at 1.4T tokens")
    steps = run.column("step")
    lines = [
        Line(
            source,
            steps,
            [(line.get("epochs") or {}).get(source) for line in run.lines],
            tint[source],
            last=f"{epochs[source]:.2f}" if source in epochs else "",
        )
        for source in weights
    ]
    chart = line_chart("Epochs seen, by source", lines, zero=True)
    return f'{table(heads, rows)}<div class="charts">{chart}</div>'


def samples(run: RunRecord) -> str:
    """What the checkpoints said to the same prompts, in order of step."""
    found = read_samples(run.path)
    if not found:
        return paragraph(
            "None were made: they come from the checkpoints that lie in the run folder when a report is made "
            "(samples=always for a large model, on a machine that holds it).",
            "soft",
        )
    parts = []
    for prompt in dict.fromkeys(line["prompt"] for line in found):
        said = [line for line in found if line["prompt"] == prompt]
        rows = [(f"{line['step']:,}", _said(line["text"])) for line in said]
        parts.append(f"<h3>{_escape(prompt)}…</h3>{table(('step', 'it goes on'), rows, words=2)}")
    told = "Greedy continuations at the checkpoints that were there when reports were made."
    return paragraph(told, "soft") + f'<div class="samples">{"".join(parts)}</div>'


def evaluation(run: RunRecord) -> str:
    """The newest evaluated checkpoint's scores, each protocol in its own column, beside the paper's."""
    folders = sorted(
        (run.path / "evaluation").glob("step-*"), key=lambda folder: (len(folder.name), folder.name)
    )
    read = [(folder, _scores(folder)) for folder in folders]
    read = [(folder, scores) for folder, scores in read if scores]
    if not read:
        return paragraph(f"Not evaluated yet: relama evaluate weights={run.path.name} suite=paper", "soft")
    folder, scores = read[-1]
    own = size_of(run.model)
    size = own or "7b"
    rows = []
    for name, shots in sorted(scores, key=list(PAPER_SCORES[size]).index):
        by = scores[name, shots]
        ours = [f"{by[p]['score'] * 100:.1f}" if p in by else "–" for p in ("paper", "usual")]
        documents = max(result["documents"] for result in by.values())
        rows.append((name, shots, f"{PAPER_SCORES[size][name, shots]:.1f}", *ours, f"{documents:,}"))
    heads = (
        "task",
        "shots",
        f"LLaMA-{size.upper()}",
        "ours, paper's protocol",
        "ours, harness's",
        "documents",
    )
    note = "" if own else " This model has no size of the paper's: LLaMA-7B stands there for scale."
    others = [other.name for other, _ in read[:-1]]
    earlier = f" Evaluated before: {', '.join(others)}." if others else ""
    return paragraph(
        f"{folder.name}, in percent. Two protocols, never mixed.{note}{earlier}", "soft"
    ) + table(heads, rows)


def cost(run: RunRecord, watts: float | None) -> str:
    """GPU-hours, energy and carbon as the paper counts them (Table 15)."""
    size = compare_run(run.path).size
    gpu = gpu_of(run.device or "")
    power = watts or (gpu.watts if gpu else None)
    spent, done = run.device_hours, run.last["step"] / run.config.steps
    rows = [("this run, so far", *_carbon(spent, power))]
    if done < 1:
        rows.append(("this run, whole, at this speed", *_carbon(spent and spent / done, power)))
    rows.append((f"LLaMA-{size.upper()}, Table 15", *_carbon(GPU_HOURS[size], WATTS)))
    if spent is None:
        told = "How many ranks there were was not recorded when this run began, so its hours are not known."
    elif power is None:
        told = f"What {run.device} draws is not known: relama report run=… watts=… gives the energy."
    else:
        told = f"{run.device}, taken as {power:g} W."
    return table(("", "device-hours", "MWh", "tCO₂eq"), rows) + paragraph(
        f"Hours of all ranks × power × {PUE} (PUE), {CARBON} kg CO₂eq a kWh. {told}", "soft"
    )


def deviations(run: RunRecord) -> str:
    """Every published value that is another here; then what was never published."""
    found = compare_run(run.path)
    number = len(found.deviations)
    title = f"{number or 'No'} deviation{'s' * (number != 1)} from LLaMA-{found.size.upper()}"
    text = paragraph(f"{title} in {found.compared} published values.")
    text += bullets(found.deviations) if number else ""
    return f"{text}<h3>Not published, and how it is here</h3>{bullets(found.silent)}"


def again(run: RunRecord) -> str:
    """The exact commands and versions of every start, and the data's fingerprints."""
    parts = []
    if run.starts:
        for start in run.starts:
            when = datetime.fromtimestamp(start.get("time", 0), UTC).strftime("%Y-%m-%d %H:%M UTC")
            versions = ", ".join(f"{name} {value}" for name, value in (start.get("versions") or {}).items())
            commit = start.get("commit") or "unknown (no git clone)"
            parts.append(
                paragraph(
                    f"{when}, from step {start['first_step']:,}, {start['ranks']} × {start.get('device')}:"
                )
                + block(f"cd {start.get('in', '…')}\n{start['command']}")
                + paragraph(
                    f"Relama {commit}, Python {start.get('python')}, {versions}; {start.get('platform')}",
                    "soft",
                )
            )
    else:
        command = _text(run.path / "command.txt") or "(the command was not kept)"
        parts.append(block(command.strip()))
        parts.append(paragraph("Its versions were not recorded: it began before they were.", "soft"))
    told = "The same command goes on from the last checkpoint; with another run= it does it all again."
    return paragraph(told) + "".join(parts) + _data(run)


def _data(run: RunRecord) -> str:
    """The token stores by their fingerprints: the same ones give the same run."""
    try:
        order = json.loads(_text(run.path / "order.json") or "{}")
    except ValueError:
        return ""
    rows = []
    for source, where in (order.get("stores") or {}).items():
        fingerprint = (order.get("fingerprints") or {}).get(source, "–")
        try:
            tokens = count(read_manifest(Path(where))["splits"]["train"]["tokens"])
        except (DataError, KeyError, OSError):
            tokens = "not here"
        rows.append((source, where, fingerprint[:16], tokens))
    return (
        f"<h3>Its data</h3>{table(('source', 'token store', 'fingerprint', 'tokens'), rows, 3)}"
        if rows
        else ""
    )


def _scores(folder: Path) -> dict[tuple[str, int], dict[str, dict]]:
    """(task, shots) → protocol → result, of what `relama evaluate` left; a damaged file is left out."""
    found: dict[tuple[str, int], dict[str, dict]] = {}
    for path in sorted(folder.glob("*.json")):
        named = re.fullmatch(r"(.+)-(\d+)shot-(paper|usual)\.json", path.name)
        try:
            result = json.loads(path.read_text())
            usable = {"score", "documents"} <= result.keys()
        except (OSError, ValueError, AttributeError):
            continue
        if named and usable and (named[1], int(named[2])) in PAPER_SCORES["7b"]:
            found.setdefault((named[1], int(named[2])), {})[named[3]] = result
    return found


def _carbon(device_hours: float | None, watts: float | None) -> tuple[str, str, str]:
    if device_hours is None:
        return "–", "–", "–"
    shown = f"{device_hours:,.0f}" if device_hours > 100 else hours(device_hours)
    if watts is None:
        return shown, "–", "–"
    energy = device_hours * watts * PUE / 1e6
    return shown, f"{energy:.3g}", f"{energy * CARBON:.3g}"


def _said(text: str) -> str:
    return text.strip("\n") if text.strip() else "(blanks alone)" if text else "(nothing: it ended)"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
