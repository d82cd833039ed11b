"""Tokens from a bucket with odd keys, a full disk, and what `explain` says of them."""

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partialmethod
from pathlib import Path

import fsspec
import numpy as np
import pytest

from data.cache.config import CacheConfig
from data.errors import DataError
from data.explain import explain
from data.prepare.publish import NOTES, publish
from data.tokens.sums import BLOCK
from tests.data.test_buckets import BATCH, assert_same, opened, order_of
from tests.support.buckets import hasten, random_store, serving, upload
from tests.support.disk import fill, small_disk
from tests.support.hub import hub
from tests.support.runs import REPOSITORY

pytest.importorskip("s3fs", reason="s3fs is not installed (pip install -e '.[data]')")
pytest.importorskip("moto", reason="moto is not installed (pip install -e '.[dev]')")


@pytest.fixture(scope="module")
def server(corpora) -> Iterator[tuple[str, int]]:
    """moto, which has the corpora in s3://corpus/mix, at the endpoint of the environment."""
    with serving("corpus") as place:
        upload(corpora, "corpus", "mix")
        yield place


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    hasten(monkeypatch)


def test_a_cache_disk_that_is_too_small_serves_as_its_message_says(server, stores, tmp_path, capsys):
    needed = 4 << 20  # of tokens, more than the disk has
    with small_disk(tmp_path / "disk", mib=8) as disk:
        if disk is None:
            pytest.skip("mounting a tmpfs needs root")
        filler = fill(disk, left=1 << 20)
        with pytest.raises(DataError, match=r"make room, set cache\.gib lower, or choose another disk"):
            opened(disk)["code"].disk.refuse_too_little(needed)
        for place, mib in ((disk, 0.5), (tmp_path / "another", 64)):
            remote = opened(place, mib)
            remote["code"].disk.refuse_too_little(needed)
            assert_same(remote, stores, range(0, 4))
        filler.unlink()
        opened(disk)["code"].disk.refuse_too_little(needed)
        remote = opened(disk / "full")
        filler = fill(disk, left=0)
        assert_same(remote, stores, range(0, 4))
        assert "is full; tokens that it cannot keep are read from the bucket each time (make room" in (
            capsys.readouterr().err
        )
        filler.unlink()
        assert_same(opened(disk / "later"), stores, range(0, 4))
        assert "is full" not in capsys.readouterr().err


def test_explain_names_the_places_in_the_bucket(server, stores, tmp_path):
    remote, order = opened(tmp_path), order_of(opened(tmp_path))
    known = {
        "order": order.to_json(),
        "global_batch": BATCH,
        "stores": {source: store.place for source, store in remote.items()},
        "fingerprints": {source: store.fingerprint for source, store in remote.items()},
    }
    (tmp_path / "order.json").write_text(json.dumps(known))
    cache = CacheConfig(str(tmp_path / "cache"))
    lines = list(explain(tmp_path, 2, cache=cache))
    rows = [line for line in lines if line.startswith("    row ")]
    assert rows and all(re.search(r"of s3://corpus/mix/(code|prose)/text/[^/]+$", row) for row in rows)
    assert str(tmp_path / "cache") not in "\n".join(lines)


def test_checksums_that_a_full_disk_cannot_keep_stay_in_memory(server, stores, tmp_path, monkeypatch, capsys):
    remote, write = opened(tmp_path), Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if ".sums" in path.name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert_same(remote, stores, range(0, 10))
    assert "the disk of the cache is full" in capsys.readouterr().err
    assert not list((tmp_path / "cache").rglob("*.sums*"))


@pytest.mark.parametrize("prefix", ["mix//again", "50%/a b/ü+#"])
def test_a_key_may_have_an_empty_part_and_any_characters(prefix, server, corpora, stores, tmp_path):
    upload(corpora, "corpus", prefix)
    assert_same(opened(tmp_path, root=f"s3://corpus/{prefix}"), stores, range(0, 4))


READ = """
import sys
from data.cache.config import CacheConfig
from data.cache.store import open_store

store = open_store("hf://datasets/me/corpus/c4/tokens", cache=CacheConfig(sys.argv[1]))
for index in map(int, sys.argv[2:]):
    print(*store.sequence(index, 512))
"""


def test_of_a_dataset_on_the_hub_only_the_blocks_asked_for_are_read(tmp_path):
    """By default the Hub's file system reads 5 MB ahead. It reads the endpoint when it is imported."""
    pytest.importorskip("huggingface_hub", reason="pip install huggingface_hub")
    local = random_store(tmp_path / "repository" / "c4" / "tokens", "c4", 8_000_000)
    indices = (5, 4000, 11_000)
    with hub(tmp_path / "repository") as there:
        environment = {**os.environ, "HF_ENDPOINT": there.url, "HF_HUB_OFFLINE": "0"}
        command = [sys.executable, "-c", READ, str(tmp_path / "cache"), *map(str, indices)]
        done = subprocess.run(
            command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, timeout=400
        )
        assert done.returncode == 0, done.stderr
        assert sum(high - low for low, high in there.ranges) <= 6 * BLOCK
    for line, index in zip(done.stdout.splitlines(), indices, strict=True):
        assert np.array_equal(np.array(line.split(), np.uint16), local.sequence(index, 512))


