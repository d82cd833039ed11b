"""From repositories, snapshots and datasets to source files worth training on."""

import gzip
import json
import os
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.documents import Document, Drop, Record
from data.errors import DataError
from data.sources import github
from data.sources.files import rows
from tests.support.github import CODE, MIT, clean, outcome, repository
from tests.support.narrow import as_a


def test_a_folder_without_a_license_holds_repositories(tmp_path):
    repository(tmp_path / "all" / "one", {"LICENSE": MIT, "a.py": CODE})
    repository(tmp_path / "all" / "two", {"b.py": CODE})
    assert github.inputs(tmp_path / "all") == [tmp_path / "all" / "one", tmp_path / "all" / "two"]
    assert github.inputs(tmp_path / "all" / "one") == [tmp_path / "all" / "one"]
    found = outcome(tmp_path / "all")
    assert found["a.py"] == CODE and found["b.py"] == "dropped: license none"


def test_a_given_license_applies_to_a_repository_without_one(tmp_path):
    root = repository(tmp_path / "lib", {"a.py": CODE, "left_out/b.py": CODE})
    (item,) = github.read_folder(root, license="psf-2.0", skipped=frozenset({"left_out"}))
    record = as_a(Record, item)
    assert isinstance(github.clean(record), Drop)
    kept = as_a(Document, github.clean(record, source="python_code", accepted=frozenset({"psf-2.0"})))
    assert kept.text == CODE and kept.licence == "psf-2.0" and kept.source == "python_code"


def test_a_snapshot_gives_the_same_as_its_unpacked_folder(shared_data, tmp_path):
    for archive in sorted(shared_data.glob("code/*.tar.gz")):
        with tarfile.open(archive) as members:
            members.extractall(tmp_path / archive.name, filter="data")
        packed, unpacked = outcome(archive), outcome(tmp_path / archive.name)
        kept = {path: text for path, text in packed.items() if not text.startswith("dropped")}
        assert kept == {path: text for path, text in unpacked.items() if not text.startswith("dropped")}
        assert len(kept) > 50
        notices = [path for path, text in kept.items() if "copyright (c)" in text.lower()[:200]]
        assert not [path for path in notices if path.endswith((".c", ".h", ".js", ".py"))]


def test_exports_in_json_lines_and_parquet_give_the_same_documents(tmp_path):
    columns = [
        {"content": CODE, "path": "a.py", "repo_name": "o/r", "license": "mit"},
        {"content": CODE * 2, "sample_path": "b.py", "sample_repo_name": "o/s", "license": "apache-2.0"},
        {"content": CODE, "path": "c.py", "repo_name": "o/t", "license": "gpl-2.0"},
        {"content": None, "path": "d.py", "repo_name": "o/r", "license": "mit"},
        {"content": CODE, "path": "e.csv", "repo_name": "o/r", "license": "mit"},
    ]
    packed = gzip.compress("\n".join(map(json.dumps, columns)).encode())
    (tmp_path / "000.json.gz").write_bytes(packed)
    names = ["content", "path", "sample_path", "repo_name", "sample_repo_name", "license"]
    table = {name: [row.get(name) for row in columns] for name in names}
    pq.write_table(pa.table(table), tmp_path / "000.parquet")
    found = [outcome(path) for path in (tmp_path / "000.json.gz", tmp_path / "000.parquet")]
    assert found[0] == found[1]
    assert list(found[0].values()) == [CODE, CODE * 2] + [
        f"dropped: {reason}" for reason in ("license gpl-2.0", "binary", "not a supported language")
    ]
    first = as_a(Record, next(github.read(tmp_path / "000.parquet")))
    assert first.url == "https://github.com/o/r/blob/HEAD/a.py" and first.meta["repository"] == "o/r"


