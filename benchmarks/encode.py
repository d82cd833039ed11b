"""Text in Parquet to a token store, against sentencepiece on one thread: `python benchmarks/encode.py`.

File I/O is included: each contestant reads the same Parquet and writes flat uint16 tokens. They take turns,
each turn a fresh process pinned to one core, so that only the page cache is warm. The text is real and no
document occurs twice: ../shared/data and this Python's standard library. sentencepiece slows down on long
documents, so --characters=N cuts them; by default they are not cut.
"""

import argparse
import bz2
import gzip
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from data.documents import Document, write_documents

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
# Between the documents of a file, by the end of its name; other files are one document.
SEPARATORS = {".jsonl": "\n", "Posts.xml": "\n", ".xml": "</page>", ".bz2": "</page>", ".json.gz": "\n"}
CONTESTANTS = {
    "sentencepiece": "parquet → encode → uint16 file, nothing else",
    "store, sentencepiece": "our store, sentencepiece encoding",
    "store, gigatoken": "our store, as it comes",
}


def real_documents(characters: int) -> Iterator[Document]:
    """Every UTF-8 text of the shared samples and the standard library, without repeats."""
    seen = set()
    for name, content in real_files():
        try:
            text = content.decode()
        except UnicodeDecodeError:
            continue
        separator = next((SEPARATORS[end] for end in SEPARATORS if name.endswith(end)), None)
        for place, document in enumerate(text.split(separator) if separator else [text]):
            for start in range(0, len(document), characters):
                piece = document[start : start + characters]
                if piece not in seen and not piece.isspace():
                    seen.add(piece)
                    yield Document(f"{name}/{place}/{start}", "benchmark", piece, name, place)


def content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    assert file is not None  # None: not a regular file
    return file.read()


def real_files() -> Iterator[tuple[str, bytes]]:
    for path in sorted(SHARED.rglob("*")):
        if not path.is_file() or ".warc" in path.name:
            continue
        if path.name.endswith(".tar.gz"):
            with tarfile.open(path) as tar:
                members = [member for member in tar if member.isfile()]
                yield from ((f"{path}/{member.name}", content(tar, member)) for member in members)
        else:
            unpack = {".gz": gzip.decompress, ".bz2": bz2.decompress}.get(path.suffix, bytes)
            yield str(path), unpack(path.read_bytes())
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if "site-packages" not in path.parts:
            yield str(path), path.read_bytes()


def plain_sentencepiece(text: Path, output: Path, model: Path) -> None:
    import pyarrow.parquet as pq
    import sentencepiece

    processor = sentencepiece.SentencePieceProcessor(model_file=str(model))
    with open(output, "wb") as out:
        for path in sorted(text.glob("*.parquet")):
            for batch in pq.ParquetFile(path).iter_batches(columns=["text"]):
                for ids in processor.encode(batch.column("text").to_pylist(), num_threads=1):
                    out.write(np.array([1, *ids, 2], np.uint16).tobytes())


def contestant(name: str, text: Path, output: Path, model: Path) -> None:
    """One turn; prints a line of seconds and peak memory. Everything but imports is counted."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    from data.tokens.build import build_store
    from data.tokens.tokenizer import Tokenizer

    if name == "store, sentencepiece":
        sys.modules["gigatoken"] = cast(Any, None)  # so that its import fails
    begin, processor_begin = time.perf_counter(), time.process_time()
    if name == "sentencepiece":
        plain_sentencepiece(text, output, model)
    else:
        tokenizer = Tokenizer(model)
        build_store(text, output, tokenizer, source="benchmark")
        assert tokenizer.backend in name, tokenizer.backend_note
    measured = {
        "seconds": time.perf_counter() - begin,
        "processor": time.process_time() - processor_begin,
        "rss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    print(json.dumps(measured), flush=True)


def take_turns(model: Path, turns: int, characters: int, folder: Path) -> None:
    write_documents(real_documents(characters), folder / "text")
    import pyarrow.parquet as pq

    tables = [pq.read_table(path, columns=["text"]) for path in sorted((folder / "text").iterdir())]
    texts = [text.as_py() for table in tables for text in table.column("text")]
    size = sum(len(text.encode()) for text in texts)
    lengths = [len(text) for text in texts]
    print(
        f"{size / 1e6:.1f} MB of text in {len(texts):,} documents (median {statistics.median(lengths):,.0f}, "
        f"longest {max(lengths):,} characters), {model.name}, one core, best of {turns} turns"
    )
    results: dict[str, list[dict]] = {name: [] for name in CONTESTANTS}
    for turn in range(turns):
        for name, result in results.items():
            output = folder / f"{name.replace(', ', '-')}-{turn}"
            arguments = [
                sys.executable,
                __file__,
                "--contestant",
                name,
                str(folder / "text"),
                str(output),
                str(model),
            ]
            finished = subprocess.run(
                arguments, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            result.append(json.loads(io.BytesIO(finished.stdout).readline()))
    print(f"{'':22}{'MB/s':>8}{'(median)':>10}{'ratio':>8}{'CPU MB/s':>10}{'ratio':>8}{'peak RSS':>11}")
    base = results["sentencepiece"]
    for name, result in results.items():
        wall, processor = ([turn[key] for turn in result] for key in ("seconds", "processor"))
        ratio = min(turn["seconds"] for turn in base) / min(wall)
        of_processor = min(turn["processor"] for turn in base) / min(processor)
        rss = max(turn["rss"] for turn in result) / 2**20
        print(
            f"{name:22}{size / 1e6 / min(wall):8.2f}{size / 1e6 / statistics.median(wall):10.2f}{ratio:7.1f}×"
            f"{size / 1e6 / min(processor):10.2f}{of_processor:7.1f}×{rss:7.0f} MiB   {CONTESTANTS[name]}"
        )
    print("target: our store at least 7.5× sentencepiece")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokenizer", type=Path, default=SHARED / "tokenizer" / "llama-tokenizer.model")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--characters", type=int, default=10**9, help="cut documents that are longer")
    parser.add_argument("--contestant", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        name, *paths = arguments.contestant
        contestant(name, *map(Path, paths))
        return
    if not arguments.tokenizer.is_file():
        parser.error(f"{arguments.tokenizer}: no such model; give --tokenizer=PATH of a SentencePiece model")
    with tempfile.TemporaryDirectory() as folder:
        take_turns(arguments.tokenizer, arguments.turns, arguments.characters, Path(folder))


if __name__ == "__main__":
    main()
