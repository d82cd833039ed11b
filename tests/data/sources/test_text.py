"""Text that is already cleaned is carried over unchanged, in any published layout."""

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.documents import Document, Drop, Record
from data.errors import DataError
from data.main import main as prepare
from data.sources import text
from data.sources.files import limits, rows
from tests.support.narrow import as_a

characters = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)


def records(path: Path) -> list[Record]:
    return [item for item in text.read(path) if isinstance(item, Record)]


@settings(deadline=None)
@given(st.lists(characters, max_size=8), st.sampled_from(["jsonl", "json.gz", "jsonl.zst", "parquet"]))
def test_any_text_comes_through_every_layout_unchanged(tmp_path_factory, bodies, kind):
    path = tmp_path_factory.mktemp("text") / f"file.{kind}"
    lines = "".join(json.dumps({"text": body}) + "\n" for body in bodies).encode()
    if kind == "parquet":
        pq.write_table(pa.table({"text": pa.array(bodies, pa.string())}), path)
    elif kind.endswith("zst"):
        path.write_bytes(pa.compress(lines, "zstd", asbytes=True))
    else:
        path.write_bytes(gzip.compress(lines) if kind.endswith("gz") else lines)
    found = records(path)
    assert [record.text for record in found] == bodies
    assert [record.record for record in found] == list(range(len(bodies)))
    for record, body in zip(found, bodies):
        cleaned = text.clean(record, source="s")
        if body.strip():
            assert as_a(Document, cleaned).text == body
        else:
            assert as_a(Drop, cleaned).reason == "empty"


def test_redpajama_and_dolma_keep_their_urls_and_other_metadata(tmp_path):
    rows_in = [
        {"text": "one", "meta": {"url": "http://r", "language": "en"}, "id": "r1"},
        {"text": "two", "metadata": {"url": "http://d"}, "id": "d1", "source": "cc"},
        {"id": "7", "url": "http://w", "title": "Seven", "text": "three"},
        {"content": "four", "license": "cc-by-4.0"},
        {"text": "five", "meta": "{'url': 'http://hub', 'stars': None}"},
        {"text": "six", "meta": '{"url": "http://json", "fork": true}'},
        {"text": "seven", "meta": "{'no': end"},
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, rows_in)))
    found = [as_a(Document, text.clean(record, source="s")) for record in records(tmp_path / "x.jsonl")]
    assert [document.text for document in found] == ["one", "two", "three", "four", "five", "six", "seven"]
    urls = ["http://r", "http://d", "http://w", "", "http://hub", "http://json", ""]
    assert [document.url for document in found] == urls
    assert json.loads(found[4].meta) == {"stars": None} and json.loads(found[5].meta) == {"fork": True}
    assert json.loads(found[6].meta) == {"meta": "{'no': end"}
    assert found[3].licence == "cc-by-4.0"
    assert json.loads(found[0].meta) == {"language": "en", "id": "r1"}
    assert json.loads(found[2].meta) == {"title": "Seven", "id": "7"}


def test_real_dolma_and_redpajama_files_are_read_completely(shared_data):
    counts = {path.name: len(records(path)) for path in text.inputs(shared_data / "c4")}
    assert list(counts.values()) == [10, 10, 10]
    dolma = records(shared_data / "c4" / "dolma-cc_en_head-0091.jsonl.gz")
    assert all(record.url.startswith("http") and "language" in record.meta for record in dolma)


def test_a_text_file_is_one_document_and_its_line_ends_are_unix(tmp_path):
    (tmp_path / "a.txt").write_bytes("\ufeffone\r\n\r\ntwo\r\n".encode())
    (tmp_path / "b.md").write_text("# title\n")
    first, second = [records(path) for path in text.inputs(tmp_path)]
    assert [record.text for record in first + second] == ["one\n\ntwo\n", "# title\n"]


def test_a_readme_next_to_rows_is_not_a_document(tmp_path):
    (tmp_path / "README.md").write_text("about")
    (tmp_path / ".hidden.jsonl").write_text("{}")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "x.jsonl").write_text('{"text": "x"}')
    assert text.inputs(tmp_path) == [tmp_path / "deep" / "x.jsonl"]


