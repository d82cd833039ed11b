"""Every verb that writes: killed at any file operation and run again, it ends with the same bytes."""

import gzip
import json
import random
import shutil
from pathlib import Path

import pytest

from data.documents import Document, write_documents
from data.tokens.build import build_store
from data.tokens.tokenizer import Tokenizer
from model.config import LlamaConfig
from model.llama import Llama
from tests.data.prepare.test_prepare_faults import prose
from tests.support.fork_server import python
from tests.train.weights.test_average import keep

REPOSITORY = Path(__file__).resolve().parents[2]


def documents(draw: random.Random, source: str, n: int) -> list[Document]:
    texts = [prose(draw, 60) for _ in range(n)]
    return [Document(f"{source}:{i}", source, text, "in", i, "", "mit") for i, text in enumerate(texts)]


@pytest.fixture(scope="module")
def tokenizer(corpora) -> Tokenizer:
    return Tokenizer(corpora / "python_docs" / "tokens" / "tokenizer.model")


@pytest.fixture(scope="module")
def before(tokenizer, tmp_path_factory) -> Path:
    """Two corpora of one source, raw dumps of two others, and two runs."""
    from model.initialize import initialize

    draw, folder = random.Random(1), tmp_path_factory.mktemp("before")
    for name in ("corpora", "more"):
        text = folder / name / "prose" / "text"
        write_documents(documents(draw, "prose", 60), text)
        build_store(text, folder / name / "prose" / "tokens", tokenizer, source="prose", heldout=0.1)
    for name in ("c4", "books"):
        (folder / "dumps" / name).mkdir(parents=True)
    for number in range(2):
        rows = [{"text": prose(draw, 60), "url": f"https://example.org/{number}/{i}"} for i in range(80)]
        with gzip.open(folder / "dumps" / "c4" / f"c4-train.{number:05d}-of-01024.json.gz", "wt") as file:
            file.write("".join(json.dumps(row) + "\n" for row in rows))
        book = "\n\n".join(prose(draw, 90) for _ in range(20))
        (folder / "dumps" / "books" / f"{number}-0.txt").write_text(book)
    for seed in range(2):
        model = Llama(
            LlamaConfig(dim=16, n_layers=1, n_heads=2, vocab_size=tokenizer.vocab_size, multiple_of=16)
        )
        initialize(model, seed)
        keep(model, folder / f"run-{seed}", 10, tokenizer)
    shutil.copy(tokenizer.path, folder / "tokenizer.model")
    return folder


SMALL = ["tokenizer", "corpora=WORK/corpora", "data.weights.prose=1", "data.sources=prose", "vocab_size=300"]
CASES = {
    "tokenizer": SMALL,
    "replaced tokenizer": [*SMALL, "output=WORK/tokenizer.model", "replace=true"],
    "append": ["append", "corpora=WORK/corpora", "more=WORK/more", "output=WORK/grown"],
    "average": ["average", "weights=WORK/run-0,WORK/run-1", "output=WORK/mean"],
    "export": ["export", "weights=WORK/run-1", "format=hf", "output=WORK/exported"],
    "prepare": [
        "prepare",
        "recipe=all",
        "input=WORK/dumps.yaml",
        "corpora=WORK/all",
        "vocab_size=300",
        "engine.workers=1",
    ],
}


@pytest.mark.parametrize("case", CASES)
def test_killed_at_any_file_operation_and_run_again_it_writes_the_same(before, tmp_path, case):
    shutil.copytree(before, tmp_path / "before")
    dumps = {name: [f"{tmp_path}/work/dumps/{name}"] for name in ("c4", "books")}
    (tmp_path / "before" / "dumps.yaml").write_text(json.dumps(dumps))
    trials = "3" if case == "prepare" else "8"
    command = ["-m", "tests.support.verb_faults", str(tmp_path), trials, "7", *CASES[case]]
    ran = python(*command, cwd=REPOSITORY, timeout=900)
    assert ran.returncode == 0, ran.stderr[-3000:]
    for trial in json.loads(ran.stdout):
        assert trial["ends"][0][0] == 137 and trial["differ"] == [], trial
        code, last_line = trial["ends"][-1]
        assert code == 0 or "exists" in last_line, trial
