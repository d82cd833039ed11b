"""A run compared with the paper, for the report: mixture, samples, scores, cost, deviations, reproduction."""

import json
import os
import re
from pathlib import Path
from typing import Any

from markupsafe import Markup

from configs import regular_file
from configs.load import to_yaml
from data.audit import TABLE_1
from data.errors import DataError
from data.page import count, hours
from data.tokens.store import read_manifest
from train.metrics.hardware import gpu_of
from train.recipe.audit import compare_run
from train.recipe.facts import CARBON, GPU_HOURS, PUE, WATTS, size_of
from train.recipe.scores import PAPER_SCORES
from train.report.charts import Line, line_chart
from train.report.curves import colours, steps_of
from train.report.life import when
from train.run.history import read_samples, scored
from train.run.record import RunRecord


def mixture(run: RunRecord) -> dict[str, Any]:
    """Epochs by source, as seen and at the run's end, next to Table 1: `rows` and a `chart`."""
    timeline = run.config.timeline
    epochs, weights, tint = run.last.get("epochs") or {}, timeline.weights, colours(run)
    total, all_tokens = sum(weights.values()), timeline.tokens_by_source(run.config.steps)
    done = timeline.tokens_by_source(run.last["step"])
    rows = []
    for source in dict.fromkeys([*weights, *TABLE_1]):
        paper, seen = TABLE_1.get(source), epochs.get(source)
        rows.append(
            (
                source,
                f"{weights[source] / total:.1%}" if source in weights else "not in it",
                f"{paper.share:.1%}" if paper else "–",
                "–" if seen is None else f"{seen:.3f}",
                _at_the_end(seen, done.get(source), all_tokens.get(source)),
                f"{paper.epochs:.2f}" if paper else "–",
            )
        )
    lines = [
        Line(
            source,
            steps_of(run),
            [(line.get("epochs") or {}).get(source) for line in run.lines],
            tint[source],
            last=f"{epochs[source]:.2f}" if source in epochs else "",
        )
        for source in weights
    ]
    return {"rows": rows, "chart": line_chart("Epochs seen, by source", lines, zero=True)}


def _at_the_end(seen: float | None, done: float | None, all_tokens: float | None) -> str:
    """Epochs at the run's end, from those seen so far and the source's tokens, done and in all."""
    return f"{seen / done * all_tokens:.3f}" if seen is not None and done and all_tokens else "–"


def samples(run: RunRecord) -> dict[str, list[dict]]:
    """What each checkpoint generated after each prompt, in order of step."""
    found: dict[str, list[dict]] = {}
    for line in read_samples(run.path):
        found.setdefault(line["prompt"], []).append({"step": line["step"], "text": _shown(line["text"])})
    return found


def evaluation(run: RunRecord) -> dict[str, Any] | None:
    """The newest evaluated checkpoint's scores, each protocol in its own column, next to the paper's."""
    read = [(folder, _scores(folder)) for _, folder in scored(run.path)]
    read = [(folder, scores) for folder, scores in read if scores]
    if not read:
        return None
    folder, scores = read[-1]
    own = size_of(run.model)
    size = own or "7b"
    rows = []
    for name, shots in sorted(scores, key=list(PAPER_SCORES[size]).index):
        by = scores[name, shots]
        ours = [f"{by[p]['score'] * 100:.1f}" if p in by else "–" for p in ("paper", "usual")]
        documents = max(result["documents"] for result in by.values())
        rows.append((name, shots, f"{PAPER_SCORES[size][name, shots]:.1f}", *ours, f"{documents:,}"))
    return {
        "checkpoint": folder.name,
        "size": f"LLaMA-{size.upper()}",
        "is_of_the_paper": own is not None,
        "earlier": [other.name for other, _ in read[:-1]],
        "rows": rows,
    }


