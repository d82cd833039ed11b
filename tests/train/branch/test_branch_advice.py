"""What a refusal to branch, or to continue with other keys, proposes can be done, and helps."""

import errno
import os
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from configs.files import changed, expand
from configs.load import load
from data.main import main as prepare
from data.tokens.train_tokenizer import train_tokenizer
from tests.support.fork_server import python
from tests.support.runs import REPOSITORY, SMALL, learned, metrics, succeed
from train.branch import main as branching
from train.branch.chain import branched_config
from train.branch.main import BranchConfig, main, split
from train.checkpoint.folder import newest_state, read_state, render
from train.config import RunError, TrainConfig
from train.run.configuration import refuse_another_run

pytestmark = pytest.mark.distributed


@pytest.fixture(scope="module")
def parent(corpora, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("advice") / "a"
    succeed(f"corpora={corpora}", f"run={folder}", "steps=6", "checkpoint.every=2")
    return folder


@pytest.fixture
def refusal(parent, tmp_path, capsys):
    """The line of a branch that is refused."""

    def refused(*words: str) -> str:
        assert main([f"run={parent}", f"to={tmp_path / 'b'}", *words]) == 1
        return capsys.readouterr().err.strip()

    return refused


@pytest.fixture
def branch(parent, tmp_path):
    """Makes a branch; returns its folder."""
    made = iter(range(100))

    def make(*words: str) -> Path:
        folder = tmp_path / f"made-{next(made)}"
        assert main([f"run={parent}", f"to={folder}", *words]) == 0, words
        return folder

    return make


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS])
def test_a_parent_that_cannot_be_written_gives_its_weights_alone(
    number, refusal, parent, tmp_path, monkeypatch
):
    def forbidden(*_places: Path) -> None:
        raise OSError(number, os.strerror(number), str(parent / "checkpoints" / "branches.lock"))

    monkeypatch.setattr(branching, "pin", forbidden)
    said = refusal("at=4")
    assert f"{parent / 'checkpoints'}: cannot be written ({os.strerror(number)})" in said
    assert said.endswith(f"relama train init={parent}@4") and not (tmp_path / "b").exists()


def test_a_step_that_is_not_kept_gives_way_to_each_that_is_named(refusal, branch):
    kept = refusal("at=3").rpartition("the nearest kept: ")[2].split(", ")
    assert kept == ["2", "4", "6"]
    for step in kept:
        branch(f"at={step}", "steps=9")
    assert "steps=4: expected more than the 4 steps before the branch" in refusal("at=4", "steps=4")
    branch("at=4", "steps=5")
    assert "expected a step of the parent, 1 or above" in refusal("at=0")


def test_a_name_that_a_branch_cannot_have_gives_way_to_a_new_one(parent, branch, tmp_path, capsys):
    there = branch("at=4")
    for name, proposal in (
        (parent, "the run itself; choose a new name"),
        (parent / "b", "within the run's own folder; choose a name, or another path"),
        (there, "exists already; choose a new name with to="),
        (f"{there}@2", "expected a new name"),
    ):
        assert main([f"run={parent}", "at=4", f"to={name}"]) == 1
        assert proposal in capsys.readouterr().err
    branch("at=4")


def test_the_weight_of_a_source_that_is_left_out_is_accepted_with_the_sources_that_are_named(refusal, branch):
    words = ["at=4", "data.sources=[python_docs]", "data.weights.python_code=5"]
    (mend,) = re.findall(r"add (data\.sources=\S+) to read python_code too", refusal(*words))
    folder = branch(words[0], mend, words[2])
    config = load("train", TrainConfig, expand([f"config={folder / 'config.yaml'}"]))
    assert dict(config.timeline.phases[-1].weights) == {"python_code": 5.0, "python_docs": 40.0}

    (leave,) = re.findall(r"or (leave out the weight)$", refusal(*words))
    assert leave
    branch(*words[:2])