@pytest.mark.parametrize(
    "content",
    [
        '{"name": "x", "version": "1.0"}',
        '{\n  "content": {"x": 1},\n  "text": 3\n}\n',
        '{"title": "A", "file": "a.txt"}\n{"title": "B"}\n',
        "",
    ],
)
@pytest.mark.parametrize("name", ["package.json", "deep/metadata.jsonl", "a.JSON.gz"])
def test_json_without_a_text_describes_the_texts_beside_it(tmp_path, name, content):
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.txt").write_text("a text")
    (tmp_path / "README.md").write_text("about")
    packed = gzip.compress(content.encode()) if name.endswith(".gz") else content.encode()
    (tmp_path / name).write_bytes(packed)
    assert [path.name for path in text.inputs(tmp_path)] == ["README.md", "a.txt"]
    assert "the rows have no column text or content" in (text.left_out(tmp_path) or "")
    (tmp_path / "b.jsonl").write_text('{"id": 1}\n{"id": 2, "text": "a row"}\n')
    assert tmp_path / "b.jsonl" in text.inputs(tmp_path) and tmp_path / "a.txt" not in text.inputs(tmp_path)


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_tables_without_a_text_describe_the_texts_beside_them(tmp_path, kind):
    (tmp_path / "a.txt").write_text("a text")
    for name, column in (("metadata", "title"), ("rows", "text")):
        table = pa.table({"file": ["a.txt"], column: ["A"]})
        if kind == "parquet":
            pq.write_table(table, tmp_path / f"{name}.parquet")
        else:
            with pa.ipc.new_stream(str(tmp_path / f"{name}.arrow"), table.schema) as stream:
                stream.write_table(table)
        expected = "a.txt" if name == "metadata" else f"metadata.{kind}"
        assert text.inputs(tmp_path)[0].name == expected
    assert ".txt and .md beside rows of text only describe them" in (text.left_out(tmp_path) or "")


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.parquet"])
def test_rows_without_a_text_are_not_replaced_by_the_notes_about_them(tmp_path, name):
    (tmp_path / name).write_text('{"question": "Why?"}\n')
    for note in ("README.md", "LICENSE.txt"):
        (tmp_path / note).write_text("about")
    if name.endswith(".csv"):
        with pytest.raises(DataError, match=r"rows\.csv: no column text"):
            text.inputs(tmp_path)
    else:
        assert text.inputs(tmp_path) == [tmp_path / name]  # whose rows will be named as malformed


def test_two_columns_of_the_same_name_are_refused_as_one_would_be_lost(tmp_path):
    (tmp_path / "a.csv").write_text("id,text,text\n1,First.,Second.\n")
    with pytest.raises(DataError, match=r"a\.csv: two columns of the same name \(text, text\); rename one"):
        text.inputs(tmp_path)
    table = pa.Table.from_arrays([pa.array(["First."]), pa.array(["Second."])], names=["text", "text"])
    pq.write_table(table, tmp_path / "a.parquet")
    with pa.ipc.new_stream(str(tmp_path / "a.arrow"), table.schema) as stream:
        stream.write_table(table)
    for name in ("a.parquet", "a.arrow"):
        with pytest.raises(pa.ArrowInvalid, match=r"same name \(text, text\); rename one"):
            records(tmp_path / name)


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_of_two_columns_that_could_be_the_text_the_first_is_and_the_other_is_kept(tmp_path, name):
    is_csv = name.endswith(".csv")
    (tmp_path / name).write_text("Text,text\nOne.,Two.\n" if is_csv else '{"Text": "One.", "text": "Two."}')
    (record,) = records(tmp_path / name)
    assert record.text == "One." and record.meta == {"text": "Two."}


def test_json_that_cannot_be_read_is_no_description(tmp_path):
    (tmp_path / "a.txt").write_text("a text")
    (tmp_path / "b.jsonl").write_text('{"text": "the row is cut o')
    assert text.inputs(tmp_path) == [tmp_path / "b.jsonl"]