@pytest.mark.parametrize(
    ("row", "license"),
    [
        ({"code": CODE, "repo_name": "o/r", "path": "a.py", "license": "mit", "size": 9}, "mit"),
        (
            {
                "content": CODE,
                "max_stars_repo_path": "a.py",
                "max_stars_repo_name": "o/r",
                "max_stars_repo_licenses": ["MIT", "Apache-2.0"],
            },
            "mit AND apache-2.0",
        ),
        ({"content": CODE, "path": "a.py", "repo_name": ["o/r", "p/s"], "license": "MIT License"}, "mit"),
        (
            {"content": CODE, "path": "a.py", "repo_name": "o/r"}
            | {"license": 'BSD 3-Clause "New" or "Revised" License'},
            "bsd-3-clause",
        ),
        ({"text": CODE, "meta": {"repo_name": "o/r", "path": "a.py", "license": [{"name": "mit"}]}}, "mit"),
        ({"text": CODE, "meta": '{"repo_name": "o/r", "path": "a.py", "license": "mit"}'}, "mit"),
        ({"text": CODE, "meta": "{'repo_name': 'o/r', 'path': 'a.py', 'license': 'mit'}"}, "mit"),
        ({"content": CODE.encode(), "path": "a.py", "repo_name": "o/r", "license": ["mit", "gpl-2.0"]}, ""),
    ],
)
def test_the_columns_of_usual_code_datasets_are_known(tmp_path, row, license):
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    (item,) = github.read(tmp_path / "a.parquet")
    record = as_a(Record, item)
    cleaned = github.clean(record)
    assert record.text == CODE and record.meta == {"repository": "o/r", "path": "a.py"}
    if license:
        document = as_a(Document, cleaned)
        assert document.licence == license and document.url == "https://github.com/o/r/blob/HEAD/a.py"
    else:
        assert as_a(Drop, cleaned).reason == "license mit AND gpl-2.0"


def test_a_row_without_its_columns_is_refused_with_those_it_has(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"content": ["x"], "filename": "a.py"}\n')
    (item,) = github.read(tmp_path / "a.jsonl")
    drop = as_a(Drop, item)
    assert drop.malformed and "content (list), filename (str)" in drop.detail
    assert "content or code or text" in drop.detail and "max_stars_repo_path" in drop.detail
    pq.write_table(pa.table({"content": [b"\xff"], "path": ["a.py"]}), tmp_path / "b.parquet")
    (item,) = github.read(tmp_path / "b.parquet")
    drop = as_a(Drop, item)
    assert drop.reason == "unknown encoding" and drop.detail == "a.py"


def test_malformed_rows_are_quarantined_with_their_location_and_reading_continues(tmp_path):
    good = json.dumps({"content": CODE, "path": "a.py", "license": "mit"})
    (tmp_path / "x.jsonl").write_bytes(
        f'{good}\n{{"content": \n[1]\n{{"path": 3}}\n\n{good}\n'.encode() + b"\xff\n"
    )
    items = list(github.read(tmp_path / "x.jsonl"))
    assert [item.record for item in items if isinstance(item, Record)] == [0, 5]
    assert [item.record for item in items if isinstance(item, Drop) and item.malformed] == [1, 2, 3, 6]


@pytest.mark.parametrize(
    ("path", "text", "reason"),
    [
        ("a.py", "x = '" + "a" * 1100 + "'\n", "a line above 1000 characters"),
        ("a.py", ("word " * 30 + "\n") * 20, "mean line above 100 characters"),
        ("a.py", "+-*/ = {} [] ();\n" * 20, "alphanumeric share below 0.25"),
        ("a.py", "x = [1, 22, 333, 4444]\n" * 20, "letters per token below 1.5"),
        ("a.py", "# Code generated by protoc-gen. DO NOT EDIT.\n" + CODE, "generated"),
        ("a.ts", "/** @generated */\n" + CODE, "generated"),
        ("a.py", "# Copyright 2020 A\n", "empty"),
        ("a.py", " \n\n", "empty"),
        ("a.py", "x = 'a\0b'\n", "binary"),
    ],
)
def test_poor_files_are_dropped_for_a_reason(path, text, reason):
    assert as_a(Drop, clean(text, path)).reason == reason
    assert isinstance(clean(CODE, path), Document)


