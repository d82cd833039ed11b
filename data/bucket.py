"""Reads a folder in a bucket; retries until the bytes have the right length and checksum, or names the fault.

Takes any URL that fsspec knows. A read ends with the right bytes or with a DataError: one line with the URL,
never with a secret. What may pass (a slow, failing or lying server) is retried; what will not (no
credentials, no such object) is refused at once.
"""

import errno
import os
import random
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from configs.waiting import AFTER
from data import remote
from data.clients import pages, refusals, s3
from data.errors import DataError

PATIENCE = 300.0  # seconds of failures after which a read gives up
WRONG_TRIES = 6  # tries of a read that brings wrong bytes, or that the server refuses
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 15.0
SLOWEST = 100e3  # bytes/s; a slower request is abandoned and repeated
TIMEOUT = 20.0  # seconds for a request, plus the time its bytes take at SLOWEST
Content = TypeVar("Content")
Check = Callable[[bytes], str | None]  # says what is wrong with the bytes that arrived; None if nothing is


@dataclass
class Traffic:
    """What a bucket's reads cost."""

    requests: int = 0
    bytes: int = 0
    retries: int = 0


class Bucket:
    """The folder at `url`. Safe to use from several threads."""

    def __init__(self, url: str, hurry: threading.Event | None = None) -> None:
        """`hurry`: while it is set, a failed read is not repeated.

        Raises DataError for a URL with a password, or of a kind whose client is not installed.
        """
        remote.refuse_credentials(url)
        _refuse_no_folder(url)
        self.url = url.rstrip("/")
        self.traffic = Traffic()
        if self.url.partition("://")[0] in ("s3", "s3a"):
            s3.refuse_wrong(os.environ)
        self._s3 = s3.reader_of(self.url)
        self._place = None if self._s3 else _open(self.url)  # importing s3fs takes 0.3 s, so not yet
        self._counting = threading.Lock()
        self._warned = False
        self.hurry = hurry or threading.Event()

    @property
    def fs(self) -> Any:
        """fsspec's file system."""
        return self._opened()[0]

    @property
    def root(self) -> str:
        """The folder's path in it."""
        return self._opened()[1]

    def _opened(self) -> tuple[Any, str]:
        with self._counting:
            self._place = self._place or _open(self.url)
            return self._place

    def at(self, name: str) -> str:
        return f"{self.url}/{name}"

    def child(self, name: str) -> "Bucket":
        return Bucket(self.at(name))

    def read(
        self, name: str, start: int | None = None, stop: int | None = None, check: Check | None = None
    ) -> bytes:
        """Bytes [start, stop) of an object, or all of it. Raises FileNotFoundError, or DataError."""

        def attempt() -> bytes:
            content = self._read_once(name, start, stop)
            if stop is not None and len(content) != stop - (start or 0):
                cause = " (no support for ranges?)" if len(content) > stop - (start or 0) else ""
                raise Wrong(f"{len(content):,} bytes arrived of {stop - (start or 0):,}{cause}")
            if check is not None and (problem := check(content)):
                raise Wrong(problem)
            return content

        where = name if start is None else f"{name}, bytes {start:,} to {stop or 0:,}"
        return self._patiently(where, attempt)

    def read_agreed(self, name: str) -> bytes:
        """All of an object without a known checksum; returns it once two reads in a row agree.

        Raises FileNotFoundError, or DataError.
        """
        return self._agreed(name, lambda: self.read(name))

    def _agreed(self, name: str, read: Callable[[], Content]) -> Content:
        found = read()
        for _ in range(WRONG_TRIES):
            before, found = found, read()
            if found == before:
                return found
        raise WrongContent(
            f"{self.at(name)}: each of {WRONG_TRIES + 1} reads returned something else; the server alters "
            "what it sends, or somebody is writing there: run the command again"
        )

    def ask(self, what: str, work: Callable[[Any, str], Any]) -> Any:
        """`work(file system, path)`, with the same retries. Raises FileNotFoundError or DataError."""
        return self._patiently(what, lambda: work(self.fs, f"{self.root}/{what}".rstrip("/")))

    def size(self, name: str) -> int:
        """An object's size in bytes. Raises FileNotFoundError or DataError."""

        def info(fs: Any, path: str) -> int:
            fs.invalidate_cache(path)
            try:
                return int(fs.info(path)["size"])
            except OSError as error:
                if error.errno == errno.EINVAL:  # HEAD's answer cannot say why, but GET's does
                    fs.cat_file(path, start=0, end=1)
                raise

        return self.ask(name, info)

    def exists(self, name: str) -> bool:
        try:
            self.size(name)
        except FileNotFoundError:
            return False
        return True

    def names(self, folder: str = "") -> list[str]:
        """The plain names in a folder of the bucket, sorted; empty if there is no such folder."""

        def listed(fs: Any, path: str) -> list[str]:
            fs.invalidate_cache()
            return sorted({str(found).rstrip("/").rpartition("/")[2] for found in fs.ls(path, detail=False)})

        try:
            return self._agreed(folder, lambda: self.ask(folder, listed))
        except FileNotFoundError:
            return []

    def _read_once(self, name: str, start: int | None, stop: int | None) -> bytes:
        timeout = None if stop is None else TIMEOUT + (stop - (start or 0)) / SLOWEST
        content: Any
        if self._s3 and s3.is_usable():
            content = self._s3.read(name, start, stop, timeout)
        else:
            content = self._read_by_fsspec(f"{self.root}/{name}" if name else self.root, start, stop, timeout)
        with self._counting:
            self.traffic.requests += 1
            self.traffic.bytes += len(content)
        return content

    def _read_by_fsspec(self, path: str, start: int | None, stop: int | None, timeout: float | None) -> bytes:
        if not getattr(self.fs, "async_impl", False):  # or hf:// would read 5 MB ahead for each range
            return self.fs.cat_file(path, start=start, end=stop, cache_type="none")
        from fsspec.asyn import sync

        return cast(
            bytes, sync(self.fs.loop, self.fs._cat_file, path, start=start, end=stop, timeout=timeout)
        )

    def _patiently(self, where: str, attempt: Callable[[], Any]) -> Any:
        with remote.waiting_for(self.at(where)):
            return self._until_it_succeeds(where, attempt)

    def _until_it_succeeds(self, where: str, attempt: Callable[[], Any]) -> Any:
        begin, pause, wrong, refused = time.monotonic(), FIRST_PAUSE, 0, 0
        while True:
            try:
                return attempt()
            except DataError:  # from another patient read inside this attempt
                raise
            except FileNotFoundError as error:
                if final := refusals.refusal(error):  # about the bucket, not the object
                    raise DataError(f"{self.url}: {final}") from None
                raise
            except (NotADirectoryError, IsADirectoryError) as error:  # from file://
                raise FileNotFoundError(str(error)) from None
            except Exception as error:  # each client library has its own errors
                if final := refusals.refusal(error):
                    kind = Denied if final.startswith(refusals.DENIED) else DataError
                    raise kind(f"{self.at(where)}: {final}") from None
                status, failed = refusals.status_of(error), refusals.line_of(error)
                if status in (404, 410):
                    raise FileNotFoundError(failed) from None
                # The object was replaced if it is shorter than the range. Checksum… is a client's own error.
                is_wrong = isinstance(error, Wrong) or status == 416 or "Checksum" in type(error).__name__
                wrong += is_wrong
                if wrong >= WRONG_TRIES:
                    raise WrongContent(
                        f"{self.at(where)}: {failed}, on all {wrong} tries; the object was "
                        "replaced or damaged, or the server alters what it sends: restore it and run the "
                        "command again"
                    ) from None
                refused = refused + 1 if refusals.blames_the_request(error) else 0
                if refused >= WRONG_TRIES:
                    raise DataError(
                        f"{self.at(where)}: the server refuses the request ({failed}), on all {refused} "
                        "tries; correct the URL or the storage's settings, as this says"
                    ) from None
                if time.monotonic() - begin + pause > PATIENCE:
                    raise DataError(
                        f"{self.at(where)}: cannot be read ({failed}), for {PATIENCE:.0f} s; "
                        "run the same command again once the server answers"
                    ) from None
                is_long = pause > 2 * FIRST_PAUSE or time.monotonic() - begin > AFTER
                self._note_retry(where, failed, is_long)
            if self.hurry.wait(pause * random.uniform(0.5, 1.0)):
                raise DataError(f"{self.at(where)}: {failed}; not tried again, because the command is ending")
            pause = min(LONGEST_PAUSE, 2 * pause)

    def _note_retry(self, where: str, failed: str, is_long: bool) -> None:
        with self._counting:
            self.traffic.retries += 1
            is_new = not self._warned and is_long
            self._warned |= is_new
        if is_new:  # one line per bucket, so that an outage does not fill the log
            print(
                f"relama: warning: {self.at(where)}: {failed}; retrying (further failures are counted)",
                file=sys.stderr,
                flush=True,
            )


