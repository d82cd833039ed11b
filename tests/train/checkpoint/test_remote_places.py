"""Copies at odd URLs, and on servers that refuse to remove them or lie about small files."""

import shutil
from collections import Counter
from collections.abc import Iterator

import pytest
import torch

import data.bucket as bucket_module
from configs.load import load
from tests.support.buckets import Chaos, hasten, objects, serving, upload
from tests.support.runs import SMALL
from tests.train.checkpoint.test_remote import remote, save, uploaded, uploader
from train import preflight
from train.checkpoint.folder import complete_steps, mark_verified, step_folder
from train.checkpoint.transfer import Sender
from train.config import RunError, TrainConfig

pytest.importorskip("s3fs", reason="s3fs is not installed (pip install -e '.[data]')")
pytest.importorskip("moto", reason="moto is not installed (pip install -e '.[dev]')")


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, int]]:
    with serving("runs") as place:
        yield place


@pytest.fixture(autouse=True)
def quick(server, monkeypatch):
    hasten(monkeypatch)


def test_a_server_that_refuses_to_remove_delays_no_end_and_hides_no_upload(
    server, tmp_path, monkeypatch, capsys
):
    run, url = tmp_path / "run", "s3://runs/unremoved"
    monkeypatch.setattr(bucket_module, "PATIENCE", 600.0)
    with Chaos(server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*proxy.place))
        for step in (1, 2):
            save(run, step)
            uploaded(run, url)
        save(run, 3)
        proxy.faults = lambda method, path: "refuse" if "delete" in path or method == "DELETE" else None
        assert uploaded(run, url).steps() == [1, 2, 3]
        assert proxy.done["refuse"]
        proxy.faults = lambda method, path: None
        said = capsys.readouterr().out
        assert uploaded(run, url).steps() == [2, 3]
    assert "older checkpoints are not removed" in said and "is not uploaded" not in said


def test_a_server_that_cannot_remove_many_objects_at_once_removes_one_by_one(server, tmp_path, monkeypatch):
    run, url = tmp_path / "run", "s3://runs/single"
    with Chaos(server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*proxy.place))
        proxy.faults = lambda method, path: "refuse" if method == "POST" and "delete" in path else None
        for step in (1, 2, 3):
            save(run, step)
            there = uploaded(run, url)
        assert there.steps() == [2, 3] and proxy.done["refuse"]
        assert not [key for key in objects("runs", "single/") if "step-000001" in key]


def test_the_mark_of_a_checkpoint_whose_upload_was_skipped_is_not_uploaded(server, tmp_path, monkeypatch):
    run, url = tmp_path / "run", "s3://runs/skipped"
    changed = []
    with Chaos(server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*proxy.place))
        proxy.faults = lambda method, path: changed.append(path) if method not in ("GET", "HEAD") else None
        for step in (1, 2):
            save(run, step)
            mark_verified(step_folder(run / "checkpoints", step), {step + 1: 1.0})
        assert uploaded(run, url).steps() == [2]
    assert any("step-000002/verified.json" in path for path in changed)
    assert not any("step-000001" in path for path in changed)


@pytest.mark.parametrize("turn", [1, 2, 3])
@pytest.mark.parametrize("lie", ["corrupt", "truncate"])
def test_a_lie_about_a_small_file_or_a_listing_stops_no_upload_and_is_not_restored(
    lie, turn, server, tmp_path, monkeypatch, capsys
):
    """Each object's and listing's answer number `turn` is another than the truth, and looks complete."""
    run, url = tmp_path / "run", f"s3://runs/lies-{lie}-{turn}"
    save(run, 1)
    (run / "metrics.jsonl").write_text('{"step": 1, "loss": 3.25}\n')
    uploaded(run, url)
    save(run, 2)
    asked = Counter()

    def lies(method: str, path: str) -> str | None:
        asked[path] += method == "GET"
        return lie if method == "GET" and asked[path] == turn else None

    with Chaos(server, faults=lies) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://{}:{}".format(*proxy.place))
        assert uploaded(run, url).steps() == [1, 2]
        before = (run / "metrics.jsonl").read_bytes()
        shutil.rmtree(run)
        asked.clear()
        remote(run, url).restore()
        assert proxy.done[lie]
    assert complete_steps(run / "checkpoints") == [2]
    assert (run / "metrics.jsonl").read_bytes() == before
    said = capsys.readouterr().out
    assert "another process" not in said and "is not uploaded" not in said and "not removed" not in said


def test_files_of_something_else_are_not_replaced(tmp_path):
    """A store of tokens and a folder of weights have a tokenizer, too."""
    run, url = tmp_path / "run", "s3://runs/store"
    save(run, 1)
    (tmp_path / "store").mkdir()
    for name in ("manifest.json", "tokenizer.model"):
        (tmp_path / "store" / name).write_text(name)
    upload(tmp_path / "store", "runs", "store")
    with pytest.raises(RunError, match=r"runs/store: has a tokenizer\.model, but no run is there"):
        remote(run, url)
    assert {*objects("runs", "store/")} == {"store/manifest.json", "store/tokenizer.model"}


def test_a_url_without_a_folder_to_write_to_is_refused_by_name(tmp_path, monkeypatch):
    """As gs:// says it of a bucket that is not there."""
    there = remote(tmp_path / "run", "s3://runs/unwritable")

    def missing(*_: object) -> None:
        raise FileNotFoundError("http://host/upload/storage/v1/b/runs/o")

    monkeypatch.setattr(Sender, "put_bytes", missing)
    with pytest.raises(RunError, match=r"checkpoint.remote=s3://runs/unwritable: no such bucket; create it"):
        uploader(there)


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_slash_at_the_end_of_the_url_makes_no_other_place(slash, tmp_path):
    run, url = tmp_path / "run", f"s3://runs/slash{len(slash)}"
    save(run, 1)
    uploaded(run, url + slash)
    save(run, 2)
    assert uploaded(run, url if slash else f"{url}/").steps() == [1, 2]


@pytest.mark.parametrize("is_made_here", [True, False])
def test_a_start_asks_once_what_the_url_has(is_made_here, corpora, tmp_path, monkeypatch):
    asked: list[object] = []
    monkeypatch.setattr(preflight, "state_there", lambda *_: asked.append(1))
    monkeypatch.setattr(preflight, "MADE_HERE", ("sample",) if is_made_here else ())
    url = f"checkpoint.remote=file://{tmp_path}/there"
    config = load("train", TrainConfig, [*SMALL, f"corpora={corpora}", f"run={tmp_path / 'run'}", url])
    preflight.settled(preflight.resolve(config), torch.device("cpu"), lambda _: None)
    assert asked == [1]
