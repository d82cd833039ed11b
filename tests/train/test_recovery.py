"""Spikes and non-finite values: decided once, logged before the decision acts, applied on every resume."""

import errno
import json
import math
import os
import random
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest

from data.order import Order
from data.tokens.store import TOKENIZERS
from tests.support.fork_server import fork, python
from tests.support.narrow import present
from tests.support.runs import (
    SMALL,
    end,
    learned,
    metrics,
    not_a_number,
    same_tensors,
    succeed,
    wait_for_step,
)
from tests.support.stores import write_store
from train.config_groups import RecoveryConfig
from train.decisions import (
    LOG,
    Log,
    is_abandoned,
    read_log,
    reconcile,
    rewind,
    rewinds,
    standing,
    stop_line,
)
from train.recovery import Recovery

STEPS = 40
# A source that is soon known by heart, so that what is random in it spikes (`write_spiky`).
SPIKY = ("data=mix", "data.weights.spiky=1", "data.sources=spiky", f"steps={STEPS}", "checkpoint.every=6")
SPIKY += ("optim.lr=0.02", "recovery.window=8", "recovery.sigma=10", "recovery.back=3", "micro_batch=4")
LAST = f"checkpoints/step-{STEPS:06d}"
ORDER = Order.start(seed=0, weights={"a": 1, "b": 3}, n_sequences={"a": 50, "b": 90}, seq_len=4)


def judge(policy: str, losses: list[float], **changes) -> list[dict | None]:
    recovery = Recovery(RecoveryConfig(policy=policy, **({"window": 8} | changes)))
    found = []
    for step, loss in enumerate(losses, start=1):
        found.append(recovery.judge(step, loss, 1.0))
        if found[-1]:
            recovery.decisions.append(found[-1])
    return found


def test_a_spike_is_far_above_the_steps_before_it():
    quiet = [5.0 + 0.01 * (-1) ** n for n in range(20)]
    assert judge("warn", quiet) == [None] * 20
    (*before, last) = judge("skip", [*quiet, 5.2])
    spike = present(last)
    assert before == [None] * 20 and spike["action"] == "skip" and "5.2" in spike["why"]
    assert judge("warn", [*quiet, 4.0]) == [None] * 21  # a fall is not a spike
    assert judge("warn", [5.0, 5.01, 50.0]) == [None] * 3  # too few steps to judge by


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("policy", "action"), [("warn", "stop"), ("skip", "skip"), ("rewind", "rewind")])
def test_a_non_finite_value_never_passes(value, policy, action):
    decision = present(judge(policy, [5.0, value])[1])
    assert decision["action"] == action and decision["loss"] is None
    json.dumps(decision, allow_nan=False)


def test_recovery_gives_up_after_the_limit_in_a_window():
    actions = [present(d)["action"] for d in judge("skip", [math.nan] * 4, limit=3)]
    assert actions == ["skip"] * 3 + ["stop"]
    mixed = judge("skip", [math.nan, math.nan, 5.0, math.nan, math.nan], limit=3)
    assert [d and d["action"] for d in mixed] == ["skip", "skip", None, "skip", "stop"]
    far = judge("skip", [math.nan, math.nan, *[5.0] * 8, math.nan, math.nan, math.nan], limit=3)
    assert [d and d["action"] for d in far[-3:]] == ["skip", "skip", "skip"]  # more than a window apart


QUIET = [5.0 + 0.01 * (-1) ** n for n in range(20)]


def test_steps_that_were_not_trained_do_not_become_normal():
    skipped = judge("skip", [*QUIET, 9.0, 9.1, 9.0, 9.1, 9.0])
    assert [present(d)["action"] for d in skipped[20:]] == ["skip"] * 5
    warned = judge("warn", [*QUIET, *[9.0, 9.1] * 8])
    assert (
        present(warned[20])["action"] == "warn" and warned[-1] is None
    )  # it was trained: the new level is usual


def judged(values: list[tuple[float, float]], policy: str = "warn", **changes) -> Recovery:
    """Judge (loss, norm) pairs of a model with 5,000 words."""
    config = RecoveryConfig(policy=policy, **({"window": 8} | changes))
    recovery = Recovery(config, untrained=math.log(5000))
    for step, (loss, norm) in enumerate(values, start=1):
        if decision := recovery.judge(step, loss, norm):
            recovery.decisions.append(decision)
    return recovery


LEARNED = [(8.5 - 0.2 * n, 1.0) for n in range(20)]


def test_a_gradient_norm_of_zero_is_a_dead_model():
    assert [d["action"] for d in judged([(8.5, 0.0)]).decisions] == ["warn"]
    dead = judged([*LEARNED, *[(8.0, 0.0)] * 5], limit=3).decisions
    assert [d["action"] for d in dead[-5:]] == ["warn"] * 3 + ["stop"] * 2
    assert "gradient norm 0" in dead[-1]["why"] and dead[-1]["since"] == 21
    assert "learned until step 20" in stop_line(dead[-1], "r", "warn", True)
    assert judged([*LEARNED, (4.5, 0.0)], "rewind").decisions[-1]["action"] == "rewind"


