"""Cleaned text becomes one stream of tokens that depends only on the documents and the seed."""

import json
import random
from collections import Counter
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentencepiece import sentencepiece_model_pb2

import data.documents
import data.engine
import data.tokens.build
import data.tokens.sorted_lists
import data.tokens.stages
from data.documents import Document, read_row, write_documents
from data.engine import EngineConfig
from data.errors import DataError
from data.tokens.build import build_store
from data.tokens.heldout import is_heldout, normalized
from data.tokens.stages import encode_file
from data.tokens.store import TokenStore
from data.tokens.tokenizer import Tokenizer

SPLITS = ("train", "heldout")


def build(folder: Path, tokenizer: Tokenizer, **changes) -> dict[str, TokenStore]:
    """Build the store of folder/text."""
    options = {"source": "prose", "heldout": 0.1, "shard_bytes": 15_000} | changes
    build_store(folder / "text", folder / "tokens", tokenizer, **options)
    return {split: TokenStore.open(folder / "tokens", split) for split in SPLITS}


def write(documents: list[Document], folder: Path, monkeypatch, *, file_bytes: int, group_rows: int) -> Path:
    """Write folder/text, with files and row groups of the given sizes."""
    monkeypatch.setattr(data.documents, "FILE_BYTES", file_bytes)
    monkeypatch.setattr(data.documents, "GROUP_ROWS", group_rows)
    write_documents(documents, folder / "text")
    return folder


def streams(stores: dict[str, TokenStore]) -> dict[str, list[int]]:
    return {split: store.read(0, store.n_tokens).tolist() for split, store in stores.items()}


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_each_document_is_in_one_split_once_with_its_row_and_its_ends(
    documents, tokenizer, tmp_path, monkeypatch
):
    folder = write(documents, tmp_path, monkeypatch, file_bytes=20_000, group_rows=5)
    stores = build(folder, tokenizer)
    found = []
    for split, store in stores.items():
        position = 0
        for span in store.documents(0, store.n_tokens):
            document = read_row(span.text_file, span.row)
            assert span.start == position
            expected = [tokenizer.bos_id, *tokenizer.encode(document.text).tolist(), tokenizer.eos_id]
            assert store.read(span.start, span.stop).tolist() == expected
            assert is_heldout(document.url, document.text, 0.1) == (split == "heldout")
            found.append(document)
            position = span.stop
        assert position == store.n_tokens
    assert sorted(found, key=lambda document: document.record) == documents
    assert len(list((folder / "tokens").glob("train-*.bin"))) > 3  # the test needs several shards
    assert len(list((folder / "text").iterdir())) > 3


def test_the_manifest_counts_match_the_files(documents, tokenizer, stores, corpora):
    for source, store in stores.items():
        part = documents[::2] if source == "prose" else documents[1::2]
        heldout = TokenStore.open(corpora / source / "tokens", "heldout")
        assert store.n_documents + heldout.n_documents == len(part)
        assert store.n_bytes + heldout.n_bytes == sum(len(document.text.encode()) for document in part)
        for one in (store, heldout):
            tokens = one.read(0, one.n_tokens)
            assert (tokens == tokenizer.bos_id).sum() == (tokens == tokenizer.eos_id).sum() == one.n_documents
            assert tokenizer.text_bytes(tokens) == one.n_bytes


def test_the_bytes_do_not_depend_on_the_number_of_processes(documents, tokenizer, tmp_path, monkeypatch):
    folder = write(documents, tmp_path, monkeypatch, file_bytes=20_000, group_rows=5)
    build(folder, tokenizer, on=EngineConfig(workers=1))
    one = files(folder / "tokens")
    build(folder, tokenizer, on=EngineConfig(workers=3))
    assert files(folder / "tokens") == one


def test_the_stream_does_not_depend_on_how_the_text_was_cut_or_listed(
    documents, tokenizer, tmp_path, monkeypatch
):
    shuffled = random.Random(0).sample(documents, len(documents))
    one = write(documents, tmp_path / "one", monkeypatch, file_bytes=1 << 30, group_rows=1000)
    other = write(shuffled, tmp_path / "other", monkeypatch, file_bytes=9_000, group_rows=2)
    expected = streams(build(one, tokenizer, shard_bytes=1 << 30))
    assert streams(build(other, tokenizer, shard_bytes=7_000)) == expected


