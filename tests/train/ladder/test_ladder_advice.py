"""What a refusal of a ladder proposes is accepted."""

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import yaml

from data.main import main as prepare
from data.tokens.store import TokenStore
from tests.support.ladders import LAW, RULE, WORDS, leave_run
from train.config import RunError
from train.ladder import family, main, tokens, training
from train.ladder.book import Book
from train.ladder.config import LadderConfig
from train.ladder.fit import Fit, FitError, Point, fit, refuse_undetermined


def changed(words: list[str], other: list[str]) -> list[str]:
    """The command with `other` in place of the same keys; `-KEY` leaves one out."""
    keys = {word.lstrip("-").partition("=")[0] for word in other}
    kept = [word for word in words if word.partition("=")[0] not in keys]
    return kept + [word for word in other if not word.startswith("-")]


@pytest.fixture
def refusal(world, capsys):
    """The last line of a command that is refused."""

    def refused(words: list[str]) -> str:
        assert main.main(words) == 1
        return capsys.readouterr().err.splitlines()[-1]

    return refused


@pytest.fixture
def laid_out(world, monkeypatch):
    """Whether a command is accepted up to the first training."""
    monkeypatch.setattr(main, "_climb", lambda *_: None)
    return lambda words: main.main(words) == 0


@pytest.fixture
def known_law(monkeypatch) -> None:
    """Points that determine a law are not fitted."""

    def known(points: list[Point], replicates: int) -> Fit:
        refuse_undetermined(points)
        return Fit(LAW, [LAW], [0.0], [0.0])

    monkeypatch.setattr(main, "fit", known)


def store(n_tokens: int = 10**9, vocab_size: int = 512) -> TokenStore:
    found = SimpleNamespace(n_tokens=n_tokens, vocab_size=vocab_size, fingerprint="one")
    return cast(TokenStore, found)


# What is typed beside WORDS, what the refusal proposes, and each way to do it.
KEYS = [
    ("sizes=1M,2M", "at least 3 different sizes", "sizes=60k,130k,280k"),
    ("fit=a", "give sizes= or fit=, not both", "-fit"),
    ("tokens_per_parameter=20", "expected at least 2 different values", "tokens_per_parameter=10,20"),
    ("steps=10", "leave it out", "-steps"),
    ("model.dim=64", "leave it out", "-model.dim"),
    ("checkpoint.keep=2", "leave it out", "-checkpoint.keep"),
    ("until=2", "a share such as 0.02", "until=0.02"),
    (
        "tokens_per_parameter=0.1,1",
        "raise tokens_per_parameter, or lower global_batch",
        "tokens_per_parameter=5,10 | global_batch=64",
    ),
    ("global_batch=100", "(the nearest: 128)", "global_batch=128"),
    ("global_batch=640 micro_batch=4", "(the nearest: 512)", "global_batch=512 | global_batch=768"),
    ("global_batch=0", "global_batch=0: expected a whole number, at least 1", "global_batch=512"),
    ("micro_batch=0", "micro_batch=0: expected a whole number, at least 1", "micro_batch=16 | micro_batch=3"),
    ("optim.warmup_steps=10000", "(null scales it)", "optim.warmup_steps=null"),
]


@pytest.mark.parametrize(("typed", "proposal", "mends"), KEYS, ids=lambda text: text[:30])
def test_each_way_out_of_a_refused_key_is_accepted(typed, proposal, mends, refusal, laid_out, world):
    words = changed(WORDS, typed.split())
    assert proposal in refusal(words)
    for mend in mends.split(" | "):
        assert laid_out(changed(words, mend.split())), mend
    assert world == []


def test_the_sizes_that_a_ladder_without_any_proposes_are_those_of_the_sample(refusal, laid_out, monkeypatch):
    said = refusal([])
    (proposed,) = re.findall(r"(sizes=\S+), or fit=", said)
    whole = main.open_once

    def open_once(config, typed):
        return tokens.Tokens(whole(config, typed).config, {"books": store(vocab_size=4096)})

    monkeypatch.setattr(main, "open_once", open_once)
    assert laid_out([proposed])


