"""Repositories in, files under accepted licences out, without their headers and with everything else."""

import gzip
import json
import os
import sysconfig
import tarfile
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.documents import Document, Drop, Record
from data.errors import DataError
from data.sources import rows
from data.sources.github import licences
from data.sources.github import recipe as github
from data.sources.github.comments import language, strip_licence

MIT = """Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files ... subject to the following conditions:
The above copyright notice and this permission notice shall be included in all copies."""
BSD2 = """Redistribution and use in source and binary forms, with or without
modification, are permitted provided that the following conditions are met:
1. Redistributions of source code must retain the above copyright notice.
2. Redistributions in binary form must reproduce the above copyright notice."""
BSD3 = BSD2 + "\n3. may not be used to endorse or promote products derived from this software."
BSD4 = BSD3 + "\nAll advertising materials mentioning features or use of this software must ..."
APACHE = "Apache License\n  Version 2.0, January 2004\n TERMS AND CONDITIONS FOR USE"
GPL = "GNU GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007"
CODE = "def add(first, second):\n    return first + second\n"


def clean(text: str, path: str = "a.py", licence: str = "mit", **options) -> Document | Drop:
    return github.clean(Record("in", 0, text, licence=licence, meta={"path": path}), **options)


def outcome(path: Path) -> dict[str, str]:
    """Every file of every repository at `path`: its cleaned text, or why it was dropped."""
    found = {}
    for unit in github.inputs(path):
        for item in github.read(unit):
            if isinstance(item, Drop):
                found[item.detail or item.file] = f"dropped: {item.reason}"
            else:
                cleaned = github.clean(item)
                dropped = isinstance(cleaned, Drop)
                found[item.meta["path"]] = f"dropped: {cleaned.reason}" if dropped else cleaned.text
    return found


def repository(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


HEADERS = [
    (
        "a.py",
        "#!/usr/bin/env python\n# -*- coding: utf-8 -*-\n",
        "# Copyright 2020 A\n# Licensed under MIT\n",
        "import os",
    ),
    (
        "a.c",
        "",
        "/*\n * Copyright (c) 2010, A\n *\n * All rights reserved.\n */\n",
        "#include <stdio.h>\nint x;",
    ),
    ("a.h", "", "// Copyright 2020 A\n// SPDX-License-Identifier: MIT\n", "#pragma once\n#include <a.h>"),
    ("a.sh", "#!/bin/sh\n", "#\n# Copyright 2020 A\n#\n# See LICENSE\n#\n", "set -e"),
    ("a.md", "", "<!-- Copyright 2020 A -->\n", "# Licence and copyright\n\nA title that stays."),
    ("a.go", "", "// Copyright 2020 A\n\n", "//go:build linux\n\npackage main"),
    ("a.go", "", "// Copyright 2020 A. All rights reserved.\n\n", "// Package a adds.\npackage a"),
    ("a.rs", "", "// Copyright 2020 A\n\n", "#![no_std]\n//! Adds."),
    ("a.php", "<?php\n", "/* Copyright 2020 A */\n", "echo 1;"),
    ("a.sql", "", "-- Copyright 2020 A\n-- licence: MIT\n", "select 1;"),
    ("a.hs", "", "{- Copyright 2020 A -}\n", "module A where"),
    ("a.lua", "", "--[[ Copyright 2020\n A ]]\n", "local a = 1"),
    ("a.css", "", "/*! Copyright 2020 A | MIT */\n", "#id { color: red }"),
    ("a.html", "<!DOCTYPE html>\n", "<!--\nCopyright 2020 A\n-->\n", "<p>text</p>"),
    ("a.bat", "", "rem Copyright 2020 A\n", "echo on"),
    ("a.tex", "", "% Copyright 2020 A\n%\n% Licensed under MIT\n", "\\documentclass{article}"),
    ("Makefile", "", "########\n# Copyright 2020 A\n########\n", "all: a.o"),
    (
        "a.py",
        "",
        "# Copyright 2020 A\n#\n# the words between\n#\n# THE COPYRIGHT HOLDERS\n\n",
        "# What it does.\nx = 1",
    ),
    ("a.js", "", "/* Copyright 2020 A */\n", "/* eslint-env node */\nlet x = 1;"),
]


@pytest.mark.parametrize(("path", "first", "header", "code"), HEADERS)
def test_a_licence_header_goes_and_everything_else_stays(path, first, header, code):
    stripped = strip_licence(first + header + code, language(path))
    assert [line for line in stripped.split("\n") if line] == [
        line for line in (first + code).split("\n") if line
    ]
    assert strip_licence(stripped, language(path)) == stripped


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.c", "#include <a.h>\n/* Copyright 2020 A */\nint x;"),  # below the first line of code
        ("a.c", "/* copyright */ int x;"),  # code on the same line
        ("a.c", "/* copyright, and it never closes\nint x;"),
        ("a.c", "/* What this file does. */\nint licence;"),
        ("a.py", "# Adds two numbers.\n\nlicence = 'copyright'"),
        ("a.py", '"""The licence is MIT."""\nx = 1'),
        ("a.md", "# Copyright\n\n## Licence\n\nMIT"),
        ("a.rst", "Licence\n=======\n\nMIT"),
        ("a.css", "#copyright { color: red }"),
        ("a.py", "#!/usr/bin/licence\nx = 1"),
    ],
)
def test_what_is_no_licence_header_is_not_touched(path, text):
    assert strip_licence(text, language(path)) == text