def test_another_seed_is_another_order_of_the_same_documents(documents, tokenizer, tmp_path, monkeypatch):
    folder = write(documents, tmp_path, monkeypatch, file_bytes=1 << 30, group_rows=1000)
    orders = []
    for seed in (0, 1, 2**64 + 1):
        store = build(folder, tokenizer, seed=seed)["train"]
        orders.append([span.row for span in store.documents(0, store.n_tokens)])
    assert sorted(orders[0]) == sorted(orders[1]) and orders[0] != orders[1] == orders[2]
    rows = np.array(orders[0])
    assert abs(np.corrcoef(rows, np.arange(len(rows)))[0, 1]) < 0.4  # no trace of the order of the text


def test_holding_out_depends_on_the_url_and_not_on_the_seed_or_the_source(documents):
    shared = [f"https://example.org/page/{i}" for i in range(5000)]
    apart = {url for url in shared if is_heldout(url, "one text", 0.1)}
    assert 400 < len(apart) < 600
    for url in shared[:300]:
        host_and_path = url.removeprefix("https://")
        for same in (f"http://www.{host_and_path}/", f"HTTPS://{host_and_path}#top", f" {url}"):
            assert is_heldout(same, "another text", 0.1) == (url in apart)


def test_a_larger_share_holds_out_more_and_never_less():
    texts = [f"text {i}" for i in range(3000)]
    small, large = ({text for text in texts if is_heldout("", text, share)} for share in (0.05, 0.2))
    assert small < large and 90 < len(small) < 210 and 480 < len(large) < 720
    assert not any(is_heldout("", text, 0.0) for text in texts)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_the_scheme_and_www_of_any_url_do_not_matter(url):
    assert normalized(f"https://www.a.org/{url}") == normalized(f"http://a.org/{url}")
    assert isinstance(normalized(url), str)


def test_pages_that_differ_only_in_their_query_are_different():
    assert normalized("http://a.org/?id=1") != normalized("http://a.org/?id=2")


def test_a_large_vocabulary_takes_four_bytes_and_keeps_its_ids(documents, tokenizer, tmp_path, monkeypatch):
    model = sentencepiece_model_pb2.ModelProto()  # pyright: ignore[reportAttributeAccessIssue]  # generated
    model.ParseFromString(tokenizer.path.read_bytes())
    learnt = list(model.pieces)[259:]
    del model.pieces[259:]
    for i in range(70_000):
        model.pieces.add(piece=f"\ue000{i}", score=-1e6)
    model.pieces.extend(learnt)
    model.trainer_spec.vocab_size = len(model.pieces)
    (tmp_path / "large.model").write_bytes(model.SerializeToString())
    large = Tokenizer(tmp_path / "large.model")
    folder = write(documents, tmp_path, monkeypatch, file_bytes=1 << 30, group_rows=1000)
    store = build(folder, large)["train"]
    assert store.dtype == np.dtype("<u4") and store.vocab_size == large.vocab_size > 65536
    for span in list(store.documents(0, store.n_tokens))[:20]:
        ids = store.read(span.start + 1, span.stop - 1)
        assert ids.max() > 65536
        assert large.decode(ids) == read_row(span.text_file, span.row).text


def test_small_vocabularies_take_two_bytes(stores):
    assert all(store.dtype == np.dtype("<u2") for store in stores.values())


def test_documents_with_the_same_id_are_all_kept(tokenizer, tmp_path, monkeypatch, documents):
    twins = [replace(documents[0], text=f"text {i}", record=i) for i in range(50)]
    folder = write(twins, tmp_path, monkeypatch, file_bytes=300, group_rows=3)
    store = build(folder, tokenizer, heldout=0.0, shard_bytes=100)["train"]
    rows = Counter(read_row(span.text_file, span.row).record for span in store.documents(0, store.n_tokens))
    assert rows == Counter(range(50))


