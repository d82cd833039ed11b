"""A store is read as one stream; a damaged one is refused in one line that says how to fix it."""

import errno
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import DataError
from data.tokens import manifest as manifests
from data.tokens.store import TokenStore, manifest_checksum
from tests.support.runs import REPOSITORY


@pytest.fixture(scope="module")
def store(stores) -> TokenStore:
    return stores["prose"]


@pytest.fixture(scope="module")
def stream(store) -> np.ndarray:
    """The tokens as stored in the shards' files."""
    manifest = json.loads((store.folder / "manifest.json").read_text())
    shards = manifest["splits"]["train"]["shards"]
    assert len(shards) > 3
    return np.concatenate([np.fromfile(store.folder / shard["file"], "<u2") for shard in shards])


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_range_is_read_across_shards(store, stream, data):
    start = data.draw(st.integers(0, store.n_tokens))
    stop = data.draw(st.integers(start, store.n_tokens))
    assert np.array_equal(store.read(start, stop), stream[start:stop])


def test_a_range_outside_of_the_stream_is_an_error(store):
    for start, stop in [(-1, 5), (5, 4), (0, store.n_tokens + 1)]:
        with pytest.raises(IndexError):
            store.read(start, stop)


@settings(max_examples=50, deadline=None)
@given(seq_len=st.integers(1, 3000))
def test_sequences_share_one_token_and_leave_less_than_one_sequence_over(store, stream, seq_len):
    count = store.n_sequences(seq_len)
    assert count == (store.n_tokens - 1) // seq_len
    assert 0 <= store.n_tokens - (count * seq_len + 1) < seq_len
    for i in {0, count // 2, count - 1}:
        sequence = store.sequence(i, seq_len)
        assert (
            np.array_equal(sequence, stream[i * seq_len : (i + 1) * seq_len + 1])
            and len(sequence) == seq_len + 1
        )
    with pytest.raises(IndexError):
        store.sequence(count, seq_len)


def test_a_store_shorter_than_a_sequence_has_no_sequences(store):
    assert store.n_sequences(store.n_tokens) == 0 and store.n_sequences(store.n_tokens - 1) == 1


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_the_documents_of_a_range_are_those_that_overlap_it(store, stream, data):
    ends = np.flatnonzero(stream == 2) + 1  # a document ends with EOS
    begins = np.r_[0, ends[:-1]]
    anywhere = (
        st.integers(0, store.n_tokens) | st.sampled_from(begins.tolist()) | st.sampled_from(ends.tolist())
    )
    start, stop = sorted((data.draw(anywhere), data.draw(anywhere)))
    expected = [(b, e) for b, e in zip(begins, ends) if b < stop and e > start] if start < stop else []
    assert [(span.start, span.stop) for span in store.documents(start, stop)] == expected


def test_the_place_of_a_token_is_in_its_file(store, stream):
    for token in [0, 1, *np.linspace(0, store.n_tokens - 1, 50).astype(int)]:
        path, place = store.place_of(int(token))
        assert np.fromfile(path, "<u2")[place] == stream[token]


def test_an_intact_store_verifies(corpora):
    for split in ("train", "heldout"):
        TokenStore.open(corpora / "prose" / "tokens", split).verify()


@pytest.fixture
def copy(corpora, tmp_path) -> Path:
    return Path(shutil.copytree(corpora / "prose" / "tokens", tmp_path / "tokens"))


def altered(path: Path, at: int = 11) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


DAMAGE = {
    "missing": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-2]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"\0\0"),
    "altered": altered,
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize(
    "name", ["train-00000.bin", "train-00002.bin", "train-00001.docs", "manifest.json", "tokenizer.model"]
)
def test_each_kind_of_damage_is_refused_in_one_line_with_the_file_and_the_fix(copy, name, damage):
    DAMAGE[damage](copy / name)
    with pytest.raises(DataError) as refused:
        TokenStore.open(copy).verify()
    line = str(refused.value)
    assert (
        line.startswith(f"{copy / name}: ") and "relama prepare … stage=tokens" in line and "\n" not in line
    )


@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "longer"])
def test_a_wrong_size_is_detected_without_reading_the_tokens(copy, damage):
    DAMAGE[damage](copy / "train-00001.bin")
    with pytest.raises(DataError, match=r"train-00001\.bin"):
        TokenStore.open(copy)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "not readable"),
        ("{", "not readable"),
        ("[]", "not a manifest of version 1"),
        ('"words"', "not a manifest of version 1"),
        ("{}", "not a manifest of version 1"),
        ('{"version": 1}', "altered"),
    ],
)
def test_an_invalid_manifest_is_refused(copy, content, words):
    (copy / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=words) as refused:
        TokenStore.open(copy)
    assert "\n" not in str(refused.value)


