"""`relama append`: a new version of a store that begins with the old one, or nothing at all."""

import shutil
from pathlib import Path

import numpy as np

from data.documents import Document, read_row, write_documents
from data.phases.grown import refuse_other_past
from data.prepare.append import main
from data.tokens.build import build_store
from data.tokens.store import TokenStore


def prepared(root: Path, tokenizer, heldout: float = 0.1) -> Path:
    """A folder with more prose."""
    texts = [f"Number {i} of the new pages. " * 9 for i in range(60)]
    documents = [Document(f"n:{i}", "prose", text, "new.jsonl", i, "", "mit") for i, text in enumerate(texts)]
    folder = root / "prose"
    write_documents(documents, folder / "text")
    build_store(folder / "text", folder / "tokens", tokenizer, source="prose", heldout=heldout)
    return root


def test_a_new_version_begins_with_the_old_one_and_explains_both(
    stores, corpora, tokenizer, tmp_path, capsys
):
    old, more = stores["prose"], prepared(tmp_path / "fresh", tokenizer)
    words = [f"corpora={corpora}", f"more={more}", f"output={tmp_path / 'second'}"]
    assert main(words) == 0
    text = capsys.readouterr().out
    added = TokenStore.open(more / "prose/tokens")
    assert f"prose: {old.n_tokens:,} tokens, then {added.n_tokens:,} more" in text and "next:" in text
    new = TokenStore.open(tmp_path / "second/prose/tokens")
    new.verify()
    refuse_other_past(new, old.fingerprint, old.folder)
    assert np.array_equal(new.read(0, old.n_tokens), old.read(0, old.n_tokens))
    assert np.array_equal(new.read(old.n_tokens, new.n_tokens), added.read(0, added.n_tokens))
    heldout = [TokenStore.open(store.folder, "heldout").contents for store in (old, new)]
    assert heldout[0] == heldout[1]
    ids = [read_row(span.text_file, span.row).id for span in new.documents(0, new.n_tokens)]
    both = [store.documents(0, store.n_tokens) for store in (old, added)]
    assert ids == [read_row(span.text_file, span.row).id for spans in both for span in spans]
    other = TokenStore.open(tmp_path / "second/code/tokens")
    assert other.fingerprint == stores["code"].fingerprint
    assert main(words) == 1 and "exists already" in capsys.readouterr().err


def test_an_incompatible_store_is_refused_and_nothing_is_made(corpora, tokenizer, tmp_path, capsys):
    other = prepared(tmp_path / "other", tokenizer, heldout=0.2)
    (tmp_path / "empty").mkdir()
    shutil.copytree(corpora, tmp_path / "same")
    capsys.readouterr()
    for more, message in (
        (other, "prepared with heldout=0.2"),
        (tmp_path / "empty", "no token store in it"),
        (tmp_path / "same", "already has its tokens"),
        ("s3://bucket/more", "expected a local folder"),
    ):
        assert main([f"corpora={corpora}", f"more={more}", f"output={tmp_path / 'second'}"]) == 1
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1
        assert not list(tmp_path.glob("second*"))
