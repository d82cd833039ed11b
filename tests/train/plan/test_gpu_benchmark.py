"""benchmarks/gpu.py end to end, on a CPU with tiny shapes, and `relama plan` on what it wrote."""

import json
import shutil

import pytest

from tests.support.fork_server import python
from tests.support.runs import REPOSITORY
from train.plan.main import main as plan

COMPILER = any(map(shutil.which, ("g++", "clang++", "c++")))


@pytest.mark.skipif(not COMPILER, reason="Inductor compiles with a C++ compiler, and none is here")
@pytest.mark.distributed
def test_every_part_runs_and_the_plan_reads_it(tmp_path, capsys):
    output = tmp_path / "gpu.json"
    arguments = ("--device", "cpu", "--tiny", "--ranks", "2", "--output", str(output))
    done = python(REPOSITORY / "benchmarks" / "gpu.py", *arguments, children=True, timeout=1500)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(output.read_text())
    assert len(found["checks"]) == 8 and all(line["ok"] for line in found["checks"])
    assert [line["compiled"] for line in found["speed"]] == [False, True]
    assert all(line["flops_per_second"] > 0 and line["planned_gib"] > 0 for line in found["speed"])
    assert found["all"][0]["ranks"] == 2 and 0 <= found["run"]["checkpoint"] < 1
    assert "**differs**" not in done.stdout and "tiny, compiled" in done.stdout

    assert plan([f"measured={output}", "model=7b", "world_size=8"]) == 0
    told = capsys.readouterr().out
    best = max(found["speed"], key=lambda line: line["flops_per_second"])
    way = "compiled" if best["compiled"] else "eager"
    assert f"measured on {found['device']}: tiny-shaped blocks, {way}" in told and "MWh" not in told


def written(tmp_path, **changes) -> str:
    line = {"shape": "7b", "dim": 4096, "compiled": False, "flops_per_second": 4e14, "mfu": 0.4}
    narrow = line | {"shape": "1b", "dim": 2048, "flops_per_second": 3e14, "mfu": 0.3}
    broken = line | {"compiled": True, "error": "out of memory"}
    found = {"device": "a GPU", "speed": [narrow, line, broken]} | changes
    (tmp_path / "gpu.json").write_text(json.dumps(found))
    return f"measured={tmp_path / 'gpu.json'}"


def test_the_nearest_width_sets_the_speed(tmp_path, capsys):
    for size, shape, share in (("65b", "7b", "40%"), ("small", "1b", "30%")):
        assert plan([written(tmp_path), f"model={size}", "model.vocab_size=32000", "world_size=8"]) == 0
        assert (
            f"measured on a GPU: {shape}-shaped blocks, eager, {share} of its peak" in capsys.readouterr().out
        )


@pytest.mark.parametrize("changes", [{"speed": []}, {"speed": None}, {"speed": [{"dim": 1}]}])
def test_another_file_is_refused_by_name(tmp_path, capsys, changes):
    assert plan([written(tmp_path, **changes), "model=7b"]) == 1
    error = capsys.readouterr().err
    assert "gpu.json: holds no speed; expected the JSON file that benchmarks/gpu.py or " in error


def test_a_missing_measurement_is_refused_without_pythons_names(tmp_path, capsys):
    assert plan([f"measured={tmp_path / 'no.json'}", "model=7b"]) == 1
    assert "no.json: cannot be read (No such file or directory); expected" in capsys.readouterr().err
