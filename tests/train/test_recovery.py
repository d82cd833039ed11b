"""Spikes and non-finite values: decided once, logged before the decision acts, applied on every resume."""

import errno
import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from data.order import Order
from tests.support.runs import (
    REPOSITORY,
    SMALL,
    end,
    learned,
    metrics,
    same_tensors,
    start,
    succeed,
    wait_for_step,
)
from train.config import RecoveryConfig
from train.decisions import LOG, Log, is_abandoned, read_log, reconcile, rewind, rewinds, standing
from train.recovery import Recovery

STEPS = 40
# A learning rate and a threshold at which ordinary steps are spikes.
SPIKY = (f"steps={STEPS}", "checkpoint.every=6", "optim.lr=0.02", "recovery.window=8", "recovery.limit=50")
POLICIES = {
    "skip": ("recovery=skip", "recovery.sigma=1.2"),
    "rewind": ("recovery=rewind", "recovery.sigma=2"),
}
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
    (*before, spike) = judge("skip", [*quiet, 5.2])
    assert before == [None] * 20 and spike["action"] == "skip" and "5.2" in spike["why"]
    assert judge("warn", [*quiet, 4.0]) == [None] * 21  # a fall is not a spike
    assert judge("warn", [5.0, 5.01, 50.0]) == [None] * 3  # too few steps to judge by


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(("policy", "action"), [("warn", "stop"), ("skip", "skip"), ("rewind", "rewind")])
def test_a_non_finite_value_never_passes(value, policy, action):
    (_, decision) = judge(policy, [5.0, value])
    assert decision["action"] == action and decision["loss"] is None
    json.dumps(decision, allow_nan=False)


def test_recovery_gives_up_after_the_limit_in_a_row():
    actions = [d["action"] for d in judge("skip", [math.nan] * 4, limit=3)]
    assert actions == ["skip"] * 3 + ["stop"]
    mixed = judge("skip", [math.nan, math.nan, 5.0, math.nan, math.nan, math.nan], limit=3)
    assert [d and d["action"] for d in mixed] == ["skip", "skip", None, "skip", "skip", "skip"]


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
    assert reconcile(tmp_path, standing_then) == found  # the log is whole again
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


@pytest.mark.distributed
@pytest.mark.parametrize(("policy", "ranks"), [("skip", 0), ("rewind", 2)])
def test_a_run_with_spikes_killed_and_resumed_decides_the_same(policy, ranks, corpora, tmp_path):
    words = (f"corpora={corpora}", *SPIKY, *POLICIES[policy], "recovery.back=3")
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    succeed(*words, f"run={undisturbed}", ranks=ranks)
    decisions = read_log(undisturbed)
    assert {d["action"] for d in decisions} == {policy}
    assert all(d["documents"] and sum(d["sources"].values()) == 8 for d in decisions)
    first = decisions[0]["step"]
    process = start(*words, f"run={killed}", ranks=ranks)
    try:
        wait_for_step(killed, random.randint(first, STEPS - 4), process)
    finally:
        end(process)  # SIGKILL
    succeed(*words, f"run={killed}", ranks=ranks)
    assert [(d["action"], d["step"], d["loss"]) for d in standing(read_log(killed))] == [
        (d["action"], d["step"], d["loss"]) for d in standing(decisions)
    ]
    assert learned(killed) == learned(undisturbed)
    same_tensors(killed / LAST, undisturbed / LAST)
    if policy == "skip":
        assert [m["step"] for m in metrics(killed) if m.get("decision")] == [d["step"] for d in decisions]


NOT_A_NUMBER = """
import sys
import train.trainer
from train.main import main

real, calls = train.trainer.forward_backward, iter(range(10**6))

def forward_backward(model, batches, count):
    loss = real(model, batches, count)
    if next(calls) == 11:
        for parameter in model.parameters():
            parameter.grad.fill_(float("nan"))
        return loss * float("nan")
    return loss

train.trainer.forward_backward = forward_backward
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("policy", ["warn", "skip", "rewind"])
def test_a_non_finite_loss_never_reaches_the_weights(policy, corpora, tmp_path):
    words = [*SMALL, f"corpora={corpora}", f"run={tmp_path}", "steps=20", "checkpoint.every=5"]
    words += [f"recovery={policy}", "recovery.back=3"]
    command = [sys.executable, "-c", NOT_A_NUMBER, *words]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=180)
    if policy == "warn":
        assert ran.returncode == 1
        assert "step 12: loss nan" in ran.stderr.splitlines()[-1] and "recovery=skip" in ran.stderr
        assert (tmp_path / "checkpoints" / "latest").read_text() == "step-000010\n"
        return
    assert ran.returncode == 0, ran.stderr
    (decision,) = read_log(tmp_path)
    assert (decision["action"], decision["step"]) == (policy, 12)
    losses = {m["step"]: m["loss"] for m in metrics(tmp_path)}
    assert losses.pop(12 if policy == "skip" else 0, None) is None
    assert len(losses) == (19 if policy == "skip" else 20) and all(map(math.isfinite, losses.values()))


@pytest.mark.distributed
def test_torchrun_does_not_resume_after_a_stop_but_a_person_can(corpora, tmp_path):
    """A process's twelfth loss is non-finite; a start after step 10 would finish before that."""
    script, folder = tmp_path / "not_a_number.py", tmp_path / "run"
    script.write_text(NOT_A_NUMBER)
    words = [*SMALL, f"corpora={corpora}", f"run={folder}", "steps=20", "checkpoint.every=5"]
    torchrun = [*("-m", "torch.distributed.run", "--standalone", "--max-restarts=2"), str(script), *words]
    ran = subprocess.run(
        [sys.executable, *torchrun], cwd=REPOSITORY, capture_output=True, text=True, timeout=180
    )
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
