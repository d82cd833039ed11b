"""Inputs and outputs that lie elsewhere: any URL that fsspec knows (s3://, https://, hf://, …).

Readers work on local files alone: a remote unit is fetched to a temporary folder while it is read,
and its documents still name the URL. What is made is made locally and then copied to its URL.
"""

import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data.errors import DataError

_SIGNED = re.compile(
    r"(?i)[?&](x-amz-signature|x-amz-credential|x-goog-signature|signature|sig|(\w*_)?token|"
    r"(api|access|secret)?_?key|password|secret)="
)


def is_remote(path: str | Path) -> bool:
    return "://" in str(path)


def place(path: str) -> Path:
    """The path, or for a URL an object with pathlib's methods. Raises DataError if that cannot be opened."""
    if not is_remote(path):
        return Path(path).expanduser()
    refuse_credentials(path)
    try:
        from upath import UPath

        return UPath(path)
    except (ImportError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be opened ({error}); URLs need the extra `data` (pip install -e '.[data]')"
        ) from None


def refuse_credentials(url: str) -> None:
    """Raises DataError for a URL with a password or signature in it: provenance would keep it."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if "@" in host or _SIGNED.search(rest):
        plain = f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
        raise DataError(
            f"{plain}: was given with a password, token or signature in the URL, which the corpus would "
            "keep; give it without, and the credentials as the store's own tools take them (AWS_*, "
            "HF_TOKEN, ~/.netrc, …)"
        )


def stamp(unit: Path) -> tuple[int, str]:
    """A unit's size in bytes, and what changes when it does: its time or ETag; of a folder, its files'."""
    if is_remote(unit):
        files = [unit] if unit.is_file() else sorted(file for file in unit.rglob("*") if file.is_file())
        facts = [file.fs.info(file.path) for file in files]
        marks = [
            str(fact.get("ETag") or fact.get("LastModified") or fact.get("mtime") or "") for fact in facts
        ]
        return sum(fact.get("size") or 0 for fact in facts), _digest(marks)
    if unit.is_file():
        facts = unit.stat()
        return facts.st_size, str(facts.st_mtime_ns)
    facts = [(file.relative_to(unit), file.stat()) for file in sorted(unit.rglob("*")) if file.is_file()]
    return sum(fact.st_size for _, fact in facts), _digest(
        f"{name} {fact.st_mtime_ns}" for name, fact in facts
    )


@contextmanager
def fetched(unit: Path) -> Iterator[Path]:
    """The unit as a local path; a remote one is a copy that goes afterwards. Raises OSError."""
    if not is_remote(unit):
        yield unit
        return
    folder = tempfile.mkdtemp(prefix="relama-")
    try:
        copy = Path(folder, unit.parent.name or "root", unit.name)  # a folder's name may say what it is
        copy.parent.mkdir()
        unit.fs.get(unit.path, str(copy), recursive=not unit.is_file())
        yield copy
    finally:
        shutil.rmtree(folder)


def publish(folder: Path, url: str) -> None:
    """Copy what was made to its URL; the token store's manifest, which says that it is whole, last."""
    target = place(url)
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    visible = [file for file in files if not any(part[0] == "." for part in file.relative_to(folder).parts)]
    for file in sorted(visible, key=lambda file: file.name == "manifest.json"):
        goal = target / file.relative_to(folder).as_posix()
        goal.fs.makedirs(str(goal.parent.path), exist_ok=True)
        goal.fs.put_file(str(file), goal.path)


def _digest(words: Iterator[str] | list[str]) -> str:
    import xxhash

    return xxhash.xxh3_128_hexdigest("\n".join(words).encode(errors="surrogateescape"))
