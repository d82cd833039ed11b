"""Remote inputs and outputs: any URL that fsspec knows (s3://, https://, hf://, …).

Readers take only local files: a remote input is copied to a temporary folder to be read, but its documents
still name the URL. Output is made locally and then copied to its URL.
"""

import logging
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from configs.interrupts import speaks
from configs.redact import names_container
from configs.waiting import waiting
from data import folders
from data.clients import pages
from data.errors import DataError

SCHEMES = ("s3", "gs", "gcs", "az", "abfs", "abfss", "http", "https", "hf")
KINDS = "s3, gs, az, https, hf, file"
PACKAGES = {
    "s3": "s3fs",
    **dict.fromkeys(("gs", "gcs"), "gcsfs"),
    **dict.fromkeys(("az", "abfs", "abfss"), "adlfs"),
}
# What a storage reports about an object in fsspec's info(), besides its size, that changes with its content.
_FIRST_MARKS = ("ETag", "LastModified", "mtime")  # from S3, Google and files
MARKS = (
    *("ETag", "etag", "LastModified", "last_modified", "mtime"),  # the lower-case ones are Azure's
    *("Last-Modified", "modificationTime"),  # from web servers without ETags, and from WebHDFS
    *("xet_hash", "blob_id", "sha"),  # from the Hub and GitHub
)
_AZURE = "https://storage.azure.com/.default"  # the scope of the requested token
_EXTRAS = {"s3fs": "s3", "gcsfs": "gcs", "adlfs": "azure"}
_SIGNED = re.compile(
    r"(?i)[?&](x-amz-signature|x-amz-credential|x-goog-signature|signature|sig|(\w*_)?token|"
    r"\w*key|password|secret)="
)


def is_remote(path: str | Path) -> bool:
    return "://" in str(path)


def refuse_half_a_url(path: str | Path) -> None:
    """Raises DataError for `s3:/bucket` and the like, which would be taken for a local folder."""
    scheme, colon, rest = str(path).partition(":")
    is_whole = rest.startswith("//") and rest.strip("/")
    if colon and scheme in SCHEMES and not is_whole and not Path(path).exists():
        raise DataError(f"{path}: not the URL of a folder; expected {scheme}://BUCKET/FOLDER")


def place(path: str) -> Any:
    """A Path or, for a URL, an object with the same methods (UPath). Raises DataError if that fails."""
    if not is_remote(path):
        return Path(os.path.expanduser(path))  # Path.expanduser fails if `~name` is no user
    refuse_credentials(path)
    pages.refuse_folder(path)
    path = pages.file_behind(path)
    try:
        from upath import UPath
    except ImportError as error:
        raise DataError(
            f"{path}: cannot be opened ({error}); URLs need the extra `data` (pip install -e '.[data]')"
        ) from None
    client(path)
    try:
        is_folder = path.startswith("http") and path.count("/") > 2
        found = UPath(path.rstrip("/") if is_folder else path)  # others than http strip it themselves
    except (ImportError, ValueError) as error:
        raise DataError(f"{path}: cannot be opened ({error}); expected a URL of one of {KINDS}") from None
    with waiting_for(path):
        check_credentials(found.fs)
    return found


def named(path: Any) -> str:
    """An input's path or URL; for Azure with the account, which UPath's own text leaves out."""
    account = getattr(path, "storage_options", {}).get("account_name")
    if account is None:
        return str(path)
    container, _, below = path.path.partition("/")
    return f"{path.protocol}://{container}@{account}.dfs.core.windows.net/{below}"


def client(url: str) -> str | None:
    """The package that opens such URLs, if fsspec needs one. Raises DataError if it is not installed."""
    package = PACKAGES.get(url.partition("://")[0])
    if package and find_spec(package) is None:
        raise DataError(f"{url}: needs {package}; pip install -e '.[{_EXTRAS[package]}]'")
    for logger in (package, "azure") if package == "adlfs" else (package,) if package else ():
        logging.getLogger(logger).addHandler(logging.NullHandler())  # or failures would print tracebacks
    return package


