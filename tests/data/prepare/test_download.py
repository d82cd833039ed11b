"""`download=true`: files from a local server that breaks off, changes, lies and fails, as publishers do."""

import asyncio
import bz2
import gzip
import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from data.download import http, publishers
from data.download.config import DumpsConfig
from data.download.main import SPARE, download
from data.errors import DataError
from data.main import main

WIKI = bz2.compress(
    b"<mediawiki xmlns='http://www.mediawiki.org/xml/export-0.11/'><siteinfo><dbname>slwiki</dbname>"
    b"</siteinfo><page><title>Voda</title><ns>0</ns><id>1</id><revision><id>2</id>"
    b"<text>Voda je snov brez barve, vonja in okusa, ki jo potrebujejo vsa ziva bitja na Zemlji.</text>"
    b"</revision></page></mediawiki>"
)
C4 = gzip.compress(
    b"".join(b'{"text": "Page %d of the web.", "url": "http://a.org/%d"}\n' % (n, n) for n in range(99))
)
BOOK = b"*** START OF THE PROJECT GUTENBERG EBOOK A ***\n\n" + b"It was a dark night.\n" * 50
BOOK += b"\n*** END OF THE PROJECT GUTENBERG EBOOK A ***\n"
NAME = "slwiki-20260901-pages-articles-multistream.xml.bz2"
DUMP = f"/slwiki/20260901/{NAME}"
SHARD = "c4-train.00000-of-01024.json.gz"


class Publisher:
    """The pages and files of all four publishers, at one address."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str | None]] = []  # method, path, Range
        self.cuts: list[int] = []  # the next answers with a body end after this many bytes
        self.codes: list[int] = []  # the next answers fail with these
        self.ranges = True  # whether Range is obeyed
        self.lengths = True  # whether answers say how long they are
        self.moved = ""  # what redirects lead to, with the path below it
        self.earlier = 0  # how many bytes before the requested one a range begins
        sums = f"{'0' * 40}  slwiki-20260901-pages-articles-multistream1.xml-p1p2.bz2\n"
        sums += f"{hashlib.sha1(WIKI).hexdigest()}  {NAME}\n"
        large = {"oid": hashlib.sha256(C4).hexdigest(), "size": len(C4)}
        shards = [
            {"type": "file", "path": f"en/{SHARD}", "size": len(C4), "oid": "git", "lfs": large},
            {"type": "file", "path": "en/c4-validation.00000-of-00008.json.gz", "size": 1, "oid": "git"},
        ]
        sites = [
            {"name": f"{site}.7z", "size": str(len(site)), "sha1": hashlib.sha1(site.encode()).hexdigest()}
            for site in ("beer.stackexchange.com", "stackoverflow.com-Votes", "ai.stackexchange.com")
        ]
        more = "/api/datasets/allenai/c4/tree/main/en?cursor=2"
        self.files = {
            "/slwiki/latest/slwiki-latest-sha1sums.txt": sums.encode(),
            DUMP: WIKI,
            "/api/datasets/allenai/c4/tree/main/en": b"[]",
            more: json.dumps(shards).encode(),
            f"/datasets/allenai/c4/resolve/main/en/{SHARD}": C4,
            "/metadata/stackexchange": json.dumps({"files": sites}).encode(),
            "/download/stackexchange/ai.stackexchange.com.7z": b"ai.stackexchange.com",
            "/download/stackexchange/beer.stackexchange.com.7z": b"beer.stackexchange.com",
            "/robot/harvest?filetypes[]=txt": b'<a href="/1/1-0.txt">1</a><a href="harvest?offset=2">+</a>',
            "/robot/harvest?offset=2": b'<a href="/2/2-0.txt">2</a><a href="harvest?offset=2">Next</a>',
            "/1/1-0.txt": BOOK,
            "/2/2-0.txt": BOOK.replace(b"dark", b"light"),
        }
        self.links = {"/api/datasets/allenai/c4/tree/main/en": f'<{more}>; rel="next"'}


class Answers(BaseHTTPRequestHandler):
    publisher: Publisher

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        here, asked = self.publisher, self.headers.get("Range")
        here.asked.append((self.command, self.path, asked))
        if here.moved and not self.path.startswith(here.moved):
            self.send_response(302)
            self.send_header("Location", here.moved + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.path = self.path.removeprefix(here.moved)
        content = here.files.get(self.path)
        if content is None or here.codes:
            self.send_response(here.codes.pop(0) if content is not None else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and here.ranges else 0
        if start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = max(0, start - here.earlier)
        self.send_response(206 if asked and here.ranges else 200)
        if asked and here.ranges:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        if here.lengths:
            self.send_header("Content-Length", str(len(content) - start))
        if self.path in here.links:
            self.send_header("Link", here.links[self.path])
        self.end_headers()
        if self.command == "GET":
            end = start + here.cuts.pop(0) if here.cuts and self.path == DUMP else len(content)
            self.wfile.write(content[start:end])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def publisher(monkeypatch, tmp_path) -> Iterator[tuple[Publisher, str]]:
    """The publisher and its address; the working folder is empty, and nobody waits."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(http, "PAUSES", (0.0, 0.0, 0.0))
    monkeypatch.setattr(publishers, "BETWEEN_PAGES", 0.0)
    publisher = Publisher()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Answers,), {"publisher": publisher}))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield publisher, f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def fetch(recipe: str, address: str, **keys: Any) -> dict[str, bytes]:
    """The visible files that `download` leaves, by name."""
    folder = download(recipe, recipe, DumpsConfig(mirror=address, **keys))
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name[0] != "."}


