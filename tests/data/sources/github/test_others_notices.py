"""Notices of other people's code: addresses of licenses, conditions of their own, files joined into one."""

import pytest

from data.documents import Document, Drop, Record
from data.sources import github
from data.sources.github.recognize import recognize
from tests.support.github import CODE, MIT, clean

JS = "".join(f"function total{number}(value) {{\n  return value;\n}}\n" for number in range(6))
OTHER = "its notice names another license"


def is_kept(text: str, path: str = "a.js") -> bool:
    found = github.clean(
        Record("in", 0, text, licence="mit", meta={"path": path, "repository": "ann/lake-2.1"})
    )
    assert isinstance(found, Document) or found.reason == OTHER
    return isinstance(found, Document)


@pytest.mark.parametrize(
    ("notice", "kept"),
    [
        ("Copyright 2020 Grid Inc.\nLicense: https://grid.example/license", False),
        ("Copyright 2020 Grid Inc.\nLicense: http://docs.grid.example/en/latest/license.html", False),
        ("Grid 4.0 | (c) Grid Inc. | grid.example/licence", False),
        ("(c) Grid Inc. See https://code.example/grid/grid/blob/main/LICENSE.md.", False),
        ("For license information please see app.js.LICENSE.txt", False),
        ("Copyright 2020 Grid Inc.\nLicensed under MIT (https://grid.example/license)", True),
        ("Copyright 2020 Grid Inc. See LICENSE.txt.", True),
        ("Copyright 2020 Ann. License: https://code.example/ann/lake/blob/main/LICENSE", True),
        ("(c) Ann | lake-view.example/license", True),
    ],
)
def test_the_address_of_a_license_is_another_license_unless_it_is_this_repositorys(notice, kept):
    lines = "".join(f" * {line}\n" for line in notice.split("\n"))
    assert is_kept(f"/*!\n{lines} */\n{JS}") == kept


@pytest.mark.parametrize(
    ("notice", "kept"),
    [
        ("Copyright Acme. Users may use this source code only for internal evaluation.", False),
        ("Copyright 1999 B Lee. By using this file you agree to the terms and conditions of Acme.", False),
        ("(c) 1998 B Lee. Permission is granted to use it, provided that changes are marked.", False),
        ("Copyright 1999 B Lee. No copying of this file is permitted.", False),
        ("(c) 1999 B Lee. Redistribution and use are permitted for schools.", False),
        ("(c) 1999 B Lee. Redistribution and use in source and binary forms are permitted.", True),
        ("Copyright 1999 B Lee. All rights reserved.", True),
        ("Copyright 1999 B Lee. Use of this source code is governed by a BSD-style license.", True),
        ('Copyright 1999 B Lee.\n# It is provided "as is", without warranty of any kind.', True),
    ],
)
def test_a_notice_with_conditions_of_its_own_is_another_license(notice, kept):
    assert is_kept(f"# {notice}\n{CODE}", "a.py") == kept


@pytest.mark.parametrize(
    ("path", "joined", "kept"),
    [
        ("a.js", "/*!\n * Chart v2\n * Licensed under the GPL v3\n */", False),
        ("a.js", "/**\n * @license\n * Copyright B Lee. All rights reserved.\n * GPL-2.0\n */", False),
        ("a.css", "/*! Grid 4.0 | (c) Grid Inc. | grid.example/license */", False),
        ("a.js", "/** @preserve Copyright B Lee, proprietary and confidential */", False),
        ("a.c", "/* SPDX-License-Identifier: GPL-2.0 */", False),
        ("a.ts", "// SPDX-License-Identifier: MPL-2.0", False),
        ("a.js", "/*!\n * Chart v2\n * Licensed under MIT\n */", True),
        ("a.js", "/**\n * @license MIT\n */", True),
        ("a.c", "/* SPDX-License-Identifier: MIT */", True),
        ("a.c", "/*! Must be called before the license is read. Requires a lock. */", True),
        ("a.js", 'const mark = "SPDX-License-Identifier: GPL-2.0";', True),
        ("a.js", "// Reports a file under the GPL.", True),
    ],
)
def test_notices_below_the_first_code_count_where_tools_put_them(path, joined, kept):
    assert is_kept(f"{JS}{joined}\n{JS}", path) == kept


def test_a_file_of_many_joined_ones_is_dropped_for_any_of_them():
    found = clean(JS + "/*! a, MIT */\n" + JS + "/*! b, licensed under Apache-2.0 */\n" + JS, "a.js")
    assert isinstance(found, Document)
    found = clean(JS + "/*! a, MIT */\n" + JS + "/*! b, licensed under the LGPL */\n" + JS, "a.js")
    assert isinstance(found, Drop) and found.detail == "lgpl"


@pytest.mark.parametrize(
    ("rider", "license"),
    [
        ("本项目仅供学习交流，禁止用于商业用途。", "mit AND unknown"),
        ("Die kommerzielle Nutzung ist untersagt.", "mit AND unknown"),
        ("L'usage commercial est interdit.", "mit AND unknown"),
        ("Queda prohibido su uso con fines de lucro.", "mit AND unknown"),
        ("Коммерческое использование запрещено.", "mit AND unknown"),
        ("商用利用を禁止します。", "mit AND unknown"),
        ("本项目采用 MIT 许可证。", "mit"),
        ("Dieses Projekt steht unter der MIT-Lizenz.", "mit"),
    ],
)
def test_conditions_in_other_languages_count(rider, license):
    assert recognize(f"{MIT}\n\n{rider}\n") == recognize(f"{rider}\n\n{MIT}\n") == license
    assert is_kept(f"# Copyright 2020 B Lee. {rider}\n{CODE}", "a.py") == (license == "mit")


def test_the_name_of_a_company_is_no_condition():
    holder = "Copyright (c) 2020 Comercial Lago S.A."
    assert recognize(f"{holder}\n\n{MIT}") == "mit" and is_kept(f"# {holder}\n{CODE}", "a.py")
