"""Damaged and hostile archives: unreadable papers are quarantined, and the next paper is read."""

import gzip
import io
import random
import re
import tarfile
import tracemalloc
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.documents import Document, Drop, Record
from data.sources.arxiv import recipe as arxiv
from data.sources.files import rows
from tests.support.narrow import as_a
from tests.support.papers import CLEANED, PAPER, WHOLE, bulk, cleaned, folder, packed, paper, texts


def test_damaged_papers_are_quarantined_and_the_next_is_read(tmp_path):
    whole = gzip.compress(packed({"main.tex": PAPER, "b.tex": "".join(map(chr, range(40, 120))) * 99}))
    flipped = bytearray(packed({"a.tex": PAPER, "main.tex": PAPER}))
    flipped[1024 + 512 * (len(PAPER) // 512)] ^= 0xFF  # in the second member's header
    members = {
        "0704/0704.0001.gz": whole[: len(whole) // 2],
        "0704/0704.0002.gz": whole[:40] + bytes(40) + whole[80:],
        "0704/0704.0003.gz": whole[:-4] + b"1234",
        "0704/0704.0004.gz": gzip.compress(packed({"main.tex": PAPER})[:600]),
        "0704/0704.0005.gz": gzip.compress(bytes(flipped)),
        "0704/0704.0006.gz": b"\x1f\x8b",
        "0704/0704.0007.gz": b"\x1f\x8bnothing of the kind",
        "0704/0704.0008.gz": paper(),
    }
    found = cleaned(bulk(tmp_path, members))
    assert [item.reason for item in found[:-1]] == ["malformed paper"] * 7
    assert all(item.malformed and item.detail.startswith("0704/0704.000") for item in found[:-1])
    assert [item.record for item in found] == list(range(8))
    assert found[-1].text == CLEANED


@pytest.mark.parametrize("cut", [1200, 1800, 2560])  # in the second's header, in its bytes, at its end
def test_a_truncated_bulk_tar_gives_the_papers_before_the_break(tmp_path, cut):
    noise = gzip.compress(random.Random(1).randbytes(1200))
    path = bulk(tmp_path, {"0704.0001.gz": paper(), "0704.0002.gz": noise[:1024]})
    path.write_bytes(path.read_bytes()[:cut])
    found = []
    with pytest.raises(rows.UNREADABLE):
        found.extend(arxiv.read(path))
    assert as_a(Record, next(arxiv.read(path))).url == "https://arxiv.org/abs/0704.0001"


def test_a_bulk_tar_of_many_members_takes_no_more_memory(tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for number in range(5000):
            member = tarfile.TarInfo(f"folder{number}")
            member.type = tarfile.DIRTYPE
            tar.addfile(member)
    path = tmp_path / "arXiv_src_0704_001.tar"
    path.write_bytes(buffer.getvalue())
    tracemalloc.start()
    assert list(arxiv.read(path)) == []
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert memory < 1 << 20


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path):
    path = bulk(tmp_path, {"0704.0001.gz": paper(), "0704.0002.gz": paper(), "0704.0003.gz": paper()})
    content = bytearray(path.read_bytes())
    content[1024 + 100] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(tarfile.TarError, match="damaged header at byte 1024"):
        list(arxiv.read(path))


def test_damaged_single_files_are_unreadable(tmp_path):
    whole = gzip.compress(packed({"main.tex": PAPER}))
    for name, content in {
        "a.gz": whole[:50],
        "b.tar.gz": b"no gzip",
        "c.tar": b"no tar",
        "d.tar": b"",
    }.items():
        (tmp_path / name).write_bytes(content)
        try:
            (item,) = arxiv.read(tmp_path / name)
        except rows.UNREADABLE:
            continue
        assert isinstance(item, Record) == (name == "b.tar.gz") or isinstance(item, Drop)


def test_members_that_link_climb_or_are_devices_are_never_followed(tmp_path):
    (tmp_path / "secret.tex").write_text("secret")

    def archive(name: str, kind: bytes, link: str = "", content: bytes = b"") -> bytes:
        buffer = io.BytesIO(packed({"main.tex": WHOLE.replace("BODY", f"\\section{{A}}\n\\input{{{name}}}")}))
        with tarfile.open(fileobj=buffer, mode="a") as tar:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.size = kind, link, len(content)
            tar.addfile(member, io.BytesIO(content))
        return gzip.compress(buffer.getvalue())

    secret = str(tmp_path / "secret.tex")
    hostile = {
        "1": archive("x.tex", tarfile.SYMTYPE, secret),
        "2": archive("x.tex", tarfile.LNKTYPE, secret),
        "3": archive("x.tex", tarfile.LNKTYPE, "main.tex"),
        "4": archive("x.tex", tarfile.CHRTYPE),
        "5": archive("x.tex", tarfile.FIFOTYPE),
        "6": archive("../x.tex", tarfile.REGTYPE, content=b"climbs"),
        "7": archive(secret, tarfile.REGTYPE, content=b"climbs"),
    }
    found = cleaned(bulk(tmp_path, {f"0704.000{name}.gz": content for name, content in hostile.items()}))
    assert len(found) == 7
    assert all(
        re.fullmatch(r"\\section\{A\}\n\\input\{.*x\.tex\}\n|.*secret\.tex\}\n", item.text, re.DOTALL)
        for item in found
    )
    assert not any("climbs" in item.text or "secret\n" in item.text for item in found)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["arXiv_src_0704_001.tar", "secret.tex"]


def test_such_members_of_a_bulk_tar_are_not_followed_either(tmp_path):
    buffer = io.BytesIO(packed({"../0704.0001.gz": paper(), "0704.0002.gz": paper()}))
    with tarfile.open(fileobj=buffer, mode="a") as tar:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.DIRTYPE):
            member = tarfile.TarInfo("0704.0003.gz")
            member.type, member.linkname = kind, "0704.0002.gz"
            tar.addfile(member)
    path = tmp_path / "arXiv_src_0704_001.tar"
    path.write_bytes(buffer.getvalue())
    assert Counter(texts(path)) == {"dropped: not a file inside": 4, CLEANED: 1}


def test_a_linked_file_in_a_folder_is_not_followed(tmp_path):
    (tmp_path / "secret.tex").write_text("secret")
    root = folder(
        tmp_path / "p", {"main.tex": WHOLE.replace("BODY", "\\section{A}\n\\input{x}\\input{y/secret}")}
    )
    (root / "x.tex").symlink_to(tmp_path / "secret.tex")
    (root / "y").symlink_to(tmp_path)
    (root / "z").symlink_to(root)
    assert texts(root) == ["\\section{A}\n\\input{x}\\input{y/secret}\n"]


@pytest.mark.parametrize("text", ["", " \n", "%", "% only a comment\n", WHOLE.replace("BODY", "")])
def test_a_paper_without_text_is_empty(tmp_path, text):
    folder(tmp_path / "p", {"main.tex": text})
    assert texts(tmp_path / "p") == ["dropped: empty"]


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=300), st.integers(0, 1500), st.booleans())
def test_whatever_bytes_a_member_has_the_next_paper_is_read(tmp_path_factory, noise, place, is_tar):
    good = bytearray(packed({"main.tex": PAPER}))
    good[place : place + len(noise)] = noise
    hostile = gzip.compress(bytes(good)) if is_tar else bytes(noise)
    path = bulk(tmp_path_factory.mktemp("bulk"), {"0704.0001.gz": hostile, "0704.0002.gz": paper()})
    found = list(arxiv.read(path))
    assert as_a(Record, found[-1]).url == "https://arxiv.org/abs/0704.0002"
    assert all(isinstance(item, Drop) or isinstance(arxiv.clean(item), Document | Drop) for item in found)
