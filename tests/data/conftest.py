"""Shared by the tests of this folder: a small tokenizer, and token stores of two sources."""

from pathlib import Path

import pytest

import data.documents
from data.documents import Document, write_documents
from data.tokens.build import build_store
from data.tokens.store import TokenStore
from data.tokens.tokenizer import Tokenizer
from data.tokens.train_tokenizer import train_tokenizer

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def real_texts() -> list[str]:
    """Code and prose that every clone has, in pieces of 700 characters."""
    paths = [
        *sorted(REPOSITORY.glob("data/*.py")),
        *sorted(REPOSITORY.glob("model/*.py")),
        REPOSITORY / "LICENSE",
    ]
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return [text[start : start + 700] for text in texts for start in range(0, len(text), 700)]


@pytest.fixture(scope="session")
def model_file(tmp_path_factory, real_texts) -> Path:
    """A freshly trained tokenizer.model of 600 pieces."""
    folder = tmp_path_factory.mktemp("tokenizer")
    return train_tokenizer(real_texts, folder / "tokenizer.model", vocab_size=600)


@pytest.fixture(scope="session")
def tokenizer(model_file) -> Tokenizer:
    return Tokenizer(model_file)


@pytest.fixture(scope="session")
def documents(real_texts) -> list[Document]:
    """Documents with and without a URL, one of them very short."""
    texts = [*real_texts, "a"]
    urls = [f"https://example.org/{i}" if i % 3 else "" for i in range(len(texts))]
    return [
        Document(f"s:{i}", "prose", text, "dump.jsonl", i, url, "mit")
        for i, (text, url) in enumerate(zip(texts, urls))
    ]


@pytest.fixture(scope="session")
def corpora(tmp_path_factory, documents, tokenizer) -> Path:
    """corpora/{prose,code}/{text,tokens}, each with several text files and shards. Do not write to it."""
    root = tmp_path_factory.mktemp("corpora")
    halves = {"prose": documents[::2], "code": documents[1::2]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data.documents, "GROUP_ROWS", 5)
        patch.setattr(data.documents, "FILE_BYTES", 20_000)
        for source, part in halves.items():
            write_documents(part, root / source / "text")
    for source in halves:
        folder = root / source
        build_store(
            folder / "text", folder / "tokens", tokenizer, source=source, heldout=0.1, shard_bytes=15_000
        )
    return root


@pytest.fixture(scope="session")
def stores(corpora) -> dict[str, TokenStore]:
    return {source: TokenStore.open(corpora / source / "tokens") for source in ("code", "prose")}