def made(parent: str, words: str) -> TrainConfig:
    """The configuration of a branch at step 40 of a run of 100, as config.yaml gives it back."""
    before = load("train", TrainConfig, [*SMALL, "steps=100", *parent.split()])
    mine, typed = split(["run=a", "at=40", "to=b", *words.split()])
    phases = load("branch", BranchConfig, mine).phases
    config = branched_config(before, branching._wanted(before, typed), phases, 40, "b")
    again = load("train", TrainConfig, changed(asdict(config), []))
    assert again.timeline == config.timeline
    assert config.timeline.phases[0].weights == before.data.weights  # what it was trained on
    return config


def test_also_where_the_parent_left_it_out():
    parent, weight = "data.sources=[python_docs]", "data.weights.python_code=5"
    for typed in (weight, "data.weights={python_code:5}"):
        with pytest.raises(RunError) as refused:
            made(parent, typed)
        (mend,) = re.findall(r"add (data\.sources=\S+) to read", str(refused.value))
    weights = made(parent, f"{weight} {mend}").timeline.phases[-1].weights
    assert weights == {"python_code": 5.0, "python_docs": 40.0}


def test_a_phase_whose_sources_lack_a_weight_gets_all_weights_anew():
    parent = "phases.a.until_step=60 phases.b.weights.python_docs=1"
    with pytest.raises(
        ValueError, match=r"phases\.b\.sources: 'python_code' has no weight.*for each of"
    ) as e:
        made(parent, "phases.b.sources=python_docs,python_code")
    (key,) = re.findall(r"give (\S+)NAME=… for each", str(e.value))
    config = made(parent, f"phases.b.sources=python_docs,python_code {key}python_docs=1 {key}python_code=2")
    assert config.timeline.phases[-1].weights == {"python_docs": 1, "python_code": 2}


@pytest.mark.parametrize(
    ("parent", "words", "expected"),
    [
        ("data=sample", "data=mix data.sources=c4", {"c4": 15.0}),
        ("data=mix data.sources=c4,books", "data=sample", {"python_code": 60.0, "python_docs": 40.0}),
        ("data=text input=x.txt", "data=mix data.sources=c4", {"c4": 15.0}),
        ("data=text input=x.txt", "data.weights.more=3", {"x": 1.0, "more": 3.0}),
        ("data=sample", "data=text input=x.txt", {"x": 1.0}),
    ],
)
def test_a_branch_to_other_data_keeps_what_its_past_was_trained_on(parent, words, expected):
    assert made(parent, words).timeline.phases[-1].weights == expected


@pytest.mark.parametrize("words", ["input=y.txt", "source=y", "input=y.txt source=x"])
def test_a_branch_of_own_text_with_another_text_is_refused_with_how_to_add_it(words):
    with pytest.raises(RunError, match=r"=y(\.txt)?: a branch keeps its parent's \(x.*data\.weights\.NAME=1"):
        made("data=text input=x.txt", words)


def test_a_phase_of_the_past_gives_way_to_another_name():
    parent = load("train", TrainConfig, [*SMALL, "steps=100", "phases=anneal"])

    def made(*words: str) -> TrainConfig:
        asked, _ = split(["run=a", "at=40", "to=b", *words])
        phases = load("branch", BranchConfig, asked).phases
        return branched_config(parent, load("train", TrainConfig, [*SMALL, "steps=100"]), phases, 40, "b")

    with pytest.raises(RunError, match=r"phases\.stable: began before step 40.*; name another phase"):
        made("phases.stable.seq_len=32")
    assert made("phases.other.seq_len=32").timeline.at(41).name == "other"


def test_another_seed_begins_a_new_run_from_the_weights(refusal, parent, corpora, tmp_path):
    said = refusal("at=4", "seed=1")
    assert "for a new run that starts from these weights, use relama train init=RUN@STEP" in said
    succeed(f"corpora={corpora}", f"run={tmp_path / 'new'}", f"init={parent}@4", "seed=1", "steps=1")


def own_corpora(corpora: Path, folder: Path) -> tuple[str, list[str]]:
    """corpora= of the sample's sources, where others can be made, and the command that makes `poems`."""
    for source in ("python_code", "python_docs"):
        (folder / source).parent.mkdir(exist_ok=True)
        (folder / source).symlink_to(corpora / source)
    text = folder / "poems.txt"
    text.write_text("\n".join(f"Line {n} of a poem that has no end." for n in range(400)))
    made = f"corpora={folder}"
    return made, [made, f"input={text}", "engine.workers=1"]