def test_only_the_paragraphs_that_speak_of_the_licence_go():
    text = "# foo.py: adds.\n#\n# Copyright 2020 A\n# MIT\n#\n# It adds two numbers.\nx = 1"
    assert strip_licence(text, language("a.py")) == "# foo.py: adds.\n\n# It adds two numbers.\nx = 1"


@pytest.mark.parametrize(
    ("path", "licence", "comment"),
    [
        ("a.c", "/*\n * Copyright (c) 2010 X\n * Licensed to you\n */", "/**\n * Adds two numbers.\n */"),
        ("a.js", "// Copyright 2010 X", "/*\n * Adds two numbers.\n */"),
        ("a.html", "<!--\nCopyright X\n-->", "<!--\nNotes\n-->"),
        ("a.hs", "-- Copyright X\n-- All rights reserved", "{-\nAdds two numbers.\n-}"),
        ("a.ps1", "# Copyright X", "<#\n.SYNOPSIS\n Adds.\n#>"),
        ("a.lua", "-- Copyright X", "--[[\nAdds.\n]]"),
        ("a.py", "####\n# Copyright X\n####", "#####\n# Adds.\n#####"),
    ],
)
def test_the_comment_above_or_below_a_licence_stays_whole(path, licence, comment):
    code = "\nint add(int a);\n"
    assert strip_licence(f"{licence}\n\n{comment}{code}", language(path)) == comment + code
    assert strip_licence(f"{comment}\n\n{licence}\n{code}", language(path)) == f"{comment}\n{code}"


def test_blocks_that_touch_a_licence_keep_their_marks():
    first, licence, last = "/*\n * foo.c\n */\n", "/*\n * Copyright X\n */\n", "/*\n * Adds.\n */\nint x;"
    assert strip_licence(first + licence + last, language("a.c")) == first + "\n" + last


lines = st.lists(st.text("abc #/*-<!(licence)\"'\t", max_size=12), max_size=8).map("\n".join)


@settings(deadline=None)
@given(lines, st.sampled_from(["a.py", "a.c", "a.md", "a.sql", "a.php", "a.lua"]))
def test_stripping_only_ever_removes_lines_and_doing_it_twice_changes_nothing(text, path):
    stripped = strip_licence(text, language(path))
    kept = iter(text.split("\n"))
    assert all(line in kept for line in stripped.split("\n") if line)  # a subsequence, in order
    assert len(stripped.split("\n")) <= len(text.split("\n"))
    assert strip_licence(stripped, language(path)) == stripped


@settings(deadline=None)
@given(st.text("xyz =#/*\n", max_size=60), st.sampled_from([header for header in HEADERS if not header[1]]))
def test_files_that_differ_in_their_header_alone_become_equal(code, header):
    path, _, comment, _ = header
    code = "first = line\n" + code
    bare, headed = strip_licence(code, language(path)), strip_licence(comment + code, language(path))
    assert headed == bare == code


@pytest.mark.parametrize(
    ("text", "licence"),
    [
        (MIT, "mit"),
        (BSD2, "bsd-2-clause"),
        (BSD3, "bsd-3-clause"),
        (BSD4, "bsd-4-clause"),
        (APACHE, "apache-2.0"),
        (GPL, "gpl-3.0"),
        (MIT + "\nThe Software shall be used for Good, not Evil.", "unknown"),
        (MIT + "\n" + GPL, "mit AND gpl-3.0"),
        (APACHE + "\nwith the Commons Clause", "apache-2.0 AND commons-clause"),
        ("All rights reserved.", "unknown"),
    ],
)
def test_licences_are_known_by_what_they_grant(text, licence):
    assert licences.recognise(text) == licence
    assert licences.recognise("\n\t ".join(text.upper().split())) == licence