def test_other_tokens_at_a_url_are_not_complete_while_they_are_being_replaced(tmp_path, monkeypatch):
    url = f"file://{tmp_path}/there/mine"
    old, new = tmp_path / "old/mine", tmp_path / "new/mine"
    random_store(old / "tokens", "mine", 40_000)
    random_store(new / "tokens", "mine", 60_000)
    publish(old, url)
    manifest = tmp_path / "there/mine/tokens/manifest.json"
    publish(old, url)  # the same again
    assert manifest.read_bytes() == (old / "tokens/manifest.json").read_bytes()

    def dies(self, source: str, goal: str, *rest: object) -> None:
        assert not manifest.exists()
        raise OSError(errno.EIO, "the connection was lost")

    with monkeypatch.context() as patch:
        patch.setattr(fsspec.get_filesystem_class("file"), "put_file", dies)
        with pytest.raises(DataError, match="the same command copies what is still missing"):
            publish(new, url)
    assert not manifest.exists()
    publish(new, url)
    assert manifest.read_bytes() == (new / "tokens/manifest.json").read_bytes()


def test_a_copy_that_failed_goes_on_with_what_is_missing_or_different(tmp_path, monkeypatch):
    url, folder = f"file://{tmp_path}/there/mine", tmp_path / "here/mine"
    random_store(folder / "tokens", "mine", 40_000)
    (folder / "report.json").write_text("{}")
    file_system = fsspec.get_filesystem_class("file")
    put, sent = file_system.put_file, []

    def counts(self, source: str, goal: str, *rest: object, last: int = 100, **options: object) -> None:
        sent.append(Path(source).name)
        if len(sent) > last:
            raise OSError(errno.EIO, "the connection was lost")
        put(self, source, goal, *rest, **options)

    monkeypatch.setattr(file_system, "put_file", partialmethod(counts, last=2))
    with pytest.raises(DataError, match="the same command copies what is still missing"):
        publish(folder, url)
    there, failed = sent[:2], sent[2]
    sent.clear()
    monkeypatch.setattr(file_system, "put_file", counts)
    publish(folder, url)
    assert sent[0] == failed and sent[-1] == "manifest.json" and not {*sent} & {*there}

    def sent_again(change: Callable[[], object]) -> list[str]:
        sent.clear()
        change()
        publish(folder, url)
        return sent

    assert sent_again(lambda: None) == []
    copy = tmp_path / "there/mine/report.json"

    def rewritten(text: str) -> None:  # kernels before 6.13 give what is written within a tick the same time
        before = copy.stat().st_mtime_ns
        while copy.stat().st_mtime_ns == before:
            copy.write_text(text)

    assert sent_again(copy.unlink) == ["report.json"]
    assert sent_again(lambda: rewritten("[]")) == ["report.json"]  # as long, and different
    assert sent_again(lambda: (folder / "report.json").write_text("[ ]")) == ["report.json"]
    assert copy.read_text() == "[ ]"
    with (folder / NOTES).open("a") as notes:
        notes.write('{"url": "s3')  # killed while it wrote
    assert sent_again(lambda: None) == []
    assert {path.name for path in copy.parent.iterdir()} == {"report.json", "tokens"}


def test_parts_of_older_text_do_not_stay_beside_todays(tmp_path, monkeypatch, capsys):
    url, folder, there = f"file://{tmp_path}/there", tmp_path / "here", tmp_path / "there/text"
    (folder / "text").mkdir(parents=True)
    for number in range(3):
        (folder / f"text/part-{number}.parquet").write_text("old")
    publish(folder, url)
    (there / "mine.parquet").write_text("somebody else's")
    (there / "part-1.parquet").write_text("changed by somebody")
    for number in (1, 2):
        (folder / f"text/part-{number}.parquet").unlink()

    def denied(*_args: object) -> None:
        raise PermissionError(errno.EACCES, "Access Denied")

    with monkeypatch.context() as patch:
        patch.setattr(fsspec.get_filesystem_class("file"), "rm_file", denied)
        publish(folder, url)
    assert "part-2.parquet: of older text, and may not be deleted; delete it" in capsys.readouterr().err
    publish(folder, url)
    kept = {"part-0.parquet", "part-1.parquet", "mine.parquet"}
    assert {path.name for path in there.iterdir()} == kept
    (folder / "text/part-0.parquet").unlink()
    (folder / "text").rmdir()  # to save space: the only copy is at the URL
    publish(folder, url)
    assert {path.name for path in there.iterdir()} == kept
