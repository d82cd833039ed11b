"""Web pages to tokens compared with datatrove, and costs: `python benchmarks/text/commoncrawl.py`.

The real pages of ../shared/data, copied into WARC files. Each contestant is a fresh process on one core;
CPU time includes children but not imports. datatrove runs its stock steps: WarcReader, Trafilatura (or
resiliparse instead), LanguageFilter (with a model that we pass), a length filter and DocumentTokenizer.
Deduplication: random hashes in files, then twice as many; time and memory are compared. Damage: files in
which every second record is bad, then twice as long; the time must no more than double.
"""

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared" / "data"
LANGUAGES = ["en", "de"]  # of the pages
CONTESTANTS = {
    "datatrove, trafilatura": "WarcReader → Trafilatura → LanguageFilter → length → DocumentTokenizer",
    "datatrove, resiliparse": "the same with resiliparse",
    "relama, the same steps": "relama prepare recipe=commoncrawl ccnet.skip=paragraphs,perplexity,references",
    "relama, all steps": "paragraphs, perplexity and references too (--models)",
    "relama, WET, all steps": "MB of text; novels, of which only the tail is dropped (--models)",
}


def write_warc(path: Path, copy: int) -> int:
    """Write the samples' HTML pages as a WARC file; return its bytes of HTML."""
    pages = []
    with tarfile.open(SHARED / "cc" / "trafilatura-html-pages.tar.gz") as archive:
        for member in archive:
            if (content := archive.extractfile(member)) is not None:
                pages.append((f"https://example.org/{member.name}", content.read()))
    from data.sources.commoncrawl.response import parse_response
    from data.sources.commoncrawl.warc import WarcRecord, read_records

    for name in ("dolma-sample-0000", "iah-blackbook", "resiliparse-warcfile"):
        for record in read_records(SHARED / "cc" / f"{name}.warc.gz"):
            if isinstance(record, WarcRecord) and record.kind == "response":
                page = parse_response(record.body)
                if page.status == 200 and page.content_type == "text/html":
                    pages.append((record.headers["warc-target-uri"], page.body))
    with path.open("wb") as out:
        for number, (url, html) in enumerate(pages):
            body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + html
            head = (
                f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\n"
                "WARC-Date: 2024-05-18T01:58:10Z\r\n"
                f"WARC-Record-ID: <urn:uuid:{copy}-{number}>\r\n"
                "Content-Type: application/http; msgtype=response\r\n"
                "WARC-Identified-Payload-Type: text/html\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            out.write(gzip.compress(head.encode() + body + b"\r\n\r\n"))
    return sum(len(html) for _, html in pages)


def write_wet(path: Path, first: int = 0) -> int:
    """Write twelve novels, from the `first` on, as pages of 60 lines; return the bytes of text.

    Only the last steps drop such pages. After the last novel comes the first again, under other titles.
    """
    size, number, novels = 0, first * 1000, sorted((SHARED / "corpus").glob("*.txt"))
    with path.open("wb") as out:
        for at in range(first, first + 12):
            lines = novels[at % len(novels)].read_text(errors="replace").splitlines()
            for start in range(0, len(lines), 60):
                body = "\n".join([f"title {number}", *lines[start : start + 60]]).encode()
                out.write(gzip.compress(wet_record(number, body)))
                size, number = size + len(body), number + 1
    return size


def wet_record(number: int, body: bytes) -> bytes:
    """A page of a WET file; the first line of its body is its title."""
    head = (
        f"WARC/1.0\r\nWARC-Type: conversion\r\nWARC-Target-URI: https://example.org/{number}\r\n"
        f"WARC-Date: 2024-05-18T01:58:10Z\r\nWARC-Record-ID: <urn:uuid:{number}>\r\n"
        f"Content-Type: text/plain\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body + b"\r\n\r\n"


def datatrove(extractor: str, folder: Path, output: Path, converted: Path) -> list:
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.extractors.base import BaseExtractor
    from datatrove.pipeline.filters import LambdaFilter, LanguageFilter
    from datatrove.pipeline.readers import WarcReader
    from datatrove.pipeline.tokens import DocumentTokenizer

    class Resiliparse(BaseExtractor):
        name = "resiliparse"

        def __init__(self, timeout: float) -> None:
            super().__init__(timeout)

        def extract(self, text: str) -> str:
            from resiliparse.extract.html2text import extract_plain_text

            return extract_plain_text(text, main_content=True, alt_texts=False)

    LanguageFilter._requires_dependencies = []  # fastText, from another package
    language = LanguageFilter(LANGUAGES, language_threshold=0.5)
    setattr(language.model, "_model", _Lid())  # noqa: B010 - datatrove has no public way
    return [
        WarcReader(str(folder), glob_pattern="*.warc.gz"),
        Trafilatura(timeout=30) if extractor == "trafilatura" else Resiliparse(timeout=30),
        LambdaFilter(lambda document: len(document.text) >= 300),
        language,
        DocumentTokenizer(str(output), tokenizer_name_or_path=str(converted), eos_token="</s>"),
    ]


class _Lid:
    """lid.176.ftz with the interface that datatrove expects."""

    def __init__(self) -> None:
        from data.ccnet import language

        self.model = language.load(language.model_file(None))

    def __deepcopy__(self, memo: dict) -> "_Lid":
        return self

    def predict(self, text: str, k: int) -> tuple:
        import numpy as np

        labels, scores = self.model.predict(text, k=k)
        return labels, np.array(scores)


def processor_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def contestant(name: str, folder: Path, output: Path, tokenizer: Path, converted: Path, models: str) -> None:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    if name.startswith("datatrove"):
        from datatrove.executor import LocalPipelineExecutor

        steps = datatrove(name.split(", ")[1], folder, output / "tokens", converted)
        pipeline = LocalPipelineExecutor(steps, tasks=1, workers=1, logging_dir=str(output / "logs"))
        begin = processor_seconds()
        pipeline.run()
    else:
        import data.prepare.plan
        import data.sources.commoncrawl.recipe
        import data.tokens.build
        from data.main import main

        arguments = ["recipe=commoncrawl", f"input={folder}", f"output={output}", f"tokenizer={tokenizer}"]
        arguments += ["engine.workers=1", "heldout=0"]
        same = name.endswith("the same steps")
        arguments += (
            ["ccnet.skip=paragraphs,perplexity,references", f"ccnet.languages={','.join(LANGUAGES)}"]
            if same
            else ["ccnet.group=1", f"ccnet.models={models}"]
        )
        begin = processor_seconds()
        assert main(arguments) == 0 and data.tokens.build.VERSION
    seconds = processor_seconds() - begin
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    tokens = sum(path.stat().st_size for path in output.rglob("*") if path.suffix in (".ds", ".bin")) // 2
    print(json.dumps({"seconds": seconds, "rss": rss, "tokens": tokens}), flush=True)


def compare(hashes: int, tasks: int) -> None:
    """Run hashes through both stages; a third of them are repeated."""
    import numpy as np

    from data.ccnet import repeats
    from data.ccnet.paragraphs import HASH

    repeats.PARTITION = 1 << 21
    each = hashes // tasks // 150 * 50  # a third of a task's
    draw = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        runs = [Path(place, f"run{task}") for task in range(tasks)]
        begin = processor_seconds()
        for run in runs:
            new = draw.integers(0, 2**64, 2 * each, np.uint64)
            old = np.random.default_rng(1).integers(0, 2**64, each, np.uint64)
            pages = np.concatenate([new, old]).astype(HASH).reshape(-1, 50)
            repeats.write_hashes(((0, page) for page in pages), run)
        reduced = [(which, Path(place, f"range{n}")) for n, which in enumerate(repeats.partitions(runs))]
        for which, folder in reduced:
            repeats.reduce_partition(runs, which, folder)
        repeated = sum(len(repeats.repeated(run, n, reduced)[0]) for n, run in enumerate(runs))
        seconds = processor_seconds() - begin
        disk = sum(path.stat().st_size for path in Path(place).rglob("*") if path.is_file())
    assert repeated == tasks * each
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "rss": rss, "disk": disk}), flush=True)


