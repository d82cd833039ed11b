"""`make reproduction` (QUICK=1: a quarter of an hour): the paper's recipe from raw text to scores, small.

Stages: raw text → seven sources, a tokenizer and tokens → a ladder of four sizes → held-out bits per byte by
source → generations through training → scores → conformance with the paper → figures. Each is a command of
`relama`, is skipped if it is done, and resumes if it was interrupted. All of it is in
runs/reproduction[-quick]/.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))
sys.path.insert(0, str(Path(__file__).parent))

import questions  # noqa: E402
import raw  # noqa: E402

RELAMA = [sys.executable, "-m", "launch.cli"]
TASK = Path(__file__).with_name("continuation.yaml")
SAVED = 200  # steps between the checkpoints that are kept
PROMPTS = ("The function returns", "def __init__(self", "Examples")
QUICK = {
    "vocab_size": 512,
    "sizes": "20k,66k,132k,280k",
    "width_per_layer": 16,
    "seq_len": 128,
    "tokens_per_parameter": "5,10,20",
}
FULL = {
    "vocab_size": 2048,
    "sizes": "0.37M,0.73M,1.4M,2.2M",
    "width_per_layer": 32,
    "seq_len": 256,
    "tokens_per_parameter": "2,5,10",
}


class Reproduction:
    """The stages in order, and what each took."""

    def __init__(self, quick: bool, more: Path | None) -> None:
        self.quick, self.more, self.asked = quick, more, QUICK if quick else FULL
        self.work = Path("runs") / ("reproduction-quick" if quick else "reproduction")
        self.work.mkdir(parents=True, exist_ok=True)
        self.corpora, self.ladder = self.work / "corpora", self.work / "ladder"
        self.times = self.work / "stages.json"

    def run(self) -> None:
        stages: list[Callable[[], None]] = [
            *(self.raw_text, self.sources_and_tokens, self.train_ladder),
            *(self.generate, self.evaluate, self.conformance, self.figures),
        ]
        for stage in stages:
            done = json.loads(self.times.read_text()) if self.times.exists() else {}
            name = stage.__name__.replace("_", " ")
            if done.get(name, {}).get("done"):
                continue
            print(f"\n== {name}", flush=True)
            begin, ended = time.monotonic(), False
            try:
                stage()
                ended = True
            finally:
                seconds = done.get(name, {}).get("seconds", 0.0) + time.monotonic() - begin
                done[name] = {"seconds": round(seconds, 1), "done": ended}
                self.times.write_text(json.dumps(done, indent=1))
        done = json.loads(self.times.read_text())
        for name, spent in done.items():
            print(f"{name:24}{spent['seconds']:10,.0f} s")
        print(f"{'in all':24}{sum(spent['seconds'] for spent in done.values()):10,.0f} s")

    def raw_text(self) -> None:
        dumps = raw.write_all(self.work, full=not self.quick)
        for source, paths in json.loads(self.more.read_text()).items() if self.more else ():
            if source not in dumps:
                sys.exit(f"{self.more}: expected the sources {', '.join(dumps)} as keys, got {source!r}")
            dumps[source] += paths
        (self.work / "dumps.yaml").write_text(json.dumps(dumps))  # JSON is YAML

    def sources_and_tokens(self) -> None:
        relama(
            *("prepare", "recipe=all", f"input={self.work / 'dumps.yaml'}", f"corpora={self.corpora}"),
            f"vocab_size={self.asked['vocab_size']}",
            *("heldout=0.03", "ccnet.skip=perplexity,references", "ccnet.min_language=0.3"),
        )

    def train_ladder(self) -> None:
        keys = ("sizes", "width_per_layer", "seq_len", "tokens_per_parameter")
        relama(
            *("ladder", f"run=./{self.ladder}", "data=mix", f"corpora={self.corpora}", "at_once=2"),
            *(f"{key}={self.asked[key]}" for key in keys),
            *(f"checkpoint.every={SAVED}", f"checkpoint.keep_every={SAVED}"),
            *("precision=fp32",) * self.quick,
        )

    def generate(self) -> None:
        """Greedy continuations by the largest model through its training, and by the smallest at its end."""
        smallest, largest = self.runs()[0]["name"], self.runs()[-1]
        saved = range(SAVED, largest["steps"], SAVED)
        times = sorted({saved[len(saved) * share // 4] for share in range(4)} if saved else ())
        models = [smallest, *(f"{largest['name']}@{step}" for step in times), largest["name"]]
        prompts = self.work / "prompts.jsonl"
        prompts.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in PROMPTS))
        how = (f"prompts={prompts}", "json=true", "max_tokens=60", "temperature=0", "dtype=fp32")
        texts = {}
        for name in models:
            lines = relama("generate", f"weights=./{self.ladder / name}", *how, capture=True).splitlines()
            texts[name] = [json.loads(line)["completion"] for line in lines]
        (self.work / "generations.json").write_text(json.dumps(texts, indent=1))

    def evaluate(self) -> None:
        """Each size's longest run on questions from the held-out text."""
        questions.write(self.corpora, self.work / "benchmarks")
        longest = {run["parameters"]: run["name"] for run in self.runs()}  # the last of each size
        how = (f"tasks={TASK}", f"benchmarks={self.work / 'benchmarks'}", "dtype=fp32", "batch=32")
        scores = {}
        for name in longest.values():
            output = self.work / "evaluation" / name
            relama("evaluate", f"weights=./{self.ladder / name}", f"output={output}", *how)
            (path,) = output.glob("tasks/continuation-*.json")
            scores[name] = json.loads(path.read_text())
        (self.work / "scores.json").write_text(json.dumps(scores, indent=1))

    def conformance(self) -> None:
        run = f"run=./{self.ladder / self.runs()[-1]['name']}"
        text = relama("audit", run, f"corpora={self.corpora}", "size=7b", capture=True)
        (self.work / "conformance.txt").write_text(text)

    def figures(self) -> None:
        """The ladder's charts as SVG files, and the numbers."""
        from train.ladder import results
        from train.ladder.fit import fit
        from train.ladder.page import charts

        document = json.loads((self.ladder / "ladder.json").read_text())
        names = [run["name"] for run in document["runs"]]
        done = [found for name in names if (found := results.read(self.ladder / name, name))]
        fitted = fit([result.point for result in done if not result.excluded])
        for name, chart in charts(document, done, fitted).items():
            (self.work / f"{name}.svg").write_text(chart.file())
        document["stages"] = json.loads(self.times.read_text())
        document["corpora"] = {path.parent.parent.name: counts(path) for path in self.manifests()}
        for name in ("generations", "scores"):
            document[name] = json.loads((self.work / f"{name}.json").read_text())
        (self.work / "results.json").write_text(json.dumps(document, indent=1) + "\n")

    def runs(self) -> list[dict]:
        """The ladder's runs by size and tokens."""
        runs = json.loads((self.ladder / "ladder.json").read_text())["runs"]
        return sorted(runs, key=lambda run: (run["parameters"], run["tokens"]))

    def manifests(self) -> list[Path]:
        return sorted(self.corpora.glob("*/tokens/manifest.json"))


def counts(manifest: Path) -> dict:
    """Tokens for training and held out, and the bytes of cleaned text."""
    from data.tokens.store import TokenStore

    train, heldout = (TokenStore.open(manifest.parent, split) for split in ("train", "heldout"))
    report = json.loads((manifest.parents[1] / "report.json").read_text())
    text = {key: report[key] for key in ("read", "kept") if key in report}
    return {"train": train.n_tokens, "heldout": heldout.n_tokens, **text}


def relama(*arguments: str, capture: bool = False) -> str:
    """Run a verb; its output if `capture`. Exits if the verb fails, whose own message has told why."""
    command = [*RELAMA, *arguments]
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE if capture else None)
    try:
        output, _ = process.communicate()
    except BaseException:
        process.wait()  # the signal reached it too: it saves
        raise
    if process.returncode:
        sys.exit(f"relama {arguments[0]} failed; fix the cause and run this again to resume")
    return output or ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a quarter of an hour on two cores")
    parser.add_argument(
        "--more", type=Path, metavar="FILE", help="your own dumps too: JSON, source to list of files"
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments = parser.parse_args()
    Reproduction(arguments.quick, arguments.more).run()
