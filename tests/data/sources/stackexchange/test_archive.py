"""A site's .7z: its posts are read, and nothing is written anywhere."""

import contextlib
import json
import re
import struct
import zlib
from pathlib import Path
from random import Random

import py7zr
import pytest

from data.main import main
from data.sources.files import limits
from data.sources.stackexchange import archive
from data.sources.stackexchange.archive import Unreadable
from tests.support.stackexchange import (
    SITE,
    answer,
    documents,
    items,
    packed,
    question,
    site,
    until_broken,
    xml,
)

BZIP2 = [{"id": py7zr.FILTER_BZIP2}]
ROWS = [
    question(1, "One"),
    answer(2, 1, 3),
    question(3, "Three"),
    answer(4, 3),
    answer(5, 1, 12, "<p>Best.</p>"),
]
CONTENT = xml(ROWS).encode()


def test_an_archive_gives_the_same_as_its_posts(tmp_path):
    plain = documents(items(site(tmp_path, CONTENT)))
    filters = [
        None,
        BZIP2,
        [{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 24}],
        [{"id": py7zr.FILTER_LZMA, "preset": 6}],
    ]
    for chain in filters:
        members = {"Badges.xml": b"<badges/>" * 9999, "Posts.xml": CONTENT, "Users.xml": b"<users/>"}
        path = packed(tmp_path / f"{SITE}.7z", members, filters=chain)
        found = documents(items(path))
        assert [(d.id, d.text, d.url, d.meta) for d in found] == [
            (d.id, d.text, d.url, d.meta) for d in plain
        ]


@pytest.mark.parametrize("place", ["coffee/Posts.xml", "POSTS.XML"])
def test_the_posts_are_found_wherever_they_are_in_an_archive(tmp_path, place):
    assert len(items(packed(tmp_path / f"{SITE}.7z", {place: CONTENT}))) == 2


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"Users.xml": b"<users/>"}, "the archive has 0 files Posts.xml, expected one .it holds Users.xml"),
        ({}, "0 files Posts.xml"),
        (
            {f"{SITE}-Badges.7z": b"7z", f"{SITE}-Posts.7z": b"7z"},
            f"an archive of archives: unpack it and give its {SITE}-Posts.7z in its place",
        ),
        ({"a/Posts.xml": CONTENT, "b/Posts.xml": CONTENT}, "2 files Posts.xml"),
    ],
)
def test_an_archive_without_exactly_one_posts_file_is_reported(tmp_path, members, message):
    found, error = until_broken(packed(tmp_path / f"{SITE}.7z", members))
    assert found == [] and re.search(message, error)


def renamed(path: Path, name: str, to: str) -> Path:
    """Rename a member: the archive's header is not compressed, and its checksums are corrected."""
    content = path.read_bytes().replace(name.encode("utf-16-le"), to.encode("utf-16-le"))
    offset, size = struct.unpack("<QQ", content[12:28])
    start = struct.pack("<QQI", offset, size, zlib.crc32(content[32 + offset : 32 + offset + size]))
    path.write_bytes(content[:8] + struct.pack("<I", zlib.crc32(start)) + start + content[32:])
    return path


@pytest.mark.parametrize("name", ["../../../Posts.xml", "/tmp/root/Posts.xml", "C:/x/..../Posts.xml"])
def test_a_member_that_would_climb_out_is_never_written(tmp_path, name):
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / f"{SITE}.7z"
    with py7zr.SevenZipFile(path, "w") as archive:
        archive.set_encoded_header_mode(False)
        archive.writestr(CONTENT, "x" * (len(name) - 9) + "Posts.xml")
    before = sorted(tmp_path.rglob("*"))
    path = renamed(path, "x" * (len(name) - 9) + "Posts.xml", name)
    with contextlib.suppress(Unreadable):
        assert len(items(path)) == 2
    assert sorted(tmp_path.rglob("*")) == before and not Path("/tmp/root").exists()


def test_a_damaged_archive_is_reported_and_stops_nothing_else(tmp_path):
    rows = [question(n, f"No {n}", f"<p>{n * 7919 % 1009}</p>" * 9) for n in range(2000)]
    path = packed(tmp_path / f"{SITE}.7z", {"Posts.xml": xml(rows).encode()})
    whole = path.read_bytes()
    for start in range(0, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:start] + bytes([whole[start] ^ 0x55]) + whole[start + 1 :])
        try:
            items(path)
        except Unreadable:
            continue
        assert start < 32  # only the signature's version may change unseen
    for size in (0, 5, 32, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        assert until_broken(path)[1]


def test_posts_before_the_damage_in_an_archive_are_kept(tmp_path):
    random = Random(0)
    rows = [question(n, f"No {n}", random.randbytes(3000).hex()) for n in range(1000)]
    path = packed(tmp_path / f"{SITE}.7z", {"Posts.xml": xml(rows).encode()}, filters=BZIP2)
    whole = path.read_bytes()
    place = len(whole) * 3 // 4
    path.write_bytes(whole[:place] + b"damage" + whole[place + 6 :])
    found, message = until_broken(path)
    assert "damaged" in message and 100 < len(documents(found)) < 1000


def test_an_archive_that_grows_beyond_bounds_is_too_large(tmp_path, monkeypatch):
    path = packed(tmp_path / f"{SITE}.7z", {"Posts.xml": b"<posts>" + b" " * (8 << 20) + b"</posts>"})
    assert items(path) == []
    monkeypatch.setattr(limits, "FREE_BYTES", 1 << 20)
    with pytest.raises(limits.TooLarge, match="unpacks to more than 1 MiB"):
        items(path)
    path = packed(tmp_path / f"{SITE}.7z", {"Users.xml": b" " * (8 << 20), "Posts.xml": b"<posts/>"})
    with pytest.raises(limits.TooLarge, match="unpacks to more than 1 MiB"):
        items(path)


def test_an_archive_beyond_bounds_costs_only_itself(tmp_path, monkeypatch):
    packed(tmp_path / f"{SITE}.7z", {"Posts.xml": b"<posts>" + b" " * (8 << 20) + b"</posts>"})
    packed(tmp_path / "coffee.stackexchange.com.7z", {"Posts.xml": CONTENT})
    monkeypatch.setattr(limits, "FREE_BYTES", 1 << 20)
    arguments = ["recipe=stackexchange", f"input={tmp_path}", f"corpora={tmp_path / 'c'}", "max_broken=0"]
    assert main([*arguments, "engine.workers=1"]) == 0
    report = json.loads((tmp_path / "c/stackexchange/report.json").read_text())
    (example,) = report["dropped"]["too large"]["examples"]
    assert report["kept"] == 2 and example["file"] == str(tmp_path / f"{SITE}.7z")


def test_an_archive_that_needs_too_much_memory_is_refused(tmp_path, monkeypatch):
    for chain in (
        [{"id": py7zr.FILTER_PPMD, "order": 6, "mem": 24}],
        [{"id": py7zr.FILTER_LZMA2, "preset": 6}],
    ):
        path = packed(tmp_path / f"{SITE}.7z", {"Posts.xml": CONTENT}, filters=chain)
        monkeypatch.setattr(archive, "MAX_DICTIONARY", 1 << 30)
        assert len(items(path)) == 2
        monkeypatch.setattr(archive, "MAX_DICTIONARY", 1 << 20)
        assert "bytes to unpack" in until_broken(path)[1]


def test_an_encrypted_archive_is_reported(tmp_path):
    path = packed(tmp_path / f"{SITE}.7z", {"Posts.xml": CONTENT}, password="tea")
    assert "encrypted" in until_broken(path)[1]
