"""Checkpoints in a bucket: complete or not there, whatever fails, and a run resumes from them."""

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import data.bucket as bucket_module
from tests.support.buckets import (
    Chaos,
    hasten,
    objects,
    serving,
    upload,
    wait_for,
)
from tests.support.runs import learned, same_tensors, succeed
from tests.support.runs import run as run_relama
from train.checkpoint import folder as checkpoints
from train.checkpoint import shared
from train.checkpoint.remote import Remote
from train.checkpoint.transfer import Sender
from train.checkpoint.uploader import Uploader
from train.config import RunError
from train.decisions import abandons, read_log
from train.weights.open import find_checkpoint

pytest.importorskip("s3fs", reason="s3fs is not installed (pip install -e '.[data]')")
pytest.importorskip("moto", reason="moto is not installed (pip install -e '.[dev]')")


@pytest.fixture(scope="module", params=["moto", "s3rver"])
def server(request, tmp_path_factory) -> Iterator[tuple[str, int]]:
    with serving("runs", request.param, tmp_path_factory.mktemp("server")) as place:
        yield place


@pytest.fixture(autouse=True)
def quick(server, monkeypatch, tmp_path):
    hasten(monkeypatch, patience=0.3)
    monkeypatch.setenv("RELAMA_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def removes(request):
    if "s3rver" in request.node.name:
        pytest.skip("s3rver answers 500 to a request that deletes a folder's last objects")


def save(run: Path, step: int, keep: int = 2, decisions: list[dict] | None = None) -> None:
    """A checkpoint like the trainer's, whose content is its step."""
    aside = run / "checkpoints" / f"step-{step:06d}.tmp"
    aside.mkdir(parents=True)
    (aside / "__0_0.distcp").write_bytes(bytes([step]) * 100_000)
    (aside / ".metadata").write_bytes(b"meta")
    sums = checkpoints.describe([aside / "__0_0.distcp"])
    final = checkpoints.step_folder(run / "checkpoints", step)
    state = {"step": step, "config": {"run": str(run)}, "recovery": {"decisions": decisions or []}}
    checkpoints.commit(aside, final, state, sums, keep, attached={"tokenizer.model": b"tokens"})


def remote(run: Path, url: str) -> Remote:
    (run / "checkpoints").mkdir(parents=True, exist_ok=True)
    return Remote(url, run, abandons=abandons)


def uploader(there: Remote, upload_mbps: float | None = None) -> Uploader:
    return Uploader(there, keep=2, keep_every=0, upload_mbps=upload_mbps)


def uploaded(run: Path, url: str) -> Remote:
    there = remote(run, url)
    uploader(there).close()
    return there


def put(there: Remote, content: bytes, name: str) -> None:
    Sender(there.bucket, None, threading.Event()).put_bytes(content, name)


def test_saves_are_uploaded_kept_like_local_ones_and_restored_on_an_empty_disk(removes, tmp_path):
    run, url = tmp_path / "run", "s3://runs/kept"
    run.mkdir()
    (run / "lineage.json").write_text("a branch's past")
    for step in (1, 2, 3):
        save(run, step)
        there = uploaded(run, url)
    assert there.steps() == [2, 3]
    assert not [key for key in objects("runs", "kept/") if "step-000001" in key]
    shutil.rmtree(run)
    remote(run, url).restore()
    assert checkpoints.complete_steps(run / "checkpoints") == [3]
    assert (run / "lineage.json").read_text() == "a branch's past"
    assert checkpoints.damage(run / "checkpoints" / "step-000003") == []
    folder, state = find_checkpoint(Path(url))
    assert state["step"] == 3 and checkpoints.damage(folder) == []
    assert find_checkpoint(Path(f"{url}@2"))[1]["step"] == 2
    with pytest.raises(RunError, match="kept@7: no checkpoint of this step; the nearest kept: 2, 3"):
        find_checkpoint(Path(f"{url}@7"))


def test_an_upload_killed_at_any_object_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    run, url = tmp_path / "run", "s3://runs/killed"
    save(run, 1)
    uploaded(run, url)
    save(run, 2)

    class Killed(BaseException):
        pass

    for allowed in range(4):
        there, left = remote(run, url), [allowed]
        with monkeypatch.context() as patch:
            patch.setattr(Uploader, "_run", lambda self: None)  # the test uploads in its thread
            dies = uploader(there)

        def dying(real, left=left):
            def put(*args):
                if left[0] == 0:
                    raise Killed
                left[0] -= 1
                return real(*args)

            return put

        with monkeypatch.context() as patch:
            patch.setattr(there.bucket.fs, "put_file", dying(there.bucket.fs.put_file))
            patch.setattr(there.bucket.fs, "pipe_file", dying(there.bucket.fs.pipe_file))
            with pytest.raises(Killed):
                dies._sync()
        assert there.steps() == [1]
    assert uploaded(run, url).steps() == [1, 2]


def test_what_a_killed_upload_left_is_removed_after_the_next_one(removes, tmp_path):
    run, url = tmp_path / "run", "s3://runs/left"
    for step in (1, 2):
        save(run, step)
    put(uploaded(run, url), b"part", "checkpoints/step-000001/__0_0.distcp")
    save(run, 3)
    assert uploaded(run, url).steps() == [2, 3]
    assert not [key for key in objects("runs", "left/") if "step-000001" in key]


def test_the_newest_weights_of_a_run_are_found_at_its_url(tmp_path):
    run, url = tmp_path / "run", "s3://runs/weights"
    for step in (1, 2):
        save(run, step)
    uploaded(run, url)
    folder, state = find_checkpoint(Path(url))
    assert state["step"] == 2 and checkpoints.damage(folder) == []


def test_a_damaged_copy_is_skipped_for_the_one_before(tmp_path, capsys):
    import boto3

    run, url = tmp_path / "run", "s3://runs/damaged"
    for step in (1, 2):
        save(run, step)
        uploaded(run, url)
    key = "damaged/checkpoints/step-000002/__0_0.distcp"
    boto3.client("s3").put_object(Bucket="runs", Key=key, Body=bytes(100_000))
    shutil.rmtree(run)
    remote(run, url).restore()
    assert checkpoints.complete_steps(run / "checkpoints") == [1]
    assert "step-000002 is damaged; trying the one before" in capsys.readouterr().out


def test_two_runs_cannot_share_a_url_and_the_later_process_has_it(tmp_path, capsys):
    url = "s3://runs/shared"
    for name in ("a", "b"):
        save(tmp_path / name, 1)
    first = uploader(remote(tmp_path / "a", url))
    first.close()
    with pytest.raises(RunError, match=r"checkpoint.remote=s3://runs/shared: has the checkpoints of another"):
        remote(tmp_path / "b", url)
    uploaded(tmp_path / "a", url)
    save(tmp_path / "a", 2)
    assert first._sync() is False
    assert "another process uploads there now" in capsys.readouterr().out


def test_a_failing_server_is_a_warning_and_a_lying_one_is_noticed(server, tmp_path, monkeypatch, capsys):
    run, url = tmp_path / "run", "s3://runs/failing"
    save(run, 1)
    with Chaos(server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*proxy.place))
        uploaded(run, url)
        there = remote(run, url)
        uploads = uploader(there)
        proxy.faults = lambda method, path: "refuse" if method in ("PUT", "POST") else None
        save(run, 2)
        uploads.upload(tmp_path)
        uploads.close()
        assert "is not uploaded" in capsys.readouterr().out
        assert there.steps() == [1]
        proxy.random_faults(0.2, most=12, methods=("GET", "PUT"))
        monkeypatch.setattr(bucket_module, "PATIENCE", 20.0)
        assert uploaded(run, url).steps() == [1, 2]
        shutil.rmtree(run)
        remote(run, url).restore()
    assert checkpoints.damage(run / "checkpoints" / "step-000002") == []


