"""URLs as the Hub's and GitHub's pages and copy buttons give them."""

import re

import pytest

from data import remote
from data.bucket import Bucket
from data.errors import DataError

pytest.importorskip("upath", reason="universal-pathlib is not installed (pip install -e '.[data]')")
pytest.importorskip("aiohttp", reason="aiohttp is not installed (pip install -e '.[data]')")

HUB, GITHUB = "https://huggingface.co", "https://github.com"


@pytest.mark.parametrize(
    ("typed", "file"),
    [
        (f"{HUB}/datasets/a/b/resolve/main/x.gz?download=true", f"{HUB}/datasets/a/b/resolve/main/x.gz"),
        (f"{HUB}/datasets/a/b/blob/main/in/x.jsonl", f"{HUB}/datasets/a/b/resolve/main/in/x.jsonl"),
        (f"{HUB}/datasets/squad/raw/v1/x.txt", f"{HUB}/datasets/squad/resolve/v1/x.txt"),
        (f"{HUB}/a/b/resolve/main/x.txt", f"{HUB}/a/b/resolve/main/x.txt"),
        (f"{GITHUB}/a/b/blob/main/in/x.txt?raw=true", f"{GITHUB}/a/b/raw/main/in/x.txt"),
        (f"{GITHUB}/a/b/blob/main/x.md#L10-L20", f"{GITHUB}/a/b/raw/main/x.md"),
        (f"{GITHUB}/a/b/releases/download/v1/x.jsonl", f"{GITHUB}/a/b/releases/download/v1/x.jsonl"),
        ("https://host/blob/main/x.txt?raw=true", "https://host/blob/main/x.txt?raw=true"),
    ],
)
def test_the_url_of_a_page_about_a_file_means_the_file(typed, file):
    assert str(remote.place(typed)) == file


@pytest.mark.parametrize(
    ("typed", "instead"),
    [
        (f"{HUB}/datasets/a/b", "give hf://datasets/a/b"),
        (f"{HUB}/datasets/a/b/tree/main/in", "give hf://datasets/a/b/in"),
        (f"{HUB}/datasets/a/b/tree/v1/in", "give hf://datasets/a/b@v1/in"),
        (f"{HUB}/datasets/a/b/viewer/default/train?row=3", "give hf://datasets/a/b"),
        (f"{GITHUB}/a/b/", "`git clone https://github.com/a/b`, give its folder"),
        (f"{GITHUB}/a/b.git", "`git clone https://github.com/a/b.git`, give its folder"),
        (f"{GITHUB}/a/b/tree/main/in?tab=readme", "`git clone https://github.com/a/b`, give its folder"),
    ],
)
@pytest.mark.parametrize("opened", [remote.place, Bucket])
def test_a_page_about_a_folder_is_refused_with_what_to_give(typed, instead, opened):
    with pytest.raises(DataError, match=f"a page about the files; .*{re.escape(instead)}$"):
        opened(typed)


def test_a_page_about_a_file_is_no_folder():
    with pytest.raises(DataError, match="a page about a file; expected the URL of a folder"):
        Bucket(f"{HUB}/a/b/blob/main/model.safetensors")
