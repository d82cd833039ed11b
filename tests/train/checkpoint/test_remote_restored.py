"""What a run finds at checkpoint.remote: after a kill, another machine, damage or a lost note."""

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.support.buckets import Chaos, credentials, hasten, objects, serving
from tests.support.fork_server import python
from tests.support.runs import SMALL, learned, metrics, run, same_tensors, succeed
from tests.train.checkpoint.test_remote import remote, save, uploaded
from train.branch.main import main as branch
from train.checkpoint import folder as checkpoints
from train.checkpoint import uploader as uploader_module
from train.config import RunError

pytest.importorskip("s3fs", reason="s3fs is not installed (pip install -e '.[data]')")
pytest.importorskip("moto", reason="moto is not installed (pip install -e '.[dev]')")

SETTINGS = ("steps=6", "checkpoint.every=2", "checkpoint.keep=9", "validate.sequences=1")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    with serving("runs") as place:
        yield place


@pytest.fixture(autouse=True)
def quick(server, monkeypatch, tmp_path):
    hasten(monkeypatch, patience=0.3)
    monkeypatch.setenv("RELAMA_CACHE", str(tmp_path / "cache"))


def lines(*steps: int, **more: float) -> str:
    return "".join(json.dumps({"step": step, "loss": 1.0, **more}) + "\n" for step in steps)


def damage_all(prefix: str) -> None:
    for key in objects("runs", f"{prefix}/checkpoints"):
        if key.endswith(".distcp"):
            boto3.client("s3").put_object(Bucket="runs", Key=key, Body=b"damaged")


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [False, True])
def test_a_download_killed_at_any_file_is_completed_by_the_next_start(after, tmp_path, monkeypatch):
    run, url = tmp_path / "run", f"s3://runs/killed-{after}"
    run.mkdir()
    (run / "metrics.jsonl").write_text(lines(1))
    save(run, 1)
    uploaded(run, url)
    left = 0

    def counted(work):
        def call(*arguments):
            nonlocal left
            left -= 1
            is_last = left == 0
            if is_last and not after:
                raise Killed
            work(*arguments)
            if is_last:
                raise Killed

        return call

    for name in ("replace", "rename"):
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    places = 0
    for places in itertools.count(1):
        shutil.rmtree(run)
        left = places
        try:
            remote(run, url).restore()
            break
        except Killed:
            remote(run, url).restore()
        assert checkpoints.complete_steps(run / "checkpoints") == [1]
        assert (run / "metrics.jsonl").read_text() == lines(1)
    assert places > 3


def test_a_machine_that_trains_on_after_another_has_the_metrics_and_decisions_of_both(tmp_path, capsys):
    here, other, url = tmp_path / "here", tmp_path / "other", "s3://runs/both"
    here.mkdir()
    (here / "metrics.jsonl").write_text(lines(1, 2))
    save(here, 2)
    uploaded(here, url)
    shutil.copytree(here, other)
    (here / "metrics.jsonl").write_text(lines(1, 2, 3, loss=9.0) + '{"step": 4, "lo')  # then it was lost
    (here / "decisions.jsonl").write_text('{"step": 3, "action": "skip"}\n')
    (other / "metrics.jsonl").write_text(lines(1, 2, 3, 4))
    (other / "decisions.jsonl").write_text('{"step": 4, "action": "warn"}\n')
    save(other, 4)
    uploaded(other, url)
    remote(here, url).restore()
    assert checkpoints.complete_steps(here / "checkpoints") == [2, 4]
    assert (here / "metrics.jsonl").read_text().endswith("\n" + lines(1, 2, 3, 4))
    assert (here / "decisions.jsonl").read_bytes() == (other / "decisions.jsonl").read_bytes()
    assert "skip" in (here / "decisions-1.jsonl").read_text()
    assert "decisions.jsonl: replaced by that of s3://runs/both (the old one is" in capsys.readouterr().out


