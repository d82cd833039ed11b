"""Small dumps in CommonCrawl's formats, and the output of `relama prepare` for them."""

import gzip
import hashlib
import json
import random
from pathlib import Path

from data.main import main
from data.sources.commoncrawl.members import zstd

LICENSE = Path(__file__).resolve().parents[2] / "LICENSE"
WORDS = sorted({word for word in LICENSE.read_text().lower().split() if word.isalpha()})


def wet(number: int, text: str | bytes, *, without: str = "", **changed: str) -> bytes:
    """One record of a WET file, with `changed` headers (header=value) and `without` one of them."""
    body = text if isinstance(text, bytes) else text.encode()
    headers = {
        "WARC-Type": "conversion",
        "WARC-Target-URI": f"http://page.org/{number}",
        "WARC-Date": "2024-05-18T01:58:10Z",
        "WARC-Record-ID": f"<urn:uuid:{number}>",
        "WARC-Identified-Content-Language": "eng",
        "Content-Type": "text/plain",
        "Content-Length": str(len(body)),
    }
    headers |= {name.replace("_", "-"): value for name, value in changed.items()}
    headers.pop(without, None)
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"WARC/1.0\r\n{head}\r\n".encode() + body + b"\r\n\r\n"


def http(number: int, html: bytes, head: str = "", status: str = "200 OK") -> bytes:
    head = head or "Content-Type: text/html\r\n"
    body = f"HTTP/1.1 {status}\r\n{head}\r\n".encode() + html
    return wet(number, body, WARC_Type="response", Content_Type="application/http; msgtype=response")


def packed(records: list[bytes]) -> bytes:
    """A gzip member for each record."""
    return b"".join(map(gzip.compress, records))


def packed_zstd(records: list[bytes]) -> bytes:
    """A zstd frame for each record."""
    return b"".join(map(zstd.compress, records))


PACKINGS = {"gzip": packed, "zstd": packed_zstd, "plain": b"".join}
SUFFIXES = {"gzip": "warc.gz", "zstd": "warc.zst", "plain": "warc"}


def draw_pages(seed: int, n_files: int) -> list[list[list[int]]]:
    """Pages as lists of paragraph numbers: some occur often, some twice, most once."""
    draw = random.Random(seed)
    return [
        [
            [draw.choice((draw.randrange(9), draw.randrange(300), draw.randrange(10**9))) for _ in range(n)]
            for n in (draw.randrange(1, 8) for _ in range(draw.randrange(1, 30)))
        ]
        for _ in range(n_files)
    ]


def sentence(number: int) -> str:
    """English words, drawn with the number as seed."""
    draw = random.Random(number)
    return " ".join(draw.choice(WORDS) for _ in range(40)) + "."


def write_dump(folder: Path) -> list[list[list[int]]]:
    """Write seven WET files of pages that share paragraphs; return each page's paragraph numbers."""
    files = [
        [[*page, 10**10 + place * 100 + number, 5] for number, page in enumerate(pages)]
        for place, pages in enumerate(draw_pages(3, 7))
    ]
    folder.mkdir()
    for place, pages in enumerate(files):
        texts = ["\n".join(map(sentence, page)) for page in pages]
        records = [wet(number, f"title {number}\n{text}") for number, text in enumerate(texts)]
        (folder / f"{place}.warc.wet.gz").write_bytes(packed(records))
    return files


def prepare(dump: Path, corpora: Path, *arguments: str) -> int:
    return main(["recipe=commoncrawl", f"input={dump}", f"corpora={corpora}", *arguments])


def report(corpora: Path) -> dict:
    return json.loads((corpora / "commoncrawl" / "report.json").read_text())


def fingerprint(corpora: Path) -> dict[str, str]:
    """A digest of each file of a result, without durations."""
    found = {}
    for path in sorted((corpora / "commoncrawl").rglob("*")):
        if path.is_file() and path.suffix in (".parquet", ".json", ".jsonl"):
            content = path.read_bytes()
            if path.name == "report.json":
                content = json.dumps(json.loads(content) | {"seconds": 0}).encode()
            found[str(path.relative_to(corpora))] = hashlib.sha256(content).hexdigest()
    return found
