"""A world without training: runs appear and obey a law."""

import math
from typing import cast

import numpy as np
import pytest

from data.tokens.store import TokenStore
from tests.support.ladders import LAW, RULE, config_of, leave_run
from train.ladder import family, main, tokens, training


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder in which runs obey LAW, to a thousandth; returns the names of those trained, in order."""
    monkeypatch.chdir(tmp_path)
    trained: list[str] = []

    class Store:
        n_tokens, vocab_size, fingerprint = 10**9, 512, "one"

    def open_once(config, typed):
        store = cast(TokenStore, Store())
        return tokens.Tokens(config_of(family.rungs([60e3], [20], **RULE)[0][0]), {"books": store})

    def train(rungs, config, folder, typed, say):
        for rung in rungs:
            trained.append(rung.name)
            noise = np.random.default_rng(len(trained)).normal(0, 1e-3)
            leave_run(folder / rung.name, rung, LAW.loss(rung.parameters, rung.tokens) * math.exp(noise))

    monkeypatch.setattr(main, "open_once", open_once)
    monkeypatch.setattr(training, "train", train)
    return trained
