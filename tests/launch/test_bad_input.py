"""An impossible launch is refused in one line, before anything is submitted or written."""

import os
import socket
from pathlib import Path

import pytest

from launch.job import keep
from launch.main import main, progress
from train.run.lineage import Lineage

REFUSED = [
    (["cluster=slurm", "cluster.exclude=gpu[1-3,7]"], "`scontrol show hostnames` gives the names"),
    (["cluster=nomad"], "cluster=nomad: no such choice; cluster is one of: kubernetes, local, slurm"),
    (["nodes=0"], "nodes=0: expected at least 1, or MIN:MAX"),
    (["nodes=3:2"], "nodes=3:2: expected at least 1, or MIN:MAX"),
    (["nodes=2"], "cluster=local, several machines need cluster.rendezvous=HOST:PORT"),
    (["nodes=2", "cluster.rendezvous=there"], "cluster.rendezvous=there: expected HOST:PORT"),
    (["processes=0"], "processes=0: expected at least 1"),
    (["cluster=slurm", "cluster.time=soon"], "cluster.time=soon: expected Slurm's hours:minutes:seconds"),
    (["cluster=slurm", "cluster.time=5"], "cluster.time=5: expected more than cluster.grace=300 s"),
    (["cluster=slurm", "cluster.sbatch.Bad=1"], "cluster.sbatch=Bad: expected a long option's name"),
    (["cluster=slurm", "cluster.sbatch.nodes=3", "dry_run=true"], "sbatch.nodes=3: expected 1: give nodes=N"),
    (
        ["cluster=slurm", "cluster.sbatch.ntasks-per-node=8", "dry_run=true"],
        "cluster.sbatch.ntasks-per-node=8: expected 1: one torchrun per machine; processes= or gpus=",
    ),
    (["cluster=slurm", "cluster.environment.'A-B'=1"], "cluster.environment"),
    (["node=2"], "node: unknown key; did you mean nodes?"),
    (["cluster.partitoin=x"], "cluster.partitoin: unknown key; did you mean cluster.partition?"),
    (["stepz=2"], "stepz: unknown key; did you mean steps?"),
    (["steps=0"], "steps=0: expected at least 1"),
    (["steps"], "'steps': expected key=value"),
    (["run=a\ntouch b"], "contains an unprintable character"),
    (["processes=2", "parallel.tp=8"], "tp 8 = 8 × the rest, but the world size is 2"),
    (
        ["cluster=slurm", "nodes=2:4", "processes=2", "parallel.tp=4", "dry_run=true"],
        "nodes=2:4, on 3 nodes: parallel: dp_shard -1 × tp 4 = 4 × the rest, but the world size is 6",
    ),
    (["data=mix", "corpora=nowhere"], "nowhere/: no token store for commoncrawl"),
    (["cluster=slurm", "run=50%j", "dry_run=true"], "Slurm would interpret the \\ or %"),
    (["cluster=slurm"], "sbatch not found; run this on a login node"),
    (["status"], "launch status: expected run=NAME of one that was launched"),
    (["stop", "run=x"], "no launch recorded for this run"),
    (["generate", "cluster=slurm"], "launch generate: only for processes of this machine"),
    (["evaluate", "processes=0"], "processes=0: expected at least 1"),
]


