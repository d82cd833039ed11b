"""What a message of training proposes can be done, and helps.

Files to move away are in run/test_damaged_folder.py, a spike's ways out in test_recovery.py.
"""

import re
import shutil
from pathlib import Path

import pytest

from data.main import main as prepare
from data.tokens.heldout import is_heldout
from tests.support.fork_server import python
from tests.support.runs import SMALL, learned, metrics, run, succeed
from train.config import RunError
from train.run.history import read_metrics

SETTINGS = ("steps=8", "checkpoint.every=4", "checkpoint.keep=3")


@pytest.fixture(scope="module")
def trained(corpora, tmp_path_factory):
    folder = tmp_path_factory.mktemp("trained") / "run"
    succeed(f"corpora={corpora}", f"run={folder}", *SETTINGS, "stop_at=6")
    return folder


def refusal(*overrides: str) -> str:
    refused = run(*overrides)
    assert refused.returncode == 1, refused.stdout
    return refused.stderr


def test_another_order_begins_with_other_samples_than_the_weights_saw(trained, corpora, tmp_path):
    settings = (f"corpora={corpora}", f"init={trained}", "steps=2")
    said = succeed(*settings, f"run={tmp_path / 'same'}").stdout
    (key,) = re.findall(r"(data_seed=\d+) begins with others", said)
    assert "was trained on the samples" not in succeed(*settings, f"run={tmp_path / 'other'}", key).stdout


def test_a_run_whose_data_was_made_again_can_begin_from_its_checkpoint(trained, corpora, tmp_path):
    other = tmp_path / "corpora"
    for source, tokens in (("python_code", "python_code"), ("python_docs", "python_code")):
        shutil.copytree(corpora / tokens / "tokens", other / source / "tokens")
    copy = tmp_path / "run"
    shutil.copytree(trained, copy)
    said = refusal(f"corpora={other}", f"run={copy}", "data.name=own", *SETTINGS)
    assert "start a new run=NAME with init= this checkpoint" in said
    checkpoint = copy / "checkpoints" / "step-000006"
    succeed(f"corpora={other}", f"run={tmp_path / 'new'}", "data.name=own", f"init={checkpoint}", "steps=2")


@pytest.mark.parametrize(
    "phases",
    [(), ("phases.a.until_step=30000", "phases.a.weights.python_docs=1")],
    ids=["one", "two"],
)
def test_a_run_that_repeats_too_much_is_accepted_with_each_value_that_is_proposed(phases, corpora, tmp_path):
    """Two sources are used up, at different steps."""
    arguments = (f"corpora={corpora}", "seq_len=32", "stop_at=1", *phases)
    limited = [*arguments, "data.max_epochs=1", "steps=40000"]
    said = refusal(*limited, f"run={tmp_path / 'run'}")
    proposed = re.findall(r"(?:set |, or set )([a-z_.]+=[\d.]+)", said.rpartition("; ")[2])
    proposed += [
        f"phases.a.until_step={step.replace(',', '')}" for step in re.findall(r"by step ([\d,]+), ", said)
    ]
    assert len(proposed) == 2 and "lower the weight" not in said  # neither source has room for the other
    for n, mend in enumerate(proposed):
        key = mend.partition("=")[0]
        kept = [word for word in limited if not word.startswith(f"{key}=")]
        if phases and key == "phases.a.until_step":  # what follows is another refusal's
            kept = [word for word in kept if not word.startswith("steps=")] + [
                f"steps={mend.partition('=')[2]}"
            ]
        succeed(*kept, mend, f"run={tmp_path / str(n)}")


def test_a_vocabulary_of_another_size_can_be_left_to_the_tokens(corpora, tmp_path):
    arguments = (f"corpora={corpora}", f"run={tmp_path / 'run'}", "steps=1")
    assert "set model.vocab_size=-1" in refusal(*arguments, "model.vocab_size=512")
    succeed(*arguments, "model.vocab_size=-1")


def test_a_source_that_is_all_held_out_is_divided_again(corpora, tmp_path):
    text = next(t for t in (f"{i}\n" + "a few words\n" * 3000 for i in range(99)) if is_heldout("", t, 0.9))
    (tmp_path / "one.txt").write_text(text)
    tokenizer = corpora / "python_docs" / "tokens" / "tokenizer.model"
    there = ["recipe=text", "source=one", f"corpora={tmp_path}", f"tokenizer={tokenizer}"]
    assert prepare([*there, f"input={tmp_path / 'one.txt'}", "heldout=0.9"]) == 0
    words = ("data=mix", "data.weights.one=1", "data.sources=one", f"corpora={tmp_path}", "steps=2")
    said = refusal(*words, f"run={tmp_path / 'run'}")
    (mend,) = re.findall(r"hold out fewer than [\d,]+ \(relama prepare … (.*?)\)", said)
    assert prepare([*there, *mend.split()]) == 0
    succeed(*words, f"run={tmp_path / 'run'}")


def test_a_line_of_metrics_that_is_damaged_can_be_deleted(trained, tmp_path):
    path = tmp_path / "metrics.jsonl"
    lines = (trained / "metrics.jsonl").read_text().splitlines()
    path.write_text("\n".join([*lines[:2], "garbage", *lines[2:]]) + "\n")
    with pytest.raises(RunError, match=r"line 3 is damaged .* delete the line"):
        read_metrics(path)
    path.write_text("\n".join(path.read_text().splitlines()[:2] + lines[2:]) + "\n")
    assert [line["step"] for line in read_metrics(path)] == [1, 2, 3, 4, 5, 6]


# From step 7 on every gradient is zero, as in a dead model.
DEAD = """
import itertools, sys
import train.integrity.computation
from train.main import main

calls, real = itertools.count(1), train.integrity.computation.forward_backward

def forward_backward(model, batches, count):
    loss = real(model, batches, count)
    if next(calls) > 6:
        for parameter in model.parameters():
            parameter.grad.zero_()
    return loss

train.integrity.computation.forward_backward = forward_backward
sys.exit(main(sys.argv[1:]))
"""


def test_a_dead_run_continues_once_the_checkpoints_of_its_death_are_moved_away(corpora, tmp_path):
    folder = tmp_path / "run"
    arguments = (f"corpora={corpora}", "steps=12", "checkpoint.every=3", "checkpoint.keep=9")
    died = python("-c", DEAD, *SMALL, *arguments, f"run={folder}", "recovery.limit=3")
    (last,) = re.findall(r"learned until step (\d+): move later checkpoints away", died.stderr)
    assert died.returncode == 1 and last == "6"
    later = [path for path in _checkpoints(folder) if int(path.name[5:]) > 6]
    assert [path.name for path in later] == ["step-000009"]
    for path in later:
        path.rename(tmp_path / path.name)
    (proposed,) = re.findall(r"set (recovery=\w+) or recovery=\w+ or a higher recovery.limit", died.stderr)
    for settings in (("recovery.limit=30",), (proposed,)):
        copy = tmp_path / settings[0]
        shutil.copytree(folder, copy)
        assert "after step 6" in succeed(*arguments, f"run={copy}", *settings).stdout
        assert metrics(copy)[-1]["step"] == 12
    succeed(*arguments, f"run={tmp_path / 'alive'}")
    assert learned(tmp_path / "recovery.limit=30") == learned(tmp_path / "alive")


def _checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "checkpoints").glob("step-*"))