@pytest.mark.parametrize("content", [None, b"[1", b'{"id": null}'])
@pytest.mark.parametrize("where", ["here", "there"])
def test_a_lost_or_damaged_note_of_the_owner_is_written_again(where, content, tmp_path):
    url = f"s3://runs/note-{where}-{'none' if content is None else content.hex()}"
    save(tmp_path / "run", 1)
    uploaded(tmp_path / "run", url)
    if where == "here" and content is None:
        (tmp_path / "run" / "remote.json").unlink()
    elif where == "here":
        (tmp_path / "run" / "remote.json").write_bytes(content or b"")
    else:
        key = url.removeprefix("s3://runs/") + "/owner.json"
        boto3.client("s3").delete_object(Bucket="runs", Key=key)
        if content is not None:
            boto3.client("s3").put_object(Bucket="runs", Key=key, Body=content)
    save(tmp_path / "other", 1)
    with pytest.raises(RunError, match="has the checkpoints of another run"):
        remote(tmp_path / "other", url)
    save(tmp_path / "run", 2)
    assert uploaded(tmp_path / "run", url).steps() == [1, 2]
    with pytest.raises(RunError, match="has the checkpoints of another run"):
        remote(tmp_path / "other", url)


@pytest.mark.distributed
def test_a_run_whose_copies_are_all_damaged_starts_again_only_if_told_and_keeps_its_past(corpora, tmp_path):
    words = (f"corpora={corpora}", *SETTINGS, f"run={tmp_path / 'run'}", "checkpoint.remote=s3://runs/all")
    succeed(*words, "stop_at=4")
    past = learned(tmp_path / "run")
    shutil.rmtree(tmp_path / "run")
    damage_all("all")
    refused = run(*words)
    assert refused.returncode == 1 and not (tmp_path / "run").exists()
    assert (
        "checkpoint.remote=s3://runs/all: no checkpoint there is intact; restore one, set restart=true"
        in (refused.stderr)
    )
    assert metrics_at("all") == 4
    said = succeed(*words, "restart=true", "stop_at=2").stdout
    assert "metrics.jsonl starts again (the old one is" in said
    (tmp_path / "run" / "metrics-1.jsonl").rename(tmp_path / "metrics.jsonl")
    assert learned(tmp_path) == past
    said = succeed(*words).stdout
    assert "resuming" in said and [line["step"] for line in metrics(tmp_path / "run")] == [1, 2, 3, 4, 5, 6]
    shutil.rmtree(tmp_path / "run")  # what is there is whole again
    assert "has finished" in succeed(*words).stdout


def metrics_at(prefix: str) -> int:
    body = boto3.client("s3").get_object(Bucket="runs", Key=f"{prefix}/metrics.jsonl")["Body"].read()
    return len(body.splitlines())


@pytest.mark.distributed
def test_damaged_checkpoints_can_be_moved_away_for_their_copies(corpora, tmp_path):
    words = (f"corpora={corpora}", *SETTINGS, f"run={tmp_path / 'run'}", "checkpoint.remote=s3://runs/moved")
    succeed(*words, "stop_at=4")
    for path in (tmp_path / "run" / "checkpoints").glob("step-*/*.distcp"):
        path.write_bytes(bytes(path.stat().st_size))
    refused = run(*words)
    assert refused.returncode == 1
    assert f"{tmp_path / 'run' / 'checkpoints'}: no complete checkpoint" in refused.stderr
    assert "move it away to download the newest of s3://runs/moved, or set restart=true" in refused.stderr
    (tmp_path / "run" / "checkpoints").rename(tmp_path / "away")
    assert "after step 4" in succeed(*words).stdout
    assert [line["step"] for line in metrics(tmp_path / "run")] == [1, 2, 3, 4, 5, 6]


