"""A stand-in for the Hugging Face Hub: the REST calls by which its file system reads one public dataset."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "0" * 40


class Hub:
    """The dataset `me/corpus` with the files of a folder. `ranges` are those that were asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ranges, self.sent = folder, [], 0
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, format: str, *args: object) -> None:
                pass

            def do_GET(self) -> None:
                hub.answer(self, unquote(urlsplit(self.path).path))

            do_HEAD = do_GET

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, request: BaseHTTPRequestHandler, path: str) -> None:
        facts, tree = "/api/datasets/me/corpus", "/api/datasets/me/corpus/tree/main"
        files = "/datasets/me/corpus/resolve/main/"
        if path in (facts, f"{facts}/revision/main"):
            self._send(request, 200, json.dumps({"_id": "1", "id": "me/corpus", "sha": COMMIT}).encode())
        elif path.startswith(tree) and (folder := self.folder / path[len(tree) :].strip("/")).is_dir():
            self._send(request, 200, json.dumps([self._entry(file) for file in folder.iterdir()]).encode())
        elif path.startswith(files) and (file := self.folder / path[len(files) :]).is_file():
            self._send_file(request, file.read_bytes())
        else:
            self._send(request, 404, b"{}", {"X-Error-Code": "EntryNotFound"})

    def _entry(self, path: Path) -> dict:
        kind, size = ("directory", 0) if path.is_dir() else ("file", path.stat().st_size)
        return {"type": kind, "path": path.relative_to(self.folder).as_posix(), "oid": COMMIT, "size": size}

    def _send_file(self, request: BaseHTTPRequestHandler, content: bytes) -> None:
        if asked := request.headers.get("Range"):
            low, _, high = asked.removeprefix("bytes=").partition("-")
            self.ranges.append((int(low), int(high) + 1))
            part = content[int(low) : int(high) + 1]
            where = f"bytes {low}-{int(low) + len(part) - 1}/{len(content)}"
            self._send(request, 206, part, {"Content-Range": where})
        else:
            self._send(request, 200, content)

    def _send(
        self, request: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        request.send_response_only(status)
        for name, value in {"ETag": '"1"', "X-Repo-Commit": COMMIT, **(headers or {})}.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body)
            self.sent += len(body)


@contextmanager
def hub(folder: Path) -> Iterator[Hub]:
    """A Hub that runs during the block."""
    running = Hub(folder)
    threading.Thread(target=running.server.serve_forever, daemon=True).start()
    try:
        yield running
    finally:
        running.server.shutdown()
        running.server.server_close()