def test_rows_are_looked_into_only_beside_texts_and_up_to_the_first_text(tmp_path, monkeypatch):
    looked = []
    read_rows = rows.read_rows
    monkeypatch.setattr(rows, "read_rows", lambda path: looked.append(path.name) or read_rows(path))
    for number in range(3):
        (tmp_path / f"{number}.json").write_text('{"text": "a row"}' if number else '{"id": 1}')
    (tmp_path / "README.md").write_text("about")
    assert len(text.inputs(tmp_path)) == 3 and not looked
    (tmp_path / "a.txt").write_text("a text")
    assert len(text.inputs(tmp_path)) == 3 and looked == ["0.json", "1.json"]


def test_what_a_folder_has_beside_its_inputs_is_named(tmp_path, capsys):
    for name in ("b.pdf", "c.PDF", "d.docx", "noext", ".hidden"):
        (tmp_path / name).write_bytes(b"%")
    (tmp_path / "a.txt").write_text("a text")
    assert text.left_out(tmp_path) == f"{tmp_path}: not read: 2 .pdf, 1 .docx, 1 without a suffix"
    (tmp_path / "rows.jsonl").write_text('{"text": "a row"}\n')
    (tmp_path / "state.json").write_text("{}")  # of a saved data set
    assert "2 .pdf, 1 .txt, 1 .docx, 1 without a suffix; .txt and .md" in (text.left_out(tmp_path) or "")
    assert text.left_out(tmp_path / "a.txt") is None
    arguments = ["recipe=text", f"input={tmp_path}", "source=mine", "stage=text"]
    assert prepare([*arguments, f"output={tmp_path / 'out'}", "engine.workers=1"]) == 0
    assert f"mine: {tmp_path}: not read: 2 .pdf, 1 .txt" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("a.pdf", "nothing here to read (1 .pdf)"),
        ("noext", "nothing here to read (1 without a suffix)"),
        ("folder", "nothing here to read (2 .pdf, 1 .png)"),
        ("none", "nothing here to read (no file)"),
        ("around", "a link to around, which leads to nothing"),
        ("lost", "a link to elsewhere, which leads to nothing"),
        ("x*.txt", "no such file or folder (patterns are not expanded"),
    ],
)
def test_an_input_of_another_kind_is_refused_by_what_it_is(name, problem, tmp_path):
    for folder in ("folder", "none"):
        (tmp_path / folder).mkdir()
    for file in ("a.pdf", "noext", "folder/a.pdf", "folder/b.pdf", "folder/c.png"):
        (tmp_path / file).write_bytes(b"%")
    (tmp_path / "around").symlink_to("around")
    (tmp_path / "lost").symlink_to("elsewhere")
    with pytest.raises(DataError) as refused:
        text.inputs(tmp_path / name)
    assert str(refused.value).startswith(f"input={tmp_path / name}: {problem}")


def test_malformed_rows_are_quarantined_with_their_place(tmp_path):
    lines = [
        b'{"text": "a"}',
        b"{",
        b"[]",
        b'{"text": 3}',
        b"",
        b'{"other": "x"}',
        b'{"text": "\xff"}',
        b'{"text": "b"}',
    ]
    (tmp_path / "x.jsonl").write_bytes(b"\n".join(lines))
    items = list(text.read(tmp_path / "x.jsonl"))
    assert [item.record for item in items if isinstance(item, Record)] == [0, 7]
    assert [item.record for item in items if isinstance(item, Drop) and item.malformed] == [1, 2, 3, 5, 6]


def test_half_a_character_is_dropped_and_not_written(tmp_path):
    (tmp_path / "x.jsonl").write_text('{"text": "a\\ud800"}\n{"text": "fine"}')
    outcomes = [text.clean(record, source="s") for record in records(tmp_path / "x.jsonl")]
    dropped = as_a(Drop, outcomes[0])
    assert (dropped.reason, dropped.detail) == ("not Unicode", "half of a surrogate pair: \\ud800")
    assert isinstance(outcomes[1], Document)


