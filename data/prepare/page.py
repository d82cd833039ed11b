"""report.json of a prepared source as a page: counts, what was dropped and why, languages and lengths.

One self-contained HTML file, no network, no script; plain bars that print and fit a phone.
"""

import html
import json
from pathlib import Path

from data import folders
from data.accounts import megabytes

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#222}
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}
td{padding:.15rem .5rem .15rem 0;vertical-align:top}td.n{text-align:right;white-space:nowrap}
.bar{background:#4a7fb5;height:.8em;min-width:1px}td.b{width:45%;vertical-align:middle}
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f4f4f4;padding:.5rem;font-size:.8rem}
summary{cursor:pointer}small{color:#666;overflow-wrap:anywhere}"""


def write_page(folder: Path) -> None:
    """Write `folder/report.html` from its report.json, and its token store's manifest where there is one."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    source = str(report["settings"].get("source") or folder.name)
    facts = {
        "records read": f"{report['read']:,}",
        "documents kept": f"{report['kept']:,}",
        "text": megabytes(report["text_bytes"]),
        "seconds": f"{report['seconds']:,}",
    }
    try:
        splits = json.loads((folder / "tokens" / "manifest.json").read_text(encoding="utf-8"))["splits"]
    except OSError:
        pass
    else:
        tokens = splits["train"]["tokens"]
        facts["tokens"] = f"{tokens:,} ({splits['train']['bytes'] / max(1, tokens):.2f} bytes each)"
        facts["tokens held out"] = f"{splits['heldout']['tokens']:,}"
    reasons = sorted(report["dropped"].items(), key=lambda item: (-item[1]["count"], item[0]))
    lengths = {
        f"{_bytes(2 ** max(0, int(bits) - 1))} to {_bytes(2 ** int(bits))}": count
        for bits, count in report["lengths"].items()
    }
    parts = [
        "<table>" + "".join(_row(name, value) for name, value in facts.items()) + "</table>",
        "<h2>Dropped, by reason</h2>",
        _bars({reason: counted["count"] for reason, counted in reasons}),
        *(_examples(reason, counted["examples"]) for reason, counted in reasons),
        "<h2>Length of the documents</h2>",
        _bars(lengths),
    ]
    if report["languages"]:
        languages = dict(sorted(report["languages"].items(), key=lambda item: (-item[1], item[0])))
        parts += ["<h2>Languages</h2>", _bars(languages)]
    if report.get("notes"):  # absent before reports had it
        notes = dict(sorted(report["notes"].items(), key=lambda item: (-item[1], item[0])))
        parts += ["<h2>Corrected while reading</h2>", _bars(notes)]
    title = html.escape(source)
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style><h1>{title}: what became of every record</h1>"
        + "\n".join(parts)
        + "</html>\n"
    )
    folders.write_whole(folder / "report.html", page.encode(errors="backslashreplace").decode())


def _row(name: str, value: str) -> str:
    return f'<tr><td>{html.escape(name)}</td><td class="n">{html.escape(value)}</td></tr>'


def _bars(counts: dict[str, int]) -> str:
    if not counts:
        return "<p>none</p>"
    most = max(counts.values())
    rows = (
        f'<tr><td>{html.escape(name)}</td><td class="n">{count:,}</td>'
        f'<td class="b"><div class="bar" style="width:{100 * count / most:.1f}%"></div></td></tr>'
        for name, count in counts.items()
    )
    return "<table>" + "".join(rows) + "</table>"


def _examples(reason: str, examples: list[dict]) -> str:
    shown = "".join(
        f"<small>{html.escape(example['file'])}, record {example['record']}"
        f"{': ' + html.escape(example['detail']) if example['detail'] else ''}</small>"
        + (f"<pre>{html.escape(example['text'])}</pre>" if example.get("text") else "<br>")
        for example in examples
    )
    return f"<details><summary>{html.escape(reason)}: examples</summary>{shown}</details>"


def _bytes(size: int) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1024:
            return f"{size} {unit}"
        size //= 1024
    return f"{size} GB"
