"""License notices are removed from source files; code and descriptions are kept."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.documents import Drop
from data.sources.github.comments import language
from data.sources.github.notices import split_notice
from tests.support.github import CODE, clean


def without_notice(text: str, path: str) -> str:
    comments = language(path)
    assert comments
    return split_notice(text, comments)[0]


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
        "# Copyright 2020 A\n#\n# Copies must keep this notice.\n#\n# THE COPYRIGHT HOLDERS\n\n",
        "# What it does.\nx = 1",
    ),
    ("a.js", "", "/* Copyright 2020 A */\n", "/* eslint-env node */\nlet x = 1;"),
    (
        "a.cs",
        "",
        "#region License\n// Copyright 2020 A\n// MIT License\n#endregion\n\n",
        "using System;\n#region Fields\n#endregion",
    ),
    ("a.cs", "", "// Copyright 2020 A\n\n", "using System;\n#region Fields\n#endregion"),
    ("a.ts", "", "//#region License\n// Copyright 2020 A\n//#endregion\n", "let x = 1;"),
    ("a.rb", "", "# Copyright 2020 A\n", "# encoding: utf-8\nx = 1"),
    ("a.py", "", "# Copyright 2020 A\n# All rights reserved\n", "# pylint: disable=all\nx = 1"),
    ("a.js", "", "// Copyright 2020 A\n", "// @ts-check\nlet x = 1;"),
]


@pytest.mark.parametrize(("path", "first", "header", "code"), HEADERS)
def test_a_license_header_is_removed_and_everything_else_kept(path, first, header, code):
    stripped = without_notice(first + header + code, path)
    assert [line for line in stripped.split("\n") if line] == [
        line for line in (first + code).split("\n") if line
    ]
    assert without_notice(stripped, path) == stripped


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
def test_comments_that_are_not_license_headers_are_unchanged(path, text):
    assert without_notice(text, path) == text


def test_only_the_paragraphs_about_the_license_are_removed():
    text = "# foo.py: adds.\n#\n# Copyright 2020 A\n# MIT\n#\n# It adds two numbers.\nx = 1"
    assert without_notice(text, "a.py") == "# foo.py: adds.\n\n# It adds two numbers.\nx = 1"


@pytest.mark.parametrize(
    "notice",
    [
        "This file is in the public domain.",
        "The contents of this file are dedicated to the public domain.  To the extent that dedication to\n"
        "# the public domain is not available, everyone is granted a worldwide, perpetual, royalty-free\n"
        "# license for any purpose.  No rights are reserved.",
        "EXAMPLE SOFTWARE FOUNDATION LICENSE VERSION 2",
    ],
)
def test_a_sentence_that_gives_a_file_to_the_public_domain_is_a_notice(notice):
    assert without_notice(f"# {notice}\n\n# Adds two numbers.\nx = 1", "a.py") == "# Adds two numbers.\nx = 1"
    cleaned = clean(f"# {notice.replace('EXAMPLE', 'PYTHON')}\n\n# Adds two numbers.\n{CODE}")
    assert isinstance(cleaned, Drop) == ("LICENSE" in notice)


@pytest.mark.parametrize(
    "about",
    [
        "Checks whether a book is in the public domain.",
        "Add is a public domain library of numbers.",
        "Lists the books in the public domain.",
    ],
)
def test_a_sentence_about_the_public_domain_is_kept(about):
    assert without_notice(f"# {about}\nx = 1", "a.py") == f"# {about}\nx = 1"


@pytest.mark.parametrize(
    ("path", "license", "comment"),
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
def test_the_comment_above_or_below_a_license_is_kept_intact(path, license, comment):
    code = "\nint add(int a);\n"
    assert without_notice(f"{license}\n\n{comment}{code}", path) == comment + code
    assert without_notice(f"{comment}\n\n{license}\n{code}", path) == f"{comment}\n{code}"


def test_lines_without_words_stay_between_those_that_are_kept():
    about = '"""\nlib.app\n~~~~~~~\n\nRuns it.\n\n\n* * *\n\nOr not.\n'
    notice = "\n:copyright: (c) 2020 by A.\n:license: MIT, see LICENSE.\n"
    assert without_notice(f'{about}{notice}"""\nimport os', "a.py") == f'{about}"""\nimport os'


