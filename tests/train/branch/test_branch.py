"""Branches: their configuration, their order, their runs, and what is refused."""

import json
import shutil
from dataclasses import asdict
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from configs.files import changed
from configs.load import load
from data import folders
from data.explain import explain
from data.order import Order, samples_of
from data.tokens.store import TokenStore
from tests.support.fork_server import python
from tests.support.runs import REPOSITORY, SMALL, learned, metrics, same_tensors, succeed
from train.branch.chain import branched_config
from train.branch.main import BranchConfig, main, split
from train.checkpoint.folder import remove
from train.config import RunError, TrainConfig
from train.order import branched, first_order
from train.run.lineage import Lineage

RUN = ("model=tiny", "data=sample", "steps=100", "model.vocab_size=4096")


def config_of(*arguments: str) -> TrainConfig:
    return load("train", TrainConfig, [*RUN, *arguments])


def branch_of(parent: TrainConfig, at: int, *typed: str, name: str = "b") -> TrainConfig:
    asked, keys = split(["run=a", f"at={at}", "to=b", *typed])
    wanted = load("train", TrainConfig, changed(asdict(parent) | {"phases": {}}, keys))
    return branched_config(parent, wanted, load("branch", BranchConfig, asked).phases, at, name, keys)


def chain(config: TrainConfig) -> list[tuple]:
    return [(p.name, p.start, p.end, p.seq_len, p.global_batch) for p in config.timeline.phases]


def test_what_a_phase_can_set_becomes_a_phase_after_the_step_and_the_rest_is_the_runs():
    parent = config_of()
    found = branch_of(
        parent, 40, "data.weights.python_docs=90", "global_batch=8192", "optim.lr=1e-4", "steps=200"
    )
    assert chain(found) == [("past", 0, 40, 256, 4096), ("b", 40, 200, 256, 8192)]
    assert [phase.weights["python_docs"] for phase in found.timeline.phases] == [40.0, 90.0]
    assert (found.optim.lr, found.data.weights) == (1e-4, parent.data.weights)
    again = branch_of(found, 90, "seq_len=128", name="c")
    assert chain(again) == [("past", 0, 40, 256, 4096), ("b", 40, 90, 256, 8192), ("c", 90, 200, 128, 8192)]
    assert again.timeline.phases[2].weights["python_docs"] == 90.0
    shorter = branch_of(again, 60, "optim.lr=1e-5")  # other rates alone leave the chain
    assert chain(shorter) == chain(again) and shorter.optim.lr == 1e-5


def test_a_branch_of_declared_phases_keeps_those_to_come_unless_it_has_its_own():
    parent = config_of("phases=anneal", "optim.schedule=constant")
    assert chain(branch_of(parent, 50, "steps=200"))[0][:3] == ("stable", 0, 160)
    assert chain(branch_of(parent, 90, "steps=200"))[0][:3] == ("stable", 0, 80)
    later = branch_of(parent, 50, "phases.anneal.lr=0.001")
    assert [p[:3] for p in chain(later)] == [("stable", 0, 80), ("anneal", 80, 100)]
    other = branch_of(
        parent, 50, "phases.long.seq_len=128", "phases.long.until_step=70", "phases.more.seq_len=256"
    )
    assert [p[:4] for p in chain(other)] == [
        ("stable", 0, 50, 256),
        ("long", 50, 70, 128),
        ("more", 70, 100, 256),
    ]


def test_a_last_phase_without_an_end_lasts_to_the_end_of_a_branch_from_the_last_step():
    parent = config_of("phases.first.until_step=30", "phases.long.seq_len=128")
    assert chain(branch_of(parent, 100, "steps=120")) == [
        ("first", 0, 30, 256, 4096),
        ("long", 30, 120, 128, 4096),
    ]
    ended = config_of("phases.long.seq_len=128", "phases.long.until_step=100")
    assert chain(branch_of(ended, 100, "steps=120"))[1][:3] == ("rest", 100, 120)


