"""S3 servers that we did not write, and a proxy in front of them that breaks what they send.

moto's server (Python), and s3rver (Node.js) where `npm install --no-save s3rver` made
node_modules/.bin/s3rver or $S3RVER names it.
"""

import http.client
import os
import random
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

import data.bucket as bucket_module
from data.tokens.store import TokenStore
from tests.support.ports import free_port
from tests.support.stores import write_store

FAULTS = ("delay", "cut", "repeat", "corrupt", "refuse", "truncate", "another", "hang up")
REQUEST_FAULTS = ("delay", "refuse", "hang up")  # the others change an answer's content
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@contextmanager
def moto() -> Iterator[tuple[str, int]]:
    """moto's S3 server: its host and port."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield str(host), int(port)
    finally:
        with urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b""):
            pass  # moto keeps its buckets in this process, for the next server too
        server.stop()


def s3rver_command() -> str | None:
    return (
        os.environ.get("S3RVER") or shutil.which("s3rver", path="node_modules/.bin") or shutil.which("s3rver")
    )


@contextmanager
def s3rver(folder: Path, command: str) -> Iterator[tuple[str, int]]:
    """s3rver on `folder`: its host and port. It knows the key S3RVER, and takes any secret."""
    port = free_port()
    arguments = [command, "-d", str(folder), "-a", "127.0.0.1", "-p", str(port), "--silent"]
    server = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: server.poll() is not None or _is_open(port))
        yield "127.0.0.1", port
    finally:
        server.terminate()
        server.wait()


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def settle(place: tuple[str, int]) -> None:
    """Wait until a server of this machine has done all that processes which have ended had asked of it."""
    ours, close_wait = f"{place[1]:04X}", "08"  # the client's end is closed, the server's is not

    def is_settled() -> bool:
        rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return all(row[1].rpartition(":")[2] != ours or row[3] != close_wait for row in rows)

    wait_for(is_settled)


def running(name: str, folder: Path) -> AbstractContextManager[tuple[str, int]]:
    """The server of that name, moto or s3rver; skips the test if s3rver is not installed."""
    if name == "moto":
        return moto()
    command = s3rver_command()
    if command is None:
        pytest.skip("s3rver is not installed (npm install --no-save s3rver)")
    return s3rver(folder, command)


def credentials(place: tuple[str, int], key: str = "S3RVER") -> dict[str, str]:
    """The environment in which clients use this server."""
    return {
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://{}:{}".format(*place),
    }


@contextmanager
def serving(bucket: str, name: str = "moto", folder: Path = Path()) -> Iterator[tuple[str, int]]:
    """The server of that name with an empty bucket, which clients use by the environment meanwhile."""
    with running(name, folder) as place, pytest.MonkeyPatch.context() as patch:
        for key, value in credentials(place).items():
            patch.setenv(key, value)
        _forget_clients()
        make_bucket(bucket)
        yield place


def hasten(monkeypatch: pytest.MonkeyPatch, patience: float = bucket_module.PATIENCE) -> None:
    """New clients, short pauses between tries and, if given, an end of all tries after fewer seconds."""
    _forget_clients()
    monkeypatch.setattr(bucket_module, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(bucket_module, "PATIENCE", patience)


def _forget_clients() -> None:
    """fsspec keeps clients by their arguments, which the endpoint of the environment is not one of."""
    import s3fs

    s3fs.S3FileSystem.clear_instance_cache()


def wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def make_bucket(name: str) -> None:
    """Create a bucket at the endpoint of the environment."""
    import boto3

    boto3.client("s3").create_bucket(Bucket=name)


def upload(folder: Path, bucket: str, prefix: str) -> None:
    """Copy a folder into a bucket with Amazon's own client."""
    import boto3

    client = boto3.client("s3")
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        client.upload_file(str(file), bucket, f"{prefix}/{file.relative_to(folder).as_posix()}")