def test_blocks_next_to_a_license_keep_their_marks():
    first, license, last = "/*\n * foo.c\n */\n", "/*\n * Copyright X\n */\n", "/*\n * Adds.\n */\nint x;"
    assert without_notice(first + license + last, "a.c") == first + "\n" + last


lines = st.lists(st.text("abc #/*-<!(licence)\"'\t", max_size=12), max_size=8).map("\n".join)


@settings(deadline=None)
@given(lines, st.sampled_from(["a.py", "a.c", "a.md", "a.sql", "a.php", "a.lua"]))
def test_stripping_only_ever_removes_lines_and_doing_it_twice_changes_nothing(text, path):
    stripped = without_notice(text, path)
    kept = iter(text.split("\n"))
    marks = ("/*", "*/", "<!--", "-->", '"""', "'''", "--[[", "]]")
    words = [line for line in stripped.split("\n") if line and not line.strip().startswith(marks)]
    assert all(line in kept for line in words)  # a subsequence, in order
    assert len(stripped.split("\n")) <= len(text.split("\n"))
    assert without_notice(stripped, path) == stripped


@settings(deadline=None)
@given(st.text("xyz =#/*\n", max_size=60), st.sampled_from([header for header in HEADERS if not header[1]]))
def test_files_that_differ_only_in_their_header_become_equal(code, header):
    path, _, comment, _ = header
    code = "first = line\n" + code
    bare, headed = without_notice(code, path), without_notice(comment + code, path)
    assert headed == bare == code


@pytest.mark.parametrize(
    ("path", "text", "left"),
    [
        (  # one block: a description of the file, then the license
            "queue.c",
            "/* A queue of tasks.\n *\n * Tasks run in order.\n *\n * Copyright 2011 B Lee\n"
            " * All rights reserved.\n */\nint n;",
            "/* A queue of tasks.\n *\n * Tasks run in order.\n */\nint n;",
        ),
        (  # the license first
            "queue.c",
            "/*\n * Copyright 2011 B Lee\n *\n * A queue of tasks.\n */\nint n;",
            "/*\n * A queue of tasks.\n */\nint n;",
        ),
        (  # no empty line between them
            "queue.c",
            "/* queue.c - tasks in order\n * Copyright 2011 B Lee */\nint n;",
            "/* queue.c - tasks in order\n */\nint n;",
        ),
        (
            "a.py",
            '"""Parse permits.\n\nCopyright 2020 B Lee\n"""\nx = 1',
            '"""Parse permits.\n"""\nx = 1',
        ),
        (
            "A.java",
            "package a.b;\n\n/*\n * Copyright B Lee\n */\n\nclass A {}",
            "package a.b;\n\nclass A {}",
        ),
        ("a.js", '"use strict";\n// Copyright 2020 B Lee\nf();', '"use strict";\n\nf();'),
        ("a.h", "#pragma once\n// Copyright 2020 B Lee\nint x;", "#pragma once\n\nint x;"),
        ("a.m", "% Copyright 2020 B Lee\nfunction y = f(x)", "function y = f(x)"),
        (
            "a.h",
            "/*!\n *  Copyright (c) 2020 by Contributors\n * \\file a.h\n * \\brief Flows.\n */\nint x;",
            "/*!\n * \\file a.h\n * \\brief Flows.\n */\nint x;",
        ),
        (
            "a.h",
            "// Copyright 2020 B Lee\n//\n// To start:\n//   x = begin(C);\n//   Flow(x);\nint x;",
            "// To start:\n//   x = begin(C);\n//   Flow(x);\nint x;",
        ),
        ("a.v", "(* Copyright 2020 B Lee *)\nTheorem t : True.", "Theorem t : True."),
        (
            "a.py",
            "# Copyright 2020 B Lee\n\n# First the table is read.\n\n# See LICENSE.\n\nx = 1",
            "# First the table is read.\n\nx = 1",
        ),
    ],
)
def test_a_description_next_to_the_notice_is_kept(path, text, left):
    assert without_notice(text, path) == left
    assert without_notice(left, path) == left


