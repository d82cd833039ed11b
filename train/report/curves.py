"""What happened in a run, for the report: the figures at the top, curves, speed and where the time went."""

from datetime import UTC, datetime

from model.flops import n_params
from train.report.charts import COLOURS, INK, Line, line_chart, share_bar
from train.report.page import block, count, hours, paragraph, table, tiles
from train.run.attempts import account
from train.run.record import RunRecord

TIMES = {
    "compute": "computing",
    "data": "waiting for data",
    "validate": "validating",
    "checkpoint": "saving",
    "certificate": "replaying for certificates",
}
EPOCH = 1.5e9  # seconds: floats from 2017 on are shown as the times that they are


def colours(run: RunRecord) -> dict[str, str]:
    """A colour for each source, the same in every chart."""
    return {source: COLOURS[i % len(COLOURS)] for i, source in enumerate(run.config.data.weights)}


def summary(run: RunRecord) -> str:
    """The figures that are asked for first."""
    last, config, model = run.last, run.config, run.model
    rate, mfu = run.rate("tokens_per_second"), run.rate("mfu")
    memory = max((value for value in run.column("memory_gib") if value is not None), default=None)
    return tiles(
        [
            ("training loss, mean of the last tenth", _figure(_last_tenth(run), 4)),
            ("steps", f"{last['step']:,} of {config.steps:,}"),
            ("tokens", f"{count(last.get('tokens'))} of {count(config.steps * config.global_batch)}"),
            ("parameters", count(n_params(model))),
            ("tokens a second, stalls included", count(rate)),
            ("MFU", "unknown" if mfu is None else f"{mfu:.1%}"),
            ("time in steps", hours(run.seconds() / 3600)),
            ("peak memory, first rank", "–" if memory is None else f"{memory:.2f} GiB"),
        ]
    ) + paragraph(
        f"dim {model.dim:,}, {model.n_layers} layers, {model.n_heads} heads, vocabulary "
        f"{model.vocab_size:,}; sequences of {config.seq_len:,} tokens, {config.global_batch:,} tokens a "
        "step. Rates are means of the second half of the run.",
        "soft",
    )


def losses(run: RunRecord) -> str:
    """Train and held-out loss, and the last held-out figures by source."""
    steps, tint = run.column("step"), colours(run)
    lines = [Line("train", steps, run.column("loss"), "#9a9a9a", last=_figure(_last_tenth(run), 3))]
    bits = []
    for source in dict.fromkeys(name for line in run.measured for name in line["validation"]):
        at = [line["step"] for line in run.measured if source in line["validation"]]
        found = [line["validation"][source] for line in run.measured if source in line["validation"]]
        tone = tint.get(source, INK)
        ends = [f"{found[-1][key]:.3f}" for key in ("loss", "bits_per_byte")]
        lines.append(Line(source, at, [each["loss"] for each in found], tone, dots=True, last=ends[0]))
        bits.append(
            Line(source, at, [each["bits_per_byte"] for each in found], tone, dots=True, last=ends[1])
        )
    charts = line_chart("Loss: train, and held out by source (nats a token)", lines)
    charts += line_chart("Held out, by source (bits a byte)", bits)
    return f'<div class="charts">{charts}</div>{_heldout(run)}'


def optimisation(run: RunRecord) -> str:
    """Learning rate, and gradient norm before clipping."""
    steps, clip = run.column("step"), run.config.optim.clip
    norms = run.column("grad_norm")
    clipped = sum(norm > clip for norm in norms if norm is not None)
    lines = [
        Line("gradient norm", steps, norms, "#0072b2", last=f"{clipped / len(norms):.0%} of steps clipped")
    ]
    if any(norm is not None and norm > clip / 2 for norm in norms):
        lines.append(
            Line(f"clipped at {clip:g}", steps[:1] + steps[-1:], [clip, clip], "#d55e00", dashed=True)
        )
    charts = line_chart("Learning rate", [Line("rate", steps, run.column("lr"), "#0072b2")], zero=True)
    charts += line_chart("Gradient norm, before clipping", lines, zero=True)
    return f'<div class="charts">{charts}</div>'


def speed(run: RunRecord) -> str:
    """Throughput and MFU, and where the time went."""
    steps = run.column("step")
    rates = [
        Line("computing", steps, run.column("tokens_per_second_computing"), "#56b4e9"),
        Line("with stalls", steps, run.column("tokens_per_second"), "#0072b2"),
    ]
    charts = line_chart("Tokens a second, all ranks", rates, zero=True)
    shares = [None if share is None else 100 * share for share in run.column("mfu")]
    mfu = line_chart("MFU (%)", [Line("MFU", steps, shares, "#009e73")], zero=True)
    spent = [(words, run.seconds(name)) for name, words in TIMES.items()]
    spent.append(("other", max(0.0, run.seconds() - sum(seconds for _, seconds in spent))))
    bar = share_bar("Where the time of these steps went", spent) if run.seconds() else ""
    unknown = "" if mfu else paragraph("MFU: unknown, since the device's peak is not known.", "soft")
    below = f"{unknown}{_communication(run)}<h3>Goodput</h3>{bar}{_goodput(run)}"
    return f'<div class="charts">{charts}{mfu}</div>{below}'


