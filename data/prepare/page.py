"""Writes a prepared source's report.html from report.json: counts, drops by reason, languages, lengths."""

import json
from pathlib import Path

from configs.sizes import binary, decimal
from data import folders
from data.page import render


def write_page(folder: Path) -> None:
    """Write `folder/report.html` from its report.json and, if there is a token store, its manifest."""
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    dropped = sorted(report["dropped"].items(), key=lambda item: (-item[1]["count"], item[0]))
    page = render(
        "source.html",
        title=str(report["settings"].get("source") or folder.name),
        under=["A prepared source: which records were kept, and why others were dropped."],
        facts=[*_facts(report).items(), *_token_facts(folder).items()],
        dropped={reason: counted["count"] for reason, counted in dropped},
        examples=[(reason, counted["examples"]) for reason, counted in dropped],
        lengths={_range(int(bits)): count for bits, count in report["lengths"].items()},
        languages=_largest_first(report["languages"]),
        notes=_largest_first(report.get("notes", {})),  # older reports have no notes
    )
    folders.write_whole(folder / "report.html", page)


def _largest_first(counts: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _facts(report: dict) -> dict[str, str]:
    return {
        "records read": f"{report['read']:,}",
        "documents kept": f"{report['kept']:,}",
        "text": decimal(report["text_bytes"]),
        "seconds": f"{report['seconds']:,}",
    }


def _token_facts(folder: Path) -> dict[str, str]:
    """Facts from the manifest; none if it is missing or damaged, which opening the tokens would report."""
    try:
        splits = json.loads((folder / "tokens" / "manifest.json").read_text(encoding="utf-8"))["splits"]
        tokens = splits["train"]["tokens"]
        return {
            "tokens": f"{tokens:,} ({splits['train']['bytes'] / max(1, tokens):.2f} bytes each)",
            "held-out tokens": f"{splits['heldout']['tokens']:,}",
        }
    except (OSError, ValueError, TypeError, LookupError):
        return {}


def _range(bits: int) -> str:
    """The range of byte lengths that take `bits` binary digits."""
    low, high = binary(2 ** max(0, bits - 1)), binary(2**bits)
    number, _, unit = low.partition(" ")
    return f"{number if high.endswith(unit) else low} to {high}"
