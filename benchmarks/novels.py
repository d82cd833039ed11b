"""A `small` model on real novels, against a plain loop over transformers: `python benchmarks/novels.py`.

Both get the same initial weights, the same tokens in the same order, the same schedule and threads, and are
measured on the same held-out text, in fp32. Then ours is trained again, killed (kill -9) halfway and resumed;
and in bf16, whose held-out loss, and losses smoothed over eight steps, must stay within 0.5 % of fp32's.
The default, 80 steps of 4,096 tokens, trains for about ten minutes on two cores.
"""

import argparse
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from data.loader import Loader  # noqa: E402
from data.order import Order  # noqa: E402
from data.tokens.store import TokenStore  # noqa: E402
from data.tokens.tokenizer import Tokenizer  # noqa: E402
from model.initialize import initialize  # noqa: E402
from model.llama import Llama  # noqa: E402
from tests.support.theirs import their_model  # noqa: E402
from train.config import TrainConfig  # noqa: E402
from train.optimizer import build_optimizer, learning_rate, set_learning_rate  # noqa: E402
from train.run.configuration import read_run_config  # noqa: E402

HELDOUT = 0.01
EXCERPT = 8000  # about how many characters; holding out a few entire novels would not be representative
DATA = ("data=mix", "data.weights.novels=1", "data.sources=novels")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--corpus", default=str(REPOSITORY.parent / "shared" / "data" / "corpus"))
    parser.add_argument("--work", default="runs/novels-benchmark", help="an empty folder")
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--theirs", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.theirs:
        train_theirs(Path(asked.theirs))
        return
    work = Path(asked.work).resolve()
    if work.exists() and any(work.iterdir()):
        sys.exit(f"{work}: not empty; give another --work")
    if not Path(asked.corpus).is_dir():
        sys.exit(f"{asked.corpus}: no such folder; give --corpus, a folder of novels as text files")
    prepare(work, asked.corpus)
    ours = train_ours(work, "ours", asked.steps)
    theirs = json.loads(subprocess.check_output([sys.executable, __file__, "--theirs", str(work / "ours")]))
    resumed = train_ours(work, "resumed", asked.steps, kill_after=max(1, asked.steps // 2))
    bf16 = train_ours(work, "bf16", asked.steps, precision="bf16")
    report(asked.steps, ours, theirs, resumed, bf16)


def prepare(work: Path, corpus: str) -> None:
    work.mkdir(parents=True, exist_ok=True)
    with open(work / "novels.jsonl", "w", encoding="utf-8") as excerpts:
        for path in sorted(Path(corpus).glob("*.txt")):
            lines: list[str] = []
            for line in [*path.read_text(encoding="utf-8", errors="replace").splitlines(), None]:
                if line is None or sum(map(len, lines)) > EXCERPT:
                    excerpts.write(json.dumps({"text": "\n".join(lines), "id": path.name}) + "\n")
                    lines = []
                lines.append(line or "")
    text = ("recipe=text", "source=novels", f"corpora={work}")
    relama("prepare", *text, f"input={work / 'novels.jsonl'}", "stage=text")
    model = work / "tokenizer.model"
    relama("tokenizer", *DATA, f"corpora={work}", "vocab_size=4096", f"output={model}")
    relama("prepare", *text, "stage=tokens", f"tokenizer={model}", f"heldout={HELDOUT}")


def train_ours(
    work: Path, name: str, steps: int, kill_after: int | None = None, precision: str = "fp32"
) -> dict:
    """Our figures; with `kill_after`, for a run that was killed at that step and resumed."""
    settings = (
        *("model=small", *DATA, f"corpora={work}", f"run={work / name}", f"steps={steps}"),
        *("global_batch=4096", f"checkpoint.every={max(1, steps // 4)}"),
        *("validate.every=0", "validate.sequences=1000000", f"precision={precision}"),
    )
    begin = time.perf_counter()
    if kill_after is not None:
        process = subprocess.Popen([*RELAMA, "train", *settings])
        metrics = work / name / "metrics.jsonl"
        while not (metrics.exists() and metrics.read_text().count("\n") >= kill_after):
            if process.poll() is not None:
                sys.exit("the run ended before it could be killed")
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    relama("train", *settings)
    wall = time.perf_counter() - begin
    lines = [json.loads(line) for line in (work / name / "metrics.jsonl").read_text().splitlines()]
    seconds = sum(line["seconds"]["total"] - line["seconds"].get("validate", 0.0) for line in lines)
    losses = [line["loss"] for line in lines]
    return {"seconds": seconds, "wall": wall, "losses": losses, **lines[-1]["validation"]["novels"]}


def train_theirs(run: Path) -> None:
    """The plain loop, on the order and the schedule of our run; prints its figures as JSON."""
    config = read_run_config(run)
    begin = time.perf_counter()
    store = TokenStore.open(run.parent / "novels" / "tokens")
    config.model.vocab_size = store.vocab_size
    model = Llama(config.model)
    initialize(model, config.seed)
    model = their_model(config.model, model)
    optimizer = build_optimizer(model, config.optim)
    order = Order.from_json(json.loads((run / "order.json").read_text())["order"])
    sequences = config.batch_sequences
    micro_batches = sequences // config.micro_batch
    with Loader(order, {"novels": store}, micro_batch=config.micro_batch, global_batch=sequences) as loader:
        batches = loader.batches(0, config.steps)
        started = time.perf_counter()
        for step in range(1, config.steps + 1):
            set_learning_rate(optimizer, learning_rate(step, config.steps, config.optim))
            for _ in range(micro_batches):
                inputs, labels = next(batches)
                (their_loss(model, inputs, labels) / micro_batches).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip)
            optimizer.step()
            optimizer.zero_grad()
            print(f"\rtransformers: step {step}/{config.steps}", end="", file=sys.stderr, flush=True)
        seconds = time.perf_counter() - started
    print(file=sys.stderr)
    wall = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "wall": wall, **held_out(model, run, config)}))