def test_files_that_need_not_be_read_are_dropped_by_name_and_size(tmp_path):
    files = {"LICENSE": MIT, "a.min.js": CODE, "a_pb2.py": CODE, "b.lock": CODE, "big.py": CODE * 30_000}
    files |= {"latin.py": "# é\n".encode("latin-1"), "node_modules/x/a.js": CODE, "fine.py": CODE}
    root = repository(tmp_path / "repo", files)
    os.symlink("fine.py", root / "link.py")
    os.symlink(tmp_path, root / "loop")
    found = {Path(name).name: text.removeprefix("dropped: ") for name, text in outcome(root).items()}
    assert found == {
        "LICENSE": "not a supported language",
        "a.min.js": "generated",
        "a_pb2.py": "generated",
        "b.lock": "not a supported language",
        "big.py": "larger than 1 MiB",
        "latin.py": "unknown encoding",
        "a.js": "third-party folder",
        "fine.py": CODE,
    }


def test_real_minified_and_generated_files_are_dropped(shared_data):
    assert set(outcome(shared_data / "code" / "minified").values()) == {"dropped: generated"}
    text = (shared_data / "code" / "minified" / "jquery-latest.min.js").read_text()
    assert as_a(Drop, clean(text, "jquery.js")).reason == "its notice names another license"
    code = text[text.index("*/") + 2 :]
    assert as_a(Drop, clean(code, "jquery.js")).reason == "a line above 1000 characters"


def test_windows_line_endings_and_byte_order_marks_make_no_difference():
    assert clean("\ufeff" + CODE.replace("\n", "\r\n")).text == clean(CODE).text == CODE