def check_credentials(fs: Any) -> None:
    """Raise Azure's error if it issues no token; its client would keep retrying for minutes."""
    if credential := getattr(fs, "sync_credential", None):
        credential.get_token(_AZURE)


def waiting_for(url: str) -> AbstractContextManager[None]:
    """Say what the command is waiting for if the block takes seconds; only in the main thread."""
    is_alone = threading.current_thread() is threading.main_thread() and speaks()
    return waiting(f"waiting for {url}") if is_alone else nullcontext()


def refuse_credentials(url: str) -> None:
    """Raises DataError for a URL with a password or signature, because provenance would record it."""
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    if ("@" in host and not names_container(url)) or _SIGNED.search(rest):
        plain = f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
        raise DataError(
            f"{plain}: the URL contains a password, token or signature, which the corpus would record; give "
            "the URL without it, and the credentials in the way that the storage's own tools expect (AWS_*, "
            "HF_TOKEN, ~/.netrc, …), or download the file and give its path"
        )


def stamp(path: Any) -> tuple[int, str]:
    """An input's size in bytes, and its time or ETag, to notice a change; for a folder, those of its files.

    For a remote input, uses what its client knows from listing the folder. Raises DataError if the input
    cannot be read at the moment.
    """
    try:
        with waiting_for(str(path)) if is_remote(path) else nullcontext():
            return _stamp(path)
    except OSError as error:
        why = error.strerror or error
        raise DataError(
            f"{path}: cannot be read ({why}); fix the cause and run the same command again"
        ) from None


def stamp_now(path: Any) -> tuple[int, str]:
    """`stamp`, from asking the storage again. Raises OSError."""
    if is_remote(path):
        path.fs.invalidate_cache()
    return _stamp(path)


def _stamp(path: Any) -> tuple[int, str]:
    if is_remote(path):
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
        facts = [file.fs.info(file.path) for file in files]
        return sum(fact.get("size") or 0 for fact in facts), _mark(facts)
    if path.is_file():
        facts = path.stat()
        return facts.st_size, str(facts.st_mtime_ns)
    facts = [(file.relative_to(path), file.stat()) for file in folders.files_below(path)]
    return sum(fact.st_size for _, fact in facts), _digest(
        f"{name} {fact.st_mtime_ns}" for name, fact in facts
    )


def _mark(facts: list[dict]) -> str:
    """A mark that changes with any of the objects. `A+B` if earlier versions recorded only A of it."""
    first = [str(next((fact[key] for key in _FIRST_MARKS if fact.get(key)), "")) for fact in facts]
    other = [str(next((fact[key] for key in MARKS if fact.get(key)), "")).strip('"') for fact in facts]
    known = [one or two for one, two in zip(first, other, strict=True)]
    return _digest(first) if known == first else f"{_digest(first)}+{_digest(known)}"


def completed(recorded: Any, now: list[list]) -> Any:
    """The `recorded` stamps (each after its input's name), with what is known `now` where less was known."""
    if not isinstance(recorded, list) or len(recorded) != len(now):
        return recorded
    return [new if _knew_less(old, new) else old for old, new in zip(recorded, now, strict=True)]


def _knew_less(old: Any, new: list) -> bool:
    is_stamp = isinstance(old, list) and len(old) == len(new)
    return is_stamp and old[:-1] == new[:-1] and new[-1].startswith(f"{old[-1]}+")


@contextmanager
def fetched(path: Any) -> Iterator[Path]:
    """The input as a local path; a remote one is copied and the copy deleted afterward. Raises OSError."""
    if not is_remote(path):
        yield path
        return
    folder = tempfile.mkdtemp(prefix="relama-")
    try:
        copy = Path(folder, path.parent.name or "root", path.name)  # recipes may read the folder's name
        copy.parent.mkdir()
        path.fs.get(path.path, str(copy), recursive=not path.is_file())
        yield copy
    finally:
        shutil.rmtree(folder)


def _digest(marks: Iterator[str] | list[str]) -> str:
    import xxhash

    return xxhash.xxh3_128_hexdigest("\n".join(marks).encode(errors="surrogateescape"))