def test_a_phase_of_a_branch_has_its_own_values_before_those_typed_for_the_run():
    typed = (
        "seq_len=128",
        "data.weights.python_docs=90",
        "phases.short.until_step=60",
        "phases.short.seq_len=64",
    )
    branch = branch_of(config_of(), 40, *typed, "phases.docs.sources=[python_docs]")
    assert [p[:4] for p in chain(branch)] == [
        ("past", 0, 40, 256),
        ("short", 40, 60, 64),
        ("docs", 60, 100, 128),
    ]
    assert [phase.weights for phase in branch.timeline.phases[1:]] == [
        {"python_code": 60.0, "python_docs": 90.0},
        {"python_docs": 90.0},
    ]


def test_a_shorter_branch_ends_no_phase_before_its_own_first_step():
    parent = config_of("phases.first.until_share=0.5", "phases.first.global_batch=8192")
    assert chain(branch_of(parent, 40, "steps=60")) == [
        ("first", 0, 40, 256, 8192),
        ("rest", 40, 60, 256, 4096),
    ]


def test_the_config_of_a_branch_reads_back_whatever_sources_the_mixture_has():
    parent = config_of("data=mix", "data.weights.mine=2", "data.weights.more=3", "data.sources=[mine,more]")
    branch = branch_of(parent, 40, "optim.lr=1e-4")
    again = load("train", TrainConfig, changed(asdict(branch), []))
    assert again.data.chosen() == branch.data.chosen() == {"mine": 2.0, "more": 3.0}
    assert branch_of(branch, 60, "steps=120").timeline.phases[-1].weights == {"mine": 2.0, "more": 3.0}
    named = branch_of(parent, 40, "seq_len=128", name="lr=0.5 v1.1")
    assert load("train", TrainConfig, changed(asdict(named), [])).timeline == named.timeline
    assert list(named.phases) == ["past", "lr_0_5_v1_1"]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (["seed=3"], "seed=3: a branch keeps its parent's"),
        (["steps=40"], "steps=40: expected more than the 40 steps"),
        (["phases.stable.seq_len=64"], "phases.stable: began before step 40"),
    ],
)
def test_what_would_change_the_past_is_refused(typed, words):
    with pytest.raises(RunError, match=words):
        branch_of(config_of("phases=anneal"), 40, *typed)


def test_a_branch_computes_as_its_parent_unless_it_asks_for_a_precision():
    parent = config_of("precision=bf16")
    assert branch_of(parent, 40, "precision=auto").precision == "bf16"
    assert branch_of(parent, 40, "precision=fp32").precision == "fp32"


@st.composite
def trees(draw):
    """A run, and for each branch of the chain: (the step, what it changes, samples skipped before)."""
    changes = st.sampled_from(
        [
            "data.weights.python_docs=90",
            "data.sources=[python_docs]",
            "global_batch=2048",
            "seq_len=128",
            "optim.lr=0.001",
            "steps=120",
            "phases.long.seq_len=128",
        ]
    )
    steps = sorted(draw(st.lists(st.integers(1, 90), min_size=1, max_size=3, unique=True)))
    return [(at, draw(st.lists(changes, max_size=2, unique=True)), draw(st.integers(0, 9))) for at in steps]


def test_a_branch_draws_its_own_mixture_from_its_first_step_on():
    stores = cast(  # of a store only its size counts
        "dict[str, TokenStore]",
        {name: SimpleNamespace(n_sequences=lambda length: 500) for name in ("python_code", "python_docs")},
    )
    config = config_of()
    order = first_order(config, stores)
    docs = branched(order, branch_of(config, 40, "data.sources=[python_docs]"), 40, stores)
    assert _step(docs, config, 40, 1) == _step(order, config, 40, 1)
    assert {sample.source for sample in _step(order, config, 41, 1)} == set(stores)
    assert {sample.source for sample in _step(docs, config, 41, 1)} == {"python_docs"}


