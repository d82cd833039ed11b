"""Trains the models of CCNet's perplexity step on Wikipedia: SentencePiece (unigram) and KenLM (5-grams).

In: paragraphs of prepared Wikipedia text. Out: `<language>.sp.model` and `<language>.arpa.bin`, named like
CCNet's own. `data/ccnet/build_kenlm.sh` builds KenLM's programs.
"""

import io
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import sentencepiece

from data import folders
from data.ccnet.perplexity import normalize
from data.errors import DataError

ORDER = 5  # (CCNet)
MAX_SENTENCES = 10_000_000  # drawn at random for SentencePiece; KenLM counts all


def programs() -> tuple[str, str]:
    """Paths of lmplz and build_binary. Raises DataError that says how to install them."""
    here = Path(sys.executable).parent
    lmplz, build_binary = (
        shutil.which(name) or shutil.which(name, path=str(here)) for name in ("lmplz", "build_binary")
    )
    if not lmplz or not build_binary:
        raise DataError(
            "recipe=ccnet-models: KenLM's lmplz and build_binary are not installed; "
            "`bash data/ccnet/build_kenlm.sh` builds them"
        )
    return lmplz, build_binary


def train_language_model(
    texts: Iterable[str], folder: Path, language: str, *, pieces: int, memory_gb: int
) -> dict[str, int]:
    """Write both models into `folder`, the n-grams last. Returns counts for the card.

    Raises DataError if there is too little text for this many `pieces`, or if KenLM fails.
    """
    lmplz, build_binary = programs()
    with tempfile.TemporaryDirectory(prefix="relama-", dir=folder) as work:
        lines, spaced = Path(work, "lines"), Path(work, "pieces")
        n_lines = n_bytes = 0
        with lines.open("w", encoding="utf-8") as out:
            for text in texts:
                for line in map(normalize, text.split("\n")):
                    if line:
                        n_lines, n_bytes = n_lines + 1, n_bytes + len(line.encode())
                        out.write(line + "\n")
        model = _train_pieces(lines, pieces, language)
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        with lines.open(encoding="utf-8") as read, spaced.open("w", encoding="utf-8") as out:
            for line in read:
                out.write(" ".join(processor.encode(line.rstrip("\n"), out_type=str)) + "\n")
        ngrams, packed = Path(work, "arpa"), Path(work, "bin")
        count = ["--order", str(ORDER), "--discount_fallback", "--skip_symbols"]
        count += ["--memory", f"{memory_gb}G", "--temp_prefix", f"{work}/", "--text", str(spaced)]
        _run([lmplz, *count, "--arpa", str(ngrams)])
        _run([build_binary, "-T", f"{work}/", "trie", str(ngrams), str(packed)])
        with folders.replacing(folder / f"{language}.sp.model") as temporary:
            temporary.write_bytes(model)
        with folders.replacing(folder / f"{language}.arpa.bin", packed):
            pass
    return {"paragraphs": n_lines, "bytes": n_bytes, "pieces": processor.vocab_size(), "order": ORDER}


def _train_pieces(lines: Path, pieces: int, language: str) -> bytes:
    model = io.BytesIO()
    sentencepiece.set_random_generator_seed(0)
    try:
        with lines.open(encoding="utf-8") as read:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=(line.rstrip("\n") for line in read),
                model_writer=model,
                model_type="unigram",
                vocab_size=pieces,
                character_coverage=0.9995,
                input_sentence_size=MAX_SENTENCES,
                shuffle_input_sentence=True,
                max_sentence_length=4096,
                num_threads=16,
                minloglevel=2,
            )
    except RuntimeError as error:
        raise DataError(f"ccnet.lm_pieces={pieces}: {_misfit(str(error), language)}") from None
    return model.getvalue()


def _misfit(error: str, language: str) -> str:
    """SentencePiece's error as the rest of a line that says what would work."""
    if most := re.search(r"value <= (\d+)", error):
        return f"too little Wikipedia text in {language} (give more text or ccnet.lm_pieces={most[1]})"
    if least := re.search(r"required_chars\. \d+ vs (\d+)", error):
        return f"Wikipedia's characters in {language} alone take {least[1]} pieces; give more than that"
    return f"no Wikipedia text in {language}; prepare some, or leave {language} out of ccnet.languages"


def _run(command: list[str]) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if ran.returncode:
        last = " ".join((ran.stderr.strip().splitlines() or ["no message"])[-1].split())
        raise DataError(f"{Path(command[0]).name} failed ({last[:300]})")
