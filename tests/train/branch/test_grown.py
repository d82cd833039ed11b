"""A branch onto corpora that grew, and what a branch leaves out, on any number of ranks."""

import json
import re
from pathlib import Path

import pytest

from data.explain import explain
from data.main import main as prepare
from data.prepare.append import main as append
from data.tokens.store import TokenStore
from tests.data.phases.test_tree import Draws, Simulation
from tests.support.fork_server import python
from tests.support.runs import REPOSITORY, learned, metrics, same_tensors, succeed
from train.branch import find, main

L, SEQUENCES = 64, 8  # of a sequence, and of a step, as tests.support.runs has them
WEIGHTS = {"python_code": 60, "python_docs": 40}


def draws_of(corpora: Path) -> Draws:
    """What a run on these corpora draws from, as the simulation takes it."""
    stores = {source: TokenStore.open(corpora / source / "tokens") for source in WEIGHTS}
    return Draws(WEIGHTS, {source: store.n_sequences(L) * L for source, store in stores.items()}, L, {})


def explained(run: Path, steps: range) -> list[tuple[str, int, int]]:
    """The source, epoch and sequence of each sample of these steps, as `explain` prints them."""
    line = re.compile(r"sample [\d,]+: (\w+), epoch (\d+), sequence ([\d,]+)")
    found = (match for step in steps for text in explain(run, step) if (match := line.match(text)))
    return [(one[1], int(one[2]), int(one[3].replace(",", ""))) for one in found]


@pytest.mark.distributed
def test_text_that_was_appended_is_trained_on_explained_found_and_taken_out(corpora, tmp_path, capsys):
    parent, grown, child, clean = (tmp_path / name for name in ("a", "corpora-2", "b", "c"))
    mixture = [f"data.weights.{source}={weight}" for source, weight in WEIGHTS.items()]
    keys = ("data=mix", *mixture, "data.sources=[python_code,python_docs]", "checkpoint.every=2")
    keys += ("checkpoint.keep=9", "optim.schedule=constant")
    succeed(f"corpora={corpora}", f"run={parent}", "steps=4", *keys)

    lines = [
        json.dumps({"text": f"Page {i} of what came later. " * 40, "id": f"new-{i}"}) for i in range(400)
    ]
    (tmp_path / "new.jsonl").write_text("\n".join(lines) + "\n")
    tokens = corpora / "python_docs/tokens"
    heldout = json.loads((tokens / "manifest.json").read_text())["heldout"]
    added = ["recipe=text", "source=python_docs", f"input={tmp_path / 'new.jsonl'}", f"heldout={heldout}"]
    added += [f"tokenizer={tokens / 'tokenizer.model'}", f"corpora={tmp_path / 'more'}", "engine.workers=1"]
    assert prepare(added) == 0
    assert append([f"corpora={corpora}", f"more={tmp_path / 'more'}", f"output={grown}"]) == 0
    assert main.main([f"run={parent}", "at=2", f"to={child}", f"corpora={grown}", "steps=900"]) == 0
    done = python(REPOSITORY / "train/main.py", f"config={child / 'config.yaml'}", "stop_at=5")  # as it says
    assert done.returncode == 0, done.stderr
    assert [line["step"] for line in metrics(child)] == [3, 4, 5]

    seed = json.loads((child / "order.json").read_text())["order"]["seed"]
    by_hand = Simulation(seed, [(0, draws_of(corpora))], WEIGHTS)
    by_hand.train(2 * SEQUENCES)
    unchanged = by_hand.trained.copy()
    by_hand.branch([(2 * SEQUENCES, draws_of(grown))])
    by_hand.train(98 * SEQUENCES)
    expected = [(sample.source, sample.epoch, sample.index) for sample, _ in by_hand.trained]
    assert explained(child, range(1, 101)) == expected
    assert (
        explained(parent, range(1, 3)) == expected[: len(unchanged)]
    )  # what was trained on kept its numbers

    capsys.readouterr()
    assert find.main([f"run={parent}", "document=re:new.jsonl", "json=true"]) == 1  # it never had it
    assert "re:new.jsonl" in capsys.readouterr().err
    assert find.main([f"run={child}", "document=re:new.jsonl", "json=true"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    first_new = TokenStore.open(tokens).n_tokens // L  # the first sequence that shows appended text
    shows = {
        n // SEQUENCES + 1
        for n, (source, _, index) in enumerate(expected)
        if source == "python_docs" and index >= first_new
    }
    told = {int(step) for step in (*found["trained"], *found["coming"]) if int(step) <= 100}
    assert told == shows and min(shows) >= 3

    (tmp_path / "out.txt").write_text("re:new.jsonl\n")
    assert main.main([f"run={child}", "at=4", f"to={clean}", f"without={tmp_path / 'out.txt'}"]) == 0
    assert all(
        index < first_new for source, _, index in explained(clean, range(5, 101)) if source[-4:] == "docs"
    )


@pytest.mark.distributed
def test_what_is_left_out_stays_out_on_any_number_of_ranks_and_replays_are_certified(corpora, tmp_path):
    folder, clean, two = tmp_path / "a", tmp_path / "c", tmp_path / "two"
    keys = (f"corpora={corpora}", "steps=6", "checkpoint.every=2", "checkpoint.keep=9")
    succeed(f"run={folder}", *keys)
    (tmp_path / "out.txt").write_text("re:asyncio\n")
    for child, ranks in ((clean, 1), (two, 2)):
        arguments = [f"run={folder}", "at=2", f"to={child}", f"without={tmp_path / 'out.txt'}"]
        assert main.main([*arguments, "checkpoint.verify=1"]) == 0
        out = succeed(f"config={child / 'config.yaml'}", ranks=ranks).stdout
        assert "step-000004 is verified" in out
    for step in range(3, 7):
        assert list(explain(clean, step)) == list(explain(two, step))
    for one, other in zip(learned(clean), learned(two), strict=True):
        assert other[1] == pytest.approx(one[1], rel=2e-5)
    with pytest.raises(AssertionError):
        same_tensors(clean / "checkpoints/step-000006", folder / "checkpoints/step-000006")
