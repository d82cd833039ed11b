"""The file, or the refusal, behind a URL copied from a page of the Hugging Face Hub or GitHub.

A page about a file is not the file: its HTML would be read as the text.
"""

import re

from data.errors import DataError

_HUB = r"https?://(?:www\.)?(?:huggingface\.co|hf\.co)/((?:datasets/)?[^/?#]+/[^/?#]+)"
_GITHUB = r"https?://(?:www\.)?github\.com/([^/?#]+/[^/?#]+)"
_SHOWN = r"(?:[?#].*)?$"  # ?download=true, ?raw=true, #L10: how to show it
_FILES = (
    (re.compile(rf"({_HUB})/(?:blob|resolve|raw)/([^/?#]+/[^?#]+){_SHOWN}"), r"\1/resolve/\3"),
    (re.compile(rf"({_GITHUB})/(?:blob|raw)/([^/?#]+/[^?#]+){_SHOWN}"), r"\1/raw/\3"),
)
_HUB_FOLDER = re.compile(rf"{_HUB}/?(?:tree/([^/?#]+)/?([^?#]*)|viewer[^?#]*)?{_SHOWN}")
_GITHUB_FOLDER = re.compile(rf"({_GITHUB}?)(?:\.git)?/?(?:tree/[^?#]+)?{_SHOWN}")


def file_behind(url: str) -> str:
    """The URL of the file that a page is about; any other URL unchanged."""
    return next((found.expand(file) for page, file in _FILES if (found := page.match(url))), url)


def refuse_folder(url: str) -> None:
    """Raises DataError for a page about a folder or a repository."""
    if found := _HUB_FOLDER.match(url):
        revision = "" if found[2] in (None, "main") else f"@{found[2]}"
        place = f"hf://{found[1]}{revision}/{found[3] or ''}".rstrip("/")
        raise DataError(f"{url}: a page about the files; for the files themselves give {place}")
    if found := _GITHUB_FOLDER.match(url):
        raise DataError(
            f"{url}: a page about the files; get them with `git clone {found[1]}`, give its folder"
        )
