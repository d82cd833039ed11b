"""What a branch of a run with phases takes from the phase of its parent, and what from the typed words."""

import json
import math

from tests.train.branch.test_branch import branch_of, chain, config_of
from train.config import TrainConfig
from train.run.lineage import Lineage, Stretch


def test_the_runs_own_values_end_a_phase_of_others_if_they_are_typed():
    parent = config_of("phases.first.until_step=40", "phases.long.seq_len=128", "phases.long.rope_theta=5e4")
    parent = branch_of(parent, 50, "data.sources=python_docs", "global_batch=8192")
    assert chain(branch_of(parent, 60, "data.max_epochs=9", "checkpoint.keep=9")) == chain(parent)
    back = branch_of(
        parent,
        60,
        *("data.sources=python_code,python_docs", "seq_len=256", "global_batch=4096", "model.rope_theta=1e4"),
        name="c",
    ).timeline.phases
    assert [(phase.name, phase.start) for phase in back] == [("first", 0), ("long", 40), ("b", 50), ("c", 60)]
    last = (back[-1].seq_len, back[-1].global_batch, back[-1].rope_theta, back[-1].weights)
    assert last == (256, 4096, 10000.0, {"python_code": 60.0, "python_docs": 40.0})
    other = branch_of(parent, 60, "seq_len=256").timeline.phases[-1]  # what is not typed stays
    assert (other.seq_len, other.global_batch, list(other.weights)) == (256, 8192, ["python_docs"])


def test_a_weight_that_is_not_typed_stays_as_in_the_parents_phase():
    def mixture(parent: TrainConfig, *typed: str) -> dict[str, float]:
        return branch_of(parent, 60, *typed, name="c").timeline.phases[-1].weights

    both = branch_of(config_of(), 40, "data.weights.python_docs=90")
    assert mixture(both, "data.weights.python_code=10") == {"python_code": 10.0, "python_docs": 90.0}
    assert mixture(both, "data.weights={python_code: 10}") == {"python_code": 10.0, "python_docs": 40.0}
    docs = branch_of(config_of(), 40, "data.weights.python_docs=90", "data.sources=python_docs")
    assert mixture(docs, "data.weights.python_docs=5") == {"python_docs": 5.0}
    assert mixture(docs, "data.weights.python_code=5") == {"python_code": 5.0, "python_docs": 90.0}
    assert mixture(docs, "data.sources=python_code,python_docs") == {"python_code": 60.0, "python_docs": 90.0}
    assert mixture(docs, "data=sample") == {"python_code": 60.0, "python_docs": 40.0}


def test_a_branch_called_rest_can_be_branched_again():
    """Which is what the steps after the last phase are called, if no phase has that name."""
    named = branch_of(config_of(), 40, "seq_len=128", name="rest")
    again = branch_of(named, 60, "phases.short.until_step=70", "phases.short.seq_len=64", name="c")
    assert ends(again) == {"past": 40, "rest": 60, "short": 70, "rest-2": 100}
    last = branch_of(again, 80, "seq_len=32", name="d")
    assert ends(last) == {"past": 40, "rest": 60, "short": 70, "past-2": 80, "d": 100}
    assert [phase.seq_len for phase in last.timeline.phases] == [256, 128, 64, 256, 32]


def ends(config: TrainConfig) -> dict[str, int]:
    return {name: end for name, _, end, *_ in chain(config)}


def test_a_lineage_without_a_clip_reads_back(tmp_path):
    updates = (Stretch(4, [0.9, 0.95], math.inf), Stretch(9, [0.9, 0.99], 1.0))
    lineage = Lineage(tmp_path / "a", 9, "0" * 64, updates=updates)
    child = tmp_path / "b"
    child.mkdir()
    lineage.write(child, child)
    assert Lineage.read(child) == lineage
    assert json.loads((child / "lineage.json").read_text())["updates"][0]["clip"] is None