def cost(run: RunRecord, watts: float | None) -> dict[str, Any]:
    """GPU-hours, energy and carbon as the paper counts them (Table 15): `rows` and a `note`."""
    size, gpu = compare_run(run.path).size, gpu_of(run.device or "")
    power = watts or (gpu.watts if gpu else None)
    spent, done = run.device_hours, run.last["step"] / run.config.steps
    rows = [("this run, so far", *_carbon(spent, power))]
    if done < 1:
        rows.append(("this run, complete, at this speed", *_carbon(spent and spent / done, power)))
    rows.append((f"LLaMA-{size.upper()}, Table 15", *_carbon(GPU_HOURS[size], WATTS)))
    if spent is None:
        note = "The number of ranks was not recorded when this run began, so its hours are unknown."
    elif power is None:
        note = f"The power of {run.device} is unknown: relama report run=… watts=… gives the energy."
    else:
        note = f"{run.device}, taken as {power:g} W."
    return {
        "rows": rows,
        "note": f"Hours of all ranks × power × {PUE} (PUE), {CARBON} kg CO₂eq per kWh. {note}",
    }


def deviations(run: RunRecord) -> dict[str, Any]:
    """Every published value that this run changes; then its choices for unpublished ones."""
    found = compare_run(run.path)
    number = len(found.deviations)
    return {
        "title": f"{number or 'No'} deviation{'s' * (number != 1)} from LLaMA-{found.size.upper()} "
        f"in {found.compared} published values.",
        "deviations": list(map(str, found.deviations)),
        "silent": found.silent,
    }


def reproduce(run: RunRecord, folder: Path) -> dict[str, Any]:
    """The exact commands and versions of every start, and the data's fingerprints.

    Sources link to their own reports, relative to `folder`, where the page is saved.
    """
    return {
        "starts": [_start(start) for start in run.starts],
        "command": _text(run.path / "command.txt").strip() or "(the command was not kept)",
        "stores": _stores(run, folder),
        "config": to_yaml(run.config),
    }


def _start(start: dict) -> dict[str, str]:
    """A start's heading, command and versions."""
    versions = ", ".join(f"{name} {value}" for name, value in (start.get("versions") or {}).items())
    commit = start.get("commit") or "unknown (no git clone)"
    where = f"{start['ranks']} × {start.get('device')}"
    return {
        "heading": f"{when(start.get('time', 0))}, from step {start['first_step']:,}, {where}:",
        "command": f"cd {start.get('in', '…')}\n{start['command']}",
        "versions": f"Relama {commit}, Python {start.get('python')}, {versions}; {start.get('platform')}",
    }


def _stores(run: RunRecord, folder: Path) -> list[tuple]:
    """The token stores by their fingerprints: the same stores give the same run."""
    try:
        order = json.loads(_text(run.path / "order.json") or "{}")
    except ValueError:
        return []
    rows = []
    for source, where in (order.get("stores") or {}).items():
        fingerprint = (order.get("fingerprints") or {}).get(source, "–")
        try:
            tokens = count(read_manifest(Path(where))["splits"]["train"]["tokens"])
        except (DataError, KeyError, OSError):
            tokens = "not here"
        rows.append(
            (_linked(source, Path(where).parent / "report.html", folder), where, fingerprint[:16], tokens)
        )
    return rows


def _linked(source: str, page: Path, folder: Path) -> str:
    """The source's name, linked to its report if it has one."""
    if not page.is_file():
        return source
    return Markup('<a href="{}">{}</a>').format(os.path.relpath(page, folder.resolve()), source)


def _scores(folder: Path) -> dict[tuple[str, int], dict[str, dict]]:
    """(task, shots) → protocol → result, as `relama evaluate` wrote them; damaged files are skipped."""
    found: dict[tuple[str, int], dict[str, dict]] = {}
    for path in sorted(folder.glob("*.json")):
        named = re.fullmatch(r"(.+)-(\d+)shot-(paper|usual)\.json", path.name)
        try:
            result = json.loads(regular_file.content(path))
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


def _shown(text: str) -> str:
    return text.strip("\n") if text.strip() else "(only blanks)" if text else "(nothing: it ended)"


def _text(path: Path) -> str:
    try:
        return regular_file.content(path).decode(errors="replace")
    except OSError:
        return ""
