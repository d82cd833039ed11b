"""A short chaos test: a run of two ranks survives a few kinds of faults and ends as if undisturbed."""

import os

import pytest

from tests.chaos.campaign import Campaign
from tests.chaos.disk import small_disk
from tests.chaos.run import SETTINGS

pytestmark = pytest.mark.distributed

# Faults that no test of resuming covers; and a full disk, if one can be mounted.
KINDS = ["killed during a save", "a rank hangs (SIGSTOP)", "checkpoint: a bit flipped"]
SHORT = (*SETTINGS, "steps=120", "validate.every=50")


def test_a_run_under_random_faults_ends_bitwise_equal_to_the_undisturbed_one(corpora, tmp_path):
    seed = int.from_bytes(os.urandom(4), "little")
    print(f"seed {seed}")  # shown if the test fails
    with small_disk(tmp_path / "disk") as disk:
        kinds = [*KINDS, "disk full"] if disk else KINDS
        campaign = Campaign(disk or tmp_path, corpora, seed, kinds, SHORT)
        while len(campaign.survived) < len(kinds):  # a run may end before all have struck
            campaign.strike(ranks=2, faults=len(kinds) - len(campaign.survived))