@pytest.mark.distributed
def test_a_url_of_another_run_can_be_replaced_by_another_url(corpora, tmp_path):
    words = (f"corpora={corpora}", *SETTINGS)
    succeed(*words, f"run={tmp_path / 'first'}", "checkpoint.remote=s3://runs/taken", "stop_at=2")
    succeed(*words, f"run={tmp_path / 'second'}", "stop_at=2")
    refused = run(*words, f"run={tmp_path / 'second'}", "checkpoint.remote=s3://runs/taken")
    assert refused.returncode == 1
    assert "has the checkpoints of another run; choose another URL for" in refused.stderr
    succeed(*words, f"run={tmp_path / 'second'}", "checkpoint.remote=s3://runs/free")
    assert any("step-000006/state.json" in key for key in objects("runs", "free/"))


@pytest.mark.distributed
def test_a_branch_leaves_the_url_to_its_parent_and_takes_one_of_its_own(corpora, tmp_path, capsys):
    parent, one, other = (tmp_path / name for name in ("parent", "one", "other"))
    url = "checkpoint.remote=s3://runs/family"
    succeed(f"corpora={corpora}", *SETTINGS, f"run={parent}", url)
    before = list(objects("runs", "family/"))
    assert branch([f"run={parent}", "at=4", f"to={one}"]) == 0
    assert "s3://runs/family is for" in capsys.readouterr().out
    assert branch([f"run={parent}", "at=4", f"to={other}", f"{url}-2"]) == 0
    for made in (one, other):
        said = succeed(f"config={made / 'config.yaml'}").stdout
        assert f"resuming {made} after step 4" in said and [line["step"] for line in metrics(made)] == [5, 6]
    assert branch([f"run={parent}", "at=2", f"to={tmp_path / 'third'}", url]) == 0
    refused = run(f"config={tmp_path / 'third' / 'config.yaml'}")
    assert "s3://runs/family: has the checkpoints of another run" in refused.stderr
    assert list(objects("runs", "family/")) == before
    assert any("step-000006/state.json" in key for key in objects("runs", "family-2/"))


IMPATIENT = """
import sys
import data.bucket
data.bucket.PATIENCE, data.bucket.FIRST_PAUSE = 0.3, 0.01
from train.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.distributed
def test_what_could_not_be_uploaded_is_uploaded_by_the_same_command(server, corpora, tmp_path, monkeypatch):
    words = (f"corpora={corpora}", *SETTINGS, f"run={tmp_path / 'run'}", "checkpoint.remote=s3://runs/late")

    def faults(method: str, path: str) -> str | None:
        return "refuse" if method in ("PUT", "POST") and not path.endswith("owner.json") else None

    with Chaos(server, faults=faults) as broken, monkeypatch.context() as patch:
        for key, value in credentials(broken.place).items():
            patch.setenv(key, value)
        ended = python("-c", IMPATIENT, *SMALL, *words)
    assert ended.returncode == 0
    assert "the newest checkpoint is not uploaded" in ended.stdout
    assert "run the same command again to upload it" in ended.stdout
    assert list(objects("runs", "late/")) == ["late/owner.json"]
    assert "has finished" in succeed(*words).stdout
    shutil.move(tmp_path / "run", tmp_path / "lost")
    succeed(*words)
    last = Path("checkpoints") / "step-000006"
    same_tensors(tmp_path / "run" / last, tmp_path / "lost" / last)
    assert learned(tmp_path / "run") == learned(tmp_path / "lost")


def test_a_checkpoint_that_retention_removes_before_it_is_uploaded_is_not_missed(
    tmp_path, monkeypatch, capsys
):
    run, url, listed = tmp_path / "run", "s3://runs/removed", checkpoints.complete_steps
    save(run, 1)

    def list_then_save(folder: Path) -> list[int]:
        steps = listed(folder)
        if steps == [1]:
            save(run, 2, keep=1)
        return steps

    monkeypatch.setattr(uploader_module, "complete_steps", list_then_save)
    assert uploaded(run, url).steps() == [2] and listed(run / "checkpoints") == [2]
    assert "warning" not in "".join(capsys.readouterr())
