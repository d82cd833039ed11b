"""Which files of a folder are read, and which site each belongs to."""

from pathlib import Path

import pytest

from data.errors import DataError
from data.mixture import DataConfig
from data.prepare.config import PrepareConfig
from data.prepare.inputs import find_inputs
from data.sources.stackexchange import recipe


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("coffee.stackexchange.com.7z", "coffee.stackexchange.com"),
        ("coffee.meta.stackexchange.com.7z", "coffee.meta.stackexchange.com"),
        ("stackoverflow.com-Posts.7z", "stackoverflow.com"),
        ("es.stackoverflow.com.7z", "es.stackoverflow.com"),
        ("mathoverflow.net.7z", "mathoverflow.net"),
        ("coffee.Posts.xml", "coffee.stackexchange.com"),
        ("meta.datascience.Posts.xml", "datascience.meta.stackexchange.com"),
        ("meta.stackexchange.com.7z", "meta.stackexchange.com"),
        ("mathoverflow-Posts.xml", "mathoverflow.net"),
        ("es.stackoverflow.Posts.xml", "es.stackoverflow.com"),
        ("coffee.stackexchange.com/Posts.xml", "coffee.stackexchange.com"),
        ("dumps/Posts.xml", ""),
        ("backup.7z", ""),
        ("x/dump.xml", ""),
        ("a b.Posts.xml", ""),
    ],
)
def test_a_site_is_known_by_the_name_of_its_file_or_folder(name, host):
    assert recipe.site_of(Path("/data") / name) == host


def test_the_28_largest_sites_of_a_folder_are_read_and_a_named_file_always(tmp_path):
    for n in range(40):
        (tmp_path / f"s{n}.stackexchange.com.7z").write_bytes(b"x" * (n + 10))
    (tmp_path / "s0.meta.stackexchange.com.7z").write_bytes(b"x" * 1000)
    (tmp_path / "stackoverflow.com-Posts.7z").write_bytes(b"x" * 2000)
    (tmp_path / "stackoverflow.com-Users.7z").write_bytes(b"x" * 5000)
    (tmp_path / "readme.txt").write_text("x" * 9999)
    found = [path.name for path in recipe.inputs(tmp_path)]
    largest = [f"s{n}.stackexchange.com.7z" for n in range(14, 40)]
    assert found == sorted([*largest, "s0.meta.stackexchange.com.7z", "stackoverflow.com-Posts.7z"])
    assert len(found) == recipe.SITES
    smallest = tmp_path / "s0.stackexchange.com.7z"
    assert recipe.inputs(smallest) == [smallest]


def test_archives_that_are_not_read_are_named(tmp_path):
    (tmp_path / "tea.stackexchange.com.7z").write_bytes(b"x")
    assert recipe.left_out(tmp_path) is None
    assert recipe.left_out(tmp_path / "tea.stackexchange.com.7z") is None
    for name in ("stackoverflow.com.7z.001", "stackoverflow.com.7z.002", "Posts.xml.GZ", "readme.txt"):
        (tmp_path / name).write_bytes(b"x")
    said = f"{tmp_path}: not read: 1 .gz, 1 .001, 1 .002; unpack them, or join the parts of one"
    assert (recipe.left_out(tmp_path) or "").startswith(said)


def test_a_site_with_two_files_is_read_once(tmp_path):
    (tmp_path / "tea.stackexchange.com").mkdir()
    (tmp_path / "tea.stackexchange.com" / "Posts.xml").write_bytes(b"<posts/>")
    (tmp_path / "tea.stackexchange.com" / "Users.xml").write_bytes(b"<users/>" * 999)
    (tmp_path / "tea.stackexchange.com.7z").write_bytes(b"x")
    assert recipe.inputs(tmp_path) == [tmp_path / "tea.stackexchange.com" / "Posts.xml"]


def test_a_site_in_two_inputs_is_read_once(tmp_path):
    inputs = [tmp_path / name / "tea.stackexchange.com.7z" for name in ("old", "new", "older")]
    for size, path in zip((20, 30, 10), inputs):
        path.parent.mkdir()
        path.write_bytes(bytes(size))
    given = [str(inputs[0].parent), str(inputs[1]), str(inputs[2].parent)]
    config = PrepareConfig(DataConfig("mix", {"tea": 1}), recipe="stackexchange", input=given)
    assert find_inputs(config) == [inputs[1]]


def test_a_folder_without_posts_is_refused_by_name(tmp_path):
    (tmp_path / "Users.xml").write_text("<users/>")
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(DataError, match=r"Posts\.xml"):
            recipe.inputs(path)


@pytest.mark.parametrize(
    ("name", "size", "n_slices"),
    [
        ("Posts.xml", 1 << 10, 1),
        ("Posts.xml", 100 << 10, 12),
        ("stackoverflow.com-Posts.7z", 20 << 10, 10),
        ("Posts.xml", 1 << 20, recipe.MAX_SLICES),
    ],
)
def test_a_large_file_is_read_in_slices(tmp_path, monkeypatch, name, size, n_slices):
    monkeypatch.setattr(recipe, "SLICE_BYTES", 8 << 10)
    (tmp_path / name).write_bytes(b" " * size)
    assert recipe.slices(tmp_path / name) == n_slices
