"""What a bucket's errors mean: a refusal at once, an object that was replaced, or another try."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import data.bucket as bucket_module
from data.bucket import Bucket, WrongContent
from data.cache.config import CacheConfig
from data.cache.store import open_store
from data.errors import DataError
from data.mixture import DataConfig, find_stores
from tests.support.buckets import credentials, random_store

DENIED = "access denied"
GOOD = b"what the object holds"
EXPIRED = "the credentials have expired, or their token is not valid"


class Answers:
    """A web server that counts requests and gives each the same answer, until it grants one."""

    def __init__(self) -> None:
        self.status, self.body = 200, b""
        self.headers: dict[str, str] = {}
        self.requests: list[str] = []
        self.granted: int | None = None  # the number of the first request that gets GOOD
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                answers.requests.append(self.headers.get("Accept-Encoding", ""))
                status, body = answers.status, answers.body
                if answers.granted and len(answers.requests) >= answers.granted:
                    status, body = 206, GOOD
                self.send_response(status)
                for name, value in {**answers.headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

            do_HEAD = do_GET

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.place = ("127.0.0.1", int(self.server.server_address[1]))


@pytest.fixture
def server(monkeypatch) -> Iterator[Answers]:
    answers = Answers()
    threading.Thread(target=answers.server.serve_forever, daemon=True).start()
    for key, value in credentials(answers.place).items():
        monkeypatch.setenv(key, value)
    monkeypatch.setattr(bucket_module, "FIRST_PAUSE", 0.001)
    yield answers
    answers.server.shutdown()
    answers.server.server_close()


@pytest.fixture(params=["obstore", "s3fs", "https"])
def bucket(request, server, monkeypatch) -> Bucket:
    if request.param == "https":
        pytest.importorskip("aiohttp", reason="aiohttp is not installed (pip install -e '.[data]')")
        return Bucket("http://{}:{}/folder".format(*server.place))
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed (pip install -e '.[s3]')")
    s3fs.S3FileSystem.clear_instance_cache()
    if request.param == "s3fs":
        monkeypatch.setattr(bucket_module.s3, "reader_of", lambda url: None)
    else:
        pytest.importorskip("obstore", reason="obstore is not installed (pip install -e '.[s3]')")
    return Bucket("s3://corpus/folder")


def answer(server: Answers, status: int, code: str, message: str = "no") -> None:
    server.status = status
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    server.body = f'<?xml version="1.0"?>{error}'.encode()


@pytest.mark.parametrize("status", [401, 403])
def test_a_denied_read_is_refused_at_once(status, server, bucket):
    answer(server, status, "AccessDenied")
    with pytest.raises(DataError, match=DENIED):
        bucket.read("x", 0, 4)
    assert len(server.requests) <= 2  # obstore or aiohttp ask once, Amazon's client may look for the region


@pytest.mark.parametrize("bucket", ["obstore", "s3fs"], indirect=True)
@pytest.mark.parametrize(
    ("status", "code", "refusal"),
    [
        (400, "ExpiredToken", EXPIRED),
        (400, "InvalidToken", EXPIRED),
        (403, "RequestTimeTooSkewed", "the clock of this machine and the server's differ"),
        (403, "InvalidObjectState", "the object is archived"),
        (301, "PermanentRedirect", "the bucket is in another region; set AWS_DEFAULT_REGION"),
        (307, "TemporaryRedirect", "the bucket is in another region; set AWS_DEFAULT_REGION"),
        (400, "AuthorizationHeaderMalformed", "the bucket is in another region; set AWS_DEFAULT_REGION"),
        (400, "InvalidRegionName", "the bucket is in another region; set AWS_DEFAULT_REGION"),
        (400, "InvalidBucketName", "no such bucket; create it, or correct the name"),
        (400, "InvalidArgument", r"correct the AWS_\* variables"),
    ],
)
def test_what_amazons_codes_mean(status, code, refusal, server, bucket):
    answer(server, status, code)
    with pytest.raises(DataError, match=refusal):
        bucket.read("x", 0, 4)


@pytest.mark.parametrize("bucket", ["obstore", "s3fs"], indirect=True)
@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        ("the region 'us-east-1' is wrong; expecting 'eu-west-1'", "the bucket is in another region"),
        (
            "a non-empty Access Key (AKID) must be provided in the credential.",
            "not an access key",
        ),
        ('the Credential is mal-formed; expecting "AKID/YYYYMMDD/REGION"', "AWS_ACCESS_KEY_ID is not"),
    ],
)
def test_a_malformed_header_is_the_region_or_the_key(message, refusal, server, bucket):
    answer(server, 400, "AuthorizationHeaderMalformed", f"The authorization header is malformed; {message}")
    with pytest.raises(DataError, match=refusal):
        bucket.read("x", 0, 4)


@pytest.mark.parametrize("code", ["UserProjectMissing", "KMS.NotFoundException", "InvalidRequest"])
def test_a_request_that_the_server_refuses_is_not_tried_for_minutes(code, server, bucket):
    answer(server, 400, code, "a setting is missing")
    with pytest.raises(DataError, match=r"the server refuses the request .*, on all 6 tries") as refused:
        bucket.read("x", 0, 4)
    assert bucket.url.startswith("http") or "a setting is missing" in str(refused.value)
    assert len(server.requests) <= 2 * bucket_module.WRONG_TRIES


@pytest.mark.parametrize("bucket", ["obstore", "s3fs"], indirect=True)
@pytest.mark.parametrize(
    ("status", "code"), [(400, "RequestTimeout"), (409, "OperationAborted"), (429, "TooManyRequests")]
)
def test_a_request_that_may_succeed_later_is_tried_again(status, code, server, bucket):
    answer(server, status, code)
    size = len(GOOD)
    server.headers = {"Content-Range": f"bytes 0-{size - 1}/{size}", "ETag": '"a"'}
    server.headers["Last-Modified"] = "Sat, 01 Jan 2022 00:00:00 GMT"
    server.granted = 2 * bucket_module.WRONG_TRIES + 1
    assert bucket.read("x", 0, size) == GOOD


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"])
def test_a_key_with_a_line_break_is_named_without_its_value(name, server, monkeypatch):
    monkeypatch.setenv(name, "secret\n")
    with pytest.raises(DataError, match=f"^{name}: begins or ends with white space") as refused:
        Bucket("s3://corpus/folder")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "value", "refusal"),
    [
        ("AWS_ENDPOINT_URL", "localhost:9000", "localhost:9000: does not begin with http:// or https://"),
        ("AWS_ENDPOINT_URL_S3", "ftp://h", "ftp://h: does not begin with http:// or https://"),
        ("AWS_ENDPOINT_URL", "http:/h", "http:/h: names no host"),
        ("AWS_ENDPOINT_URL", "http://", "http://: names no host"),
        ("AWS_ENDPOINT_URL", "http://h:99999", "http://h:99999: Port out of range 0-65535"),
        ("AWS_ENDPOINT_URL", "http://[::1", r"http://\[::1: Invalid IPv6 URL"),
        ("AWS_ENDPOINT_URL", "https://h/?region=x", "has a query"),
        ("AWS_ACCESS_KEY_ID", "a\nb", "contains a line break or a control character"),
        ("AWS_SESSION_TOKEN", "a\x01b", "contains a line break or a control character"),
        ("AWS_DEFAULT_REGION", "us\x7feast", "contains a line break or a control character"),
    ],
)
def test_a_setting_that_no_request_can_carry_is_named(name, value, refusal, server, monkeypatch):
    monkeypatch.setenv(name, value)
    with pytest.raises(DataError, match=f"^{name}[=:].*{refusal}"):
        Bucket("s3://corpus/folder")


def test_a_panic_of_obstore_is_not_tried_again(server, monkeypatch):
    obstore = pytest.importorskip("obstore", reason="obstore is not installed (pip install -e '.[s3]')")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    bucket = Bucket("s3://corpus/folder")
    assert bucket._s3 is not None
    wrong = {"endpoint": "localhost:9000", "region": "x", "access_key_id": "x", "secret_access_key": "x"}
    monkeypatch.setattr(bucket._s3, "_client", obstore.store.S3Store("corpus", config=wrong))
    with pytest.raises(DataError, match=r"^s3://corpus/folder/x: obstore crashed with the error above"):
        bucket.read("x")


@pytest.mark.parametrize(
    ("name", "value", "refusal"),
    [
        ("AWS_PROFILE", "nobody", r"profile \(nobody\) could not be found; correct the AWS_\* variables"),
        ("AWS_SECRET_ACCESS_KEY", "", "Partial credentials found in env.* correct the AWS_"),
    ],
)
def test_settings_of_amazons_client_that_are_wrong_are_refused_at_once(
    name, value, refusal, server, tmp_path, monkeypatch
):
    s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed (pip install -e '.[s3]')")
    s3fs.S3FileSystem.clear_instance_cache()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(name, value)
    if not value:
        monkeypatch.delenv(name)
    with pytest.raises(DataError, match=refusal):
        Bucket("s3://corpus/folder").read("x")
    assert not server.requests


def test_an_object_that_is_shorter_than_the_range_was_replaced(server, bucket):
    answer(server, 416, "InvalidRange")
    with pytest.raises(WrongContent, match="the object was replaced or damaged"):
        bucket.read("x", 4, 8)


class Told(Exception):
    """As the clients of Google, Azure and the Hub keep the status of an answer."""

    def __init__(self, **facts: object) -> None:
        super().__init__("no")
        vars(self).update(facts)


@pytest.mark.parametrize(
    "facts", [{"code": 403}, {"status_code": 403}, {"response": type("Answer", (), {"status_code": 403})()}]
)
def test_the_status_is_found_where_each_client_keeps_it(facts, server, monkeypatch):
    def fail(*_args: object) -> bytes:
        raise Told(**facts)

    there = Bucket("memory://folder")
    monkeypatch.setattr(there, "_read_once", fail)
    with pytest.raises(DataError, match=DENIED):
        there.read("x")
    facts["code" if "code" in facts else "status_code"] = 404
    facts.pop("response", None)
    with pytest.raises(FileNotFoundError):
        there.read("x")


def test_a_server_that_redirects_in_a_loop_is_named(server):
    server.status, server.headers = 302, {"Location": "/again"}
    with pytest.raises(DataError, match="redirects in a loop"):
        Bucket("http://{}:{}/a".format(*server.place)).read("x")


def test_a_login_page_in_place_of_the_manifest_is_named(server, tmp_path):
    server.body = b"\n<html>Sign in</html>"
    with pytest.raises(DataError, match="a web page in place of the manifest; does the server ask"):
        open_store("http://{}:{}/a".format(*server.place), cache=CacheConfig(str(tmp_path)))


def test_a_web_server_without_the_tokens_is_told_what_to_put_there(server):
    pytest.importorskip("aiohttp")
    answer(server, 404, "NoSuchKey")
    corpora = "http://{}:{}/corpora".format(*server.place)
    with pytest.raises(DataError, match=r"no mine/tokens/manifest\.json there; put the folder mine there"):
        find_stores(corpora, DataConfig(name="mix", weights={"mine": 1.0}))


def test_ranges_are_asked_for_as_they_are_stored(server, tmp_path):
    """A proxy that compresses would give a range of what it compressed."""
    store = random_store(tmp_path / "store", "c4", 4096)
    server.body = (store.folder / "manifest.json").read_bytes()
    open_store("http://{}:{}/a".format(*server.place), cache=CacheConfig(str(tmp_path)))
    assert server.requests == ["identity"]


@pytest.mark.parametrize("corpora", ["s3:/bucket/corpora", "s3://", "https:", "gs:bucket"])
def test_half_a_url_does_not_pass_for_a_local_folder(corpora):
    with pytest.raises(DataError, match=f"{corpora}: not the URL of a folder; expected .*://BUCKET/FOLDER"):
        find_stores(corpora, DataConfig(name="mix", weights={"c4": 1.0}))


@pytest.mark.parametrize(
    ("url", "refusal"),
    [
        ("s3://", "names no bucket; expected s3://BUCKET/FOLDER"),
        ("https://host/corpora?version=3", "has a query"),
    ],
)
def test_a_url_that_cannot_be_a_folder_is_refused(url, refusal):
    with pytest.raises(DataError, match=refusal):
        Bucket(url)
