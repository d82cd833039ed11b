"""The rates of a bucket that `relama launch check` measures, on an S3 server that we did not write."""

import pytest

from data.cache.config import CacheConfig
from data.cache.store import open_store
from data.errors import DataError
from tests.support.buckets import objects, random_store, serving, upload
from train.check.buckets import checkpoint_rates, tokens_rate


@pytest.fixture
def server():
    with serving("runs"):
        yield


def test_tokens_are_read_as_training_reads_them(server, tmp_path):
    local = random_store(tmp_path / "store", "books", n_tokens=3_000_000)  # more than one request
    upload(tmp_path / "store", "runs", "store")
    remote = open_store("s3://runs/store", cache=CacheConfig(path=str(tmp_path / "cache"), gib=1))
    rate = tokens_rate([local, remote])
    assert rate is not None and rate > 0
    assert tokens_rate([local]) is None


def test_an_object_is_written_read_back_and_removed(server):
    assert min(checkpoint_rates("s3://runs/run")) > 0
    assert objects("runs", "run") == {}


def test_a_missing_bucket_is_one_line(server):
    with pytest.raises(DataError, match=r"s3://nowhere/run.*no such bucket") as caught:
        checkpoint_rates("s3://nowhere/run")
    assert "\n" not in str(caught.value)