@pytest.mark.parametrize("sizes", ["60k,61k,280k", "60k,75k,280k"])
def test_sizes_of_one_shape_get_others_or_the_width_that_is_named(sizes, refusal, laid_out):
    words = changed(WORDS, [f"sizes={sizes}"])
    said = refusal(words)
    assert "choose a size further from it" in said
    for mend in ("sizes=60k,130k,280k", *re.findall(r", or (width_per_layer=\d+)$", said)):
        assert laid_out(changed(words, [mend])), mend


@pytest.mark.parametrize("size", ["1k", "92k", "100000B"])
def test_a_size_without_a_shape_gives_way_to_each_that_is_named_or_to_the_width(size, refusal, laid_out):
    words = changed(WORDS, [f"sizes=280k,500k,{size}", "epochs=1e9"])
    said = refusal(words)
    (named,) = re.findall(r"the nearest have (\S+(?: or \S+)?) parameters", said)
    mends = [f"sizes=280k,500k,{other}" for other in named.split(" or ")]
    widths = re.findall(r"give one of these, or (width_per_layer=\d+)$", said)
    assert bool(widths) is (size == "92k")  # no width makes a model so small, or so large
    for mend in (*mends, *widths):
        assert laid_out(changed(words, [mend])), mend


def test_a_ladder_gets_another_folder_than_a_training_runs(refusal, laid_out, tmp_path):
    leave_run(tmp_path / "runs" / "mine", family.rungs([60e3], [5], **RULE)[0][0], 3.0)
    assert "a training run, not a ladder; choose another folder" in refusal([*WORDS, "run=mine"])
    assert laid_out([*WORDS, "run=other"])


def test_each_way_out_of_repeating_a_source_too_often_is_accepted(refusal, laid_out, monkeypatch):
    """epochs= is what the largest run needs, not the first that needs too much."""
    whole, there = main.open_once, {"tokens": 300_000}

    def open_once(config, typed):
        return tokens.Tokens(whole(config, typed).config, {"books": store(there["tokens"])})

    monkeypatch.setattr(main, "open_once", open_once)
    said = refusal(WORDS)
    assert "prepare more of it, lower sizes= or tokens_per_parameter=, or allow it with epochs=" in said
    (epochs,) = re.findall(r"(epochs=[\d.]+)$", said)
    assert laid_out([*WORDS, epochs])
    assert laid_out(changed(WORDS, ["tokens_per_parameter=1,2", "global_batch=512"]))
    assert laid_out(changed(WORDS, ["sizes=20k,60k,130k", "tokens_per_parameter=5,8"]))
    there["tokens"] = 10**9
    assert laid_out(WORDS)


SMALL = ["sizes=60k,130k,280k", "tokens_per_parameter=3,5", "replicates=20", *WORDS[1:3]]


def test_a_ladder_made_by_another_command_is_left_to_it_or_gets_another_name(world, refusal, known_law):
    assert main.main(SMALL) == 0
    other = [*SMALL, "optim.lr=0.5"]
    said = refusal(other)
    assert "made with a different optim.lr; choose another run=, or rerun the command that made it" in said
    assert main.main(SMALL) == 0
    assert main.main([*other, "run=other"]) == 0
    assert len(world) == 12


def test_a_ladder_that_is_stopped_resumes_by_the_same_command(world, refusal, known_law, monkeypatch):
    honest = training.train

    def stopped(rungs, config, folder, typed, say):
        honest(rungs[:1], config, folder, typed, say)
        raise RunError("stopped by SIGTERM; run the same command to resume")

    with monkeypatch.context() as patch:
        patch.setattr(training, "train", stopped)
        assert "run the same command to resume" in refusal(SMALL)
    assert main.main(SMALL) == 0
    assert len(world) == len(set(world)) == 6