def test_a_source_without_tokens_gets_them_by_the_command_that_is_named(
    refusal, branch, parent, corpora, tmp_path
):
    made, rest = own_corpora(corpora, tmp_path / "corpora")
    words = ["at=4", made, "data.weights.poems=1"]
    said = refusal(*words)
    (command,) = re.findall(r"`relama prepare (recipe=text source=poems) input=… tokenizer=…`", said)
    (subset,) = re.findall(r"or choose what is there with (data\.sources=\S+)$", said)
    branch("at=4", made, subset)  # without a weight for poems
    assert prepare([*command.split(), *rest, f"tokenizer={parent / 'tokenizer.model'}"]) == 0
    branch(*words)


def test_a_source_of_another_tokenizer_is_prepared_with_the_runs(refusal, branch, corpora, tmp_path, capsys):
    made, rest = own_corpora(corpora, tmp_path / "corpora")
    other = train_tokenizer(
        (f"words and {n} more" for n in range(500)), tmp_path / "other.model", vocab_size=300
    )
    command = ["recipe=text", "source=poems", *rest]
    assert prepare([*command, f"tokenizer={other}"]) == 0
    words = ["at=4", made, "data.weights.poems=1"]
    said = refusal(*words)
    (folder,) = re.findall(r"prepare poems with the one in (\S+)$", said)
    command.append(f"tokenizer={folder}/tokenizer.model")
    assert prepare(command) == 1
    assert "give replace=true" in capsys.readouterr().err
    assert prepare([*command, "replace=true"]) == 0
    branch(*words)


def test_a_finished_run_whose_checkpoints_hold_no_configuration_is_branched_by_its_file(
    parent, tmp_path, capsys
):
    folder = tmp_path / "old"
    shutil.copytree(parent, folder)
    for step in (folder / "checkpoints").glob("step-*"):
        state = read_state(step)
        del state["config"]
        (step / "state.json").write_text(render(state))
    words = ["at=4", "optim.lr=0.001"]
    for run, name in (folder, "b"), (parent, "c"):
        assert main([f"run={run}", f"to={tmp_path / name}", *words]) == 0
        trained = python(REPOSITORY / "train" / "main.py", f"config={tmp_path / name / 'config.yaml'}")
        assert trained.returncode == 0, trained.stderr
    assert learned(tmp_path / "b") == learned(tmp_path / "c")
    (folder / "config.yaml").unlink()
    assert main([f"run={folder}", f"to={tmp_path / 'd'}", *words]) == 1
    assert f"{folder}: not a run folder (no config.yaml)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("steps", "why", "at"),
    [
        ("8", "optim.schedule=cosine makes the rates of trained steps depend on steps: ", "4"),
        ("5", "6 steps are trained: ", "4"),
    ],
)
def test_a_run_of_other_steps_is_the_same_run_again_a_new_one_or_a_branch(
    steps, why, at, parent, corpora, tmp_path, capsys
):
    state, words = newest_state(parent / "checkpoints"), [*SMALL, f"corpora={corpora}", "checkpoint.every=2"]
    asked = load("train", TrainConfig, [*words, f"run={parent}", f"steps={steps}"])
    with pytest.raises(RunError) as refused:
        refuse_another_run(parent, asked, state)
    said = str(refused.value)
    assert why in said and "choose a new run=NAME, or rerun with the original values to resume" in said
    (file,) = re.findall(r"\((config=\S+) has them\)", said)
    refuse_another_run(parent, load("train", TrainConfig, expand([file])), state)
    (command,) = re.findall(r"`relama branch (.*)` continues from a checkpoint", said)
    to = tmp_path / "b"
    assert main(command.replace("STEP", at).replace("NEW", str(to)).split()) == 0
    if steps == "5":
        trained = python(REPOSITORY / "train" / "main.py", f"config={to / 'config.yaml'}")
        assert trained.returncode == 0, trained.stderr
        assert metrics(to)[-1]["step"] == 5
