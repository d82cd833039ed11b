"""Peak memory of every verb and recipe at two sizes of input: `python benchmarks/text/memory.py`.

The real samples of ../shared/data, copied to `--megabytes` of raw input and to twice that, as in
`benchmarks/text/sources.py`; each command is its own process on one core, with one worker. The verbs run
on a tiny model and the token stores of both sizes. A row grows if the second size takes a tenth more.
"""

import argparse
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from urllib.request import Request, urlopen

from commoncrawl import write_warc, write_wet
from sources import SHARED, copies

ROOT = Path(__file__).resolve().parents[2]

TASK = ROOT / "benchmarks" / "reproduction" / "continuation.yaml"
TOKENIZER = SHARED / "tokenizer" / "llama-tokenizer.model"
RECIPES = ("wikipedia", "github", "arxiv", "stackexchange", "books", "c4", "text")
PREPARE = "stage=text engine.workers=1 max_broken=1"
MODEL = (
    "model.dim=32 model.n_layers=2 model.n_heads=2 seq_len=64 micro_batch=1 global_batch=512 precision=fp32"
)
TRAINED = (
    f"model=tiny {MODEL} threads=1 steps=20 validate.sequences=4 checkpoint.every=10 data=mix "
    "data.sources=text data.weights.text=1"
)
VERBS = {  # in the order of their needs; {run}: the run folder
    "tokenizer": "tokenizer vocab_size=500 data.sources=text data.weights.text=1 output={out}/t.model",
    "prepare stage=tokens": "prepare recipe=text source=text stage=tokens engine.workers=1 tokenizer={model}",
    "audit": "audit data=mix data.sources=text data.weights.text=1 tokens=100000",
    "train": f"train {TRAINED} run={{run}}",
    "validate": "validate weights={run}",
    "generate": "generate weights={run} prompt=The max_tokens=20",
    "explain": "explain run={run} step=3",
    "export": "export weights={run} output={out}/hf format=hf",
    "import": "import weights={out}/hf output={out}/imported",
    "average": "average weights={run}@10,{run}@20 output={out}/average",
    "report": "report run={run}",
    "plan": "plan model=7b",
    "find": "find run={run} document=re:.",  # every document
    "branch": "branch run={run} at=10 to={out}/branch optim.lr=1e-4",
    "runs": "runs folder={out}",
    "launch": f"launch processes=2 {TRAINED} run={{out}}/two",
    "append": "append more={out}/more output={out}/appended",  # as much as there is
    "ladder": "ladder sizes=1M,2M,4M tokens_per_parameter=0.03,0.04 width_per_layer=16 run={out}/ladder "
    "seq_len=64 micro_batch=8 global_batch=512 optim.lr=4e-3 precision=fp32 threads=1 data=mix "
    "data.sources=text data.weights.text=1",
    "evaluate": "evaluate weights={run} tasks={task} benchmarks={out}/questions output={out}/scores batch=4",
    "chat": "chat weights={run} max_tokens=4",
}
READ_CORPORA = (
    "tokenizer",
    "prepare stage=tokens",
    "audit",
    "train",
    "validate",
    "launch",
    "append",
    "ladder",
)
PER_MEGABYTE = 10  # questions for evaluate, lines for chat and requests for serve


