"""Files in other encodings, binary files, damaged gzip files, and JSON that is not in lines."""

import codecs
import gzip
import io
import json
import random
import tarfile
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.documents import Drop
from data.sources import text
from data.sources.files import packed, rows


def texts(path):
    """The texts of a file, and its bad records by their details."""
    found = list(text.read(path))
    return (
        [item.text for item in found if not isinstance(item, Drop)],
        [item.detail for item in found if isinstance(item, Drop)],
    )


_ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
_TEXTS = {
    "several scripts": "Grüße, 世界 😀\nzweite Zeile\n",
    "Russian": "Город стоит на реке.\nОн основан давно.\n",
    "Chinese": "一个中文文本，没有空格。\n第二行。\n",
}


@pytest.mark.parametrize("encoding", _ENCODINGS)
@pytest.mark.parametrize("kind", _TEXTS)
def test_a_plain_text_in_any_unicode_encoding_is_read(tmp_path, encoding, kind):
    (tmp_path / "a.txt").write_bytes(_TEXTS[kind].replace("\n", "\r\n").encode(encoding))
    assert texts(tmp_path / "a.txt") == ([_TEXTS[kind]], [])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize(
    ("name", "content"),
    [("a.jsonl", '{"text": "Один"}\n{"text": "two"}\n'), ("a.csv", "id,text\n1,Один\n2,two\n")],
)
def test_rows_in_utf_16_and_32_without_a_byte_order_mark_are_read(tmp_path, encoding, name, content):
    (tmp_path / name).write_bytes(content.encode(encoding))
    assert texts(tmp_path / name) == (["Один", "two"], [])


def test_text_in_an_older_encoding_with_a_zero_byte_is_not_taken_for_utf_16(tmp_path):
    (tmp_path / "a.txt").write_bytes("Une forêt tranquille \0 et un château\n".encode("latin-1") * 9)
    assert "not UTF-8" in texts(tmp_path / "a.txt")[1][0]


@pytest.mark.parametrize("n_zeros", [1, 2, 5])
@pytest.mark.parametrize("size", [12, 77, 200])
def test_a_short_text_with_stray_zero_bytes_is_not_taken_for_utf_16(tmp_path, n_zeros, size):
    line = "The ferry leaves at seven, and whoever is late waits for the evening boat.\n" * 3
    (tmp_path / "a.txt").write_bytes(line[: size - n_zeros].encode() + b"\0 " * n_zeros)
    found, reasons = texts(tmp_path / "a.txt")
    assert not found and "control characters" in reasons[0]


def test_the_mark_that_ends_a_dos_file_is_not_text(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"Last line.\r\n\x1a")
    assert texts(tmp_path / "a.txt") == (["Last line.\n"], [])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (bytes(range(128)) * 9, "control characters: binary data"),
        (b"\0PK\x03\x04\x14\x00\x00\x00", "control characters: binary data"),
        ("naïve".encode("latin-1"), "not UTF-8"),
        (b"\x89PNG\x1a", "not UTF-8"),
        ("odd".encode("utf-16") + b"x", "not UTF-8"),
        (codecs.BOM_UTF32_LE + b"\xff\xff\xff\xff", "not UTF-8"),
    ],
)
def test_a_binary_file_is_one_malformed_record(tmp_path, content, reason):
    (tmp_path / "a.txt").write_bytes(content)
    kept, bad = texts(tmp_path / "a.txt")
    assert not kept and len(bad) == 1 and reason in bad[0]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"PK\x03\x04\x14\x00\x00\x00", "a ZIP archive, as .docx"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", "a PDF; pdftotext"),
        (b"{\\rtf1\\ansi The ferry leaves.}", "RTF; save its text as .txt"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "an Office document"),
        (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive; unpack it"),
        (b"\x04\x22\x4d\x18\x64\x40\xa7", "lz4 -d unpacks it"),
        ("船は七時に出る。".encode("iso2022_jp"), "ISO-2022, not UTF-8; convert it: iconv"),
        ("船".encode("iso2022_jp_2004"), "ISO-2022, not UTF-8; convert it: iconv"),
        ("배".encode("iso2022_kr"), "ISO-2022, not UTF-8; convert it: iconv"),
    ],
)
def test_another_format_named_as_text_is_named_with_what_gives_its_text(tmp_path, content, named):
    (tmp_path / "a.txt").write_bytes(content)
    kept, bad = texts(tmp_path / "a.txt")
    assert not kept and len(bad) == 1 and named in bad[0]


def test_a_tar_named_as_packed_text_is_named(tmp_path):
    packed_tar = io.BytesIO()
    with tarfile.open(fileobj=packed_tar, mode="w:gz") as tar:
        member = tarfile.TarInfo("a.txt")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"ferry"))
    (tmp_path / "a.txt.gz").write_bytes(packed_tar.getvalue())
    kept, bad = texts(tmp_path / "a.txt.gz")
    assert not kept and "a tar archive; unpack it" in bad[0]