def test_nothing_held_out_is_an_empty_split_that_opens(documents, tokenizer, tmp_path, monkeypatch):
    folder = write(documents[:3], tmp_path, monkeypatch, file_bytes=1 << 30, group_rows=1000)
    heldout = build(folder, tokenizer, heldout=0.0)["heldout"]
    heldout.verify()
    assert heldout.n_tokens == heldout.n_documents == 0 and heldout.n_sequences(8) == 0
    assert list(heldout.documents(0, 10)) == [] and not list((folder / "tokens").glob("heldout-*"))


@pytest.mark.parametrize("n_texts", [1, 2])
def test_a_share_that_selects_every_document_leaves_something_to_train_on(
    n_texts, tokenizer, tmp_path, monkeypatch, capsys
):
    """As a share of 1 % does to one own text in a hundred."""
    numbered = (f"text {i}\n" + "a line of it\n" * 900 for i in range(10_000))
    selected = list(islice((text for text in numbered if is_heldout("", text, 0.01)), n_texts))
    found = [Document(str(i), "prose", text, "x", i) for i, text in enumerate(selected)]
    folder = write(found, tmp_path, monkeypatch, file_bytes=1, group_rows=1)
    stores = build(folder, tokenizer, heldout=0.01)
    assert "because heldout=0.01 selects everything" in capsys.readouterr().err
    size = sum(map(len, selected))
    assert stores["train"].n_bytes + stores["heldout"].n_bytes == size
    assert 0.05 * size < stores["heldout"].n_bytes < 0.15 * size
    assert stores["train"].n_documents == n_texts and stores["heldout"].n_documents == 1


def test_a_share_of_at_least_half_may_select_every_document(tokenizer, tmp_path, monkeypatch):
    document = next(Document("a", "prose", t, "x", 0) for t in map(str, range(99)) if is_heldout("", t, 0.5))
    stores = build(
        write([document], tmp_path, monkeypatch, file_bytes=1, group_rows=1), tokenizer, heldout=0.5
    )
    assert stores["train"].n_documents == 0 and stores["heldout"].n_documents == 1


@pytest.mark.parametrize("stage", ["encode_file", "write_shard", "_manifest"])
def test_a_killed_build_leaves_no_store_and_the_next_one_succeeds(
    stage, documents, tokenizer, tmp_path, monkeypatch
):
    folder = write(documents, tmp_path, monkeypatch, file_bytes=20_000, group_rows=5)
    with monkeypatch.context() as patch:
        whole, calls = getattr(data.tokens.build, stage), []

        def dies(*args):
            calls.append(args)
            if len(calls) > 1 or stage == "_manifest":
                raise KeyboardInterrupt
            return whole(*args)

        patch.setattr(data.tokens.build, stage, dies)
        with pytest.raises(KeyboardInterrupt):
            build(folder, tokenizer)
    for place in tmp_path.iterdir():
        with pytest.raises(DataError, match="not a complete token store"):
            TokenStore.open(place)
    stores = build(folder, tokenizer)
    assert sum(store.n_documents for store in stores.values()) == len(documents)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["text", "tokens"]


def test_a_build_that_fails_leaves_the_store_that_was_there(documents, tokenizer, tmp_path, monkeypatch):
    folder = write(documents, tmp_path, monkeypatch, file_bytes=20_000, group_rows=5)
    build(folder, tokenizer)
    before = files(folder / "tokens")
    damaged = sorted((folder / "text").iterdir())[-1]
    content = damaged.read_bytes()
    damaged.write_bytes(content[:8] + bytes(200) + content[208:])
    for workers in (1, 2):
        with pytest.raises(DataError, match="stage=text") as refused:
            build(folder, tokenizer, on=EngineConfig(workers=workers))
        assert str(damaged) in str(refused.value)
    assert files(folder / "tokens") == before


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all"])
def test_text_that_is_not_parquet_is_refused_by_name(content, tokenizer, tmp_path):
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "part-00000.parquet").write_bytes(content)
    with pytest.raises(DataError, match=r"part-00000\.parquet: not cleaned text") as refused:
        build(tmp_path, tokenizer)
    assert "\n" not in str(refused.value)