@torch.no_grad()
def held_out(model, run: Path, config: TrainConfig) -> dict:
    store = TokenStore.open(run.parent / "novels" / "tokens", "heldout")
    assert config.seq_len is not None
    tokenizer = Tokenizer(run / "tokenizer.model")
    nats = tokens = size = 0.0
    for i in range(store.n_sequences(config.seq_len)):
        row = torch.from_numpy(store.sequence(i, config.seq_len).astype("int64"))[None]
        nats += their_loss(model, row[:, :-1], row[:, 1:]).item() * config.seq_len
        tokens += config.seq_len
        size += tokenizer.text_bytes(row.numpy())
    return {"loss": nats / tokens, "bits_per_byte": nats / math.log(2) / size, "tokens": int(tokens)}


def their_loss(model, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(model(inputs).logits.flatten(0, 1), labels.flatten())


def furthest(losses: list[float], others: list[float], steps: int = 8) -> float:
    """The largest relative difference of two curves' means over `steps` steps."""
    steps = min(steps, len(losses))
    ends = range(steps, len(losses) + 1)
    return max(abs(sum(others[end - steps : end]) / sum(losses[end - steps : end]) - 1) for end in ends)


def report(steps: int, ours: dict, theirs: dict, resumed: dict, bf16: dict) -> None:
    print(f"\nsmall model on novels, {steps} steps, {ours['tokens']:,} held-out tokens")
    print(f"{'':28}{'held-out loss':>14}{'bits/byte':>12}{'seconds':>10}")
    rows = {
        "relama": ours,
        "transformers loop": theirs,
        "relama, killed and resumed": resumed,
        "relama, bf16": bf16,
    }
    for name, row in rows.items():
        print(f"{name:28}{row['loss']:14.6f}{row['bits_per_byte']:12.6f}{row['seconds']:10.1f}")
    difference = abs(ours["bits_per_byte"] / theirs["bits_per_byte"] - 1)
    print(f"bits/byte differ by {difference:.4%} (at most 0.5 %)")
    print(f"ours took {ours['seconds'] / theirs['seconds']:.3f} of their time")
    same = (ours["loss"], ours["bits_per_byte"]) == (resumed["loss"], resumed["bits_per_byte"])
    print(f"killed and resumed: {'the same to the last digit' if same else 'NOT THE SAME'}")
    apart = max(abs(bf16["loss"] / ours["loss"] - 1), furthest(ours["losses"], bf16["losses"]))
    share = bf16["seconds"] / ours["seconds"]
    print(f"bf16 is within {apart:.4%} of fp32 (at most 0.5 %), in {share:.2f} of the time")
    if max(difference, apart) > 0.005 or not same:
        sys.exit(1)


RELAMA = [sys.executable, "-m", "launch.cli"]


def relama(*arguments: str) -> None:
    subprocess.run([*RELAMA, *arguments], check=True)


if __name__ == "__main__":
    main()
