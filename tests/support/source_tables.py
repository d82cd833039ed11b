"""What each recipe keeps and drops, as Markdown for docs/sources.md.

`python -m tests.support.source_tables > docs/sources.md` reads the raw samples in ../shared/data.
`tests/data/sources/test_source_tables.py` makes the same tables from these and from generated dumps, and
checks that every record is accounted for.
"""

import contextlib
import json
import sys
import tempfile
from pathlib import Path

from data.main import main as prepare

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
INPUTS = {
    "commoncrawl": ["cc"],
    "c4": ["c4/dolma-documents-000.json.gz", "c4/dolma-cc_en_head-0091.jsonl.gz"],
    "github": ["code"],
    "wikipedia": ["wiki"],
    "books": ["books", "corpus"],
    "arxiv": ["arxiv"],
    "stackexchange": ["stackexchange/coffee.Posts.xml", "stackexchange/meta.datascience.Posts.xml"],
    "text": ["c4"],
}
HEAD = """# What each source's recipe keeps and drops

Made by `python -m tests.support.source_tables` from small raw samples of each source. Every
record read is kept or counted under a reason. `corpora/SOURCE/report.html` shows the same for your own dumps,
with examples to read.
"""


def run(source: str, inputs: list[str], folder: Path) -> dict:
    """Prepare one source's text and return its report. Raises AssertionError if that fails."""
    arguments = [
        f"recipe={source}",
        f"source={source}",
        f"input={','.join(inputs)}",
        f"output={folder / source}",
    ]
    if source == "commoncrawl":  # trains its two models first
        arguments.append("ccnet.skip=perplexity,references")
    with contextlib.redirect_stdout(sys.stderr):
        code = prepare([*arguments, "stage=text", "engine.workers=1", "max_broken=1"])
    assert code == 0, f"relama prepare {' '.join(arguments)}"
    return json.loads((folder / source / "report.json").read_text())


def table(source: str, report: dict) -> str:
    """A Markdown section: records read and kept, and a table of drops with an example for each reason."""
    lines = [
        f"\n## {source}\n",
        f"{report['read']:,} records read, {report['kept']:,} kept ({report['text_bytes'] / 1e6:.1f} MB).\n",
        "| dropped because | records | for example |",
        "|---|---:|---|",
    ]
    reasons = sorted(report["dropped"].items(), key=lambda item: (-item[1]["count"], item[0]))
    for reason, counted in reasons:
        example = counted["examples"][0]
        detail = f": {example['detail']}" if example["detail"] else ""
        shown = f"{Path(example['file']).name}, record {example['record']}{detail}"
        shown = " ".join(shown.replace("|", "\\|").replace(str(SHARED) + "/", "").split())[:160]
        lines.append(f"| {reason} | {counted['count']:,} | {shown} |")
    return "\n".join(lines if reasons else lines[:2])


def main() -> None:
    if not SHARED.is_dir():
        sys.exit(f"{SHARED}: no such folder; the tables are made from the raw samples there")
    print(HEAD)
    with tempfile.TemporaryDirectory() as folder:
        for source, names in INPUTS.items():
            print(table(source, run(source, [str(SHARED / name) for name in names], Path(folder))))


if __name__ == "__main__":
    main()
