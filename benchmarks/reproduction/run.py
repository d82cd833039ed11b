"""`make reproduction` (QUICK=1: a quarter of an hour): the paper's recipe from raw text to scores, small.

Stages: raw text → seven sources, a tokenizer and tokens → a ladder of four sizes → held-out bits per byte by
source → generations → conformance with the paper → figures. Each is a command of `relama`, is skipped if it
is done, and resumes if it was interrupted. Everything is in runs/reproduction[-quick]/.
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

import raw  # noqa: E402

RELAMA = [sys.executable, "-m", "launch.cli"]
PROMPTS = ("The function returns", "def __init__(self", "Examples")
QUICK = {
    "vocab_size": 512,
    "sizes": "20k,66k,132k,280k",
    "width_per_layer": 16,
    "seq_len": 128,
    "tokens_per_parameter": "5,10,20",
}
FULL = {
    "vocab_size": 4096,
    "sizes": "1.1M,1.9M,2.9M,4.2M",
    "width_per_layer": 32,
    "seq_len": 256,
    "tokens_per_parameter": "2,5,10",
}


class Reproduction:
    """The stages in order, and what each took."""

    def __init__(self, quick: bool) -> None:
        self.quick, self.asked = quick, QUICK if quick else FULL
        self.work = Path("runs") / ("reproduction-quick" if quick else "reproduction")
        self.work.mkdir(parents=True, exist_ok=True)
        self.corpora, self.ladder = self.work / "corpora", self.work / "ladder"
        self.times = self.work / "stages.json"

    def run(self) -> None:
        stages: list[Callable[[], None]] = [
            *(self.raw_text, self.sources_and_tokens, self.train_ladder),
            *(self.generate, self.conformance, self.figures),
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
            except subprocess.CalledProcessError as error:
                sys.exit(f"{name}: relama {error.cmd[3]} failed; fix the cause and run this again to resume")
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
            *("precision=fp32",) * self.quick,
        )

    def generate(self) -> None:
        """Greedy continuations by the smallest and the largest model."""
        runs = self.runs()
        texts = {}
        for run in (runs[0], runs[-1]):
            found = []
            for prompt in PROMPTS:
                words = ("generate", f"weights=./{self.ladder / run['name']}", f'prompt="{prompt}"')
                found.append(relama(*words, "max_tokens=60", "temperature=0", "dtype=fp32", capture=True))
            texts[run["name"]] = found
        (self.work / "generations.json").write_text(json.dumps(texts, indent=1))

    def conformance(self) -> None:
        words = ("audit", f"run=./{self.ladder / self.runs()[-1]['name']}", f"corpora={self.corpora}")
        (self.work / "conformance.txt").write_text(relama(*words, "size=7b", capture=True))

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
        document["generations"] = json.loads((self.work / "generations.json").read_text())
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


def relama(*words: str, capture: bool = False) -> str:
    """Run a verb; its output if `capture`."""
    command = [*RELAMA, *words]
    process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE if capture else None)
    try:
        output, _ = process.communicate()
    except BaseException:
        process.wait()  # the signal reached it too: it saves
        raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return output or ""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a quarter of an hour on two cores")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    Reproduction(parser.parse_args().quick).run()
