"""Raw dumps to cleaned text, source by source: `python benchmarks/text/sources.py`.

The real samples of ../shared/data, copied to a useful size; one process on one core, without imports.
MB/s of raw input as on disk (compressed if dumps are), by CPU time, so that a busy machine does not distort
it. Each source is run again on twice as many copies: its memory should not grow. Its cleaner alone, in a
process of its own, reads and cleans the same records and keeps nothing.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from importlib import import_module
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
INPUTS = {  # the samples that each source reads
    "c4": ["c4"],
    "github": ["code"],
    "wikipedia": ["wiki/enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2"],
    "books": ["corpus", "books"],
    "arxiv": ["arxiv"],
    "stackexchange": ["stackexchange/coffee.Posts.xml", "stackexchange/meta.datascience.Posts.xml"],
    "text": ["c4"],
}


def copies(source: str, megabytes: float, folder: Path) -> list[Path]:
    """Folders with a copy of the source's samples each, `megabytes` in all or a little more."""
    made, size = [], 0
    while size < megabytes * 1e6:
        copy = folder / f"copy-{len(made):03d}"
        copy.mkdir(parents=True)
        for name in INPUTS[source]:
            origin = SHARED / name
            if origin.is_dir():
                shutil.copytree(origin, copy, dirs_exist_ok=True)
            else:
                shutil.copy(origin, copy)
        if source == "c4":
            as_c4(copy)
        for path in copy.glob("*.Posts.xml"):  # a separate site
            path.rename(path.with_name(f"{len(made)}-{path.name}"))
        made.append(copy)
        size += sum(path.stat().st_size for path in copy.rglob("*") if path.is_file())
    return made


def as_c4(folder: Path) -> None:
    """The samples' texts in C4's own layout."""
    from data.sources import text

    rows = [row for path in text.inputs(folder) for row in text.read(path) if not hasattr(row, "reason")]
    shutil.rmtree(folder)
    folder.mkdir()
    with (folder / "c4-train.00000-of-01024.json").open("w") as out:
        for place, row in enumerate(rows):
            out.write(json.dumps({"text": row.text, "url": f"https://example.org/{place}"}) + "\n")


def cleaner(source: str, inputs: list[str]) -> None:
    """Print the seconds that the recipe's own functions take for everything in `inputs`."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from data.documents import Record

    recipe = import_module(f"data.sources.{source}")
    begin = time.process_time()
    for path in inputs:
        for file in recipe.inputs(Path(path)):
            for item in recipe.read(file):
                if isinstance(item, Record):
                    recipe.clean(item, source=source)
    print(json.dumps({"code": 0, "seconds": time.process_time() - begin}), flush=True)


def contestant(source: str, output: str, inputs: list[str]) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from data.main import main

    arguments = [f"recipe={source}", f"source={source}", f"input={','.join(inputs)}", f"output={output}"]
    begin = time.process_time()
    code = main([*arguments, "stage=text", "engine.workers=1", "max_broken=1"])
    seconds = time.process_time() - begin
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"code": code, "seconds": seconds, "rss": rss}), flush=True)


def ran(source: str, output: str, folders: list[Path]) -> dict:
    """What a contestant measured in a process of its own; exits with its message if it fails."""
    command = [sys.executable, __file__, "--contestant", source, output, *map(str, folders)]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    measured = json.loads(process.stdout.splitlines()[-1]) if process.stdout else {"code": 1}
    if measured["code"]:
        sys.exit(f"{source}: {process.stderr}")
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sources", default=",".join(INPUTS))
    parser.add_argument("--megabytes", type=float, default=16, help="of raw input; then twice that")
    parser.add_argument("--contestant", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        source, output, *inputs = arguments.contestant
        cleaner(source, inputs) if output == "none" else contestant(source, output, inputs)
        return
    if not SHARED.is_dir():
        parser.error(f"{SHARED}: no such folder; this benchmark reads the raw samples there")
    heads = ("raw MB", "MB/s", "text MB", "documents", "of the cleaner", "peak RSS", "with twice as much")
    print(f"{'':16}" + "".join(f"{head:>{max(11, len(head) + 2)}}" for head in heads))
    for source in arguments.sources.split(","):
        row = []
        for size in (arguments.megabytes, 2 * arguments.megabytes):
            with tempfile.TemporaryDirectory() as place:
                folders = copies(source, size, Path(place) / "in")
                raw = sum(path.stat().st_size for f in folders for path in f.rglob("*") if path.is_file())
                measured = ran(source, f"{place}/out", folders)
                measured["alone"] = ran(source, "none", folders)["seconds"] if not row else 0
                report = json.loads(Path(place, "out", "report.json").read_text())
                row.append((raw, measured, report))
        (raw, measured, report), (_, twice, _) = row
        print(
            f"{source:16}{raw / 1e6:11.1f}{raw / 1e6 / measured['seconds']:11.2f}"
            f"{report['text_bytes'] / 1e6:11.1f}{report['kept']:11,}"
            f"{measured['alone'] / measured['seconds']:16.0%}{measured['rss'] / 2**20:7.0f} MiB"
            f"{twice['rss'] / 2**20:16.0f} MiB",
            flush=True,
        )


if __name__ == "__main__":
    main()
