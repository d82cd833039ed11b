"""Weights at a URL: a run, a checkpoint, or a Hugging Face or Meta folder, copied to the cache once.

In: a URL that fsspec knows. Out: a local folder with the same files. Its name depends on what is at the URL,
so that weights that change there are downloaded again. Processes of one machine wait for the first.
"""

import hashlib
import re
import shutil
from pathlib import Path

from data import folders
from data.bucket import Bucket
from data.cache.config import CacheConfig
from data.errors import DataError
from data.tokens.store import TOKENIZERS
from train.checkpoint.folder import damage, delete, step_folder
from train.checkpoint.transfer import begun_steps, download, download_step, remote_steps
from train.config import RunError
from train.ranks import identity

_URL = re.compile(r"([a-z][a-z0-9+]*):/+(.+)")
_WEIGHTS = re.compile(r"config\.json|params\.json|.*\.safetensors|consolidated\..*\.pth")  # one of them
SMALL = ("config.yaml", *TOKENIZERS, "tokenizer_config.json")  # of a run, next to its checkpoints


def url_of(path: Path) -> str | None:
    """The URL that a Path was made from (which keeps one of its slashes), or None."""
    match = _URL.fullmatch(str(path))
    if match is None or path.exists():
        return None
    return f"{match[1]}://{'/' if match[1] == 'file' else ''}{match[2]}"


def fetched(url: str, *, checked: bool = False) -> Path:
    """The local copy of the weights at `url`; RUN@STEP names a step. Raises RunError.

    A copy that was cut short is downloaded again and, if `checked`, so is one whose checksums differ.
    """
    try:
        name, at, step = url.rpartition("@")
        if at and step.isdecimal():
            return _run(Bucket(name), int(step), checked)
        bucket = Bucket(url)
        names = bucket.names()
        if "checkpoints" in names or begun_steps(bucket):  # s3rver does not list a folder of folders
            return _run(bucket, None, checked)
        if "state.json" in names:
            run, _, name = url.rstrip("/").rpartition("/")
            return _checkpoint(Bucket(run), name, checked)
        if not names:
            raise RunError(f"{url}: empty, or no such folder; expected a run, a checkpoint or weights")
        if not any(_WEIGHTS.fullmatch(name) for name in names):
            raise RunError(
                f"{url}: neither a run nor a checkpoint, nor Hugging Face's (config.json) or Meta's "
                "(params.json) weights"
            )
        return _files(bucket, names)
    except (DataError, FileNotFoundError) as error:
        raise RunError(str(error)) from None


def _run(bucket: Bucket, step: int | None, checked: bool) -> Path:
    steps = remote_steps(bucket)
    if not steps:
        raise RunError(f"{bucket.url}: no complete checkpoint in this run yet")
    if step is not None and step not in steps:
        nearest = ", ".join(map(str, sorted(sorted(steps, key=lambda other: abs(other - step))[:3])))
        raise RunError(f"{bucket.url}@{step}: no checkpoint of this step; the nearest kept: {nearest}")
    chosen = steps[-1] if step is None else step
    folder = _checkpoint(bucket.child("checkpoints"), step_folder(Path(), chosen).name, checked)
    for name in SMALL:
        path = folder.parents[1] / name
        if not path.exists() and bucket.exists(name):
            with folders.replacing(path, folders.own(path)) as temporary:
                temporary.write_bytes(bucket.read_agreed(name))
    return folder


def _checkpoint(bucket: Bucket, name: str, checked: bool) -> Path:
    final = _place(bucket.url, bucket.read_agreed(f"{name}/state.json")) / "checkpoints" / name
    with folders.locked(final.parents[1] / "lock", waiting=lambda: None):
        if final.exists() and not (checked and damage(final)):
            return final
        with identity.waiting(f"downloading {bucket.at(name)}"):
            is_intact = download_step(bucket, name, final)
    if not is_intact:
        raise RunError(f"{bucket.at(name)}: damaged; choose another checkpoint of the run")
    return final


def _files(bucket: Bucket, names: list[str]) -> Path:
    sizes = {}
    for name in names:
        info = bucket.ask(name, lambda fs, path: fs.info(path))
        if info["type"] == "file" and folders.is_plain(name):
            sizes[name] = [info["size"], str(info.get("ETag") or info.get("LastModified") or "")]
    final = _place(bucket.url, repr(sizes).encode()) / (bucket.url.rpartition("/")[2] or "weights")
    with folders.locked(final.parent / "lock", waiting=lambda: None):
        if final.exists() and all(size in (None, _size(final / name)) for name, (size, _) in sizes.items()):
            return final
        delete(final)
        aside = folders.aside(final)
        try:
            with identity.waiting(f"downloading {bucket.url}"):
                for name in sizes:
                    download(bucket, name, aside / name)
            folders.commit_once(aside, final)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    return final


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _place(url: str, content: bytes) -> Path:
    name = hashlib.sha256(url.encode() + b"\n" + content).hexdigest()[:32]
    return CacheConfig().folder / "weights" / name