def test_a_loss_as_without_training_is_judged_however_slowly_it_came_back():
    slowly = [(4.7 + 0.02 * n, 1.0) for n in range(200)]
    decisions = judged([*LEARNED, *slowly], sigma=50.0, limit=1000).decisions
    assert decisions and all(d["kind"] == "dead" and d["loss"] > 8.1 for d in decisions)
    assert judged([(8.5, 1.0)] * 30).decisions == []  # nothing was learned yet


def test_a_problem_is_resolved_when_the_loss_is_normal_again():
    recovery = judged([*LEARNED, (math.nan, math.nan)], "skip")
    assert present(recovery.unresolved)["step"] == 21 and "loss nan" in present(recovery.ailing())
    state = json.loads(json.dumps(recovery.state()))
    again = Recovery(recovery.config, math.log(5000))
    again.resume(state, recovery.decisions, ORDER)
    assert again.state() == state
    for step, loss in enumerate([30.0, 29.0, 30.0], start=22):
        again.judge(step, loss, 1.0)
        assert present(again.unresolved)["step"] == 21
    again.judge(25, 4.6, 1.0)
    assert again.unresolved is None and again.ailing() is None


def test_a_rewind_returns_to_before_the_first_unresolved_problem():
    decision = {"step": 31, "action": "rewind", "since": 22}
    assert rewind(decision, [10, 20, 30], back=5, batch=8)["to_step"] == 10


def test_a_rewind_omits_the_samples_from_back_steps_before_the_spike():
    decision = rewind({"step": 31, "action": "rewind"}, [10, 20, 30], back=5, batch=8)
    assert (decision["to_step"], decision["samples"]) == (20, [26 * 8, 31 * 8])
    early = rewind({"step": 3, "action": "rewind"}, [], back=100, batch=8)
    assert (early["to_step"], early["samples"]) == (0, [0, 24])


@pytest.mark.parametrize("seed", range(20))
def test_resuming_anywhere_finds_the_same_order_and_decisions(seed):
    """Random rewinds and skips: whichever checkpoint is left, the log restores the order."""
    draw = random.Random(seed)
    live = Recovery(RecoveryConfig(policy="rewind"))
    order, log, step, saved = ORDER, [], 0, {0: (live.state(), ORDER)}
    for _ in range(200):
        step += 1
        if draw.random() < 0.1:
            decision = rewind({"step": step, "action": "rewind"}, sorted(saved)[1:], back=3, batch=8)
            log.append(decision)
            step = decision["to_step"]
            saved = {at: kept for at, kept in saved.items() if at <= step}
            state, order = saved[step]
            order = live.resume(json.loads(json.dumps(state)), log, order)
        elif draw.random() < 0.2:
            log.append({"step": step, "action": "skip"})
            live.decisions.append(log[-1])
        if step and draw.random() < 0.2:
            saved[step] = (json.loads(json.dumps(live.state())), order)
    assert rewinds(log)
    for at, (state, then) in saved.items():
        again = Recovery(RecoveryConfig(policy="rewind"))
        assert again.resume(state, log, then) == order, f"from step {at}"
        assert again.decisions == standing(log) == live.decisions
        assert not is_abandoned({"step": at, "recovery": state}, [])
    lost = Recovery(RecoveryConfig(policy="rewind"))
    state, then = saved[max(saved)]
    assert len(rewinds(lost.decisions)) <= len(rewinds(state["decisions"]))
    assert lost.resume(state, [], then) == then  # the log was removed: the checkpoint's record still holds


def test_a_checkpoint_of_rewound_steps_is_abandoned():
    log = [rewind({"step": 31, "action": "rewind"}, [10, 20, 30], back=5, batch=8)]
    old = {"recovery": {"decisions": []}}
    assert is_abandoned({**old, "step": 30}, log) and not is_abandoned({**old, "step": 20}, log)
    assert not is_abandoned({"recovery": {"decisions": log}, "step": 30}, log)


def skip(step: int) -> dict:
    return {"step": step, "action": "skip", "why": f"loss {step}"}


def test_a_torn_last_decision_never_acted_and_what_follows_a_damaged_one_is_decided_again(tmp_path):
    whole = json.dumps(skip(1))
    (tmp_path / LOG).write_text(f"{whole}\n{whole[:9]}")
    assert read_log(tmp_path) == [skip(1)]
    (tmp_path / LOG).write_text(f"{whole}\n{whole[:9]}\n{json.dumps(skip(3))}\n")
    assert read_log(tmp_path) == [skip(1)]