@pytest.mark.parametrize(
    ("recipe", "keys", "expected"),
    [
        ("wikipedia", {"only": ["slwiki"]}, {NAME: WIKI}),
        ("c4", {}, {SHARD: C4}),
        ("stackexchange", {"files": 1}, {"ai.stackexchange.com.7z": b"ai.stackexchange.com"}),
        ("stackexchange", {"only": ["beer"]}, {"beer.stackexchange.com.7z": b"beer.stackexchange.com"}),
        ("books", {}, {"1-0.txt": BOOK, "2-0.txt": BOOK.replace(b"dark", b"light")}),
    ],
)
def test_each_publishers_list_is_followed(recipe, keys, expected, publisher, capsys):
    served, address = publisher
    assert fetch(recipe, address, **keys) == expected
    printed = capsys.readouterr().err
    assert ("without a checksum" in printed) == (recipe == "books") and "downloaded to dumps/" in printed
    asked = len(served.asked)
    assert fetch(recipe, address, **keys) == expected
    assert len(served.asked) == asked  # a complete download needs no network


@pytest.mark.parametrize("ranges", [True, False])
def test_a_download_continues_where_it_broke_off(ranges, publisher):
    served, address = publisher
    served.ranges, served.cuts = ranges, [100, 50, 0]
    assert fetch("wikipedia", address, only=["sl"]) == {NAME: WIKI}
    begun = [asked for method, path, asked in served.asked if (method, path) == ("GET", DUMP)]
    assert begun[0] is None and begun[1] == "bytes=100-" and len(begun) == 4


def test_a_killed_download_continues_and_servers_that_fail_are_asked_again(publisher):
    served, address = publisher
    served.cuts = [100] + [0] * 9
    with pytest.raises(DataError, match="the connection ended at byte 100 of"):
        fetch("wikipedia", address, only=["sl"])
    assert not Path("dumps/wikipedia", NAME).exists()
    served.cuts, served.codes, served.asked = [], [503, 429], []
    assert fetch("wikipedia", address, only=["sl"]) == {NAME: WIKI}
    assert served.asked == [("GET", DUMP, "bytes=100-")] * 3