def test_real_licences_are_recognised(shared_data):
    found = {}
    for archive in sorted(shared_data.glob("code/*.tar.gz")):
        found[archive.name.split("+")[0]] = Counter(
            item.licence for item in github.read(archive) if isinstance(item, Record)
        ).most_common(1)[0][0]
    assert found == {"jquery": "mit", "psf": "apache-2.0", "redis": "bsd-3-clause"}


def test_pythons_own_licence_is_recognised():
    path = Path(sysconfig.get_path("stdlib")) / "LICENSE.txt"
    if not path.is_file():
        pytest.skip("this Python came without its licence")
    assert licences.recognise(path.read_text()) == "psf-2.0"


@pytest.mark.parametrize(
    ("expression", "accepted"),
    [
        ("MIT", True),
        ("(MIT OR GPL-3.0)", True),
        ("mit AND apache-2.0", True),
        ("mit AND gpl-3.0", False),
        ("mit AND (apache-2.0 OR gpl-3.0)", False),
        ("none", False),
        ("", False),
    ],
)
def test_an_expression_is_accepted_only_if_it_can_be_met(expression, accepted):
    assert licences.is_accepted(expression, github.ACCEPTED) == accepted


def test_the_nearest_licence_covers_a_file(tmp_path):
    files = {
        "LICENSE": MIT,
        "a.py": CODE,
        "vendored/COPYING": GPL,
        "vendored/deep/b.py": CODE,
        "c/c.py": CODE,
    }
    found = outcome(repository(tmp_path / "repo", files))
    assert found["a.py"] == found["c/c.py"] == CODE
    assert found["vendored/deep/b.py"] == "dropped: licence gpl-3.0"


def test_two_named_licences_leave_the_choice_and_two_plain_ones_do_not(tmp_path):
    either = repository(tmp_path / "either", {"LICENSE-MIT": MIT, "LICENSE-GPL": GPL, "a.py": CODE})
    both = repository(tmp_path / "both", {"LICENSE": MIT, "COPYING": GPL, "a.py": CODE})
    assert outcome(either)["a.py"] == CODE
    assert outcome(both)["a.py"] == "dropped: licence gpl-3.0 AND mit"


@pytest.mark.parametrize(
    ("files", "licence"),
    [
        ({"MIT-LICENSE": MIT}, "mit"),
        ({"MIT-LICENSE.txt": MIT}, "mit"),
        ({"APACHE-LICENSE-2.0.txt": APACHE}, "apache-2.0"),
        ({"UNLICENSE": "Free.", "LICENSE-MIT": MIT}, "mit OR unknown"),
        ({"LICENSES/MIT.txt": MIT}, "mit"),
        ({"LICENSES/MIT.txt": MIT, "LICENSES/GPL-3.0-only.txt": GPL}, "gpl-3.0 AND mit"),
        ({"LICENSES/GPL-3.0-only.txt": GPL, "LICENSE": MIT}, "mit"),
        ({"licence_check.py": MIT, "notice.txt": MIT, "relicense.txt": MIT}, "none"),
    ],
)
def test_a_licence_file_is_known_by_its_name_or_folder(tmp_path, files, licence):
    root = repository(tmp_path / "lib", {"src/a.py": CODE} | files)
    with tarfile.open(tmp_path / "lib.tar.gz", "w:gz") as archive:
        archive.add(root, "lib-1.0")
    for path in (root, tmp_path / "lib.tar.gz"):
        records = [item for item in github.read(path) if isinstance(item, Record)]
        assert [record.licence for record in records if record.meta["path"] == "src/a.py"] == [licence]
    assert licence == "none" or github.inputs(root) == [root]


def test_a_folder_is_a_repository_if_it_has_a_licence_and_holds_repositories_if_not(tmp_path):
    repository(tmp_path / "all" / "one", {"LICENSE": MIT, "a.py": CODE})
    repository(tmp_path / "all" / "two", {"b.py": CODE})
    assert github.inputs(tmp_path / "all") == [tmp_path / "all" / "one", tmp_path / "all" / "two"]
    assert github.inputs(tmp_path / "all" / "one") == [tmp_path / "all" / "one"]
    found = outcome(tmp_path / "all")
    assert found["a.py"] == CODE and found["b.py"] == "dropped: licence none"


