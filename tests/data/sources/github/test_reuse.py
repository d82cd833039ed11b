"""Repositories that follow REUSE, incorporated copyleft code, and folders that are one repository."""

import tarfile

import pytest

from data.sources import github
from data.sources.github.recognize import recognize
from tests.support.github import APACHE, CODE, GPL, MIT, outcome, repository

CC0 = "Creative Commons Legal Code\n\nCC0 1.0 Universal"


def headed(tag: str) -> str:
    return f"# SPDX-FileCopyrightText: 2020 Jane\n# SPDX-License-Identifier: {tag}\n\n{CODE}"


@pytest.mark.parametrize("packed", [False, True])
def test_under_reuse_a_file_s_own_tag_decides_and_cc0_does_not_bar_the_rest(tmp_path, packed):
    files = {
        "LICENSES/CC0-1.0.txt": CC0,
        "LICENSES/MIT.txt": MIT,
        "tagged.py": headed("MIT"),
        "data.py": headed("CC0-1.0"),
        "bare.py": CODE,
    }
    root = repository(tmp_path / "lib", files)
    if packed:
        with tarfile.open(tmp_path / "lib.tar.gz", "w:gz") as archive:
            archive.add(root, "lib-1.0")
        root = tmp_path / "lib.tar.gz"
    found = outcome(root)
    assert found["tagged.py"] == found["bare.py"] == CODE
    assert found["data.py"].startswith("dropped: license")


@pytest.mark.parametrize("top", [{}, {"LICENSE": GPL}, {"COPYING": MIT}])
def test_a_tagged_file_next_to_copyleft_ones(tmp_path, top):
    files = {
        "LICENSES/GPL-3.0-only.txt": GPL,
        "LICENSES/Apache-2.0.txt": APACHE,
        "open.py": headed("Apache-2.0"),
        "either.py": headed("GPL-3.0-only OR Apache-2.0"),
        "copyleft.py": headed("GPL-3.0-only"),
    }
    found = outcome(repository(tmp_path / "lib", files | top))
    assert found["open.py"] == found["either.py"] == CODE
    assert found["copyleft.py"].startswith("dropped: license")


def test_without_reuse_a_tag_does_not_override_the_repository_s_license(tmp_path):
    found = outcome(repository(tmp_path / "lib", {"LICENSE": GPL, "a.py": headed("MIT")}))
    assert found["a.py"] == "dropped: license gpl-3.0"


def test_cc0_alone_is_not_accepted(tmp_path):
    found = outcome(repository(tmp_path / "lib", {"LICENSES/CC0-1.0.txt": CC0, "a.py": CODE}))
    assert found["a.py"].startswith("dropped: license")


@pytest.mark.parametrize(
    ("sentence", "kept"),
    [
        ("This software includes third-party code from libfoo, under this license:", False),
        ("This product contains 3rd-party sources by Jane:", False),
        ("This software includes code from libfoo, under this license:", False),
        ("Third-party licenses", True),  # of software that is distributed along
        ("This project bundles the following third-party libraries:", True),
    ],
)
def test_copyleft_code_inside_a_project_counts_and_software_next_to_it_does_not(sentence, kept):
    assert (recognize(f"{MIT}\n\n{sentence}\n\n{GPL}") == "mit") == kept
    assert recognize(f"{MIT}\n\n{sentence}\n\n{MIT}") == "mit"


@pytest.mark.parametrize("top", ["README", "readme.rst", "setup.py", "main.c"])
def test_a_folder_with_sources_or_a_readme_is_one_repository(tmp_path, top):
    root = repository(tmp_path / "lib", {top: "x", "src/a.py": CODE, "src/LICENSE": MIT})
    assert github.inputs(root) == [root] and outcome(root)["src/a.py"] == CODE


def test_a_folder_of_repositories_with_a_list_of_them_is_read_one_by_one(tmp_path):
    root = repository(tmp_path / "all", {"list.txt": "a b", "a/LICENSE": MIT, "b/LICENSE": MIT})
    assert github.inputs(root) == [root / "a", root / "b"]
