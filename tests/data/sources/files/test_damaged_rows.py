"""Rows beside what a crash, a truncated download or a server's error left are read, and the rest is named."""

import gzip
import io
import json
import random
import tarfile
import zipfile

import pyarrow as pa
import pytest

from data.documents import Drop
from data.sources import text
from data.sources.files import rows

ROWS = [b'{"text": "one"}\n', b'{"text": "two"}\n', b'{"text": "three"}\n']


def found(path, content):
    """The texts of a file with this content, and its bad records by their details."""
    path.write_bytes(content)
    items = list(text.read(path))
    return (
        [item.text for item in items if not isinstance(item, Drop)],
        [item.detail for item in items if isinstance(item, Drop)],
    )


@pytest.mark.parametrize("n_zeros", [1, 3, 4, 5_000, 200_000])
@pytest.mark.parametrize("before", [0, 1, 2, 3])
def test_zero_bytes_between_rows_cost_no_row(tmp_path, n_zeros, before):
    content = b"".join(ROWS[:before]) + bytes(n_zeros) + b"".join(ROWS[before:])
    assert found(tmp_path / "a.jsonl", content)[0] == ["one", "two", "three"]


def test_zero_bytes_at_the_end_of_a_row_s_line_cost_no_row(tmp_path):
    content = ROWS[0].rstrip() + bytes(5_000) + b"\n" + ROWS[1] + bytes(7) + b"\n" + ROWS[2]
    assert found(tmp_path / "a.jsonl", content) == (["one", "two", "three"], ["only zero bytes"])


@pytest.mark.parametrize("n_zeros", [1, 4, 5_000])
@pytest.mark.parametrize("place", [0, 1, 25, -1, None])
def test_zero_bytes_around_an_array_and_its_elements_cost_no_row(tmp_path, n_zeros, place):
    content = b"[" + b",\n".join(row.strip() for row in ROWS) + b"]\n"
    place = {-1: content.rindex(b"]"), None: len(content), 25: content.index(b"\n") + 1}.get(place, place)
    damaged = content[:place] + bytes(n_zeros) + content[place:]
    assert found(tmp_path / "a.json", damaged)[0] == ["one", "two", "three"]


def test_zero_bytes_within_a_row_are_not_read_as_its_text(tmp_path):
    content = ROWS[0] + b'{"text": "t' + bytes(5_000) + b'o"}\n' + ROWS[2]
    assert found(tmp_path / "a.jsonl", content) == (["one", "three"], ["zero bytes within the row"])


def test_a_control_character_that_is_not_escaped_costs_no_row(tmp_path):
    content = b'{"text": "a\tb"}\n{"text": "c\x1b[0m"}{"text": "d\x0c"}\n{"text": "e\n"}\n' + ROWS[0]
    texts, bad = found(tmp_path / "a.jsonl", content)
    assert texts == ["a\tb", "c\x1b[0m", "d\x0c", "one"] and len(bad) == 2


def test_a_truncated_zst_gives_the_rows_before_the_break(tmp_path):
    noise = random.Random(0)
    lines = b"".join(b'{"text": "%s"}\n' % noise.randbytes(500).hex().encode() for _ in range(4_000))
    packed = pa.compress(lines, codec="zstd", asbytes=True)
    path, seen = tmp_path / "a.jsonl.zst", []
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(rows.UNREADABLE, match="Truncated"):
        seen += [item for item in _each(path, seen)]
    assert seen == [json.loads(line)["text"] for line in lines.splitlines()[: len(seen)]]
    assert len(seen) > 1_800


def _each(path, seen):
    for item in text.read(path):
        assert not isinstance(item, Drop)
        seen.append(item.text)
    yield from ()


def test_a_zst_whose_window_is_too_large_says_what_unpacks_it(tmp_path):
    row = ROWS[0]
    frame = b"\x28\xb5\x2f\xfd\0" + bytes([31 - 10 << 3]) + (len(row) << 3 | 1).to_bytes(3, "little") + row
    with pytest.raises(rows.UNREADABLE, match="zstd -d --long=31"):
        found(tmp_path / "a.jsonl.zst", frame)


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        member = tarfile.TarInfo("a.jsonl")
        member.size = len(ROWS[0])
        tar.addfile(member, io.BytesIO(ROWS[0]))
    return file.getvalue()


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.jsonl", ROWS[0])
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "advice"),
    [
        (gzip.compress(gzip.compress(ROWS[0])), "not JSON but compressed twice; gzip -d"),
        (gzip.compress(pa.compress(ROWS[0], codec="zstd", asbytes=True)), "zstd -d unpacks it once"),
        (gzip.compress(_tar()), "not JSON but a tar archive; unpack it"),
        (_tar(), "not JSON but a tar archive; unpack it"),
        (_zip(), "not JSON but a ZIP archive"),
    ],
)
def test_an_archive_named_as_rows_is_named_once(tmp_path, content, advice):
    texts, (detail,) = found(tmp_path / "a.jsonl.gz", content)
    assert texts == [] and advice in detail


@pytest.mark.parametrize(
    "page",
    ["<!DOCTYPE html><html><body>404</body></html>", '<?xml version="1.0"?><Error>AccessDenied</Error>'],
)
def test_a_server_s_page_among_the_rows_is_named_and_costs_no_row(tmp_path, page):
    texts, (detail,) = found(tmp_path / "a.jsonl", page.encode() + b"\n" + b"".join(ROWS))
    assert texts == ["one", "two", "three"] and "a server's error; download the file again" in detail


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_a_server_s_page_named_as_a_table_is_named(tmp_path, name):
    with pytest.raises(rows.UNREADABLE, match="HTML or XML, as of a server's error; download the file again"):
        found(tmp_path / name, b"<!DOCTYPE html><html><body>404</body></html>")
