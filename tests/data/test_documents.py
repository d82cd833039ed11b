"""Documents survive a round trip through Parquet; folders appear complete or not at all."""

import time
import weakref
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import data.documents as documents
from data import folders
from data.documents import Document, Drop, Record, read_documents, read_row, text_files, write_documents
from data.errors import DataError
from tests.support.narrow import as_a

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


def some_documents(n: int) -> list[Document]:
    return [
        Document(f"s:{i}", "s", f"text {i} " * (i % 7 + 1), "a.jsonl", i, f"http://x/{i}") for i in range(n)
    ]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(text, text, text, st.integers(0, 2**62)), min_size=1, max_size=20))
def test_documents_round_trip_through_parquet(tmp_path_factory, values):
    docs = [Document(f"s:{i}", "s", body, file, n, url) for i, (body, file, url, n) in enumerate(values)]
    paths = write_documents(docs, tmp_path_factory.mktemp("docs") / "text")
    assert [doc for path in paths for doc in read_documents(path)] == docs


def test_every_row_is_found_across_row_groups_and_files(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "GROUP_ROWS", 7)
    monkeypatch.setattr(documents, "FILE_BYTES", 1000)
    docs = some_documents(200)
    paths = write_documents(docs, tmp_path / "text")
    assert len(paths) > 2 and paths == text_files(tmp_path / "text")
    rows = [(path, row) for path in paths for row in range(pq.ParquetFile(path).metadata.num_rows)]
    assert [read_row(path, row) for path, row in rows] == docs


def test_row_groups_are_bounded_in_bytes(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "GROUP_BYTES", 1000)
    docs = [replace(doc, text="x" * 400) for doc in some_documents(20)]
    (path,) = write_documents(docs, tmp_path / "text")
    metadata = pq.ParquetFile(path).metadata
    assert {metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)} == {3, 2}


def test_reading_a_row_reads_only_its_row_group(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "GROUP_ROWS", 10)
    (path,) = write_documents(some_documents(100), tmp_path / "text")
    read = []
    whole = documents._read_group
    monkeypatch.setattr(documents, "_read_group", lambda *args: read.append(args[1]) or whole(*args))
    assert read_row(path, 57).record == 57
    assert read == [5]


class Text(str):
    """Can be referred to weakly."""


def test_a_row_group_is_released_before_the_next_one_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "GROUP_ROWS", 10)
    texts: list[weakref.ref[Text]] = []

    def made() -> Iterator[Document]:
        for document in some_documents(40):
            assert len([text for text in texts if text() is not None]) <= 10
            text = Text(document.text)
            texts.append(weakref.ref(text))
            yield replace(document, text=text)

    write_documents(made(), tmp_path / "text")
    assert len(texts) == 40


def test_reading_holds_one_row_group(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "GROUP_ROWS", 100)
    docs = [replace(document, text=document.text[:1] * 100_000) for document in some_documents(400)]
    (path,) = write_documents(docs, tmp_path / "text")
    before, read_group, n_read = pa.total_allocated_bytes(), documents._read_group, 0

    def watched(*arguments) -> pa.Table:
        nonlocal n_read
        n_read += 1
        deadline = time.monotonic() + 60
        while pa.total_allocated_bytes() - before >= 100 * 100_000:  # pyarrow's threads may be late to let go
            assert time.monotonic() < deadline, "the row group before is still held"
            time.sleep(0.01)
        return read_group(*arguments)

    monkeypatch.setattr(documents, "_read_group", watched)
    assert list(read_documents(path)) == docs
    assert n_read == 4


def test_a_missing_row_is_refused_by_number(tmp_path):
    (path,) = write_documents(some_documents(3), tmp_path / "text")
    for row in (3, -1):
        with pytest.raises(DataError, match=rf"no row {row} \(the file has 3\)"):
            read_row(path, row)


def test_a_folder_appears_only_with_its_last_document(tmp_path):
    def documents_then_failure():
        yield from some_documents(3000)
        assert not (tmp_path / "text").exists()
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        write_documents(documents_then_failure(), tmp_path / "text")
    assert not (tmp_path / "text").exists()
    assert len(write_documents(some_documents(3), tmp_path / "text")) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


def test_writing_again_replaces_the_entire_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "FILE_BYTES", 1)
    monkeypatch.setattr(documents, "GROUP_ROWS", 1)
    write_documents(some_documents(9), tmp_path / "text")
    write_documents(some_documents(2), tmp_path / "text")
    assert [path.name for path in text_files(tmp_path / "text")] == [
        "part-00000.parquet",
        "part-00001.parquet",
    ]


def test_missing_documents_and_files_are_reported_in_one_line(tmp_path):
    with pytest.raises(DataError, match="no documents to write"):
        write_documents([], tmp_path / "text")
    with pytest.raises(DataError, match="no cleaned text"):
        text_files(tmp_path / "text")


def test_a_foreign_file_is_refused_by_name(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(DataError, match=r"a\.parquet: not a readable Parquet"):
        read_row(tmp_path / "a.parquet", 0)
    pq.write_table(pa.table({"content": ["x"]}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match=r"b\.parquet: not cleaned text"):
        read_row(tmp_path / "b.parquet", 0)


def test_a_truncated_file_is_refused_by_name(tmp_path):
    (path,) = write_documents(some_documents(2000), tmp_path / "text")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match=r"part-00000\.parquet"):
        list(read_documents(path))


def test_an_id_depends_on_the_documents_content_and_not_on_its_place():
    def named(record: Record, text: str) -> str:
        return as_a(Document, record.document("s", text)).id

    one = named(Record("a.jsonl", 3, "raw", url="http://x"), "clean")
    elsewhere = named(Record("b/part-2.jsonl", 70, "raw", url="http://x", meta={"k": 1}), "clean")
    assert one == elsewhere and one.startswith("s:")
    others = [
        named(Record("a.jsonl", 3, "raw", url="http://y"), "clean"),
        named(Record("a.jsonl", 3, "raw", url="http://x"), "clean "),
    ]
    assert len({one, *others}) == 3


@pytest.mark.parametrize(("left", "reason"), [("", "empty"), (" \n\t", "empty"), ("a\ud800b", "not Unicode")])
def test_text_that_cannot_be_trained_on_is_dropped_with_its_place(left, reason):
    assert Record("a.jsonl", 3, "raw").document("s", left) == Drop(reason, "a.jsonl", 3)


def test_a_lock_has_one_holder_and_waiting_is_announced(tmp_path):
    announced = []
    with folders.locked(tmp_path / "lock"):  # noqa: SIM117
        with pytest.raises(DataError, match="another process"), folders.locked(tmp_path / "lock"):
            pass
    with folders.locked(tmp_path / "lock", waiting=lambda: announced.append("waiting")):
        assert announced == []  # no process held it any more
