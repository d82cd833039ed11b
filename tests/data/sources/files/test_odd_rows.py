"""Rows in other compressions, several on a line, and CSV and TSV that are not as RFC 4180 has them."""

import bz2
import gzip
import json
import lzma
import random
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.documents import Document, Drop, Record
from data.sources import text
from data.sources.files import limits, rows


def texts(path, content):
    """The texts of a file with this content, and its bad records by their details."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    found = list(text.read(path))
    return (
        [item.text for item in found if not isinstance(item, Drop)],
        [item.detail for item in found if isinstance(item, Drop)],
    )


PACKED = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
LINES = b"".join(b'{"text": "line %d"}\n' % number for number in range(5_000))


@pytest.mark.parametrize("suffix", PACKED)
def test_compressed_files_are_read_with_all_their_members(tmp_path, suffix):
    content = PACKED[suffix](LINES) + b"\0" * 8 + PACKED[suffix](b'{"text": "last"}\n') + b"\0" * 4
    path = tmp_path / f"a.jsonl.{suffix}"
    found, bad = texts(path, content)
    assert text.inputs(tmp_path) == [path]
    assert (len(found), found[0], found[-1], bad) == (5_001, "line 0", "last", [])
    assert texts(tmp_path / f"a.csv.{suffix}", PACKED[suffix](b"text\nOne\n")) == (["One"], [])
    assert texts(tmp_path / f"a.txt.{suffix}", PACKED[suffix](b"One\n")) == (["One\n"], [])


@pytest.mark.parametrize("suffix", PACKED)
def test_a_damaged_compressed_file_gives_the_rows_before_the_damage(tmp_path, suffix):
    noise = random.Random(0).randbytes(200_000).hex()  # several blocks
    packed = PACKED[suffix](LINES + b'{"text": "%s"}\n' % noise.encode() + LINES)
    path = tmp_path / f"a.jsonl.{suffix}"
    for damaged in (packed[: len(packed) * 9 // 10], packed[:-40_000] + bytes(39_990) + packed[-10:]):
        path.write_bytes(damaged)
        seen = []
        with pytest.raises(rows.UNREADABLE):
            seen.extend(item for item in _until_error(path, seen))
        if suffix != "bz2":  # one block of which is all of these lines
            assert seen[:2] == ["line 0", "line 1"]


def _until_error(path, seen):
    for item in text.read(path):
        seen.append(item.text if not isinstance(item, Drop) else item)
    yield from ()


def test_a_compressed_file_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "FREE_BYTES", 1 << 20)
    for suffix, pack in PACKED.items():
        with pytest.raises(limits.TooLarge, match="max_expansion"):
            texts(tmp_path / f"a.jsonl.{suffix}", pack(b'{"text": "a"}\n' * 90_000))


def test_a_file_is_unpacked_by_its_content_not_its_name(tmp_path):
    assert texts(tmp_path / "a.jsonl.gz", '{"text": "plain"}\n') == (["plain"], [])
    assert texts(tmp_path / "a.csv.xz", "text\nplain\n") == (["plain"], [])
    assert texts(tmp_path / "a.jsonl", gzip.compress(b'{"text": "packed"}\n')) == (["packed"], [])
    assert texts(tmp_path / "a.txt", "BZh and other words\n") == (["BZh and other words\n"], [])


@pytest.mark.parametrize(
    "content",
    [
        '{"text": "a"}{"text": "b"} {"text": "c"}\n',
        '{"text": "a"},\n{"text": "b"},\n{"text": "c"}\n',
        '{"text": "a"}\r{"text": "b"}\r{"text": "c"}\r',
        '\x1e{"text": "a"}\n\x1e{"text": "b"}\n\x1e{"text": "c"}\n',
    ],
)
def test_several_objects_on_a_line_are_all_read_each_with_its_number(tmp_path, content):
    path = tmp_path / "a.jsonl"
    assert texts(path, content) == (["a", "b", "c"], [])
    assert [item.record for item in text.read(path)] == [0, 1, 2]


def test_a_line_with_an_object_and_something_else_is_malformed(tmp_path):
    found, bad = texts(tmp_path / "a.jsonl", '{"text": "a"} 7\n{"text": "b"}{"te\n{"text": "c"}\n')
    assert found == ["c"] and len(bad) == 2


@pytest.mark.parametrize("layout", ["{0}\n{1}\n{0}\n", "[{0}, {1},\n{0}]", "{0} {1} {0}\n"])
def test_a_number_with_more_digits_than_python_converts_is_kept_as_digits(tmp_path, layout):
    digits = "-" + "7" * 5000
    path = tmp_path / "a.json"
    path.write_text(layout.format('{"text": "good"}', f'{{"text": "large", "n": {digits}, "m": 1}}'))
    found = [item for item in text.read(path) if isinstance(item, Record)]
    assert [item.meta for item in found if item.text == "large"] == [{"n": digits, "m": 1}]
    assert layout.count("{0}") == sum(item.text == "good" for item in found)


def test_what_json_does_not_have_becomes_null_in_a_document_s_meta(tmp_path):
    path = tmp_path / "a.parquet"
    values = [1.5, float("nan"), float("-inf")]
    nested = [{"y": [value]} for value in values]
    pq.write_table(pa.table({"text": ["a", "b", "c"], "x": values, "nested": nested}), path)
    records = [record for record in text.read(path) if isinstance(record, Record)]
    cleaned = [text.clean(record, source="mine") for record in records]
    metas = [json.loads(one.meta, parse_constant=pytest.fail) for one in cleaned if isinstance(one, Document)]
    assert metas == [{"x": x, "nested": {"y": [x]}} for x in (1.5, None, None)]


def test_an_empty_text_gives_way_to_a_content(tmp_path):
    found, bad = texts(tmp_path / "a.jsonl", '{"text": "", "content": "a"}\n{"text": " "}\n')
    assert (found, bad) == (["a", " "], [])


CSV = {
    "a quotation mark that is never closed": ('id,text\n1,a\n2,"b\n3,c\n4,"d ""e"""\n', ["a", "c", 'd "e"']),
    "one at the end": ('id,text\n1,a\n2,"b\n3,c\n', ["a", "c"]),
    "text after a closed one": ('id,text\n1,"Hello" he said\n2,b\n', ["Hello he said", "b"]),
    "backslashes before quotation marks": (
        'id,text\n1,"a \\"b\\" c"\n2,"two\nlines \\"x\\" y"\n',
        ['a "b" c', 'two\nlines "x" y'],
    ),
    "backslashes of the text": ('id,text\n1,"C:\\"\n2,"a ""b"" c"\n', ["C:\\", 'a "b" c']),
    "old line ends": ("id,text\r1,a\r2,b\r", ["a", "b"]),
}
TSV = {
    "quotation marks without a meaning": (
        'id\ttext\n1\t"Hello\n2\t"Hi" he said\n',
        ['"Hello', '"Hi" he said'],
    ),
    "quoted fields": ('id\ttext\n1\t"a ""b"""\n2\t"two\nlines"\n', ['a "b"', "two\nlines"]),
}


