"""Which settings of S3 obstore reads, and which are left to s3fs."""

import pytest

from data.cache.config import CacheConfig
from data.clients.s3 import reader_of, settings_of
from data.errors import DataError


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ({}, {"region": "us-east-2"}),
        ({"AWS_SESSION_TOKEN": "t", "AWS_PAGER": ""}, {"region": "us-east-2", "session_token": "t"}),
        ({"AWS_ENDPOINT_URL": "https://here:9000"}, {"region": "us-east-2", "endpoint": "https://here:9000"}),
        (
            {"AWS_ENDPOINT_URL": "http://here", "AWS_DEFAULT_REGION": "", "AWS_CA_BUNDLE": "/x"},
            {"region": "us-east-1", "endpoint": "http://here"},
        ),
        ({"AWS_SECRET_ACCESS_KEY": ""}, None),
        ({"AWS_PROFILE": "mine"}, None),
        ({"AWS_CA_BUNDLE": "/x"}, None),
        ({"AWS_DEFAULT_REGION": ""}, None),
        ({"AWS_DEFAULT_REGION": "cn-north-1"}, None),
        ({"FSSPEC_S3_ENDPOINT_URL": "http://there"}, None),
    ],
)
def test_what_obstore_would_read_otherwise_is_left_to_s3fs(said, found):
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_DEFAULT_REGION": "us-east-2"}
    expected = found and {"access_key_id": "a", "secret_access_key": "b"} | found
    assert settings_of({**keys, **said}) == expected


def test_a_user_without_a_home_reads_buckets_too(homeless, monkeypatch):
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(key, "us-east-2")
    assert reader_of("s3://bucket/folder") is not None
    with pytest.raises(DataError, match=r"^cache\.path=null: this user has no home folder; "):
        _ = CacheConfig().folder
    monkeypatch.setenv("RELAMA_CACHE", "/scratch")
    assert str(CacheConfig().folder) == "/scratch"