@pytest.mark.parametrize("ending", ["\r\n", "\r\r\n", "\r\r\r\n"])
def test_line_ends_that_were_converted_twice_are_single(tmp_path, ending):
    (tmp_path / "a.txt").write_bytes(f"one{ending}{ending}two{ending}".encode())
    assert texts(tmp_path / "a.txt") == (["one\n\ntwo\n"], [])


def test_line_ends_take_time_by_the_texts_length():
    assert packed.with_line_feeds("\r" * 4_000_000 + "\n") == "\n"  # one by one, this would take half an hour
    assert packed.with_line_feeds("\r" * 4_000_000 + "a\r\r\nb") == "\r" * 4_000_000 + "a\nb"


def test_text_with_terminal_escapes_form_feeds_and_old_line_ends_is_kept(tmp_path):
    (tmp_path / "log.txt").write_text("\x1b[31mfailed\x1b[0m\f\npage two\b\n" + "fine\n" * 500 + "\x00\n")
    (tmp_path / "mac.txt").write_bytes(b"one\rtwo\r")
    assert texts(tmp_path / "log.txt")[0][0].startswith("\x1b[31mfailed")
    assert texts(tmp_path / "mac.txt") == (["one\ntwo\n"], [])


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("layout", ["lines", "array", "indented", "array in each line"])
def test_rows_in_any_unicode_encoding_and_any_layout_of_json(tmp_path, encoding, layout):
    rows_in = [{"text": "ਊ one"}, {"text": "two\u2028line", "n": [1, {"text": "inner"}]}, {"text": "“3”"}]
    content = {
        "lines": "\n".join(json.dumps(row, ensure_ascii=False) for row in rows_in),
        "array": json.dumps(rows_in, ensure_ascii=False),
        "indented": "\n".join(json.dumps(row, ensure_ascii=False, indent=2) for row in rows_in),
        "array in each line": "\n".join(f"[{json.dumps(row, ensure_ascii=False)}]" for row in rows_in),
    }[layout]
    (tmp_path / "a.json").write_bytes(content.encode(encoding))
    assert texts(tmp_path / "a.json") == (["ਊ one", "two\u2028line", "“3”"], [])


def test_a_broken_character_in_utf16_costs_its_line(tmp_path):
    lines = ['{"text": "one"}\n', '{"text": "\udc00"}\n', '{"text": "three"}\n']
    content = codecs.BOM_UTF16_LE + "".join(lines).encode("utf-16-le", "surrogatepass") + b"\n"
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    found = [item if isinstance(item, Drop) else text.clean(item, source="s") for item in text.read(path)]
    assert [item.text for item in found if not isinstance(item, Drop)] == ["one", "three"]
    assert [item.reason for item in found if isinstance(item, Drop)] == ["not Unicode", "malformed record"]


def test_what_follows_an_array_is_counted(tmp_path):
    (tmp_path / "a.json").write_text('[{"text": "one"}]\nand more')
    kept, bad = texts(tmp_path / "a.json")
    assert kept == ["one"] and len(bad) == 1 and "not JSON" in bad[0]


class TestGzip:
    LINES = b"".join(b'{"text": "%d"}\n' % number for number in range(3000))

    def test_members_and_zeros_after_them(self, tmp_path):
        path = tmp_path / "a.jsonl.gz"
        path.write_bytes(gzip.compress(b'{"text": "a"}\n') + gzip.compress(b'{"text": "b"}') + bytes(999))
        assert texts(path) == (["a", "b"], [])

    @pytest.mark.parametrize("seed", range(8))
    def test_all_complete_rows_before_a_cut_or_a_bad_member_are_read(self, tmp_path, seed):
        """Compared with what zlib gives for the same bytes."""
        draw = random.Random(seed)
        packed = gzip.compress(self.LINES)[: draw.randrange(200, 4000)]
        expected = zlib.decompressobj(31).decompress(packed).rpartition(b"\n")[0].split(b"\n")
        if seed % 2:
            packed, expected = gzip.compress(self.LINES) + b"no gzip", self.LINES.split(b"\n")[:-1]
        path = tmp_path / "a.jsonl.gz"
        path.write_bytes(packed)
        kept = []
        with pytest.raises(rows.UNREADABLE):
            for item in text.read(path):
                kept.append(item.text)
        assert kept == [json.loads(line)["text"] for line in expected]


def test_parquet_files_whose_schemas_differ_and_binary_columns_are_read_one_by_one(tmp_path):
    tables = [
        {"text": pa.array([b"one", b"\xff"], pa.binary())},
        {"id": pa.array([1]), "content": pa.array(["two"], pa.large_string())},
        {"content": pa.array(["three"]).dictionary_encode(), "id": pa.array(["x"])},
        {"text": pa.array([["no"]])},
    ]
    for number, table in enumerate(tables):
        pq.write_table(pa.table(table), tmp_path / f"{number}.parquet")
    found = [texts(path) for path in text.inputs(tmp_path)]
    assert [kept for kept, _ in found] == [["one"], ["two"], ["three"], []]
    assert "text (bytes that are not UTF-8)" in found[0][1][0] and "text (list)" in found[3][1][0]