@pytest.mark.parametrize("kind", CSV)
def test_a_csv_of_this_kind_loses_no_other_row(tmp_path, kind):
    content, expected = CSV[kind]
    found, bad = texts(tmp_path / "a.csv", content)
    assert found == expected and len(bad) == kind.startswith(("a quotation", "one"))


@pytest.mark.parametrize("kind", TSV)
def test_a_tsv_is_read_by_its_own_rule_of_quotation_marks(tmp_path, kind):
    content, expected = TSV[kind]
    assert texts(tmp_path / "a.tsv", content) == (expected, [])


def test_time_is_linear_in_quotation_marks_that_are_never_closed(tmp_path):
    for line in ('1,"x\n', '1,"x\n2,y\n3,""\n', "1,x\n"):
        begin = time.process_time()
        texts(tmp_path / "a.csv", 'id,text\n1,"x\n' + line * 20_000)
        assert time.process_time() - begin < 5  # a square would take minutes


@pytest.mark.parametrize(
    "content", ['{"text": "a",\n "n": 1}\n{"text": "b"}\n', '{"m": {"n": [\n1]},\n"text": "a"}']
)
def test_an_object_may_begin_on_the_first_line_and_end_on_another(tmp_path, content):
    assert texts(tmp_path / "a.json", content) == (["a", "b"][: content.count("text")], [])