def read_damaged(n_bad: int, kind: str) -> None:
    """Read a WARC file whose every second record is bad: cut off, or with a wrong Content-Encoding."""
    from data.sources.commoncrawl.warc import read_records

    body = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n" + b"A page. " * 400
    head = "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: https://example.org/\r\nContent-Length: "
    member = gzip.compress(f"{head}{len(body)}\r\n\r\n".encode() + body + b"\r\n\r\n")
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "0.warc.gz")
        path.write_bytes((member + (member[:-20] if kind == "cut" else member)) * n_bad + member)
        begin = processor_seconds()
        n_records = sum(1 for _ in read_records(path))
        seconds = processor_seconds() - begin
    assert n_records == 2 * n_bad + 1
    print(json.dumps({"seconds": seconds}), flush=True)


def in_process(*arguments: str) -> dict:
    ran = subprocess.run([sys.executable, __file__, *arguments], cwd=ROOT, capture_output=True, text=True)
    if ran.returncode:
        sys.exit(ran.stderr[-3000:])
    return json.loads(ran.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Web pages to tokens compared with datatrove")
    parser.add_argument("--copies", type=int, default=3, help="of the sample pages")
    parser.add_argument("--models", default="", help="a folder of recipe=ccnet-models")
    parser.add_argument("--tokenizer", type=Path, default=SHARED / "tokenizer" / "llama-tokenizer.model")
    parser.add_argument("--only", default="", help="contestants with this in their name")
    parser.add_argument("--hashes", type=int, default=12_000_000)
    parser.add_argument("--contestant", nargs=6, help=argparse.SUPPRESS)
    parser.add_argument("--compare", nargs=2, type=int, help=argparse.SUPPRESS)
    parser.add_argument("--damaged", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        name, folder, output, tokenizer, converted, models = arguments.contestant
        contestant(name, Path(folder), Path(output), Path(tokenizer), Path(converted), models)
        return
    if arguments.compare:
        compare(*arguments.compare)
        return
    if arguments.damaged:
        read_damaged(int(arguments.damaged[0]), arguments.damaged[1])
        return
    if not SHARED.is_dir():
        parser.error(f"{SHARED}: no such folder; this benchmark reads the real pages there")
    import sentencepiece

    sys.path.insert(0, str(ROOT / "benchmarks"))
    from tokenise import hugging_face

    with tempfile.TemporaryDirectory() as place:
        dump, converted = Path(place, "dump"), Path(place, "tokenizer.json")
        dump.mkdir()
        raw = sum(write_warc(dump / f"{copy}.warc.gz", copy) for copy in range(arguments.copies))
        wet = Path(place, "wet")
        wet.mkdir()
        wet_size = write_wet(wet / "0.warc.wet.gz")
        hugging_face(sentencepiece.SentencePieceProcessor(model_file=str(arguments.tokenizer)), converted)
        print(f"{raw / 1e6:.1f} MB of HTML, {arguments.tokenizer.name}, one core")
        print(f"{'':24}{'MB/s':>8}{'tokens':>12}{'peak RSS':>12}")
        for number, name in enumerate(CONTESTANTS):
            if arguments.only not in name or (name.endswith("all steps") and not arguments.models):
                continue
            begin = time.monotonic()
            folder, size = (wet, wet_size) if "WET" in name else (dump, raw)
            given = [
                name,
                folder,
                Path(place, f"out{number}"),
                arguments.tokenizer,
                converted,
                arguments.models,
            ]
            found = in_process("--contestant", *map(str, given))
            print(
                f"{name:24}{size / 1e6 / found['seconds']:8.2f}{found['tokens']:12,}"
                f"{found['rss'] / 2**20:8.0f} MiB   {CONTESTANTS[name]} ({time.monotonic() - begin:.0f} s)",
                flush=True,
            )
    for kind in ("cut", "untrue"):
        for n_bad in (2000, 4000, 8000):
            found = in_process("--damaged", str(n_bad), kind)
            print(f"{n_bad:12,} {kind} records among as many good ones: {found['seconds']:.2f} s", flush=True)
    for factor in (1, 2):
        n = arguments.hashes * factor
        found = in_process("--compare", str(n), str(20 * factor))
        print(
            f"{n:12,} hashes compared: {n / found['seconds'] / 1e6:.1f} million a second, "
            f"peak RSS {found['rss'] / 2**20:.0f} MiB, {found['disk'] / n:.1f} bytes of disk each"
        )


if __name__ == "__main__":
    main()