def objects(bucket: str, prefix: str = "") -> dict[str, int]:
    """The keys and sizes of the objects there, as Amazon's own client lists them."""
    import boto3

    pages = boto3.client("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {found["Key"]: found["Size"] for page in pages for found in page.get("Contents", [])}


def random_store(folder: Path, source: str, n_tokens: int) -> TokenStore:
    """A store of random tokens in two shards, with block checksums."""
    draws = [np.random.default_rng([n_tokens, i]) for i in range(2)]
    shards = [draw.integers(0, 32000, n_tokens // 2, dtype=np.uint16) for draw in draws]
    return write_store(folder, source, {"train": shards}, b"none", 32000)


class Chaos:
    """A proxy before an S3 server, with latency, a bandwidth shared by all connections, and faults.

    `faults(method, path)` names the fault of a request, or None. What it did is counted in `done`.
    """

    def __init__(
        self,
        behind: tuple[str, int],
        *,
        faults: Callable[[str, str], str | None] = lambda method, path: None,
        latency: float = 0.0,
        bytes_per_second: float = float("inf"),
        seed: int = 0,
    ) -> None:
        self.behind, self.faults = behind, faults
        self.latency, self.bytes_per_second = latency, bytes_per_second
        self.done: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.bytes = 0
        self._draw, self._lock, self._free_at = random.Random(seed), threading.Lock(), 0.0
        chaos = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or each answer's body waits 40 ms for the header's receipt

            def log_message(self, format: str, *args: object) -> None:
                pass

            def handle_any(self) -> None:
                chaos._serve(self)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_any

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request: object, client_address: object) -> None:
                pass  # clients hang up on broken answers

        self._server = Server(("127.0.0.1", 0), Handler)
        self.place = ("127.0.0.1", int(self._server.server_address[1]))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> "Chaos":
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def random_faults(self, share: float, most: int, methods: tuple[str, ...] = ("GET",)) -> None:
        """Break a share of the requests from now on, `most` in all, each in the next way of FAULTS."""

        def fault(method: str, path: str) -> str | None:
            with self._lock:
                count = sum(self.done.values())
                if method not in methods or count >= most or self._draw.random() >= share:
                    return None
                kinds = FAULTS if method == "GET" else REQUEST_FAULTS
                return kinds[count % len(kinds)]

        self.faults = fault

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length) if length else None
        fault = self.faults(request.command, request.path)
        with self._lock:
            self.requests[request.command] += 1
            if fault:
                self.done[fault] += 1
        time.sleep(self.latency)
        if fault == "hang up":
            request.close_connection = True
            return
        if fault == "refuse":
            return self._answer(request, 503, {}, b"<Error><Code>SlowDown</Code></Error>")
        if fault and fault.startswith("<"):
            return self._answer(request, 400, {}, fault.encode())
        if fault == "delay":
            time.sleep(1.0)
        headers = dict(request.headers.items())
        if fault == "another" and "Range" in headers:  # other bytes of the object than those asked for
            low, _, high = headers["Range"].removeprefix("bytes=").partition("-")
            size = int(high) - int(low) + 1
            headers["Range"] = f"bytes={int(low) + 2}-{int(low) + 1 + size}"
        backend = http.client.HTTPConnection(*self.behind, timeout=60)
        try:
            backend.request(request.command, request.path, body=body, headers=headers)
            answer = backend.getresponse()
            content = answer.read()
        finally:
            backend.close()
        kept = {name: value for name, value in answer.getheaders() if name.lower() not in HOP}
        if request.command == "HEAD":
            kept["Content-Length"] = answer.getheader("Content-Length") or "0"
            return self._answer(request, answer.status, kept, b"")
        declared = len(content)
        if fault and content and request.command == "GET":
            content, declared = self._broken(fault, content)
        self._answer(request, answer.status, kept, content, declared)

    def _broken(self, fault: str, content: bytes) -> tuple[bytes, int]:
        half = len(content) // 2
        if fault == "cut":
            return content[:half], len(content)
        if fault == "truncate":
            return content[:half], half
        if fault == "repeat":
            return (content[:half] * 3)[: len(content)], len(content)
        if fault == "corrupt":
            place = self._draw.randrange(len(content))
            return content[:place] + bytes([content[place] ^ 1 << self._draw.randrange(8)]) + content[
                place + 1 :
            ], len(content)
        return content, len(content)

    def _answer(
        self,
        request: BaseHTTPRequestHandler,
        status: int,
        headers: dict[str, str],
        content: bytes,
        declared: int | None = None,
    ) -> None:
        request.send_response_only(status)
        for name, value in headers.items():
            request.send_header(name, value)
        if "Content-Length" not in headers and status != 204:
            request.send_header("Content-Length", str(len(content) if declared is None else declared))
        request.end_headers()
        self._pace(len(content))
        request.wfile.write(content)
        with self._lock:
            self.bytes += len(content)
        if declared is not None and declared != len(content):
            request.close_connection = True

    def _pace(self, n_bytes: int) -> None:
        with self._lock:
            begin = max(time.monotonic(), self._free_at)
            self._free_at = begin + n_bytes / self.bytes_per_second
            wait = self._free_at - time.monotonic()
        if wait > 0:
            time.sleep(wait)
