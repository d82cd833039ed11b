"""`relama launch check` on two processes: everything is measured, and what is wrong is named."""

import json
from types import SimpleNamespace

import pytest

from launch.main import main
from tests.support.fork_server import python
from tests.support.ranks import run_ranks
from tests.support.runs import REPOSITORY, SMALL
from train.check import measures
from train.plan.measured import measured_rate
from train.ranks import identity

pytestmark = pytest.mark.distributed


def test_two_processes_are_measured_and_plan_reads_the_result(corpora, tmp_path):
    command = ["-m", "launch.cli", "launch", "check", "processes=2", *SMALL]
    done = python(*command, f"corpora={corpora}", "parallel.dp_shard=2", cwd=tmp_path, children=True)
    found = json.loads((tmp_path / "hardware.json").read_text())
    assert done.returncode == bool(found["problems"]), done.stdout + done.stderr
    assert [line for line in found["problems"] if "is slow" not in line] == []
    first, second = found["measured"]
    assert first["tokens"] == second["tokens"] and first["disk_write"] > 0 and second["disk_write"] is None
    assert (first["step"]["loss"], first["step"]["norm"]) == (second["step"]["loss"], second["step"]["norm"])
    assert {len(rates) for rates in first["collectives"].values()} == {3}
    assert "| 1 | " in done.stdout and "| reduce_scatter | " in done.stdout
    assert "Warning" not in done.stdout + done.stderr  # torch's, of names that it no longer wants
    rate, basis = measured_rate(tmp_path / "hardware.json", 32)
    assert rate == found["speed"][0]["flops_per_second"] and "launch check on 2 ranks" in basis
    assert [path.name for path in tmp_path.rglob("*relama-check*")] == []


def test_data_that_is_missing_is_a_problem_and_the_rest_is_measured(tmp_path):
    script = REPOSITORY / "train" / "check" / "main.py"
    done = python(script, *SMALL, "data=mix", "corpora=nowhere", ranks=2, cwd=tmp_path)
    assert done.returncode == 1
    found = json.loads((tmp_path / "hardware.json").read_text())
    assert any("data: " in line and "nowhere" in line for line in found["problems"]), done.stdout
    assert f"problem: {found['problems'][0]}" in done.stdout
    assert all(rank["step"]["loss"] > 0 for rank in found["measured"])


def test_a_check_makes_no_run_so_the_runs_of_a_sweep_are_not_in_its_way(corpora, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    swept = tmp_path / "runs" / "tiny-sample" / "seed=1"
    swept.mkdir(parents=True)
    (swept / "config.yaml").touch()
    started = []
    monkeypatch.setattr("launch.local.become", lambda config, arguments: started.append(arguments))
    assert main(["check", *SMALL, f"corpora={corpora}"]) == 0
    assert started[0][0] == "check" and [path.name for path in swept.iterdir()] == ["config.yaml"]


def offset(ahead: float) -> float:
    """Of rank 1, which comes two seconds late to its first look at its clock."""
    moments = [100.0 * look for look in range(measures.TIMES)]
    if identity.group_rank() == 1:
        moments = [moment + ahead for moment in moments]
        moments[0] += 2
    measures.time = SimpleNamespace(time=iter(moments).__next__)  # pyright: ignore[reportAttributeAccessIssue]
    return measures.clock_offset()


@pytest.mark.parametrize("ahead", [0.25, 90.0])
def test_a_rank_that_did_not_run_for_a_moment_has_not_the_wrong_time(ahead):
    assert run_ranks(offset, 2, ahead) == [0.0, ahead]


def test_links_are_measured_in_pairs(tmp_path):
    script = tmp_path / "pairs.py"
    script.write_text(
        "import torch, torch.distributed as dist\n"
        "from train.check.measures import pair_rates\n"
        "dist.init_process_group('gloo')\n"
        "found = pair_rates([0, 2], torch.device('cpu'))\n"
        "assert set(found) == {0: {2}, 1: set(), 2: {0}}[dist.get_rank()]\n"
        "assert all(rate > 0 for rate in found.values())\n"
    )
    done = python(script, ranks=3)
    assert done.returncode == 0, done.stderr


def test_a_dry_run_shows_the_command_of_each_cluster(corpora, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = ["processes=2", *SMALL, f"corpora={corpora}", "dry_run=true"]
    for cluster in ((), ("cluster=slurm", "cluster.partition=gpu")):
        assert main(["check", *arguments, *cluster]) == 0
        shown = capsys.readouterr().out
        assert "train/check/main.py" in shown and "train/main.py" not in shown.replace("check/main.py", "")
        assert "--max-restarts=0" in shown