@pytest.mark.parametrize("mend", ["sizes=60k,130k,280k,500k", "tokens_per_parameter=3,5,7"])
def test_too_few_runs_for_a_law_are_enough_with_a_size_or_a_value_more(mend, world, refusal, monkeypatch):
    honest = training.train

    def train(rungs, config, folder, typed, say):
        bad = [rung for rung in rungs if rung.parameters < 70e3 and rung.ratio == 3]
        honest([rung for rung in rungs if rung not in bad], config, folder, typed, say)
        for rung in bad:
            leave_run(folder / rung.name, rung, 5.5, train=[3.0] * (rung.steps - 20) + [5.0] * 20)

    monkeypatch.setattr(training, "train", train)
    said = refusal(SMALL)
    assert "5 runs: a fit of 5 parameters needs at least 6; add a size or a value of tokens_per_" in said
    assert main.main(changed(SMALL, [mend])) == 0


def test_runs_that_cannot_be_fitted_are_left_out_or_mended(world, refusal, known_law, tmp_path):
    made = [rung for size in family.rungs([60e3, 130e3, 280e3], [2, 3, 5], **RULE) for rung in size]
    for number, rung in enumerate(made):
        data = "other" if number == 7 else "one"
        leave_run(tmp_path / "runs" / rung.name, rung, LAW.loss(rung.parameters, rung.tokens), data)
    names = [rung.name for rung in made]
    finished, order = (
        tmp_path / "runs" / names[8] / "finished.json",
        tmp_path / "runs" / names[7] / "order.json",
    )
    kept = finished.read_text()
    finished.unlink()

    def words(*left_out: int) -> list[str]:
        return [f"fit={','.join(name for n, name in enumerate(names) if n not in left_out)}", "replicates=20"]

    assert "has not finished; resume it with its own command, or leave it out" in refusal(words())
    assert "fit runs of the same tokens" in refusal(words(8))
    assert main.main(words(7, 8)) == 0
    finished.write_text(kept)
    order.write_text(order.read_text().replace("other", "one"))
    assert main.main(words()) == 0
    assert "nothing is trained with fit=; leave it out" in refusal([*words(), "steps=3"])
    metrics = tmp_path / "runs" / names[0] / "metrics.jsonl"
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    del lines[-1]["validation"]
    metrics.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "no held-out loss at its last step; leave it out, or" in refusal(words())
    assert main.main(words(0)) == 0


def test_runs_of_other_phases_or_schedules_are_not_fitted_together(world, refusal, known_law, tmp_path):
    made = [rung for size in family.rungs([60e3, 130e3, 280e3], [3, 5], **RULE) for rung in size]
    paths = [tmp_path / "runs" / rung.name for rung in made]
    for path, rung in zip(paths, made, strict=True):
        leave_run(path, rung, LAW.loss(rung.parameters, rung.tokens))
    words = [f"fit={','.join(path.name for path in paths)}", "replicates=20"]

    def change(path: Path, **keys: object) -> None:
        config = yaml.safe_load((path / "config.yaml").read_text())
        (path / "config.yaml").write_text(yaml.safe_dump(config | keys))

    phases: dict = {"a": {"until_share": 0.8}, "b": {"lr": 1e-5, "schedule": "linear"}}
    for path, rung in zip(paths, made, strict=True):
        change(path, phases=phases | {"a": {"until_step": round(0.8 * rung.steps)}})
    assert main.main(words) == 0  # they end at the same share
    change(paths[3], phases=phases | {"a": {"until_step": 9}})
    assert re.search(r"not the same phases as .* \(a: until \d%, until 80% there\)", refusal(words))
    change(paths[3], phases=phases | {"b": {"lr": 1e-5, "schedule": "cosine"}})
    assert "(b: schedule=cosine lr=1e-05, schedule=linear lr=1e-05 there)" in refusal(words)
    change(paths[3], phases={})
    assert "not the same phases as" in refusal(words)
    change(paths[3], phases=phases)
    assert main.main(words) == 0
    config = yaml.safe_load((paths[3] / "config.yaml").read_text())
    change(paths[3], optim=config["optim"] | {"schedule": "constant"})
    assert "not the same schedule as" in refusal(words)


