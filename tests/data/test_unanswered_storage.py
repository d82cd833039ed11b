"""A storage that gives no credentials, or that takes long: one line, at once or while it is waited for."""

import threading

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

import data.bucket as bucket_module
from configs import terminal, waiting
from data.bucket import Bucket
from data.errors import DataError
from data.main import main as prepare

NO_CREDENTIALS = "no credentials; set them as the storage's own tools expect"


class ClientAuthenticationError(Exception):
    """As Azure's client raises it."""


class Keyless(MemoryFileSystem):
    """As adlfs where no credentials are: a request would be made again and again for minutes."""

    protocol = "keyless"

    class sync_credential:
        @staticmethod
        def get_token(*scopes: str) -> None:
            assert scopes == ("https://storage.azure.com/.default",)
            raise ClientAuthenticationError("DefaultAzureCredential failed to retrieve a token\nAttempted: …")


def _request(*_args: object, **_more: object) -> None:
    raise AssertionError("a request without credentials")


for _name in ("ls", "info", "cat_file", "put_file", "makedirs", "exists", "isdir", "isfile", "find"):
    setattr(Keyless, _name, _request)


class Silent(MemoryFileSystem):
    """A storage that answers once a line has said that it is waited for."""

    protocol = "silent"
    said = threading.Event()

    def cat_file(self, *_args: object, **_more: object) -> bytes:
        assert self.said.wait(120)
        return b"late"


class Full(MemoryFileSystem):
    """A storage whose client has an error of its own for what it cannot take."""

    protocol = "full"

    def put_file(self, *_args: object, **_more: object) -> None:
        raise ClientAuthenticationError("quota exceeded\nrequest 17")


for storage in (Keyless, Silent, Full):
    fsspec.register_implementation(storage.protocol, storage, clobber=True)


@pytest.fixture
def text(tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.txt").write_text("The mill stands by the river. " * 40)
    return "my.txt"


def test_a_bucket_without_credentials_is_refused_before_any_request():
    with pytest.raises(DataError, match=f"^keyless://box/a: {NO_CREDENTIALS}"):
        Bucket("keyless://box/a")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("input=keyless://box/a output=made", "input=keyless://box/a"),
        ("output=keyless://box/a", "keyless://box/a"),
    ],
)
def test_prepare_without_credentials_is_refused_in_one_line_before_any_work(
    arguments, named, text, tmp_path, capsys
):
    pytest.importorskip("upath", reason="universal-pathlib is not installed (pip install -e '.[data]')")
    given = arguments.split()
    given += [] if "input" in arguments else [f"input={text}"]
    assert prepare(["recipe=text", "source=mine", "stage=text", *given]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"relama: error: {named}: {NO_CREDENTIALS}")
    assert [path.name for path in tmp_path.iterdir()] == [text]


def test_a_copy_that_fails_is_one_line_that_says_how_to_go_on(text, capsys):
    pytest.importorskip("upath", reason="universal-pathlib is not installed (pip install -e '.[data]')")
    arguments = ["recipe=text", "source=mine", "stage=text", f"input={text}", "output=full://box/a"]
    assert prepare(arguments) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last == (
        "relama: error: full://box/a: cannot be written (quota exceeded); corpora/mine is complete, and the "
        "same command copies what is still missing"
    )


def test_a_storage_that_is_waited_for_is_named(monkeypatch):
    said: list[str] = []

    def say(line: str, *_more: object) -> None:
        said.append(line)
        Silent.said.set()

    there = Bucket("silent://box/a")  # to open it may take long, too
    for name in ("say", "draw"):
        monkeypatch.setattr(terminal, name, say)
    monkeypatch.setattr(waiting, "AFTER", 0.05)
    monkeypatch.setattr(waiting, "POLL", 0.01)
    assert there.read("x") == b"late"
    assert said[0].startswith("relama: waiting for silent://box/a/x: ")


def test_a_failure_that_took_long_is_told_at_once(monkeypatch, capsys):
    tries = iter([OSError("no answer"), b"here"])

    def read_once(*_args: object) -> bytes:
        found = next(tries)
        if isinstance(found, OSError):
            raise found
        return found

    monkeypatch.setattr(bucket_module, "AFTER", -1.0)
    there = Bucket("memory://box/a")
    monkeypatch.setattr(there, "_read_once", read_once)
    assert there.read("x") == b"here"
    assert capsys.readouterr().err.startswith("relama: warning: memory://box/a/x: no answer; retrying")