def test_a_broken_snapshot_is_reported(tmp_path, shared_data):
    whole = next(shared_data.glob("code/redis*.tar.gz")).read_bytes()
    for name, content in {"half.tar.gz": whole[: len(whole) // 2], "not.tar.gz": b"not a tar at all"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(rows.UNREADABLE):
            list(github.read(tmp_path / name))


def test_missing_inputs_are_refused_by_name(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("x")
    for name, words in {"missing": "no such file", "empty": "nothing here", "a.txt": "nothing here"}.items():
        with pytest.raises(DataError, match=words):
            github.inputs(tmp_path / name)


@pytest.mark.parametrize(
    ("path", "notice", "kept"),
    [
        ("a.py", "# SPDX-License-Identifier: GPL-3.0-or-later\n", False),
        ("a.py", "# SPDX-License-Identifier: Apache-2.0\n", True),
        ("a.c", "/*\n * This program is free software under the GNU General Public License.\n */\n", False),
        ("a.js", "// Copyright A Company. Proprietary and confidential.\n", False),
        ("a.py", "# Copyright 2020 A\n", True),
        ("a.py", "# This work may be distributed under the LPPL.\n", False),
        ("a.c", "/* Distributed under the University of Illinois Open Source License. */\n", False),
        ("a.py", "# Tells GPL headers from others.\n", True),
    ],
)
def test_a_file_whose_notice_names_another_license_is_dropped(path, notice, kept):
    assert isinstance(clean(notice + CODE, path), Document) == kept


@pytest.mark.parametrize(
    "folder",
    ["vendor", "src/third_party", "lib/site-packages/x", "node_modules/y", "Pods", "src/externals", "deps/z"],
)
def test_other_peoples_code_is_dropped_wherever_it_comes_from(tmp_path, folder):
    root = repository(tmp_path / "lib", {"LICENSE": MIT, f"{folder}/a.py": CODE, "vendors.py": CODE})
    with tarfile.open(tmp_path / "lib.tar.gz", "w:gz") as archive:
        archive.add(root, "lib-1.0")
    rows_in = [{"content": CODE, "path": path, "license": "mit"} for path in (f"{folder}/a.py", "vendors.py")]
    (tmp_path / "lib.jsonl").write_text("\n".join(map(json.dumps, rows_in)))
    for path in (root, tmp_path / "lib.tar.gz", tmp_path / "lib.jsonl"):
        found = outcome(path)
        assert found["vendors.py"] == CODE and found[f"{folder}/a.py"] == "dropped: third-party folder"


@pytest.mark.parametrize(
    ("encoding", "comment"),
    [
        ("latin-1", "Geändert von Jürgen, für größere Tabellen"),
        ("cp1252", "the author’s “own” words"),
        ("cp1252", "à Genève, à Lausanne, à Zürich"),  # single letters count neither way
        ("utf-16", "ein Wort"),
        ("utf-8-sig", "naïve"),
        ("cp1251", "Этот файл проверяет данные пользователя и сохраняет их"),
        ("shift_jis", "このファイルはデータを読みます"),
        ("euc_kr", "이 모듈은 설정 파일을 읽습니다"),
        ("cp932", "①から③までのファイルを読みます"),
    ],
)
def test_older_encodings_are_read(tmp_path, encoding, comment):
    text = f"// {comment}\n" + "int first = second + third;\n" * 30
    root = repository(tmp_path / "lib", {"LICENSE": MIT, "a.c": text.encode(encoding)})
    assert outcome(root)["a.c"] == text


def test_bytes_in_no_encoding_are_dropped(tmp_path):
    files = {"a.c": b"int a;\n" + bytes(range(128, 256)) * 4, "b.c": b"int a;\n\0", "LICENSE": MIT}
    # too short to be detected: read as Western text, it would be signs and lone letters
    files |= {"c.c": "int a; // 中文注释\n".encode("gbk"), "d.c": "int a; // 日本語\n".encode("shift_jis")}
    found = outcome(repository(tmp_path / "lib", files))
    assert found["c.c"] == found["d.c"] == "dropped: unknown encoding"
    assert (found["a.c"], found["b.c"]) == ("dropped: unknown encoding", "dropped: binary")


@pytest.mark.parametrize(
    ("path", "top", "kept"),
    [
        ("a.py", "# Settings of a server.\n# Do not edit these unless you must; see the manual.\n", True),
        ("a.py", "# Generated by Django 4.1 on 2023-01-01\n", True),
        ("a.py", "# Tests of auto-generated names.\n", True),
        ("a.py", 'TEXT = "// Code generated by us. DO NOT EDIT."\n', True),
        ("a.go", "// Code generated by a tool. DO NOT EDIT.\n", False),
        ("a.h", "#pragma once\n// @generated by a tool\n", False),
        ("a.c", "/* DO NOT EDIT */\n", False),
        ("a.py", "# This file is autogenerated by a script\n", False),
        ("a.ts", '<?xml version="1.0"?>\n', False),
    ],
)
def test_only_a_generators_own_mark_makes_a_file_generated(path, top, kept):
    assert isinstance(clean(top + CODE, path), Document) == kept


APACHE_NOTICE = """Copyright 2020 A. Author

Licensed under the Apache License, Version 2.0 (the "License");
you may not use this file except in compliance with the License.
You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, software
distributed under the License is distributed on an "AS IS" BASIS,
WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
See the License for the specific language governing permissions and
limitations under the License.
"""


@pytest.mark.parametrize(
    ("below", "kept"),
    [
        ("// Code generated by a tool. DO NOT EDIT.\n\npackage a\n", False),
        ("package a\n\n// Code generated by a tool. DO NOT EDIT.\n", False),
        ("// Package a has types for code generated by a tool.\npackage a\n", True),
        ("package a\n" + "var x = 1\n" * 12 + "// Code generated by a tool. DO NOT EDIT.\n", True),
    ],
)
def test_a_generators_mark_may_be_below_a_long_notice(below, kept):
    head = f"//go:build linux\n\n/*\n{APACHE_NOTICE}*/\n\n"
    assert isinstance(clean(head + below + CODE, "a.go"), Document) == kept


def test_a_huge_license_file_or_header_takes_little_memory(tmp_path):
    root = repository(tmp_path / "lib", {"LICENSE": MIT + " " * (1 << 20), "a.py": CODE})
    assert outcome(root)["a.py"] == "dropped: license unknown"
    head = tarfile.TarInfo("././@LongLink")
    head.type, head.size = tarfile.GNUTYPE_LONGNAME, 6 << 30
    (tmp_path / "bomb.tar").write_bytes(head.tobuf(tarfile.GNU_FORMAT) + b"x" * 1024)
    with pytest.raises(rows.UNREADABLE, match=r"headers? of"):
        list(github.read(tmp_path / "bomb.tar"))


@pytest.mark.parametrize(
    "name",
    [
        "LICENSE.md",
        "COPYING.rst",
        "NOTICE.md",
        "ThirdPartyNotices.md",
        "THIRD-PARTY-LICENSES.md",
        "3rdparty.md",
    ],
)
def test_a_license_or_notices_in_a_document_are_not_text(tmp_path, name):
    files = {"LICENSE": MIT, "a.py": CODE, name: MIT, "noticed.md": CODE, "docs/third-party-tools.md": CODE}
    found = outcome(repository(tmp_path / "lib", files))
    assert found[name] == "dropped: a license or notices"
    assert found["noticed.md"] == found["docs/third-party-tools.md"] == CODE


def test_a_folder_of_files_is_one_repository(tmp_path):
    (tmp_path / "package.json").write_text("{}")
    (tmp_path / "a.py").write_text(CODE)
    assert github.inputs(tmp_path) == [tmp_path]


ROWS = [{"content": CODE, "path": "a.py", "repo_name": "o/r", "license": "mit"}]
BESIDE = [
    {"README.md": "# A card\n\nof a dataset.", ".gitattributes": "*.parquet filter=lfs\n"},
    {"README.md": "# A card", "github-code.py": CODE, "dataset_infos.json": "{}"},
    {"_SUCCESS": ""},
    {"urls.txt": "https://a.org/1\n", "LICENSE": MIT},
    {},
]


@pytest.mark.parametrize("beside", BESIDE)
@pytest.mark.parametrize("place", [".", "data", "data/python"])
@pytest.mark.parametrize("suffix", [".parquet", ".jsonl", ".json.gz"])
def test_rows_of_code_are_read_whatever_is_beside_them(tmp_path, beside, place, suffix):
    for name, content in beside.items():
        (tmp_path / name).write_text(content)
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    file = tmp_path / place / f"train-0{suffix}"
    lines = "\n".join(map(json.dumps, ROWS)).encode()
    if suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), file)
    else:
        file.write_bytes(gzip.compress(lines) if suffix.endswith(".gz") else lines)
    assert github.inputs(tmp_path) == [file] and outcome(tmp_path) == {"a.py": CODE}
    kinds = {Path(name).suffix or "without a suffix" for name in beside if name[0] != "."}
    assert all(f"1 {kind}" in (github.left_out(tmp_path) or "") for kind in kinds)


@pytest.mark.parametrize(
    "files",
    [
        {"a.py": CODE, "b.py": CODE * 2, "tests/rows.jsonl": json.dumps(ROWS[0])},
        {"README.md": "# A corpus", "a.py": CODE, "rows.jsonl": '{"text": "spoken", "path": "a.wav"}'},
        {"README.md": "# A list", "a.py": CODE, "rows.jsonl": "not JSON"},
    ],
)
def test_a_repository_that_has_rows_too_is_a_repository(tmp_path, files):
    root = repository(tmp_path / "lib", {"LICENSE": MIT} | files)
    assert github.inputs(root) == [root] and outcome(root)["a.py"] == CODE
    assert github.left_out(root) is None


def test_what_lies_beside_snapshots_does_not_hide_them(tmp_path):
    repository(tmp_path / "src" / "lib", {"LICENSE": MIT, "a.py": CODE})
    (tmp_path / "all").mkdir()
    with tarfile.open(tmp_path / "all" / "lib.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "src" / "lib", "lib")
    (tmp_path / "all" / "other.zip").write_bytes(b"PK")
    assert outcome(tmp_path / "all")["a.py"] == CODE
    assert github.left_out(tmp_path / "all") == f"{tmp_path / 'all'}: not read: 1 .zip"


def test_what_lies_beside_repositories_is_named(tmp_path):
    repository(tmp_path / "all" / "lib", {"LICENSE": MIT, "a.py": CODE, "deep/data.zip": "PK"})
    assert github.left_out(tmp_path / "all") is None
    for name in ("other-main.zip", "list.txt", ".hidden"):
        (tmp_path / "all" / name).write_text("PK")
    assert github.inputs(tmp_path / "all") == [tmp_path / "all" / "lib"]
    assert github.left_out(tmp_path / "all") == f"{tmp_path / 'all'}: not read: 1 .txt, 1 .zip"
