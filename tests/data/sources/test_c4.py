"""C4's files are used unchanged, except for its validation files."""

import gzip
import json

import pytest

from data.documents import Document, Drop, Record
from data.errors import DataError
from data.sources import c4
from tests.support.narrow import as_a

ROWS = [
    {"text": f"Page {i}.\nIts text.", "timestamp": "2019-04-25T12:57:54Z", "url": f"https://a.org/{i}"}
    for i in range(5)
]


def shard(path, rows):
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))


def test_a_page_is_carried_over_with_its_url_and_time(tmp_path):
    shard(tmp_path / "c4-train.00000-of-01024.json.gz", ROWS)
    (path,) = c4.inputs(tmp_path)
    documents = [as_a(Document, c4.clean(as_a(Record, record))) for record in c4.read(path)]
    assert [document.text for document in documents] == [row["text"] for row in ROWS]
    assert [document.url for document in documents] == [row["url"] for row in ROWS]
    assert [document.record for document in documents] == list(range(5))
    assert {document.source for document in documents} == {"c4"}
    assert json.loads(documents[0].meta) == {"timestamp": ROWS[0]["timestamp"]}


def test_its_validation_files_are_not_read_from_a_folder(tmp_path):
    shard(tmp_path / "c4-train.00001-of-01024.json.gz", ROWS)
    shard(tmp_path / "c4-validation.00000-of-00008.json.gz", ROWS)
    assert [path.name for path in c4.inputs(tmp_path)] == ["c4-train.00001-of-01024.json.gz"]


def test_a_row_without_url_is_dropped_and_one_without_text_is_malformed(tmp_path):
    shard(tmp_path / "c4-train.00000-of-01024.json.gz", [{"text": "x"}, {"url": "http://a"}, ROWS[0]])
    first, second, third = c4.read(tmp_path / "c4-train.00000-of-01024.json.gz")
    assert as_a(Drop, c4.clean(as_a(Record, first))).reason == "no url"
    assert isinstance(second, Drop) and second.malformed
    assert isinstance(c4.clean(as_a(Record, third)), Document)


def test_a_folder_without_rows_is_refused_by_name(tmp_path):
    (tmp_path / "a.txt").write_text("x")
    for path in (tmp_path, tmp_path / "a.txt", tmp_path / "missing"):
        with pytest.raises(DataError, match="c4-train"):
            c4.inputs(path)