def test_all_machines_send_files_and_one_that_goes_away_is_not_waited_for(tmp_path, monkeypatch):
    run, url, senders = tmp_path / "run", "s3://runs/machines", {}
    save(run, 1)
    folder = checkpoints.step_folder(run / "checkpoints", 1)
    for number in range(6):
        (folder / f"part-{number}").write_bytes(bytes([number]) * 1000)
    put, offer = Sender.put, shared.Files.offer

    def together(self: Sender, path: Path, name: str, entry: dict | None) -> None:
        senders.setdefault(threading.get_ident(), []).append(path.name)
        wait_for(lambda: len(senders) == 2)
        put(self, path, name, entry)

    def half_taken(self: shared.Files, url: str) -> None:
        (self.copy / "part-3.taken").touch()
        os.utime(self.copy / "part-3.taken", (0, 0))  # by a machine that has long been gone
        offer(self, url)

    monkeypatch.setattr(Sender, "put", together)
    monkeypatch.setattr(shared.Files, "offer", half_taken)
    for name, value in (("LOOK", 0.02), ("IDLE", 0.2)):
        monkeypatch.setattr(shared, name, value)
    helper = shared.Helper(url, run / "checkpoints")
    assert uploaded(run, url).steps() == [1]
    helper.close()
    sent = sorted(name for names in senders.values() for name in names)
    assert len(senders) == 2 and sent == sorted(
        path.name for path in folder.iterdir() if path.name != "state.json"
    )
    there = {name.rpartition("/")[2] for name in objects("runs", "machines/checkpoints/step-000001/")}
    assert there == {path.name for path in folder.iterdir()}
    shutil.rmtree(run)
    remote(run, url).restore()
    assert checkpoints.damage(folder) == [] and (folder / "part-3").read_bytes() == bytes([3]) * 1000


