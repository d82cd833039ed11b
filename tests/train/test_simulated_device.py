"""A GPU's manners, on a device written in Python: its tensors must not meet those of the CPU."""

import json
import os
from pathlib import Path

import pytest

from tests.support.evaluation import documents
from tests.support.fork_server import python
from tests.support.runs import REPOSITORY, SMALL, metrics, succeed

LAYOUTS = ("", "dp_shard=2", "dp_replicate=2", "tp=2", "cp=2", "pp=2")


def on_device(*arguments: str, ranks: int = 0, waits: Path | None = None) -> str:
    """What a verb prints there. `waits`: the file for how often each of its threads waited for the device."""
    done = python(
        *("-m", "tests.support.simulated_device", *arguments),
        ranks=ranks,
        cwd=REPOSITORY,
        env={**os.environ, **({"WAITS": str(waits)} if waits else {})},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def on_cpu(tmp_path_factory, corpora) -> Path:
    """A run of three steps."""
    run = tmp_path_factory.mktemp("cpu") / "run"
    succeed(f"run={run}", f"corpora={corpora}", "steps=3")
    return run


@pytest.mark.distributed
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_computes_there_what_it_computes_on_a_cpu(layout, on_cpu, corpora, tmp_path):
    run, keys = tmp_path / "run", [f"parallel.{layout}"] if layout else []
    places = [f"run={run}", f"corpora={corpora}"]
    for end in ("stop_at=2", "stop_at=3"):  # resumes from the checkpoint that it saved there
        on_device("train", *SMALL, *places, *keys, "steps=3", end, ranks=2 if layout else 0)
    for there, here in zip(metrics(run), metrics(on_cpu), strict=True):
        for name in ("loss", "grad_norm"):
            assert there[name] == pytest.approx(here[name], rel=1e-4)


@pytest.mark.parametrize("verb", ["validate", "generate", "evaluate"])
def test_weights_are_used_there(verb, on_cpu, corpora, tmp_path):
    """The same text, greedily, and the same losses and scores to four digits."""
    (tmp_path / "piqa").mkdir()
    lines = "".join(json.dumps(row) + "\n" for row in documents()["piqa"])
    (tmp_path / "piqa" / "validation.jsonl").write_text(lines)
    keys = {
        "validate": [f"corpora={corpora}", "sequences=4"],
        "generate": ["prompt=[The,def function]", "max_tokens=12", "temperature=0"],
        "evaluate": [f"benchmarks={tmp_path}", "tasks=piqa", "protocols=paper"],
    }
    if verb == "evaluate":
        pytest.importorskip("lm_eval")
    words = [verb, f"weights={on_cpu}", "dtype=fp32", *keys[verb]]
    here = python("-m", "launch.cli", *words, cwd=REPOSITORY)
    assert here.returncode == 0 and here.stdout
    for one, other in zip(on_device(*words).split(), here.stdout.split(), strict=True):
        is_number = "." in one and one.replace(".", "").replace(",", "").isdecimal()
        found, expected = (float(word.replace(",", "")) if is_number else word for word in (one, other))
        assert found == (pytest.approx(expected, rel=1e-4) if is_number else expected)


def test_the_host_waits_once_a_step_and_once_a_save(corpora, tmp_path):
    """Each further wait would leave a GPU idle; a save's thread would wait for the steps queued meanwhile."""

    def waits(steps: int, *, layers: int = 2, every: int = 100) -> dict[str, int]:
        run, counts = tmp_path / f"{steps}-{layers}-{every}", tmp_path / "waits"
        keys = [f"model.n_layers={layers}", f"steps={steps}", f"checkpoint.every={every}"]
        on_device("train", *SMALL, f"run={run}", f"corpora={corpora}", *keys, waits=counts)
        return json.loads(counts.read_text())

    few, many = waits(2), waits(5)
    assert many["MainThread"] - few["MainThread"] == 3
    assert many["saver"] == few["saver"] == 1  # of the last step
    assert waits(5, every=2)["saver"] == 3
    assert waits(2, layers=4) == few
