"""JSON lines in, tokens out, against datatrove's DocumentTokenizer: `python benchmarks/tokenise.py`.

They take turns, each turn a fresh process pinned to one core; imports are not counted. Both use LLaMA's
tokenizer: datatrove needs Hugging Face's format, so the vocabulary is written as a BPE of the `tokenizers`
library, and its ids are compared with sentencepiece's before timing. The text is that of `encode.py`, or
with `--lines` JSON lines of yours.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import sentencepiece
from encode import SHARED, real_documents

ROOT = Path(__file__).resolve().parents[1]
CONTESTANTS = {
    "datatrove": "JsonlReader → DocumentTokenizer, one task",
    "relama": "relama prepare recipe=text: cleaned text with provenance, then the store",
    "relama, stage=tokens": "the store alone, from that text",
}


def hugging_face(model: sentencepiece.SentencePieceProcessor, path: Path) -> None:
    """The same BPE as a tokenizer.json, by the scores of the pieces; spaces as LLaMA treats them."""
    from tokenizers import Tokenizer, normalizers
    from tokenizers.models import BPE

    pieces = [model.id_to_piece(i) for i in range(model.vocab_size())]
    vocab = {piece: i for i, piece in enumerate(pieces)}
    merges = []
    for piece in sorted(pieces[259:], key=lambda piece: -model.get_score(vocab[piece])):
        splits = ((piece[:at], piece[at:]) for at in range(1, len(piece)))
        pairs = [(left, right) for left, right in splits if left in vocab and right in vocab]
        merges += sorted(pairs, key=lambda pair: (vocab[pair[0]], vocab[pair[1]]))
    tokenizer = Tokenizer(BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    prepend, replace = normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")
    tokenizer.normalizer = normalizers.Sequence([prepend, replace])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    tokenizer.save(str(path))


def differing(model: sentencepiece.SentencePieceProcessor, path: Path, texts: list[str]) -> int:
    """The number of texts for which the converted tokenizer gives other ids."""
    from tokenizers import Tokenizer

    theirs = Tokenizer.from_file(str(path))
    return sum(theirs.encode(text, add_special_tokens=False).ids != model.encode(text) for text in texts)


def texts_of(lines: Path | None, characters: int) -> Iterator[str]:
    """The texts of a file with JSON lines; without one, those of `encode.py`, cut at so many characters."""
    if lines is None:
        yield from (document.text for document in real_documents(characters))
        return
    with lines.open() as file:
        for line in file:
            text = json.loads(line)["text"]
            yield from (text[start : start + characters] for start in range(0, len(text), characters))


def contestant(name: str, lines: Path, output: Path, model: Path, converted: Path) -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    arguments = ["recipe=text", "source=mine", f"input={lines}", f"corpora={output}", "engine.workers=1"]
    arguments.append(f"tokenizer={model}")
    if name == "datatrove":
        from datatrove.executor import LocalPipelineExecutor
        from datatrove.pipeline.readers import JsonlReader
        from datatrove.pipeline.tokens import DocumentTokenizer

        reader = JsonlReader(str(lines.parent), glob_pattern=lines.name, compression=None)
        step = DocumentTokenizer(
            str(output / "tokens"), tokenizer_name_or_path=str(converted), eos_token="</s>"
        )
        pipeline = LocalPipelineExecutor([reader, step], tasks=1, workers=1, logging_dir=str(output / "logs"))
        begin = time.perf_counter()
        pipeline.run()
    else:
        import data.tokens.build
        from data.main import main

        if name != "relama":
            assert main([*arguments[:-1], "stage=text"]) == 0
            arguments.append("stage=tokens")
        begin = time.perf_counter()
        assert main(arguments) == 0
        assert data.tokens.build.VERSION
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": time.perf_counter() - begin, "rss": rss}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokenizer", type=Path, default=SHARED / "tokenizer" / "llama-tokenizer.model")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--characters", type=int, default=10**9, help="cut documents that are longer")
    parser.add_argument("--lines", type=Path, help="a file with JSON lines of yours, instead")
    parser.add_argument("--contestant", nargs=5, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contestant:
        contestant(arguments.contestant[0], *map(Path, arguments.contestant[1:]))
        return
    if not arguments.tokenizer.is_file():
        parser.error(f"{arguments.tokenizer}: no such model; give --tokenizer=PATH of a SentencePiece model")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        lines, converted = folder / "lines.jsonl", folder / "tokenizer.json"
        model = sentencepiece.SentencePieceProcessor(model_file=str(arguments.tokenizer))
        hugging_face(model, converted)
        texts = list(texts_of(arguments.lines, arguments.characters))
        with lines.open("w") as out:
            for number, text in enumerate(texts):
                out.write(json.dumps({"text": text, "id": str(number)}) + "\n")
        sample = [text[:5000] for text in texts[:: max(1, len(texts) // 500)]]
        size = sum(len(text.encode()) for text in texts)
        print(
            f"{size / 1e6:.1f} MB of text in {len(texts):,} documents, {arguments.tokenizer.name}, one core; "
            f"datatrove's ids differ on {differing(model, converted, sample)} of {len(sample)} documents"
        )
        results: dict[str, list[dict]] = {name: [] for name in CONTESTANTS}
        for turn in range(arguments.turns):
            for name, result in results.items():
                output = folder / f"{name.split('=')[-1]}-{turn}"
                given = [name, str(lines), str(output), str(arguments.tokenizer), str(converted)]
                command = [sys.executable, __file__, "--contestant", *given]
                ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
                if ran.returncode:
                    sys.exit(ran.stderr)
                result.append(json.loads(ran.stdout.splitlines()[-1]))
        print(f"{'':22}{'MB/s':>8}{'(median)':>10}{'ratio':>8}{'peak RSS':>11}")
        base = min(turn["seconds"] for turn in results["datatrove"])
        for name, result in results.items():
            wall = [turn["seconds"] for turn in result]
            rss = max(turn["rss"] for turn in result) / 2**20
            print(
                f"{name:22}{size / 1e6 / min(wall):8.2f}{size / 1e6 / statistics.median(wall):10.2f}"
                f"{base / min(wall):7.1f}×{rss:7.0f} MiB   {CONTESTANTS[name]}"
            )
        print("target: at least 10× datatrove, on 50 MB or more")


if __name__ == "__main__":
    main()
