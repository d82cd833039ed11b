"""A store may grow between a run and its branch; what was trained on keeps its numbers."""

import json
import shutil

import numpy as np
import pytest

from data.errors import DataError
from data.order import Order
from data.phases.grown import refuse_other_past
from data.tokens.store import TokenStore, manifest_checksum


@pytest.fixture
def grown(stores, tmp_path) -> TokenStore:
    """A version of the prose store to which its first shard was appended once more."""
    folder = tmp_path / "tokens"
    shutil.copytree(stores["prose"].folder, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    part = manifest["splits"]["train"]
    added = dict(part["shards"][0])
    for key in ("file", "documents_file"):
        shutil.copyfile(folder / added[key], folder / f"more-{added[key]}")
        added[key] = f"more-{added[key]}"
    part["shards"].append(added)
    part["tokens"] += added["tokens"]
    part["documents"] += added["documents"]
    manifest["xxh3"] = manifest_checksum(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return TokenStore.open(folder)


def test_a_store_that_grew_keeps_the_numbers_of_what_was_trained_on(stores, grown):
    old = stores["prose"]
    refuse_other_past(old, old.fingerprint, None)
    refuse_other_past(grown, old.fingerprint, old.folder)
    before, after = old.n_sequences(100), grown.n_sequences(100)
    order = Order.start(seed=1, weights={"prose": 1}, n_sequences={"prose": before}, seq_len=100)
    order = order.change(before // 2, weights={"prose": 1}, n_sequences={"prose": after}, seq_len=100)
    read = [order.locate(n).index for n in range(after)]
    assert sorted(read) == list(range(after))  # the epoch continues over what is left and what is new
    for index in read[: before // 2]:
        assert np.array_equal(old.sequence(index, 100), grown.sequence(index, 100))


def test_a_store_that_shrank_or_cannot_be_compared_is_refused(stores, grown, tmp_path):
    old, code = stores["prose"], stores["code"]
    for store, fingerprint, before, words in (
        (old, grown.fingerprint, grown.folder, "shrank or changed"),
        (code, old.fingerprint, old.folder, "shrank or changed"),
        (grown, old.fingerprint, tmp_path / "gone", "lacks those to compare"),
        (grown, old.fingerprint, None, "lacks those to compare"),
    ):
        with pytest.raises(DataError, match=words) as refused:
            refuse_other_past(store, fingerprint, before)
        assert str(store.folder) in str(refused.value) and "\n" not in str(refused.value)