def test_bytes_that_are_not_utf_8_are_named_with_the_mend(tmp_path):
    (tmp_path / "x.csv").write_bytes("text\ncafé\n".encode("cp1252"))
    (tmp_path / "x.jsonl").write_bytes('{"text": "café"}\n'.encode("cp1252"))
    mend = "UTF-8; convert it: iconv -f ENCODING -t UTF-8"
    (record,) = records(tmp_path / "x.csv")
    assert as_a(Drop, text.clean(record, source="s")).detail == f"a byte 0xe9 that is not {mend}"
    (item,) = text.read(tmp_path / "x.jsonl")
    assert as_a(Drop, item).detail.startswith("not UTF-8: ") and as_a(Drop, item).detail.endswith(mend[7:])


@pytest.mark.parametrize("sign", [",", ";", "|", "\t"])
@pytest.mark.parametrize("above", ["", "sep=SIGN\n", "\nsep=SIGN\r\n", " \n  \nsep=SIGN\n"])
def test_a_csv_with_any_separator_is_read_also_below_excel_s_line_about_it(tmp_path, sign, above):
    content = above.replace("SIGN", sign) + f'id{sign}text\n1{sign}"one{sign} two"\n2{sign}three\n'
    (tmp_path / "x.csv").write_text(content)
    assert [record.text for record in records(tmp_path / "x.csv")] == [f"one{sign} two", "three"]


@pytest.mark.parametrize("name", ["x.jsonl.gz", "x.jsonl.zst", "x.parquet"])
def test_a_truncated_file_gives_the_rows_before_the_break(tmp_path, name):
    lines = "".join(json.dumps({"text": f"{i} " * 50}) + "\n" for i in range(20_000)).encode()
    path = tmp_path / name
    if name.endswith("parquet"):
        path.write_bytes(b"PAR1" + lines)
    else:
        whole = gzip.compress(lines) if name.endswith("gz") else pa.compress(lines, "zstd", asbytes=True)
        path.write_bytes(whole[: len(whole) * 2 // 3])
    seen = 0
    with pytest.raises(rows.UNREADABLE):
        for item in text.read(path):
            assert item.record == seen
            seen += 1
    assert (seen > 5_000) == (not name.endswith("parquet"))


def test_a_text_file_in_another_encoding_is_malformed(tmp_path):
    (tmp_path / "a.txt").write_bytes("é".encode("latin-1"))
    (item,) = text.read(tmp_path / "a.txt")
    drop = as_a(Drop, item)
    assert drop.malformed and "UTF-8" in drop.detail


def test_missing_inputs_are_refused_by_name(tmp_path):
    (tmp_path / "a.pdf").write_text("x")
    for name, words in {"missing": "no such file", "a.pdf": "nothing here", ".": "nothing here"}.items():
        with pytest.raises(DataError, match=words):
            text.inputs(tmp_path / name)


@pytest.mark.parametrize("pretty", [None, 2])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_one_json_array_is_read_like_lines(tmp_path, pretty, pack):
    rows_in = [{"text": f"Text {n} ] , [ é", "url": f"http://{n}"} for n in range(5000)]
    path = tmp_path / ("a.json" if pack is bytes else "a.json.gz")
    path.write_bytes(pack(json.dumps(rows_in, indent=pretty, ensure_ascii=False).encode()))
    assert [(record.text, record.record) for record in records(path)] == [
        (row["text"], number) for number, row in enumerate(rows_in)
    ]


def test_a_truncated_array_gives_the_rows_before_its_end(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"text": "one"}')
    with pytest.raises(EOFError, match="truncated"):
        list(text.read(path))
    path.write_text("[]")
    assert list(text.read(path)) == []


def test_text_in_a_binary_column_is_utf_8(tmp_path):
    table = pa.table({"text": pa.array(["é".encode(), b"\xff", b"plain"], pa.binary())})
    pq.write_table(table, tmp_path / "a.parquet")
    assert [record.text for record in records(tmp_path / "a.parquet")] == ["é", "plain"]


def test_files_of_one_folder_may_have_different_columns(tmp_path):
    tables = [{"text": ["one"], "id": [1]}, {"content": ["two"]}, {"raw_content": [b"three"], "id": ["x"]}]
    tables += [{"text": pa.array([None], pa.string()), "content": ["four"]}, {"Text": ["five"]}]
    for number, columns in enumerate(tables):
        pq.write_table(pa.table(columns), tmp_path / f"{number}.parquet")
    found = [record.text for path in text.inputs(tmp_path) for record in records(path)]
    assert found == ["one", "two", "three", "four", "five"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'id,text\r\n1,"One, with ""quotes"" and\r\ntwo lines"\r\n\r\n2,Two\r\n'),
        ("a.csv", '\ufeffid;Text\n1;"One, with ""quotes"" and\r\ntwo lines"\n2;Two'),
        ("a.tsv", 'id\ttext\n1\t"One, with ""quotes"" and\r\ntwo lines"\n2\tTwo\n'),
    ],
)
def test_csv_and_tsv_are_read_by_their_column(tmp_path, name, content):
    for encoding, pack, suffix in (
        ("utf-8", bytes, ""),
        ("utf-16", bytes, ""),
        ("utf-8", gzip.compress, ".gz"),
    ):
        path = tmp_path / (name + suffix)
        path.write_bytes(pack(content.encode(encoding)))
        assert text.inputs(path) == [path]
        one, two = records(path)
        assert (one.text, two.text) == ('One, with "quotes" and\r\ntwo lines', "Two")
        assert (one.meta, two.record) == ({"id": "1"}, 1)