def test_parquet_without_our_columns_is_refused_by_name(tokenizer, tmp_path):
    (tmp_path / "text").mkdir()
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "text" / "mine.parquet")
    with pytest.raises(DataError, match=r"mine\.parquet: not cleaned text: it has no column id, url"):
        build(tmp_path, tokenizer)
    pq.write_table(pa.table({"id": ["1"], "url": [""], "text": [None]}), tmp_path / "text" / "mine.parquet")
    with pytest.raises(DataError, match=r"mine\.parquet: a document has no id or no url or no text"):
        build(tmp_path, tokenizer)


def test_a_folder_without_text_is_refused_by_name(tokenizer, tmp_path):
    with pytest.raises(DataError, match="no cleaned text"):
        build(tmp_path, tokenizer)


def test_the_manifest_finds_its_text_wherever_the_corpus_is_moved(
    documents, tokenizer, tmp_path, monkeypatch
):
    folder = write(documents, tmp_path / "here", monkeypatch, file_bytes=20_000, group_rows=5)
    build(folder, tokenizer)
    moved = folder.rename(tmp_path / "there")
    store = TokenStore.open(moved / "tokens")
    span = next(store.documents(0, store.n_tokens))
    assert span.text_file.parent == moved / "text" and span.text_file.is_file()
    listed = json.loads((moved / "tokens" / "manifest.json").read_text())["text_files"]
    assert listed == [f"../text/{path.name}" for path in sorted((moved / "text").iterdir())]


def test_a_late_task_of_an_abandoned_build_cannot_write_into_the_next_one(
    documents, tokenizer, tmp_path, monkeypatch
):
    folder = write(documents, tmp_path, monkeypatch, file_bytes=20_000, group_rows=5)
    plans = []

    def stalls(on, name, work, *others):
        plans.append(work.args[0])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(data.engine, "run", stalls)
        with pytest.raises(KeyboardInterrupt):
            build(folder, tokenizer, seed=1)
    stores = build(folder, tokenizer, seed=2)
    with pytest.raises(OSError):
        encode_file(plans[0], 0)
    for store in stores.values():
        store.verify()
    assert sorted(path.name for path in folder.iterdir()) == ["text", "tokens"]


@pytest.mark.parametrize("what", ["tokens", "entries", "json"])
def test_lost_or_truncated_encoded_files_are_rebuilt(documents, tokenizer, tmp_path, monkeypatch, what):
    folder = write(documents, tmp_path, monkeypatch, file_bytes=20_000, group_rows=5)
    build(folder, tokenizer)
    expected = files(folder / "tokens")
    with monkeypatch.context() as patch:

        def dies(*args):
            raise KeyboardInterrupt

        patch.setattr(data.tokens.build, "write_shard", dies)
        with pytest.raises(KeyboardInterrupt):
            build(folder, tokenizer)
    damaged = next(path for path in folder.rglob(f"encoded/000000*.{what}") if path.stat().st_size > 8)
    damaged.write_bytes(damaged.read_bytes()[:-4])
    build(folder, tokenizer)
    assert files(folder / "tokens") == expected


def test_many_text_files_are_merged_first_and_give_the_same_store(
    documents, tokenizer, tmp_path, monkeypatch
):
    """In linear opens and bytes; killed after the merge or with damaged runs, the same bytes."""
    folder = write(documents, tmp_path, monkeypatch, file_bytes=6_000, group_rows=5)
    n_files = len(list((folder / "text").glob("*.parquet")))
    assert n_files > 9
    build(folder, tokenizer)
    expected = files(folder / "tokens")
    monkeypatch.setattr(data.tokens.stages, "FAN_IN", 3)
    monkeypatch.setattr(data.tokens.sorted_lists, "_MERGE_BYTES", 3_000)
    build(folder, tokenizer)
    assert files(folder / "tokens") == expected
    for damage in (None, "merged-000001-train.tokens", "merged-000000.json"):
        with monkeypatch.context() as patch:

            def dies(*args):
                raise KeyboardInterrupt

            patch.setattr(data.tokens.build, "write_shard", dies)
            with pytest.raises(KeyboardInterrupt):
                build(folder, tokenizer)
        (encoded,) = folder.rglob("encoded")
        assert len(list(encoded.glob("*-train.tokens"))) == 3  # the merged ones alone are left
        if damage:
            (encoded / damage).write_bytes((encoded / damage).read_bytes()[:-4])
        build(folder, tokenizer)
        assert files(folder / "tokens") == expected