@pytest.mark.parametrize("known", [0, 1, 2, 3])
@pytest.mark.parametrize("damaged", [None, 0, 1, 2, 3])
def test_the_checkpoints_decisions_hold_and_the_log_adds_what_is_beyond_them(
    known, damaged, tmp_path, capsys
):
    """Of four decisions the checkpoint knows the first, and a line of the log is damaged."""
    logged = [skip(1), skip(2), rewind(skip(9) | {"action": "rewind"}, [4], back=3, batch=8), skip(6)]
    standing_then = standing(logged[:known])
    lines = [json.dumps(line) if n != damaged else "{" for n, line in enumerate(logged)]
    (tmp_path / LOG).write_text("\n".join(lines) + "\n")
    found = reconcile(tmp_path, standing_then)
    # A log that is damaged before the checkpoint's last decision is not trusted beyond it.
    beyond = (
        logged[known : damaged if damaged is not None else 4] if damaged is None or damaged >= known else []
    )
    assert standing(found) == standing(standing_then + beyond)
    assert (LOG in capsys.readouterr().out) == (damaged is not None)
    assert reconcile(tmp_path, standing_then) == found  # the log is complete again
    if damaged is not None:
        assert (tmp_path / LOG).with_stem("decisions-1").read_text() == "\n".join(lines) + "\n"


def test_a_decision_after_a_torn_one_can_be_read(tmp_path):
    """The torn line never took effect; if it were left in the file, every later start would be refused."""
    Log(tmp_path).write(skip(1))
    with open(tmp_path / LOG, "ab") as file:
        file.write('{"step": 2, "why": "é'.encode()[:-1])
    Log(tmp_path).write(skip(3))
    assert [decision["step"] for decision in read_log(tmp_path)] == [1, 3]


