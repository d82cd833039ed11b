"""What each of CCNet's steps does to held-out loss, after `make reproduction`: `python …/ablation.py FOLDER`.

FOLDER is that of the reproduction (runs/reproduction-quick). CommonCrawl's text is prepared with every step,
without one of them, and without any; for each, the same small model is trained on the same number of its
tokens with three seeds. Held-out text is the same for all: that of every source of the reproduction. Needs
lmplz (data/ccnet/build_kenlm.sh). Run it again to resume.
"""

import json
import statistics
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))
sys.path.insert(0, str(Path(__file__).parent))

from run import relama  # noqa: E402

from data.tokens.store import TokenStore, tokenizer_in  # noqa: E402
from data.tokens.tokenizer import Tokenizer  # noqa: E402
from model.parallelize.mesh import Layout  # noqa: E402
from train.evaluation.validation import validate  # noqa: E402
from train.ranks.setup import set_up, tear_down  # noqa: E402
from train.weights.open import load_model, open_weights  # noqa: E402

STEPS = ("paragraphs", "perplexity", "references")
VARIANTS = {"every step": (), **{f"without {step}": (step,) for step in STEPS}, "without all three": STEPS}
SEEDS = (1, 2, 3)
SHAPE = ("model=tiny", "model.dim=48", "model.n_layers=3", "model.n_heads=3", "model.multiple_of=64")
TRAINING = ("model.max_seq_len=128", "seq_len=128", "global_batch=1024", "micro_batch=8", "steps=640")
QUIETLY = ("validate.every=0", "checkpoint.every=640", "optim.lr=0.005", "precision=fp32", "threads=1")


def main(work: Path) -> None:
    folder = work / "ablation"
    models = make_models(work, folder)
    manifests = sorted((work / "corpora").glob("*/tokens/manifest.json"))
    heldout = {path.parts[-3]: TokenStore.open(path.parent, "heldout") for path in manifests}
    print(
        f"| CommonCrawl | tokens | {' | '.join(heldout)} | mean |",
        "|---" * (len(heldout) + 3) + "|",
        sep="\n",
    )
    for number, (variant, skip) in enumerate(VARIANTS.items()):
        corpora = folder / f"variant-{number}"
        relama(
            *("prepare", "recipe=commoncrawl", f"input={work / 'raw' / 'commoncrawl.warc.wet.gz'}"),
            *(f"corpora={corpora}", f"tokenizer={tokenizer_in(manifests[0].parent)}", "heldout=0.03"),
            *(f"ccnet.models={models}", "ccnet.min_language=0.3", f"ccnet.skip={','.join(skip) or '[]'}"),
            capture=True,
        )
        results = [train(folder / f"run-{number}-{seed}", corpora, seed, heldout) for seed in SEEDS]
        columns = [[result[name] for result in results] for name in heldout]
        columns.append([statistics.mean(result.values()) for result in results])
        shown = (f"{statistics.mean(values):.4f} ± {statistics.stdev(values):.4f}" for values in columns)
        tokens = TokenStore.open(corpora / "commoncrawl" / "tokens").n_tokens
        print(f"| {variant} | {tokens:,} | {' | '.join(shown)} |", flush=True)


def make_models(work: Path, folder: Path) -> Path:
    """The language model and the classifier, from the reproduction's own Wikipedia."""
    (folder / "models").mkdir(parents=True, exist_ok=True)
    link = folder / "models" / "wikipedia"
    if not link.exists():
        link.symlink_to((work / "corpora" / "wikipedia").resolve())
    cited = folder / "cited.txt"
    cited.write_text("https://docs.python.org/3/reference/\n")  # none of our pages: its articles stand in
    relama(
        *("prepare", "recipe=ccnet-models", f"input={work / 'raw' / 'commoncrawl.warc.wet.gz'}"),
        *(f"ccnet.cited={cited}", "ccnet.stand_in=true", "ccnet.min_examples=30", "ccnet.lm_pieces=2000"),
        *("ccnet.min_language=0.3", f"corpora={folder / 'models'}"),
        capture=True,
    )
    return folder / "models" / "ccnet-models"


def train(run: Path, corpora: Path, seed: int, heldout: dict[str, TokenStore]) -> dict[str, float]:
    """Bits per byte of each source's held-out text, after training; read from a file if that was done."""
    done = run / "heldout.json"
    if not done.exists():
        data = ("data=mix", "data.sources=commoncrawl", f"corpora={corpora}", f"seed={seed}")
        relama("train", f"run=./{run}", *SHAPE, *TRAINING, *QUIETLY, *data, capture=True)
        ranks = set_up(Layout())
        try:
            model = load_model(open_weights(run), ranks.device)
            text = Tokenizer(tokenizer_in(next(iter(heldout.values())).folder))
            found = validate(model, heldout, text, ranks, seq_len=128, sequences=256, batch=16, seed=0)
        finally:
            tear_down()
        done.write_text(json.dumps({name: values["bits_per_byte"] for name, values in found.items()}))
    return json.loads(done.read_text())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