@pytest.fixture
def nowhere(tmp_path, monkeypatch) -> Path:
    """An empty working folder, and no Slurm command on the path."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.mark.parametrize(("arguments", "expected"), REFUSED, ids=lambda value: " ".join(value)[:30])
def test_it_is_refused_in_one_line(arguments, expected, nowhere, capsys):
    assert main(arguments) == 1
    printed = capsys.readouterr()
    assert expected in printed.err and len(printed.err.splitlines()) == 1 and printed.out == ""
    assert list(Path.cwd().iterdir()) == []


def test_sbatchs_message_is_passed_on_and_nothing_is_left(nowhere, capsys):
    sbatch = nowhere / "bin" / "sbatch"
    sbatch.write_text(
        "#!/bin/sh\necho 'sbatch: error: no such partition' >&2\necho 'sbatch: bye' >&2\nexit 1\n"
    )
    sbatch.chmod(0o755)
    os.symlink("/bin/sh", nowhere / "bin" / "sh")
    assert main(["cluster=slurm", "run=r"]) == 1
    error = capsys.readouterr().err
    assert error == "relama: error: sbatch refused the job: sbatch: error: no such partition sbatch: bye\n"
    assert list(Path.cwd().iterdir()) == []


def test_a_launch_within_a_job_does_not_pass_on_that_jobs_resources(nowhere, monkeypatch, capsys):
    sbatch = nowhere / "bin" / "sbatch"
    sbatch.write_text(f"#!/bin/sh\n/usr/bin/env > {nowhere}/seen\necho 7\n")
    sbatch.chmod(0o755)
    os.symlink("/bin/sh", nowhere / "bin" / "sh")
    for name in ("SLURM_JOB_ID", "SLURM_CPUS_PER_TASK", "SLURM_MEM_PER_NODE", "SRUN_CPUS_PER_TASK"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    monkeypatch.setenv("MINE", "kept")
    assert main(["cluster=slurm", "run=r", "model=tiny", "data=sample"]) == 0, capsys.readouterr().err
    seen = dict(line.split("=", 1) for line in (nowhere / "seen").read_text().splitlines() if "=" in line)
    assert [name for name in seen if name.startswith(("SLURM", "SRUN"))] == ["SLURM_CONF"]
    assert seen["MINE"] == "kept"


def test_a_folder_of_something_else_is_refused(nowhere, capsys):
    Path("mine").mkdir()
    Path("mine/thesis.tex").touch()
    assert main(["run=./mine"]) == 1
    assert "not empty and not a run folder" in capsys.readouterr().err
    assert [path.name for path in Path("mine").iterdir()] == ["thesis.tex"]


def test_a_branch_is_named_with_its_parent_and_refused_without_it(nowhere, capsys):
    parent, child = nowhere / "here/runs/a", nowhere / "here/runs/b"
    (child / "checkpoints").mkdir(parents=True)
    Lineage(parent, 4, "0" * 64).write(child, child)
    (child / "config.yaml").write_text("steps: 100000\n")
    (child / "metrics.jsonl").write_text('{"step": 5}\n')
    assert main(["run=b", "model=tiny", "data=sample", "dry_run=true"]) == 0
    assert "runs/b continues from" in (line := capsys.readouterr().err) and "runs/a after step 4" in line
    assert progress(child) == "; 5 steps are done, the first 4 by a"
    assert main(["run=b", "model=tiny", "data=sample"]) == 1
    assert "step-000004: missing, and this run continues from it" in capsys.readouterr().err
    assert not (child / "launch").exists()


def test_a_job_on_another_machine_does_not_hide_the_next(nowhere, capsys):
    run = Path("runs/r")
    keep(run, "local", "1", "elsewhere", "", [])
    keep(run, "local", "99999999", socket.gethostname(), "", [])
    assert main(["stop", "run=r"]) == 1
    printed = capsys.readouterr()
    assert "process 99999999 has ended already" in printed.out
    assert "process 1 is on elsewhere: stop it there" in printed.err


def test_an_unreachable_controller_does_not_mean_that_the_job_ended(nowhere, capsys):
    squeue = nowhere / "bin" / "squeue"
    squeue.write_text("#!/bin/sh\necho 'slurm_load_jobs error: Unable to contact controller' >&2\nexit 1\n")
    squeue.chmod(0o755)
    os.symlink("/bin/sh", nowhere / "bin" / "sh")
    keep(Path("runs/r"), "slurm", "7", "", "log", [])
    (nowhere / "bin" / "scancel").symlink_to(squeue)
    for verb in ("status", "stop"):
        assert main([verb, "run=r"]) == 1
        assert "squeue does not answer (slurm_load_jobs error: Unable" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["cluster=slurm", "image=r/x:1"],
            "image=r/x:1 has no effect with cluster=slurm, only with kubernetes",
        ),
        (
            ["cluster.sbatch.account=me"],
            "cluster.sbatch.account=me has no effect with cluster=local, only with s",
        ),
        (["cpus=4"], "cpus=4 has no effect with cluster=local, only with slurm and kubernetes"),
        (
            ["cluster=kubernetes", "image=r/x:1", "cluster.volumes=a:/a", "cluster.time=1:00:00"],
            "cluster.time=1:00:00 has no effect with cluster=kubernetes, only with slurm",
        ),
        (
            ["cluster=slurm", "cluster.sbatch.nodes=2", "nodes=2", "cluster.exclude=a", "cluster.grace=9"],
            None,
        ),
    ],
)
def test_a_key_that_the_cluster_does_not_read_is_a_warning_beside_what_is_printed(
    arguments, said, nowhere, capsys
):
    assert main([*arguments, "dry_run=true", "model=tiny", "data=mix"]) == 0
    printed = capsys.readouterr()
    warned = [line for line in printed.err.splitlines() if "has no effect" in line]
    assert len(warned) == (said is not None) and all(said in line for line in warned)
    assert printed.out and "has no effect" not in printed.out


@pytest.mark.parametrize(
    "place",
    [["processes=8"], ["cluster=slurm", "nodes=1:2", "gpus=8"], ["cluster=kubernetes", "nodes=2", "image=a"]],
)
def test_a_layout_that_the_run_will_choose_is_launched_and_the_keys_that_it_keeps_are_checked(
    place, nowhere, capsys
):
    words = [*place, "dry_run=true", "model=tiny", "data=sample", "parallel=auto"]
    assert main(words) == 0
    assert "parallel=auto" in capsys.readouterr().out
    assert main([*words, "parallel.tp=3"]) == 1
    assert "tp 3" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [[], ["check"], ["generate"]])
def test_gpus_means_that_ranks_compute_on_gpus_unless_the_device_is_given(verb, nowhere, capsys):
    words = [*verb, "gpus=2", "dry_run=true"]
    words += ["weights=x", "prompt=x"] if verb == ["generate"] else ["model=tiny", "data=sample"]
    assert main(words) == 0
    assert capsys.readouterr().out.split()[-1] == "device=cuda"
    assert main([*words, "device=cpu"]) == 0
    printed = capsys.readouterr().out
    assert "device=cpu" in printed and "device=cuda" not in printed
    assert main([*(word for word in words if word != "gpus=2"), "processes=2"]) == 0
    assert "device=" not in capsys.readouterr().out