def test_decisions_without_room_wait_and_are_logged_in_order(tmp_path, monkeypatch):
    log = Log(tmp_path)
    log.write(skip(1))

    def no_room(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as full:
        full.setattr("train.run.json_lines.append", no_room)
        for step in (2, 3):
            with pytest.raises(OSError, match="No space"):
                log.write(skip(step))
        assert not log.settle()
    assert log.settle()
    assert [decision["step"] for decision in read_log(tmp_path)] == [1, 2, 3]


def write_spiky(corpora: Path, sample: Path) -> None:
    """A source of 64 tokens that repeat, but for one sequence in sixty: a batch with such a one spikes."""
    draw = np.random.default_rng(1)
    sequences = np.tile(np.arange(3, 67), (3000, 1))
    noisy = draw.random(len(sequences)) < 1 / 60
    sequences[noisy] = draw.integers(3, 4096, (noisy.sum(), 64))
    tokenizer = (sample / "python_code" / "tokens" / TOKENIZERS[0]).read_bytes()
    splits = {"train": [sequences.ravel()], "heldout": [sequences[:9].ravel()]}
    write_store(corpora / "spiky" / "tokens", "spiky", splits, tokenizer, 4096)


# A run that is killed does not end by itself first: its last step waits for that.
WAITS = f"""
import sys, time
from train.main import main
from train.trainer import Trainer
real = Trainer.step
def step(self, step, *arguments):
    while step == {STEPS}:
        time.sleep(600)
    return real(self, step, *arguments)
Trainer.step = step
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.distributed
@pytest.mark.parametrize(("policy", "ranks"), [("skip", 0), ("rewind", 2)])
def test_a_run_with_spikes_killed_and_resumed_decides_the_same(policy, ranks, corpora, tmp_path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    write_spiky(tmp_path / "corpora", corpora)
    arguments = (f"corpora={tmp_path / 'corpora'}", *SPIKY, f"recovery={policy}")
    succeed(*arguments, f"run={undisturbed}", ranks=ranks)
    decisions = read_log(undisturbed)
    assert {d["action"] for d in decisions} == {policy} and decisions[0]["step"] <= STEPS // 2
    assert all(d["documents"] and sum(d["sources"].values()) == 8 for d in decisions)
    first = decisions[0]["step"]
    process = fork("-c", WAITS, *SMALL, *arguments, f"run={killed}", ranks=ranks, new_session=True)
    try:
        wait_for_step(killed, random.randint(first, STEPS - 4), process)
    finally:
        end(process)
    assert process.returncode == -signal.SIGKILL
    succeed(*arguments, f"run={killed}", ranks=ranks)
    assert [(d["action"], d["step"], d["loss"]) for d in standing(read_log(killed))] == [
        (d["action"], d["step"], d["loss"]) for d in standing(decisions)
    ]
    assert learned(killed) == learned(undisturbed)
    same_tensors(killed / LAST, undisturbed / LAST)
    if policy == "skip":
        assert [m["step"] for m in metrics(killed) if m.get("decision")] == [d["step"] for d in decisions]


NOT_A_NUMBER = not_a_number(11, 12)  # step 12, which is computed twice before it is believed


@pytest.mark.parametrize("policy", ["warn", "skip", "rewind"])
def test_a_non_finite_loss_never_reaches_the_weights(policy, corpora, tmp_path):
    run = tmp_path / "run"
    arguments = [f"corpora={corpora}", "steps=20", "checkpoint.every=5", "recovery.back=3"]
    ran = python("-c", NOT_A_NUMBER, *SMALL, *arguments, f"run={run}", f"recovery={policy}")
    if policy == "warn":
        assert ran.returncode == 1
        last = ran.stderr.splitlines()[-1]
        assert "step 12: loss nan" in last
        assert (run / "checkpoints" / "latest").read_text() == "step-000010\n"
        carry_out(last, run, arguments, tmp_path)
        return
    assert ran.returncode == 0, ran.stderr
    (decision,) = read_log(run)
    assert (decision["action"], decision["step"]) == (policy, 12)
    losses = {m["step"]: m["loss"] for m in metrics(run)}
    assert losses.pop(12 if policy == "skip" else 0, None) is None
    assert len(losses) == (19 if policy == "skip" else 20) and all(map(math.isfinite, losses.values()))


def carry_out(message: str, run: Path, arguments: list[str], tmp_path: Path) -> None:
    """Do each thing that the line of a stopped run proposes."""
    remedies = re.findall(r"recovery=\w+", message)
    assert remedies == ["recovery=skip", "recovery=rewind"]
    for remedy in remedies:
        copied = tmp_path / remedy
        shutil.copytree(run, copied)
        assert f"resuming {copied} after step 10" in succeed(*arguments, f"run={copied}", remedy).stdout
    assert f"init={run} and a lower optim.lr" in message
    started = succeed(*arguments, f"run={tmp_path / 'new'}", f"init={run}", "optim.lr=0.001", "stop_at=2")
    assert (
        "was trained on the samples that this run begins with (of python_code, python_docs)" in started.stdout
    )
    assert "data_seed=1 begins with others" in started.stdout
    assert f"relama explain run={run} step=12" in message
    explained = python("-m", "launch.cli", "explain", f"run={run}", "step=12")
    assert explained.returncode == 0, explained.stderr


@pytest.mark.parametrize(
    ("policy", "kind", "is_saved", "named", "not_named"),
    [
        ("warn", "not_finite", True, ["recovery=skip", "init=r and a lower"], ["limit", "recovery=warn"]),
        ("warn", "dead", True, ["recovery=skip", "recovery.limit", "until step 4: move"], ["recovery=warn"]),
        ("skip", "spike", True, ["recovery=rewind", "recovery.limit"], ["recovery=skip"]),
        ("rewind", "spike", False, ["recovery=skip", "recovery.limit"], ["recovery=rewind", "init="]),
    ],
)
def test_a_stop_proposes_nothing_that_is_already_set_or_needs_a_missing_checkpoint(
    policy, kind, is_saved, named, not_named
):
    line = stop_line({"step": 9, "why": "loss 9", "kind": kind, "since": 5}, "r", policy, is_saved)
    assert all(words in line for words in named) and not any(words in line for words in not_named)


@pytest.mark.distributed
def test_torchrun_does_not_resume_after_a_stop_but_a_person_can(corpora, tmp_path):
    """A process's twelfth step is non-finite; a start after step 10 would finish before that."""
    script, folder = tmp_path / "not_a_number.py", tmp_path / "run"
    script.write_text(NOT_A_NUMBER)
    arguments = [*SMALL, f"corpora={corpora}", f"run={folder}", "steps=20", "checkpoint.every=5"]
    torchrun = [*("-m", "torch.distributed.run", "--standalone", "--max-restarts=2"), str(script), *arguments]
    ran = python(*torchrun)
    assert ran.returncode == 1 and "relama: resuming" not in ran.stdout
    # Each start says why it ends, and torchrun's report repeats it.
    assert ran.stderr.count("relama: error: step 12: loss nan") == 4
    assert len(read_log(folder)) == 1 and metrics(folder)[-1]["step"] == 11
    why = json.loads((folder / "stopped.json").read_text())["why"]
    assert why.startswith("step 12: loss nan") and "recovery=skip" in why

    succeed(f"corpora={corpora}", f"run={folder}", "steps=20", "checkpoint.every=5")
    assert (folder / "finished.json").exists() and not (folder / "stopped.json").exists()


def test_recovery_settings_are_checked(corpora, tmp_path):
    from tests.support.runs import run

    refused = run(f"corpora={corpora}", f"run={tmp_path / 'run'}", "recovery.policy=hope")
    assert refused.returncode == 1 and "recovery.policy=hope" in refused.stderr and "rewind" in refused.stderr
    assert not Path(tmp_path / "run").exists()