@pytest.mark.parametrize(
    "url, why", [("s3://no-such-bucket/run", "no such bucket"), ("nosuch://x/y", "expected a URL of one of")]
)
def test_bad_urls_are_one_line(tmp_path, url, why):
    with pytest.raises(RunError, match=why) as caught:
        uploaded(tmp_path / "run", url)
    assert "\n" not in str(caught.value)


def test_an_upload_keeps_to_its_bandwidth_until_the_run_ends(tmp_path, monkeypatch):
    run, url, begin = tmp_path / "run", "s3://runs/slow", time.monotonic()
    save(run, 1)
    monkeypatch.setattr("train.checkpoint.transfer.PIECE", 10_000)
    there = remote(run, url)
    uploads = uploader(there, upload_mbps=2)  # 0.1 MB at 0.25 MB/s, there and back
    while there.steps() != [1]:
        assert time.monotonic() - begin < 120
        time.sleep(0.02)
    assert time.monotonic() - begin > 0.8
    uploads.close()
    save(run, 2)
    begin = time.monotonic()
    uploader(there, upload_mbps=0.001).close()  # 800 s each way
    assert there.steps() == [1, 2] and time.monotonic() - begin < 120


def test_a_checkpoint_of_another_run_is_refused_before_it_is_downloaded(tmp_path, monkeypatch, capsys):
    save(tmp_path / "first", 1)
    uploaded(tmp_path / "first", "s3://runs/other")
    new, read = tmp_path / "new", []

    def refuse(state: dict) -> None:
        raise RunError(f"another run, at step {state['step']}")

    (new / "checkpoints").mkdir(parents=True)
    there = Remote("s3://runs/other", new, refuse=refuse)
    known = there.bucket.read
    monkeypatch.setattr(there.bucket, "read", lambda name, *rest: read.append(name) or known(name, *rest))
    with pytest.raises(RunError, match="another run, at step 1"):
        there.restore()
    assert {name.rpartition("/")[2] for name in read} == {"decisions.jsonl", "state.json"}
    assert not any(new.rglob("*.*")) and capsys.readouterr().out == ""


@pytest.mark.distributed
def test_a_new_run_at_the_url_of_another_is_refused_and_leaves_nothing(corpora, tmp_path):
    words = [f"corpora={corpora}", "steps=2", "checkpoint.remote=s3://runs/taken"]
    succeed(*words, f"run={tmp_path / 'first'}")
    for typed, named in (("seed=9", "seed: 0 there, 9 requested"), ("model.dim=64", "model.dim: 32 there")):
        done = run_relama(*words, typed, f"run={tmp_path / 'new'}")
        (error,) = [line for line in done.stderr.splitlines() if "error" in line]
        assert done.returncode == 1 and "downloading" not in done.stdout
        assert "checkpoint.remote=s3://runs/taken: holds another run" in error and named in error
        assert not (tmp_path / "new").exists()
    assert "resuming" in succeed(*words, f"run={tmp_path / 'again'}").stdout


@pytest.mark.distributed
def test_an_empty_disk_continues_with_what_the_run_began_with(corpora, tmp_path):
    """As it does with its checkpoint on the disk: the precision of `auto`, the warm-up that steps imply."""
    words = [f"corpora={corpora}", f"run={tmp_path / 'run'}", "checkpoint.remote=s3://runs/began"]
    words += ["optim.schedule=constant"]
    succeed(*words, "precision=bf16", "steps=10", "stop_at=2")
    shutil.rmtree(tmp_path / "run")
    said = succeed(*words, "precision=auto", "steps=20", "stop_at=3").stdout
    assert "precision: bf16" in said and "optim.warmup_steps=1, as this run began" in said
    assert "resuming" in said