@pytest.mark.parametrize("arrived", [WIKI, WIKI + b"more than the server has", WIKI[:50] + b"older" + WIKI])
def test_a_part_of_unknown_size_that_is_complete_or_too_long_stops_nothing(arrived, publisher):
    served, address = publisher
    served.lengths = False
    Path("dumps/wikipedia").mkdir(parents=True)
    Path(f"dumps/wikipedia/.{NAME}.part").write_bytes(arrived)
    assert fetch("wikipedia", address, only=["sl"]) == {NAME: WIKI}


def test_a_mirror_that_redirects_is_asked_for_a_size_and_not_for_a_dump(publisher, monkeypatch):
    served, address = publisher
    served.moved = "/moved"
    longest = len(served.files["/slwiki/latest/slwiki-latest-sha1sums.txt"])
    assert longest < len(WIKI)
    monkeypatch.setattr(http, "MAX_PAGE", longest)
    assert fetch("wikipedia", address, only=["sl"]) == {NAME: WIKI}


@pytest.mark.parametrize("earlier", [1, 60, 999])
def test_a_range_that_begins_earlier_than_asked_is_put_where_it_belongs(earlier, publisher, tmp_path):
    served, address = publisher
    served.cuts, served.earlier = [100], earlier
    http.download(f"{address}{DUMP}", tmp_path / "part", len(WIKI), lambda done: None)
    assert (tmp_path / "part").read_bytes() == WIKI


def test_bytes_that_are_not_the_publishers_are_never_kept(publisher):
    served, address = publisher
    served.files[DUMP] = WIKI[:-1] + b"?"
    with pytest.raises(DataError, match=r"arrived with sha1 .*, and its publisher lists .*, twice"):
        fetch("wikipedia", address, only=["sl"])
    assert [path.name for path in Path("dumps/wikipedia").iterdir() if NAME in path.name] == []
    served.files[DUMP] = WIKI
    Path("dumps/wikipedia", f".{NAME}.part").write_bytes(b"of another dump")
    assert fetch("wikipedia", address, only=["sl"]) == {NAME: WIKI}  # from its beginning, the second time


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("recipe=wikipedia dumps.mirror=http://127.0.0.1:1", "cannot be fetched (Connection refused)"),
        (
            "recipe=wikipedia dumps.only=dewiki",
            "dewiki-latest-sha1sums.txt: the server answers 404 Not Found",
        ),
        ("recipe=wikipedia dumps.only=xx", "lists no file of recipe=wikipedia that begins with xx"),
        ("recipe=wikipedia dumps.files=0", "dumps.files=0: expected at least 1"),
        ("recipe=wikipedia dumps.mirror=ftp://a", "dumps.mirror=ftp://a: expected an address"),
        ("recipe=github", "download=true: expected recipe=books|c4|stackexchange|wikipedia"),
    ],
)
def test_what_cannot_be_fetched_is_one_line_and_leaves_nothing(words, expected, publisher, capsys):
    arguments = [f"dumps.mirror={publisher[1]}", *words.split(), "download=true"]
    assert main(arguments) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("relama: error: ") and expected in error
    assert list(Path().iterdir()) == []


def test_a_list_with_a_name_that_leads_elsewhere_is_refused(publisher):
    served, address = publisher
    served.files["/metadata/stackexchange"] = b'{"files": [{"name": "../up.7z", "size": "1"}]}'
    with pytest.raises(DataError, match="expected a plain name"):
        fetch("stackexchange", address)
    served.files["/metadata/stackexchange"] = b"<html>"
    with pytest.raises(DataError, match="not the list of files that was expected"):
        fetch("stackexchange", address)


