"""Our line is the last thing that a person sees, under torchrun too."""

import errno
import json
import os
import subprocess
import sys

import pytest
from torch.distributed.elastic.multiprocessing.errors import ProcessFailure

from configs import errors
from configs.load import ConfigError, entry
from launch.agent import known, last_line
from tests.support.runs import REPOSITORY, SMALL

# A micro-batch that no machine can hold: refused by the ranks, not by the launch.
TOO_LARGE = [*SMALL, "precision=fp32", "micro_batch=1048576", "global_batch=67108864"]


@pytest.mark.distributed
def test_a_launch_ends_with_the_refusal_of_its_ranks(corpora, tmp_path):
    arguments = [*TOO_LARGE, f"corpora={corpora}", f"run={tmp_path / 'run'}", "max_restarts=5"]
    launch = [sys.executable, "-m", "launch.cli", "launch", "processes=2", *arguments]
    done = subprocess.run(launch, capture_output=True, text=True, cwd=REPOSITORY, timeout=400)
    last = done.stderr.splitlines()[-1]
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert last.startswith("relama: error: micro_batch=1048576: ") and "fits, with the same result" in last
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["launch"]
    assert done.stderr.count("relama: error: ") == 1  # of one start, by the agent
    assert "torch/distributed" not in done.stderr  # torchrun's own lines about the same failure


@pytest.mark.distributed
def test_plain_torchrun_reports_the_refusal_as_the_root_cause(corpora, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1"]
    arguments = [
        str(REPOSITORY / "train" / "main.py"),
        *TOO_LARGE,
        f"corpora={corpora}",
        f"run={tmp_path / 'run'}",
    ]
    done = subprocess.run([*torchrun, *arguments], capture_output=True, text=True, cwd=tmp_path, timeout=400)
    *_, last, border = done.stderr.splitlines()
    assert set(border) == {"="} and "relama: error: micro_batch=1048576: " in last


def failure(tmp_path, exitcode: int, content: str | None = None) -> ProcessFailure:
    file = tmp_path / "error.json"
    if content is not None:
        file.write_text(content)
    return ProcessFailure(local_rank=0, pid=1, exitcode=exitcode, error_file=str(file))


@pytest.mark.parametrize(
    ("exitcode", "expected"),
    [
        (-9, "rank 3 was killed; if its memory ran out, lower micro_batch; the same command resumes"),
        (-11, "rank 3 was ended by SIGSEGV; the same command"),
        (75, "rank 3 ended with exit code 75; its lines above say why; the same command"),
    ],
)
def test_a_rank_that_left_no_line_gets_one(exitcode, expected, tmp_path):
    assert expected in last_line(3, failure(tmp_path, exitcode), trains=True)
    strange = json.dumps({"message": {"message": "KeyError: 1", "extraInfo": {"timestamp": "1"}}})
    assert expected in last_line(3, failure(tmp_path, exitcode, strange), trains=True)
    line = last_line(3, failure(tmp_path, exitcode), trains=False)  # of a check, or another verb
    assert "resumes" not in line and "micro_batch" not in line


@pytest.mark.distributed
def test_a_check_that_found_problems_does_not_speak_of_resuming(tmp_path):
    launch = [sys.executable, "-m", "launch.cli", "launch", "check", "processes=2", *SMALL, "data=mix"]
    done = subprocess.run(
        [*launch, f"corpora={tmp_path / 'nowhere'}", f"run={tmp_path / 'run'}"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        timeout=400,
    )
    assert done.returncode == 1 and "problem: " in done.stdout
    last = done.stderr.splitlines()[-1]
    assert last.endswith(" ended with exit code 1; its lines above say why"), done.stderr


def test_every_rank_leaves_its_line_for_torchrun(tmp_path, monkeypatch, capsys):
    def verb(_words: list[str]) -> None:
        raise ConfigError("steps=x: expected an integer")

    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert entry(verb, []) == 1
    assert capsys.readouterr().err == ""  # rank 0 prints it
    found = ProcessFailure(local_rank=1, pid=1, exitcode=1, error_file=str(tmp_path / "error.json"))
    assert last_line(1, found, trains=True) == "relama: error: steps=x: expected an integer"


@pytest.mark.parametrize(
    ("number", "path", "expected"),
    [
        (errno.ENOSPC, "/tmp/x", "no space left on the disk of /tmp/x ("),
        (errno.EDQUOT, None, " free); make room there and run the same command again"),
        (errno.EACCES, "/root/x", "/root/x: Permission denied, as user "),
        (errno.EROFS, "/mnt/x", "/mnt/x: its file system is read-only; choose a folder on another one"),
        (errno.ESTALE, "/mnt/x", "/mnt/x: Stale file handle; its disk or network drive fails: restore it"),
        (errno.EIO, "/mnt/x", "/mnt/x: Input/output error; its disk or network drive fails: restore it"),
    ],
)
def test_a_full_disk_and_missing_rights_are_one_line_of_any_verb(number, path, expected, capsys):
    def verb(_words: list[str]) -> None:
        raise OSError(number, os.strerror(number), path)

    assert entry(verb, []) == 1
    line = capsys.readouterr().err
    assert expected in line and line.count("\n") == 1


def test_missing_rights_are_looked_at_where_something_exists(tmp_path):
    path = tmp_path / "new" / "run"
    said = errors.explained(PermissionError(errno.EACCES, "Permission denied", str(path)))
    assert said and said.startswith(f"{path}: Permission denied") and said.endswith(f"(ls -ld {tmp_path})")


def test_memory_that_runs_out_is_one_line_of_any_verb(capsys):
    def verb(_words: list[str]) -> None:
        bytearray(1 << 62)

    assert entry(verb, []) == 1
    line = capsys.readouterr().err
    assert line.startswith("relama: error: out of memory: ") and line.endswith("run the same command again\n")
    assert line.count("\n") == 1


def test_other_errors_of_the_system_keep_their_traceback():
    def verb(_words: list[str]) -> None:
        raise OSError(errno.ENOENT, "No such file", "x")

    with pytest.raises(FileNotFoundError):
        entry(verb, [])
    assert errors.explained(OSError("no number")) is None


def test_an_option_that_an_older_torch_lacks_is_left_out():
    arguments = ["--nnodes=1", "--shutdown-timeout=300", "train/main.py", "model=tiny"]
    assert known(arguments, "usage: torchrun [--nnodes NNODES]") == [*arguments[:1], *arguments[2:]]
    assert known(arguments, "usage: torchrun [--nnodes NNODES] [--shutdown-timeout SECONDS]") == arguments