def started(arguments: list[str], stdin: int | IO[bytes]) -> subprocess.Popen[bytes]:
    """`relama ARGUMENTS` on one core, in the background."""
    core = min(os.sched_getaffinity(0))
    code = (
        f"import os, sys; os.sched_setaffinity(0, {{{core}}}); from launch.cli import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def peak(arguments: list[str], typed: str = "") -> float:
    """Peak memory in MiB of `relama ARGUMENTS` with `typed` on stdin; exits with its message if it fails."""
    with tempfile.TemporaryFile() as keyboard:
        keyboard.write(typed.encode())
        keyboard.seek(0)
        process = started(arguments, keyboard)
    return ended(process, arguments, 0)


def ended(process: subprocess.Popen[bytes], arguments: list[str], expected: int) -> float:
    """Peak resident memory in MiB of a process that ends with the exit code `expected`."""
    assert process.stdout is not None
    output = process.stdout.read().decode(errors="replace")
    _, status, used = os.wait4(process.pid, 0)
    if os.waitstatus_to_exitcode(status) != expected:
        sys.exit(f"relama {shlex.join(arguments)}: {output[-1500:]}")
    return used.ru_maxrss / 1024


def serving(run: Path, requests: int) -> float:
    """Peak memory of `relama serve` after `requests`, each of another prompt."""
    arguments = ["serve", f"weights={run}", "name=run", "port=0", "batch=4"]
    process = started(arguments, subprocess.DEVNULL)
    assert process.stdout is not None
    for line in process.stdout:
        if found := re.search(rb"http://\S+:\d+", line):
            break
    else:
        sys.exit("relama serve ended without an address")
    for number in range(requests):
        body = json.dumps({"model": "run", "prompt": f"Chapter {number}", "max_tokens": 4}).encode()
        header = {"Content-Type": "application/json"}
        urlopen(Request(found[0].decode() + "/v1/completions", body, header)).read()
    process.send_signal(signal.SIGINT)
    return ended(process, arguments, 130)


def prepared(name: str, megabytes: float, place: Path) -> float:
    """Peak memory of a recipe on this much raw input; its text goes to place/corpora."""
    inputs = copies(name, megabytes, place / name)
    given = ",".join(map(str, inputs))
    words = [f"recipe={name}", f"source={name}", f"input={given}", f"corpora={place / 'corpora'}"]
    return peak(["prepare", *words, *PREPARE.split()])


def crawled(kind: str, megabytes: float, place: Path) -> float:
    """The same for recipe=commoncrawl on WARC or WET files, without the steps that need models."""
    folder = place / kind
    folder.mkdir()
    size = number = 0
    while size < megabytes * 1e6:
        path = folder / f"{number}.warc.gz"
        wet = path.with_suffix(".wet.gz")
        size += write_warc(path, number) if kind == "WARC" else write_wet(wet, 12 * number)
        number += 1
    words = [
        "recipe=commoncrawl",
        f"source={kind.lower()}",
        f"input={folder}",
        f"corpora={place / 'corpora'}",
    ]
    words += ["ccnet.skip=perplexity,references", "ccnet.group=1", "ccnet.languages=en,de"]
    return peak(["prepare", *words, *PREPARE.split()])


def rows(megabytes: float, only: str) -> Iterator[tuple[str, float, float]]:
    """The name of each row, and its peak memory at both sizes."""
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder, size) for size in ("once", "twice")]
        sizes = [(place, times * megabytes) for place, times in zip(places, (1, 2))]
        for name in RECIPES:
            if only in name or name == "text":
                first, second = (prepared(name, size, place) for place, size in sizes)
                yield f"recipe={name}", first, second
        for kind in ("WARC", "WET"):
            if only in kind:
                first, second = (crawled(kind, size, place) for place, size in sizes)
                yield f"recipe=commoncrawl, {kind}", first, second
        asked = [int(PER_MEGABYTE * size) for _, size in sizes]
        for place, number in zip(places, asked):
            write_questions(place / "questions", number)
        for name, words in VERBS.items():
            where = {
                place: {"run": place / "run", "out": place, "model": TOKENIZER, "task": TASK}
                for place in places
            }
            filled = [
                [word.format(**where[place]) for word in words.split()]
                + ([f"corpora={place / 'corpora'}"] if name in READ_CORPORA else [])
                for place in places
            ]
            if name == "append" and only in name:
                for place in places:
                    write_more(place)
            if only in name or name in ("prepare stage=tokens", "train", "export"):
                typed = ["Once upon a time\n" * number if name == "chat" else "" for number in asked]
                first, second = (peak(*given) for given in zip(filled, typed))
                yield name, first, second
        if only in "serve":
            first, second = (serving(place / "run", number) for place, number in zip(places, asked))
            yield "serve", first, second


def write_more(place: Path) -> None:
    """Tokens to append to those of the text: as many, in another order."""
    shutil.copytree(place / "corpora" / "text" / "text", place / "more" / "text" / "text")
    words = VERBS["prepare stage=tokens"].format(model=TOKENIZER).split()
    peak([*words, f"corpora={place / 'more'}", "seed=2"])


def write_questions(folder: Path, number: int) -> None:
    """`number` questions of four endings for the task of the reproduction."""
    questions = (
        {"context": f"Chapter {i}. It was", "endings": [" a day", " night", " he", " over"], "label": i % 4}
        for i in range(number)
    )
    path = folder / "continuation" / "validation.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(question) + "\n" for question in questions))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--megabytes", type=float, default=16, help="of raw input; then twice that")
    parser.add_argument("--only", default="", help="rows with this in their name, and what they need")
    given = parser.parse_args()
    if not SHARED.is_dir():
        parser.error(f"{SHARED}: no such folder; this benchmark reads the raw samples there")
    print(f"| | MiB at {given.megabytes:g} MB | at {2 * given.megabytes:g} MB | |\n|---|---:|---:|---:|")
    for name, first, second in rows(given.megabytes, given.only):
        grows = " grows" if second > 1.1 * first else ""
        print(f"| {name} | {first:,.0f} | {second:,.0f} | {second / first:.2f}×{grows} |", flush=True)


if __name__ == "__main__":
    main()