@settings(max_examples=5, deadline=None, phases=[Phase.generate])
@given(trees(), st.sampled_from([1, 2, 4]))
def test_a_tree_of_branches_gives_at_each_step_what_following_it_by_hand_gives(tree, ranks):
    """By hand: the samples of each stretch of steps are those of the run that was current then."""
    sizes = {"python_code": 40_000, "python_docs": 30_000}
    stores = cast(  # of a store only its size counts
        "dict[str, TokenStore]",
        {name: SimpleNamespace(n_sequences=lambda length, n=n: n // length) for name, n in sizes.items()},
    )
    config = config_of("phases.first.until_step=30", "phases.second.weights={python_docs: 1}")
    order, trained, done = first_order(config, stores), [], 0
    for number, (at, typed, skipped) in enumerate(tree):
        trained += [_step(order, config, step, ranks) for step in range(done + 1, at + 1)]
        if skipped and at - done > 1:  # a rewind to the step before
            first = config.timeline.steps.sample(at - 1)
            order = order.skip(first, config.timeline.steps.sample(at))
            trained[-1] = _step(order, config, at, ranks)
        typed = [word.replace(".long.", f".long{number}.") for word in typed]
        config = branch_of(config, at, *typed, name=f"b{number}")
        saved = Order.from_json(json.loads(json.dumps(order.to_json())))
        order, done = branched(saved, config, at, stores), at
        assert branched(order, config, at, stores) == order  # as when it resumes
    trained += [_step(order, config, step, ranks) for step in range(done + 1, config.steps + 1)]
    assert [_step(order, config, step, 1) for step in range(1, config.steps + 1)] == trained
    counts: dict[str, int] = {}
    for step, samples in enumerate(trained, 1):
        phase = config.timeline.at(step)
        assert {sample.source for sample in samples} <= phase.weights.keys()
        assert len(samples) == phase.batch
        for sample in samples:
            assert sample.k >= counts.get(sample.source, 0)  # no sequence comes back
            counts[sample.source] = sample.k + 1


def _step(order: Order, config: TrainConfig, step: int, ranks: int) -> list:
    """The samples of a step in order, as the ranks share them."""
    first, batch = config.timeline.steps.sample(step - 1), config.timeline.steps.batch(step)
    mine = [
        first + n
        for rank in range(ranks)
        for micro in range(batch // ranks)
        for n in samples_of(0, micro, dp_rank=rank, dp_size=ranks, micro_batch=1, global_batch=batch)
    ]
    return [order.locate(n) for n in sorted(mine)]


@pytest.fixture(scope="module")
def parent(corpora, tmp_path_factory):
    folder = tmp_path_factory.mktemp("branches") / "a"
    succeed(f"corpora={corpora}", f"run={folder}", "steps=6", "checkpoint.every=2", "optim.schedule=constant")
    return folder


def branch(*arguments: str, capsys) -> tuple[int, str]:
    code = main([*arguments])
    output = capsys.readouterr()
    return code, output.out + output.err


@pytest.mark.distributed
def test_a_branch_that_changes_nothing_continues_as_its_parent_would(parent, corpora, tmp_path, capsys):
    same, other = tmp_path / "same", tmp_path / "other"
    code, text = branch(f"run={parent}", "at=4", f"to={same}", "optim.weight_decay=0.1", capsys=capsys)
    assert code == 0 and f"next: relama train config={same / 'config.yaml'}" in text
    arguments = [word for word in SMALL if word.startswith("threads")]
    train(f"config={same / 'config.yaml'}", *arguments)
    assert [row[:5] for row in learned(same)] == [row[:5] for row in learned(parent)][4:]
    same_tensors(same / "checkpoints/step-000006", parent / "checkpoints/step-000006")

    typed = ("data.weights.python_docs=900", "global_batch=1024", "optim.lr=0.001", "steps=8")
    assert branch(f"run={parent}", "at=4", f"to={other}", *typed, capsys=capsys)[0] == 0
    before = list(explain(other, 7))
    train(f"config={other / 'config.yaml'}", "stop_at=6")
    out = train(f"config={other / 'config.yaml'}", "stop_at=null")
    assert "after step 6" in out and "no metrics" not in out
    lines = metrics(other)
    assert [(m["step"], m["tokens"], m["phase"]) for m in lines] == [
        (step, 2048 + 1024 * (step - 4), "other") for step in range(5, 9)
    ]
    assert list(explain(other, 3))[1:] == list(explain(parent, 3))[1:]
    assert list(explain(other, 7))[1:] == before[1:]
    lineage = json.loads((other / "lineage.json").read_text())
    assert (lineage["step"], lineage["parent"]) == (4, str(parent))


@pytest.mark.distributed
def test_a_branch_with_smaller_bounds_on_an_update_is_no_memory_corruption(parent, tmp_path, capsys):
    """Its first updates still use the moments of its parent's clip and betas."""
    child, grandchild = tmp_path / "child", tmp_path / "grandchild"
    typed = ("optim.clip=0.01", "optim.betas=[0.9,0.8]", "watchdog.integrity=1", "checkpoint.every=1")
    for run, of in ((child, parent), (grandchild, child)):
        assert (
            branch(f"run={of}", f"at={4 if of == parent else 5}", f"to={run}", *typed, capsys=capsys)[0] == 0
        )
        out = train(f"config={run / 'config.yaml'}")
        assert "corruption" not in out and not (run / "decisions.jsonl").exists()


@pytest.mark.distributed
def test_a_parent_keeps_what_a_branch_needs_and_a_lost_one_is_named(parent, corpora, tmp_path, capsys):
    folder, child = tmp_path / "a", tmp_path / "b"
    shutil.copytree(parent, folder, ignore=lambda _folder, _names: {"branches.json"})
    assert branch(f"run={folder}", "at=2", f"to={child}", "optim.lr=0.001", capsys=capsys)[0] == 0
    succeed(
        *(f"corpora={corpora}", f"run={folder}", "steps=8", "checkpoint.every=2"),
        *("optim.schedule=constant", "checkpoint.keep=1"),
    )
    assert sorted(path.name for path in (folder / "checkpoints").glob("step-*")) == [
        "step-000002",
        "step-000008",
    ]
    state = folder / "checkpoints/step-000002/state.json"
    kept = state.read_text()
    state.write_text(kept.replace('"tokens": 1024', '"tokens": 1025'))
    altered = fail(f"config={child / 'config.yaml'}")
    assert "state.json was altered (checksum), and this run continues from it; restore it, or" in altered
    state.write_text(kept)
    state.parent.rename(tmp_path / "away")
    assert "step-000002: missing, and this run continues from it" in fail(f"config={child / 'config.yaml'}")
    shutil.rmtree(child)
    (tmp_path / "away").rename(state.parent)
    for arguments, expected in (
        (("at=3",), "at=3: {} has no checkpoint of this step; the nearest kept: 2, 8"),
        (("at=2", "seed=1"), "seed=1: a branch keeps its parent's (0)"),
        (("at=2", "model.dim=64"), "model.dim: 32 there, 64 here"),
        (("at=2", "phases.x.sources=[poems]"), "phases.x.sources: 'poems' has no weight"),
        (
            ("at=2", "data.weights.poems=1"),
            "no token store for poems; make each with `relama prepare recipe=text source=poems",
        ),
        (
            ("at=2", "data.sources=[python_docs]", "data.weights.python_code=5"),
            "add data.sources=python_docs,python_code to read python_code too",
        ),
        (("at=0",), "at=0: expected a step of the parent"),
    ):
        code, text = branch(f"run={folder}", f"to={child}", *arguments, capsys=capsys)
        assert code == 1 and expected.format(folder) in text and text.count("\n") == 1, text
        assert not child.exists()
    assert "to=" in branch(f"run={folder}", "at=2", f"to={folder}", capsys=capsys)[1]
    assert branch(f"run={folder}", "at=2", f"to={child}", capsys=capsys)[0] == 0
    state.write_text(kept + "x")
    damaged = branch(f"run={folder}", "at=2", f"to={tmp_path / 'c'}", capsys=capsys)[1]
    assert "step-000002 is damaged; restore it, or choose another: 8" in damaged
    state.write_text(kept)
    its = branch(f"run={child}", "at=2", f"to={tmp_path / 'c'}", capsys=capsys)[1]
    assert f"the nearest kept: none; {folder} has the steps up to 2" in its
    Lineage(child, 2, "0" * 64).write(folder, folder)  # which only an editor can do
    for arguments in ((f"run={folder}", "at=2"), (f"run={child}", "at=2")):
        code, text = branch(*arguments, f"to={tmp_path / 'c'}", capsys=capsys)
        assert code == 1 and "which is a branch of this run: a circle" in text and text.count("\n") == 1


@pytest.mark.distributed
def test_a_branch_whose_parent_removes_the_checkpoint_meanwhile_is_not_made(
    parent, tmp_path, capsys, monkeypatch
):
    folder, child = tmp_path / "a", tmp_path / "b"
    shutil.copytree(parent, folder)
    step, real = folder / "checkpoints/step-000002", folders.commit_once
    monkeypatch.setattr(folders, "commit_once", lambda *given: remove(step) or real(*given))
    code, text = branch(f"run={folder}", "at=2", f"to={child}", capsys=capsys)
    assert code == 1 and f"{step}: missing" in text and text.count("\n") == 1
    assert not child.exists() and not step.exists()


@pytest.mark.distributed
@pytest.mark.parametrize(
    ("tokenizer", "words"),
    [
        ("another", "there: made with another tokenizer than the run's"),
        (None, "poems: too few tokens for one"),
    ],
)
def test_a_source_that_a_branch_could_not_read_is_refused_before_it_is_made(
    parent, tmp_path, capsys, monkeypatch, tokenizer, words
):
    state = json.loads((parent / "checkpoints/step-000002/state.json").read_text())
    store = SimpleNamespace(
        place="there",
        fingerprint="f",
        tokenizer_fingerprint=tokenizer or state["tokenizer"],
        n_sequences=lambda length: 0,
    )
    monkeypatch.setattr("train.branch.main._stores", lambda config, at: {"poems": store})
    typed = ("data.weights.poems=1", "data.sources=[poems]")
    code, text = branch(f"run={parent}", "at=2", f"to={tmp_path / 'b'}", *typed, capsys=capsys)
    assert code == 1 and words in text and text.count("\n") == 1 and not (tmp_path / "b").exists()


@pytest.mark.distributed
def test_a_branch_killed_at_any_file_operation_is_complete_or_not_there_and_resumes_bitwise(
    parent, corpora, tmp_path
):
    command = ["-m", "tests.support.branch_faults", str(tmp_path), str(corpora), str(parent), "4"]
    ran = python(*command, "5", "4", "7", cwd=REPOSITORY, timeout=900)
    assert ran.returncode == 0, ran.stderr[-3000:]
    found = json.loads(ran.stdout)
    assert len(found["making"]) >= 5 and len(found["training"]) == 4
    for trial in (*found["making"], *found["training"]):
        assert trial["ends"][0][0] == 137 and {code for code, _ in trial["ends"]} <= {0, 137}, trial
        assert trial["wrong"] == [], trial
    assert {trial["ends"][-1][0] for trial in found["training"]} == {0}


def train(*arguments: str) -> str:
    finished = python(REPOSITORY / "train" / "main.py", *arguments)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


def fail(*arguments: str) -> str:
    finished = python(REPOSITORY / "train" / "main.py", *arguments)
    assert finished.returncode == 1
    return finished.stderr