def test_a_disk_that_is_too_small_is_reported_before_anything_is_fetched(publisher, monkeypatch):
    served, address = publisher
    monkeypatch.setattr("shutil.disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, 1 << 20))
    with pytest.raises(
        DataError, match=r"the download takes 560 bytes, but only 1\.05 MB are free; give dumps\.folder="
    ):
        fetch("c4", address)
    assert ("GET", f"/datasets/allenai/c4/resolve/main/en/{SHARD}", None) not in served.asked


def test_where_a_disk_is_too_small_another_one_or_fewer_files_do(publisher, monkeypatch):
    """What the refusal proposes; of the two files, one fits."""
    _, address = publisher
    names = [f"{site}.stackexchange.com.7z" for site in ("ai", "beer")]
    fits = SPARE + len(names[1]) - len(".7z")
    other = Path("other").absolute()
    sizes = {True: 10 * SPARE, False: fits}
    monkeypatch.setattr(
        "shutil.disk_usage",
        lambda at: shutil._ntuple_diskusage(0, 0, sizes[other in Path(at).absolute().parents]),
    )
    with pytest.raises(
        DataError, match=r"give dumps\.folder= on a larger disk, or dumps\.only= or dumps\.files="
    ):
        fetch("stackexchange", address)
    assert fetch("stackexchange", address, files=1).keys() == {names[0]}
    shutil.rmtree("dumps")
    assert fetch("stackexchange", address, only=["beer"]).keys() == {names[1]}
    assert fetch("stackexchange", address, folder=str(other)).keys() == set(names)


def test_prepare_makes_text_of_what_it_fetched(publisher, capsys):
    _, address = publisher
    words = ["recipe=c4", "download=true", f"dumps.mirror={address}", "stage=text"]
    assert main(words) == 0
    assert "99 records read, 99 kept" in capsys.readouterr().err
    assert main(words) == 0
    assert "already exists with these settings; skipping" in capsys.readouterr().err


def test_an_older_dump_in_the_folder_is_not_read_with_a_newer(publisher, capsys):
    served, address = publisher
    words = ["recipe=wikipedia", "download=true", f"dumps.mirror={address}", "dumps.only=slwiki"]
    assert main([*words, "corpora=before", "engine.workers=1"]) == 0
    newer, name = bz2.compress(bz2.decompress(WIKI).replace(b"Zemlji", b"svetu")), NAME.replace("09", "10")
    sums = f"{hashlib.sha1(newer).hexdigest()}  {name}\n"
    served.files["/slwiki/latest/slwiki-latest-sha1sums.txt"] = sums.encode()
    served.files[f"/slwiki/20261001/{name}"] = newer
    (Path("dumps") / "wikipedia" / ".downloads.json").unlink()  # docs/data.md: "to get the newest list"
    capsys.readouterr()
    assert main([*words, "corpora=after", "engine.workers=1"]) == 0
    printed = capsys.readouterr().err
    assert "1 record read, 1 kept" in printed and f"lacks them: {NAME};" in printed
    settings = json.loads(Path("after/wikipedia/report.json").read_text())["settings"]
    assert [path for path, *_ in settings["input"]] == [f"dumps/wikipedia/{name}"]


@contextmanager
def aiohttps_server(folder: Path) -> Iterator[str]:
    """Files by a server that we did not write."""
    from aiohttp import web

    loop, ready, port = asyncio.new_event_loop(), threading.Event(), []

    async def start() -> None:
        app = web.Application()
        app.router.add_static("/", folder)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port.append(runner.addresses[0][1])
        ready.set()

    def serve() -> None:
        loop.run_until_complete(start())
        loop.run_forever()

    threading.Thread(target=serve, daemon=True).start()
    assert ready.wait(120)
    yield f"http://127.0.0.1:{port[0]}"
    loop.call_soon_threadsafe(loop.stop)


def test_a_file_from_an_independent_server_is_continued(tmp_path):
    pytest.importorskip("aiohttp")
    content = bytes(range(256)) * 9999
    (tmp_path / "file").write_bytes(content)
    part, shown = tmp_path / "part", []
    part.write_bytes(content[:1_000_001])
    with aiohttps_server(tmp_path) as address:
        http.download(f"{address}/file", part, len(content), shown.append)
    assert part.read_bytes() == content and shown[0] > 1_000_001