def test_a_csv_may_have_a_space_after_each_delimiter(tmp_path):
    content = 'id, text, n\n1, one, 2\n2, "two, quoted",3\n'
    assert texts(tmp_path / "a.csv", content) == (["one", "two, quoted"], [])
    assert texts(tmp_path / "a.csv", " Text ,id\n one,1\n") == ([" one"], [])


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_values_that_python_cannot_represent_cost_no_other_row(tmp_path, suffix):
    bad = pa.array([b"a", b"\xff", b"c"])
    columns = {
        "text": pa.Array.from_buffers(pa.string(), 3, bad.buffers()),
        "time": pa.array([1, 2, 2**62], pa.timestamp("us")),
        "day": pa.array([1, 2, 2**31 - 1], pa.int32()).cast(pa.date32()),
        "zone": pa.array([1, 2, 3], pa.timestamp("us", tz="Nowhere/At_All")),
        "note": pa.Array.from_buffers(pa.string(), 3, bad.buffers()),
    }
    path, table = tmp_path / f"a.{suffix}", pa.table(columns)
    if suffix == "parquet":
        pq.write_table(table, path)
    else:
        with pa.ipc.new_stream(path, table.schema) as out:
            out.write_table(table)
    first, second, third = text.read(path)
    assert isinstance(second, Drop) and "text (bytes that are not UTF-8)" in second.detail
    assert isinstance(first, Record) and first.text == "a" and first.meta["note"] == "a"
    assert isinstance(third, Record) and third.text == "c"
    assert (third.meta["time"], third.meta["day"], third.meta["zone"]) == (2**62, 2**31 - 1, 3)


def test_arrow_files_are_read_like_streams(tmp_path):
    table, path = pa.table({"text": ["a", "b"]}), tmp_path / "a.arrow"
    with pa.ipc.new_file(path, table.schema) as out:
        out.write_table(table, max_chunksize=1)
    assert [item.text for item in text.read(path) if isinstance(item, Record)] == ["a", "b"]
    with pa.ipc.new_file(path, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as out:
        out.write_table(pa.table({"text": ["a" * 100_000]}))
    with limits.within(limits.Limits(record_bytes=10_000)), pytest.raises(limits.TooLarge, match="batch"):
        list(text.read(path))


def test_what_datasets_keeps_beside_saved_rows_is_not_read(tmp_path):
    cached = "cache-458a05cd03fe8b27.arrow"
    made = [tmp_path / name for name in ("data-00000-of-00001.arrow", cached, "cache-my-own.arrow")]
    made += [tmp_path / "cache-52b616fef42685e7_00001_of_00002.arrow", tmp_path / "alone" / cached]
    (tmp_path / "alone").mkdir()
    for path in made:
        with pa.ipc.new_stream(path, pa.schema({"text": pa.string()})):
            pass
    assert text.inputs(tmp_path) == sorted(made)
    (tmp_path / "dataset_info.json").write_text("{}")
    assert text.inputs(tmp_path) == sorted([made[0], made[2], made[4]])


@pytest.mark.parametrize("name", rows.ABOUT)
def test_what_describes_a_dataset_is_no_row(tmp_path, name):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").write_text('{"text": "a"}')
    (tmp_path / name).write_text('{"default": {"description": "rows"}}')
    assert text.inputs(tmp_path) == [tmp_path / "data" / "a.jsonl"]


def test_a_url_or_license_that_is_not_a_number_is_missing(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a", "url": NaN, "license": NaN, "licence": "mit"}\n')
    (record,) = text.read(path)
    assert isinstance(record, Record) and (record.url, record.licence) == ("", "mit")


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl", "a.jsonl.gz", "a.csv", "a.parquet", "a.arrow"])
def test_what_git_lfs_did_not_fetch_is_no_text(tmp_path, name):
    path = tmp_path / name
    path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n")
    assert text.inputs(tmp_path) == [path]
    with pytest.raises(rows.UNREADABLE, match="git lfs pull"):
        list(text.read(path))


@pytest.mark.parametrize("create", [pa.ipc.new_stream, pa.ipc.new_file])
def test_a_truncated_arrow_file_gives_the_rows_before_the_break(tmp_path, create):
    table, path = pa.table({"text": [f"row {number}" for number in range(20)]}), tmp_path / "a.arrow"
    with create(path, table.schema) as out:
        out.write_table(table, max_chunksize=1)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    seen = []
    with pytest.raises(rows.UNREADABLE):
        seen.extend(_until_error(path, seen))
    assert 5 < len(seen) < 15 and seen == [f"row {number}" for number in range(len(seen))]
