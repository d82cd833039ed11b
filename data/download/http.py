"""HTTP for downloads: files, resumed where they broke off, and small pages; every failure is one line.

Uses only the standard library, so that proxies (HTTPS_PROXY) and certificates work as in Python itself.
"""

import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from email.message import Message
from pathlib import Path
from typing import TypeVar

from configs.redact import redact
from configs.sizes import binary
from data.errors import DataError

AGENT = (
    "Relama (LLaMA's pretraining data; one connection at a time)"  # Wikimedia asks robots to name themselves
)
TIMEOUT = 60.0  # seconds without a byte
PAUSES = (1.0, 4.0, 15.0, 60.0)  # seconds before each new attempt; any progress restarts the count
MAX_PAGE = 64 << 20  # most bytes of a list of files
CHUNK = 1 << 20
_SENT = re.compile(r"bytes\s+(?:(\d{1,18})-\d*|\*)/(\d{1,18})?")  # the header Content-Range
_LATER = (408, 425, 429, 500, 502, 503, 504)
T = TypeVar("T")


class _Broken(Exception):
    """A request failed, but a later one may succeed; `pause`: seconds the server asks to wait."""

    def __init__(self, problem: str, pause: float = 0.0) -> None:
        super().__init__(problem)
        self.pause = pause


class _Beyond(Exception):
    """The server has no byte `start`; `size`: how many it has, if it says so."""

    def __init__(self, size: int | None) -> None:
        super().__init__("the file on the server is shorter than what is here")
        self.size = size


def page(url: str, method: str = "GET") -> tuple[bytes, Message]:
    """A small page and its headers. Raises DataError."""

    def get() -> tuple[bytes, Message]:
        with _open(url, method=method) as response:
            # Redirected, urllib turns HEAD into GET (until Python 3.13): a dump would follow.
            content = b"" if method == "HEAD" else response.read(MAX_PAGE + 1)
            if len(content) > MAX_PAGE:
                raise DataError(f"{redact(url)}: more than {binary(MAX_PAGE)}; expected a list of files")
            return content, response.headers

    return _patiently(url, get, lambda: 0)


def download(url: str, part: Path, size: int | None, show: Callable[[int], None]) -> None:
    """Download the rest of the file into `part`, after the bytes already there. Raises DataError."""

    def here() -> int:
        return part.stat().st_size if part.exists() else 0

    def get() -> None:
        start = here()
        if size is not None and start == size:
            return
        if size is not None and start > size:
            part.unlink()
            start = 0
        try:
            response = _open(url, start)
        except _Beyond as error:
            if error.size == start:  # complete, and only its size was unknown
                return
            part.unlink()
            raise _Broken(str(error)) from None
        with response:
            sent = _SENT.match(response.headers.get("Content-Range") or "")
            begun = int(sent[1]) if sent and sent[1] else start
            if response.status != 206:  # the server sends the whole file instead
                begun = 0
            if begun > start:
                raise _Broken(f"the server sends byte {begun:,} and not byte {start:,}")
            start = begun
            length = response.headers.get("Content-Length")
            end = start + int(length) if length and length.isdigit() else size
            with part.open("r+b" if start else "wb") as out:
                out.seek(start)
                while chunk := response.read(CHUNK):
                    out.write(chunk)
                    show(out.tell())
                out.truncate()
                if end is not None and out.tell() < end:
                    raise _Broken(f"the connection ended at byte {out.tell():,} of {end:,}")

    _patiently(url, get, here)


def _open(url: str, start: int = 0, method: str = "GET") -> http.client.HTTPResponse:
    headers = {"User-Agent": AGENT, "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    request = urllib.request.Request(url, headers=headers, method=method)
    try:
        return urllib.request.urlopen(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        problem = f"the server answers {error.code} {error.reason}"
        if error.code == 416 and start:
            sent = _SENT.match(error.headers.get("Content-Range") or "")
            raise _Beyond(int(sent[2]) if sent and sent[2] else None) from None
        if error.code in _LATER:
            wait = error.headers.get("Retry-After") or ""
            raise _Broken(problem, min(300.0, float(wait)) if wait.isdigit() else 0.0) from None
        raise DataError(
            f"{redact(url)}: {problem}; see docs/data.md for where the files are, and give input=PATH, or "
            "another dumps.mirror="
        ) from None
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise _Broken(_reason(error)) from error


def _patiently(url: str, work: Callable[[], T], progress: Callable[[], int]) -> T:
    """`work()`, repeated after failures, until `progress()` has not grown over len(PAUSES) of them."""
    failures, best = 0, progress()
    while True:
        try:
            return work()
        except (_Broken, http.client.HTTPException, OSError) as error:
            if isinstance(error, OSError) and error.filename:  # an error of the disk
                raise
            if progress() > best:
                failures, best = 0, progress()
            # Do not retry without a network: it will not appear within a minute.
            if failures == len(PAUSES) or (not best and failures and _is_offline(error)):
                raise DataError(
                    f"{redact(url)}: cannot be fetched ({_reason(error)}); what has arrived is kept: run the "
                    "same command again, or fetch the files on a machine with a network and give input=PATH"
                ) from None
            time.sleep(max(PAUSES[failures], getattr(error, "pause", 0.0)))
            failures += 1


def _is_offline(error: BaseException) -> bool:
    cause = error.__cause__ or error
    return isinstance(getattr(cause, "reason", cause), OSError) and not isinstance(
        getattr(cause, "reason", cause), TimeoutError
    )


def _reason(error: BaseException) -> str:
    inner = getattr(error, "reason", None) or error
    if isinstance(inner, OSError) and inner.errno:
        return inner.strerror or os.strerror(inner.errno)
    return " ".join(str(inner).split()) or type(inner).__name__