@pytest.mark.parametrize("after", ["source code must retain", "binary form must reproduce"])
@pytest.mark.parametrize("mark", ["// ", "# ", " * "])
def test_conditions_are_removed_however_their_lines_break(after, mark):
    conditions = (
        "Redistribution and use in any form are permitted if these are met:||"
        "    * Redistributions of source code must retain the above copyright notice,|      and this list.|"
        f"    * Redistributions in {after} the above|copyright notice, this list and the disclaimer|"
        "in the documentation.||THIS SOFTWARE IS PROVIDED 'AS IS'."
    )
    lines = "\n".join(mark + line for line in f"Copyright 2020 B Lee|{conditions}".split("|"))
    path = "a.py" if mark == "# " else "a.c"
    header = f"/*\n{lines}\n */" if mark == " * " else lines
    assert without_notice(f"{header}\n\nx = 1", path) == "x = 1"


@pytest.mark.parametrize(
    "sentence",
    [
        "See the README file for information on usage and redistribution.",
        "For conditions of distribution and use, see copyright notice in flow.h",
        "License & terms of use: https://example.org/copyright.html",
        "BSD 3-Clause License; see https://example.org/LICENSE",
        "This module has been placed in the public domain.",
        "Copyright (2020) National Flow Company",
        "BEGIN LICENSE BLOCK",
        "No rights are reserved.",
    ],
)
def test_other_words_of_notices_are_removed(sentence):
    for path, text in {"a.py": f"# {sentence}\n\nx = 1", "a.c": f"/* {sentence} */\nx = 1"}.items():
        assert without_notice(text, path) == "x = 1"


@pytest.mark.parametrize(
    "comment",
    [
        "Tells what is in the public domain from what is not.",
        "Counts usage and distribution of copyright notices.",
        "Checks the license plates of cars.",
        "Renews a driver's licence when it expires.",
        "Reads the license key that a customer types in.",
        "Asks for permission to use the camera.",
        "Rights and copyrights are compared by name.",
        "Counts warranty claims by year.",
    ],
)
def test_prose_about_licenses_is_kept(comment):
    for path, text in {"a.py": f"# {comment}\nx = 1", "a.c": f"/*\n * {comment}\n */\nint x;"}.items():
        assert without_notice(text, path) == text


def test_a_long_license_is_removed_to_its_last_clause():
    paragraphs = [
        "Copyright (c) 2001 A Company,\nAll rights reserved.",
        "This software is provided 'as-is', without any express or implied warranty.",
        "1. The origin of this software must not be misrepresented;\n   an acknowledgment is appreciated.",
        "2. Altered versions must be marked, in the source and the documentation.",
        "3. This notice may not be removed; the authors are not liable for damages.",
    ]
    header = "\n#\n".join(f"# {text}".replace("\n", "\n# ") for text in paragraphs)
    assert without_notice(f"{header}\n\nx = 1", "a.py") == "x = 1"


@pytest.mark.parametrize(
    ("path", "mark", "documents"),
    [
        ("a.f90", "!", "!>"),
        ("a.rs", "//", "//!"),
        ("a.cs", "//", "///"),
        ("a.r", "#", "#'"),
        ("a.hs", "--", "-- |"),
    ],
)
def test_documentation_right_below_a_notice_is_kept(path, mark, documents):
    notice = f"{mark} Copyright 2020 B Lee\n{mark} Licensed under MIT\n"
    below = f"{documents} Computes the flow\n{documents} of each node.\nx = 1"
    assert without_notice(notice + below, path) == below
    assert without_notice(f"{notice}\n{below}", path) == below