def test_a_manifest_that_is_not_text_is_refused(copy):
    (copy / "manifest.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(DataError, match="not readable"):
        TokenStore.open(copy)


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EACCES])
@pytest.mark.parametrize("name", ["manifest.json", "train-00001.bin", "train-00002.docs", "tokenizer.model"])
def test_an_error_that_may_pass_is_not_called_damage(copy, name, number, monkeypatch):
    def failing(work):
        def call(path, *arguments, **options):
            if str(path) == str(copy / name):
                raise OSError(number, os.strerror(number), str(path))
            return work(path, *arguments, **options)

        return call

    for call in ("stat", "open"):
        monkeypatch.setattr(os, call, failing(getattr(os, call)))
    with pytest.raises(DataError) as refused:
        TokenStore.open(copy)
    said = (
        f"{copy / name}: cannot be read ({os.strerror(number)}); fix the cause and run the same command again"
    )
    assert str(refused.value) == said


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=30,
)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_the_checksum_of_a_manifest_is_of_its_text_whatever_the_pieces(value):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(manifests, "PIECE", 3)
        assert "".join(manifests.json_in_pieces(value)) == json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("key", ["source", "dtype", "seed", "tokenizer", "splits", "text_files"])
def test_any_altered_value_in_the_manifest_is_detected(copy, key):
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest[key] = "another"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="altered since it was written"):
        TokenStore.open(copy)


def test_a_store_of_another_version_is_refused(copy):
    manifest = json.loads((copy / "manifest.json").read_text()) | {"version": 2}
    manifest["xxh3"] = manifest_checksum(manifest)
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match="not a manifest of version 1"):
        TokenStore.open(copy)


def test_a_missing_split_is_refused(copy):
    with pytest.raises(DataError, match="no split test"):
        TokenStore.open(copy, "test")


def test_the_fingerprint_is_of_the_content(copy, corpora, store):
    assert TokenStore.open(copy).fingerprint == store.fingerprint
    assert TokenStore.open(corpora / "code" / "tokens").fingerprint != store.fingerprint


def test_reading_tokens_needs_no_parquet():
    """A trainer starts in seconds, because it imports none of the packages for text."""
    code = (
        "import sys, data.loader; print(sorted({'pyarrow', 'datasets', 'sentencepiece'} & set(sys.modules)))"
    )
    finished = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert finished.stdout.strip() == "[]", finished.stderr


def test_stores_of_many_shards_share_a_bounded_number_of_file_descriptors(corpora, tmp_path):
    """Sixteen sources of a hundred shards, read by a process that may open 400 files."""
    code = f"""
import os, resource
from pathlib import Path
from data.tokens.store import TokenStore
resource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))
folder = Path({str(corpora / "prose" / "tokens")!r})
stores = [TokenStore.open(folder) for _ in range(100)]
expected = stores[0].read(0, stores[0].n_tokens).tolist()
for store in stores:
    assert store.read(0, store.n_tokens).tolist() == expected
assert len(os.listdir("/proc/self/fd")) < 300
taken = [open(os.devnull) for _ in range(400 - len(os.listdir("/proc/self/fd")))]
another = TokenStore.open(folder, "train")
taken.pop().close(), taken.pop().close()
for store in [*stores, another]:
    assert store.read(0, 100).tolist() == expected[:100]
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


FAILS = pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])  # a disk; a network drive that was away


def failing(number: int) -> Callable[..., NoReturn]:
    def fail(*_args: object) -> NoReturn:
        raise OSError(number, os.strerror(number))  # as a read raises it: without the file's name

    return fail


@FAILS
def test_tokens_that_a_disk_cannot_read_are_named_and_read_once_it_can(number, store, stream, monkeypatch):
    shard = re.escape(str(store.place_of(100)[0]))
    with monkeypatch.context() as patch:
        patch.setattr(os, "pread", failing(number))
        with pytest.raises(DataError, match=f"^{shard}: cannot be read .*; fix the cause and run the same"):
            store.read(100, 200)
    assert np.array_equal(store.read(100, 200), stream[100:200])


def test_a_shard_that_is_cut_short_under_a_reader_is_named(copy):
    store = TokenStore.open(copy)
    shard, place = store.place_of(100)
    store.read(100, 200)
    os.truncate(shard, 2 * place + 20)  # a mapped file would end the process
    with pytest.raises(DataError, match=f"^{re.escape(str(shard))}: cut short while it was read; restore it"):
        store.read(100, 200)


@FAILS
@pytest.mark.parametrize("name", ["checksum", "regular_file.content"])
def test_what_cannot_be_read_is_not_called_altered(number, name, store, monkeypatch):
    """Of a shard, and of the tokenizer, whose rebuilding would be the wrong advice."""
    manifest = (store.folder / "manifest.json").read_bytes()
    monkeypatch.setattr(f"data.tokens.store.{name}", failing(number))
    file = store.place_of(0)[0] if name == "checksum" else store.tokenizer
    with pytest.raises(
        DataError, match=f"^{re.escape(str(file))}: cannot be read .*; fix the cause"
    ) as error:
        store.verify()
    assert "rebuild" not in str(error.value)
    assert (store.folder / "manifest.json").read_bytes() == manifest