def _communication(run: RunRecord) -> str:
    """Of the steps that were watched for it; nothing where none was."""
    watched = [line["seconds"] for line in run.lines if "communication" in (line.get("seconds") or {})]
    if not watched:
        return ""
    share = sum(each["communication"] for each in watched) / sum(each["total"] for each in watched)
    steps = f"{len(watched)} watched step{'s' * (len(watched) != 1)}"
    return paragraph(f"Communication that no computing hid: {share:.1%} of {steps}.", "soft")


def _goodput(run: RunRecord) -> str:
    """What the attempts say, in their own words; without them, what the steps and starts can say."""
    resumed = [start["first_step"] for start in run.starts[1:]]
    said = f"{len(run.starts)} start{'s' * (len(run.starts) != 1)} recorded"
    said += f", going on at step {', '.join(f'{step:,}' for step in resumed[:20])}" if resumed else ""
    text = paragraph(
        f"{said if run.starts else 'Starts were not recorded'}. The bar counts the steps that the "
        "weights came through: work lost to a stop, starting up and waiting for machines are not in it"
        + (
            "; the attempts below are."
            if run.attempts
            else ", and no attempts.jsonl says how long they took."
        ),
        "soft",
    )
    life = account(run.path)
    if life:
        text = _life(life) + text
    if run.attempts:
        text += "<h3>Attempts</h3>" + _plain_table(run.attempts)
    if run.decisions:
        text += "<h3>Decisions on spikes and numbers that are none</h3>" + _decisions(run)
    return text


def _decisions(run: RunRecord, most: int = 50) -> str:
    """What recovery did and why, and which sources and documents those steps saw."""
    rows = [
        [
            f"{decision['step']:,}",
            decision.get("action", "–"),
            decision.get("why", "–"),
            ", ".join(f"{source} {n}" for source, n in decision.get("sources", {}).items()),
            ", ".join(decision.get("documents", [])),
        ]
        for decision in run.decisions
        if "step" in decision
    ]
    heads = ["step", "action", "why", "sequences by source", "documents, the first of them"]
    note = f"relama explain run={run.path} step=S shows the text of a step."
    if len(rows) > most:
        note = f"The last {most}; {len(rows) - most} came before. {note}"
    return table(heads, rows[-most:], words=len(heads)) + paragraph(note, "soft")


def _life(life: dict) -> str:
    """`train.goodput.account` in figures."""
    return tiles(
        [
            ("goodput: of its life, in steps that count", f"{life['goodput']:.1%}"),
            ("life, from the first start", hours(life["seconds"] / 3600)),
            (f"in which it was down, {life['starts']} starts", hours(life["seconds_down"] / 3600)),
            ("steps done again", f"{life['steps_repeated']:,}"),
        ]
    )


def _plain_table(lines: list[dict], most: int = 9, rows: int = 50) -> str:
    """JSON objects as they come: a column for each key that holds one value."""
    keys = dict.fromkeys(key for line in lines for key in line)
    flat = [key for key in keys if not any(isinstance(line.get(key), dict | list) for line in lines)]
    heads = flat[:most]
    cells = [[_cell(line.get(head)) for head in heads] for line in lines[-rows:]]
    left = len(lines) - rows
    note = paragraph(f"The last {rows}; {left} came before.", "soft") if left > 0 else ""
    return (table(heads, cells, words=len(heads)) if heads else block(str(lines[-1]))) + note


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float) and EPOCH < value < 2 * EPOCH:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M")
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _figure(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _heldout(run: RunRecord) -> str:
    if not run.measured:
        return paragraph("Nothing held out was measured yet.", "soft")
    last = run.measured[-1]
    rows = [
        (
            source,
            f"{r['loss']:.4f}",
            f"{r['perplexity']:.2f}",
            f"{r['bits_per_byte']:.4f}",
            f"{r['tokens']:,}",
        )
        for source, r in last["validation"].items()
    ]
    heads = ("held out", "loss", "perplexity", "bits/byte", "tokens")
    return paragraph(f"After step {last['step']:,}:", "soft") + table(heads, rows)


def _last_tenth(run: RunRecord) -> float | None:
    known = [loss for loss in run.column("loss")[-max(1, len(run.lines) // 10) :] if loss is not None]
    return sum(known) / len(known) if known else None