@pytest.mark.parametrize(
    "content",
    [
        '"id\n(number)","text"\n1,"One"\n2,"Two\nlines"\n',
        '\n\r\ntext,"the\r\n\r\nsource, if known"\nOne,a\n"Two\nlines","b\nc"',
        '"id","text"\n\n"1","One"\n\n2,"Two\nlines"',
    ],
)
def test_the_header_of_a_csv_may_extend_over_several_lines(tmp_path, content):
    (tmp_path / "a.csv").write_text(content, newline="")
    assert text.inputs(tmp_path / "a.csv") == [tmp_path / "a.csv"]
    assert [record.text for record in records(tmp_path / "a.csv")] == ["One", "Two\nlines"]


def test_a_quote_that_a_header_never_closes_is_refused_with_the_columns(tmp_path):
    (tmp_path / "a.csv").write_text('id,"name\n1,One\n' * 20_000)
    with pytest.raises(DataError, match="no column text"):
        text.inputs(tmp_path / "a.csv")


def test_a_bad_row_of_a_csv_costs_itself(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b'text,id\none,1\ntoo few\nthree,3,3\n"four\0",4\n\xff,5\nsix,6\n')
    items = list(text.read(path))
    assert [item.record for item in items if isinstance(item, Drop)] == [1, 2]
    assert [item.text for item in items if isinstance(item, Record)] == ["one", "four\ufffd", "\udcff", "six"]
    path.write_text("text,id\n" + "x" * 3000 + ",1\ntwo,2\n")
    with limits.within(limits.Limits(record_bytes=2000)):
        bad, two = text.read(path)
    assert isinstance(bad, Drop) and isinstance(two, Record) and two.text == "two"


def test_a_csv_without_a_text_is_refused_with_its_columns_and_left_out_of_a_folder(tmp_path):
    (tmp_path / "about.csv").write_text("name,size\na,1\n")
    with pytest.raises(DataError, match=r"no column text or .*name, size; rename one"):
        text.inputs(tmp_path / "about.csv")
    with pytest.raises(DataError, match=r"about.csv: no column text or .*name, size; rename one"):
        text.inputs(tmp_path)
    (tmp_path / "a.txt").write_text("Plain.")
    assert text.inputs(tmp_path) == [tmp_path / "a.txt"]
    (tmp_path / "b.csv").write_text("text\nRow.\n")
    (tmp_path / "c.jsonlines").write_text('{"text": "Line."}')
    found = [record.text for path in text.inputs(tmp_path) for record in records(path)]
    assert found == ["Row.", "Line."]