REWIND = {"step": 4, "action": "rewind", "why": "a spike", "to_step": 2, "samples": [6, 12]}


def test_a_checkpoint_that_a_rewind_went_back_past_is_not_restored_and_is_removed(tmp_path):
    run, url = tmp_path / "run", "s3://runs/rewound"
    for step in (1, 2, 4):
        save(run, step)
        uploaded(run, url)
    checkpoints.remove_steps(run / "checkpoints", [4])  # as the rewind does
    (run / "decisions.jsonl").write_text(json.dumps(REWIND) + "\n")
    kept = tmp_path / "kept"
    shutil.copytree(run, kept)
    put(remote(run, url), (run / "decisions.jsonl").read_bytes(), "decisions.jsonl")
    shutil.rmtree(run)
    remote(run, url).restore()  # before the next save
    assert checkpoints.complete_steps(run / "checkpoints") == [2]
    shutil.rmtree(run)
    kept.rename(run)
    save(run, 3, decisions=[REWIND])
    assert uploaded(run, url).steps() == [2, 3]


@pytest.mark.distributed
def test_a_spike_after_the_disk_was_lost_returns_to_an_older_copy(removes, corpora, tmp_path):
    """The last rewind of a run that was never stopped, on a disk that has only the step before it."""
    first, decided, words, whole = None, [], [], tmp_path
    for sigma in (2.4, 2.1, 1.8, 1.5, 1.2, 0.9, 0.6):  # until the run rewinds to one of its checkpoints
        words = [
            *(f"corpora={corpora}", "steps=30", "checkpoint.every=4", "optim.lr=0.02", "recovery=rewind"),
            *(f"recovery.sigma={sigma}", "recovery.window=8", "recovery.limit=50", "recovery.back=3"),
        ]
        whole = tmp_path / f"whole-{sigma}"
        succeed(*words, f"run={whole}")
        decided = read_log(whole)
        if first := next((decision for decision in decided if decision["to_step"] > 0), None):
            break
    assert first
    there = [*words, f"run={tmp_path / 'run'}", "checkpoint.remote=s3://runs/spike"]
    for stop in (
        first["to_step"],
        first["step"] - 1,
    ):  # a stop waits for the upload; other saves may skip theirs
        succeed(*there, f"stop_at={stop}")
    shutil.rmtree(tmp_path / "run")
    said = succeed(*there).stdout
    assert f"back to step {first['to_step']}, without the samples" in said
    assert [d["step"] for d in read_log(tmp_path / "run")] == [d["step"] for d in decided]
    last = "checkpoints/step-000030"
    same_tensors(tmp_path / "run" / last, whole / last)


@pytest.mark.distributed
def test_a_run_on_a_bucket_whose_disk_is_lost_ends_like_one_that_was_never_stopped(corpora, tmp_path):
    """Tokens from s3://, checkpoints to s3://, and nothing left of the run folder and the cache."""
    for source in corpora.iterdir():
        if (source / "tokens").is_dir():
            upload(source, "runs", f"corpora/{source.name}")
    words = [
        *("steps=6", "checkpoint.every=2", "validate.sequences=1", f"cache.path={tmp_path / 'cache'}"),
        *("data=mix", "data.weights.python_code=60", "data.weights.python_docs=40"),
        "data.sources=[python_code,python_docs]",
    ]
    succeed(*words, f"corpora={corpora}", f"run={tmp_path / 'whole'}")
    there = [
        *words,
        *("corpora=s3://runs/corpora", f"run={tmp_path / 'run'}"),
        *("checkpoint.remote=s3://runs/lost", "checkpoint.upload_mbps=1000"),
    ]
    succeed(*there, "stop_at=4")
    shutil.rmtree(tmp_path / "run")
    shutil.rmtree(tmp_path / "cache")
    assert "resuming" in succeed(*there).stdout
    stopped, whole = learned(tmp_path / "run"), learned(tmp_path / "whole")
    assert [row[:5] for row in stopped] == [row[:5] for row in whole]  # the stop was validated, too
    assert stopped[-1] == whole[-1]
    last = "checkpoints/step-000006"
    same_tensors(tmp_path / "run" / last, tmp_path / "whole" / last)
