"""A short chaos test: a run of two ranks survives a few kinds of faults and ends as if undisturbed."""

import os
import random
from unittest.mock import patch

import pytest

from tests.chaos.campaign import Campaign
from tests.chaos.faults import DISK, KINDS
from tests.chaos.files import KINDS as FILE_KINDS
from tests.chaos.run import SETTINGS, Run
from tests.support.disk import small_disk

# Faults that no test of resuming covers; and a full disk, if one can be mounted.
STRUCK = ["killed during a save", "a rank hangs (SIGSTOP)", "checkpoint: a bit flipped"]
SHORT = (*SETTINGS, "steps=120", "validate.every=50")


@pytest.mark.parametrize("exists", [False, True], ids=["before-there-are-any", "with-an-empty-checkpoint"])
@pytest.mark.parametrize("kind", sorted(set(FILE_KINDS) - {"folder moved away and back"}))
def test_every_fault_of_files_can_strike_early(kind, exists, tmp_path, monkeypatch):
    run = Run(tmp_path / "run", tmp_path, ranks=1)
    monkeypatch.setattr("tests.chaos.files.kill_a_rank", lambda run, rng: None)
    monkeypatch.setattr("tests.chaos.files.kill_every_rank", lambda run, rng: None)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    if exists:
        (run.checkpoints / "step-000010").mkdir(parents=True)
    with patch.object(Run, "workers", []):
        FILE_KINDS[kind](run, random.Random(0))


@pytest.mark.parametrize("resumed", [[], [110]], ids=["came-after-its-end", "struck"])
def test_a_fault_counts_only_if_the_run_had_not_ended(resumed, tmp_path, monkeypatch):
    """Otherwise a machine that is slow at the wrong moment would test nothing; it strikes the next run."""
    kind = "killed during a save"
    monkeypatch.setitem(KINDS, kind, lambda run, rng: None)
    campaign = Campaign(tmp_path, tmp_path, 0, [kind, "disk full"], SHORT)
    reports = iter([[], [], resumed, []])
    for name, does in {"keep_alive": False, "last_step": 120, "new_resumptions": reports}.items():
        monkeypatch.setattr(Run, name, lambda run, does=does: next(does) if does is reports else does)
    campaign._one(Run(tmp_path / "run", tmp_path, ranks=2), kind)
    assert [one.kind for one in campaign.survived] == ([kind] if resumed else [])
    if not resumed:
        assert next(campaign._next) == kind


@pytest.mark.distributed
def test_a_run_under_random_faults_ends_bitwise_equal_to_the_undisturbed_one(corpora, tmp_path):
    seed = int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}")  # shown if the test fails
    with small_disk(tmp_path / "disk", DISK) as disk:
        kinds = [*STRUCK, "disk full"] if disk else STRUCK
        campaign = Campaign(disk or tmp_path, corpora, seed, kinds, SHORT, forked=True)
        while len(campaign.survived) < len(kinds):  # a run may end before all have struck
            campaign.strike(ranks=2, faults=len(kinds) - len(campaign.survived))