class Denied(DataError):
    """The credentials in use do not permit this."""


class Wrong(Exception):
    """The bytes that arrived are not those requested."""


class WrongContent(DataError):
    """Every try brought wrong bytes."""


def _open(url: str) -> tuple[Any, str]:
    scheme = url.partition("://")[0]
    package = remote.client(url)
    try:
        with remote.waiting_for(url):
            from fsspec.core import url_to_fs

            fs, path = url_to_fs(url, **_options(package, scheme))
            remote.check_credentials(fs)
    except ImportError:
        raise DataError(f"{url}: needs another package; install fsspec's client for {scheme}") from None
    except ValueError as error:
        if final := refusals.refusal(error):
            raise DataError(f"{url}: {final}") from None
        line = refusals.line_of(error)
        raise DataError(f"{url}: {line}; expected a URL of one of {remote.KINDS}") from None
    except Exception as error:  # each client has its own errors, mostly for missing credentials
        final = refusals.refusal(error) or f"cannot be opened ({refusals.line_of(error)})"
        raise DataError(f"{url}: {final}") from None
    if package == "s3fs":
        fs.retries = 1  # retries are counted and named here, not hidden in the client
    return fs, str(path).rstrip("/")


def _refuse_no_folder(url: str) -> None:
    """Raise DataError for a URL that cannot have anything below it."""
    scheme, _, path = url.partition("://")
    if not path.strip("/"):
        raise DataError(f"{url}: names no bucket; expected {scheme}://BUCKET/FOLDER")
    pages.refuse_folder(url)
    if scheme in ("http", "https") and ("?" in path or pages.file_behind(url) != url):
        why = "has a query (?…)" if "?" in path else "a page about a file"
        raise DataError(f"{url}: {why}; expected the URL of a folder, whose files are below it")


def _options(package: str | None, scheme: str) -> dict[str, Any]:
    if scheme in ("http", "https"):  # no compression: a range of compressed content is useless
        return {"client_kwargs": {"headers": {"Accept-Encoding": "identity"}}}
    if package != "s3fs":
        return {}
    quick = {
        "connect_timeout": 5,
        "read_timeout": 15,
        "retries": {"max_attempts": 1},
        "max_pool_connections": 64,
    }
    return {"config_kwargs": quick}