def test_a_licence_known_from_elsewhere_covers_a_repository_that_has_none(tmp_path):
    root = repository(tmp_path / "lib", {"a.py": CODE, "left_out/b.py": CODE})
    (record,) = github.read_folder(root, licence="psf-2.0", skipped=frozenset({"left_out"}))
    assert isinstance(github.clean(record), Drop)
    kept = github.clean(record, source="python_code", accepted=frozenset({"psf-2.0"}))
    assert kept.text == CODE and kept.licence == "psf-2.0" and kept.source == "python_code"


def test_a_snapshot_gives_what_its_unpacked_folder_gives(shared_data, tmp_path):
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
        f"dropped: {reason}" for reason in ("licence gpl-2.0", "binary", "not a language that is read")
    ]
    first = next(github.read(tmp_path / "000.parquet"))
    assert first.url == "https://github.com/o/r/blob/HEAD/a.py" and first.meta["repository"] == "o/r"


@pytest.mark.parametrize(
    ("row", "licence"),
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
        ({"content": CODE.encode(), "path": "a.py", "repo_name": "o/r", "license": ["mit", "gpl-2.0"]}, ""),
    ],
)
def test_the_columns_of_usual_code_datasets_are_known(tmp_path, row, licence):
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "a.parquet")
    (record,) = github.read(tmp_path / "a.parquet")
    cleaned = github.clean(record)
    assert record.text == CODE and record.meta == {"repository": "o/r", "path": "a.py"}
    if licence:
        assert cleaned.licence == licence and cleaned.url == "https://github.com/o/r/blob/HEAD/a.py"
    else:
        assert cleaned.reason == "licence mit AND gpl-2.0"


def test_a_row_without_its_columns_says_what_it_has(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"content": ["x"], "filename": "a.py"}\n')
    (drop,) = github.read(tmp_path / "a.jsonl")
    assert drop.malformed and "content (list), filename (str)" in drop.detail
    assert "content or code or text" in drop.detail and "max_stars_repo_path" in drop.detail
    pq.write_table(pa.table({"content": [b"\xff"], "path": ["a.py"]}), tmp_path / "b.parquet")
    (drop,) = github.read(tmp_path / "b.parquet")
    assert drop.reason == "not UTF-8" and drop.detail == "a.py"


def test_malformed_rows_are_set_aside_with_their_place_and_reading_goes_on(tmp_path):
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
    assert clean(text, path).reason == reason
    assert isinstance(clean(CODE, path), Document)


def test_files_that_need_not_be_read_are_dropped_by_name_and_size(tmp_path):
    files = {"LICENSE": MIT, "a.min.js": CODE, "a_pb2.py": CODE, "b.lock": CODE, "big.py": CODE * 30_000}
    files |= {"latin.py": "# é\n".encode("latin-1"), "node_modules/x/a.js": CODE, "fine.py": CODE}
    root = repository(tmp_path / "repo", files)
    os.symlink("fine.py", root / "link.py")
    os.symlink(tmp_path, root / "loop")
    found = {Path(name).name: text.removeprefix("dropped: ") for name, text in outcome(root).items()}
    assert found == {
        "LICENSE": "not a language that is read",
        "a.min.js": "generated",
        "a_pb2.py": "generated",
        "b.lock": "not a language that is read",
        "big.py": "larger than 1 MiB",
        "latin.py": "not UTF-8",
        "fine.py": CODE,
    }


def test_real_minified_and_generated_files_are_dropped(shared_data):
    assert set(outcome(shared_data / "code" / "minified").values()) == {"dropped: generated"}
    text = (shared_data / "code" / "minified" / "jquery-latest.min.js").read_text()
    assert clean(text, "jquery.js").reason == "a line above 1000 characters"


def test_windows_line_ends_and_byte_order_marks_are_no_difference():
    assert clean("\ufeff" + CODE.replace("\n", "\r\n")).text == clean(CODE).text == CODE


def test_a_broken_snapshot_says_so(tmp_path, shared_data):
    whole = next(shared_data.glob("code/redis*.tar.gz")).read_bytes()
    for name, content in {"half.tar.gz": whole[: len(whole) // 2], "not.tar.gz": b"not a tar at all"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(rows.UNREADABLE):
            list(github.read(tmp_path / name))


def test_inputs_that_are_not_there_are_refused_by_name(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.txt").write_text("x")
    for name, words in {"missing": "no such file", "empty": "nothing here", "a.txt": "nothing here"}.items():
        with pytest.raises(DataError, match=words):
            github.inputs(tmp_path / name)