@pytest.mark.parametrize(
    "content",
    ["garbage", "[]", "{}", '{"predictions": {"a": 3}}', '{"predictions": {"a": {"loss": 1, "low": "x"}}}'],
)
def test_a_ladders_record_that_is_none_can_be_moved_away(content, tmp_path):
    path = tmp_path / "ladder.json"
    path.write_text(content)
    with pytest.raises(RunError, match=r"not a ladder's record \(.*\); move it away") as refused:
        Book(path)
    assert "\n" not in str(refused.value)
    path.rename(tmp_path / "away.json")
    assert Book(path).predictions == {}


def test_a_prediction_without_bounds_is_read_again(tmp_path):
    """JSON has no infinity."""
    path = tmp_path / "ladder.json"
    path.write_text('{"predictions": {"60k-5": {"loss": 2.0, "low": 1.0, "high": null}}}')
    rung = family.rungs([60e3], [5], **RULE)[0][0]
    book = Book(path)
    assert book.predictions["60k-5"]["high"] == math.inf
    book.predictions[rung.name] = book.predictions["60k-5"]
    assert "2.0000 (95%: 1.0000 to inf)" in book.line(rung)


def points(sizes: list[float], ratios: list[float]) -> list[Point]:
    return [Point(f"{n:g}-{r:g}", n, n * r, LAW.loss(n, n * r)) for n in sizes for r in ratios]


@pytest.mark.parametrize(
    ("few", "proposal", "enough"),
    [
        (([1e6, 2e6], [5, 10, 20]), "a fit needs at least 3", ([1e6, 2e6, 4e6], [5, 10, 20])),
        (([1e6, 2e6, 4e6], [5]), "add a size or a value", ([1e6, 2e6, 4e6], [5, 10])),
        (
            ([1e6, 2e6, 4e6, 8e6, 16e6, 32e6], [5]),
            "give at least two values of tokens_per_parameter",
            ([1e6, 2e6, 4e6, 8e6, 16e6, 32e6], [5, 10]),
        ),
    ],
)
def test_points_that_determine_no_law_do_with_those_that_the_refusal_asks_for(few, proposal, enough):
    with pytest.raises(FitError, match=proposal):
        fit(points(*few), replicates=0)
    fit(points(*enough), replicates=0)


def test_tokens_without_any_held_out_get_some_by_the_command_that_is_named(corpora, tmp_path):
    text, made = tmp_path / "text.txt", tmp_path / "corpora"
    text.write_text("\n".join(f"This line is number {n}, and has some words in it." for n in range(300)))
    model = corpora / "python_code" / "tokens" / "tokenizer.model"
    command = ["recipe=text", "source=mine", f"corpora={made}", f"tokenizer={model}", "engine.workers=1"]
    assert prepare([*command, f"input={text}", "heldout=0"]) == 0
    ladder = LadderConfig(sizes=["60k", "130k", "280k"], seq_len=64)
    typed = [f"corpora={made}", "data=mix", "data.weights.mine=1", "data.sources=[mine]"]
    with pytest.raises(RunError, match="no held-out data to measure a law on") as refused:
        tokens.open_once(ladder, typed)
    named = re.findall(r"relama prepare … (.*) makes some", str(refused.value))[0].split()
    assert prepare([*command, *named]) == 0
    warmup = "optim.warmup_steps=2000"  # which only the steps of the ladder's own runs limit
    phases = ["phases.a.until_share=0.5", "phases.b.schedule=linear"]
    assert tokens.open_once(ladder, [*typed, warmup, *phases]).fingerprints


@pytest.mark.parametrize("key", ["until_step", "until_tokens"])
def test_a_phase_that_ends_at_a_step_is_refused_before_anything_is_trained(key):
    ladder = LadderConfig(sizes=["60k", "130k", "280k"], seq_len=64)
    with pytest.raises(
        RunError, match=f"phases.a.{key}: the ladder's runs differ in length; give until_share"
    ):
        tokens.open_once(ladder, [f"phases.a.{key}=100", "phases.b.schedule=linear"])
