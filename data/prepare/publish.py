"""Copies a prepared source to a URL: only what is not there yet, and last the file that vouches for the rest.

For each copied file, `.copied.jsonl` in the source's folder notes its size and time, and what the storage
then reported for the object (size, ETag). A file is copied again if either has changed since.
"""

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from configs.waiting import counted
from data import folders, remote
from data.bucket import Bucket, Denied
from data.clients import refusals
from data.errors import DataError

NOTES = ".copied.jsonl"


def refuse_unreachable(url: str) -> None:
    """Raise DataError, before hours of work, if nothing can be copied to the URL (no credentials, say)."""
    with suppress(Denied):  # someone who may not read may still write
        Bucket(url).exists("report.json")


def publish(folder: Path, url: str) -> None:
    """Copy a source's folder to a URL; the token store's manifest, which vouches for the rest, comes last.

    Parts of older text that were copied there before, and have no successor in today's, are removed.
    Raises DataError if the storage refuses or fails; running it again copies what is still missing.
    """
    if (folder / "tokens" / "manifest.json").is_file():  # these sums let readers check small ranges
        from data.tokens import store, sums

        sums.add_all(folder / "tokens", store.read_manifest(folder / "tokens"))
    files = folders.files_below(folder)
    visible = [file for file in files if not folders.is_hidden(file.relative_to(folder))]
    ordered = sorted(visible, key=lambda file: file.name == "manifest.json")
    try:
        target = remote.place(url)
        _hide_older(target, folder)
        copied = _notes(folder, url)
        with (folder / NOTES).open("a", encoding="utf-8") as notes:
            for file in counted(f"copying to {url}", ordered):
                name = file.relative_to(folder).as_posix()
                goal, here = target / name, list(remote.stamp(file))
                there = _facts(goal) if name in copied else None
                if there and copied[name] == (here, there):
                    continue
                goal.fs.makedirs(str(goal.parent.path), exist_ok=True)
                goal.fs.put_file(str(file), goal.path)
                note = {"url": url, "file": name, "here": here, "there": _facts(goal)}
                print(json.dumps(note), file=notes, flush=True)
        _remove_older_text(target, folder, copied)
    except DataError:
        raise
    except Exception as error:  # each client library has its own errors
        how = refusals.refusal(error) or f"cannot be written ({refusals.line_of(error)})"
        raise DataError(
            f"{url}: {how}; {folder} is complete, and the same command copies what is still missing"
        ) from None


def _remove_older_text(target: Any, folder: Path, copied: dict[str, tuple[object, object]]) -> None:
    """Remove the parts of older text that were copied to the URL and are not part of today's."""
    if not (folder / "text").is_dir():  # deleted here to save space, and perhaps kept only there
        return
    for name, (_, noted) in copied.items():
        goal = target / name
        if name.startswith("text/") and not (folder / name).exists() and noted and _facts(goal) == noted:
            try:
                goal.fs.rm_file(goal.path)
            except PermissionError:  # someone who may not delete may still write
                say = f"relama: warning: {goal}: of older text, and may not be deleted; delete it"
                print(say, file=sys.stderr)


def _notes(folder: Path, url: str) -> dict[str, tuple[object, object]]:
    """By name, what was noted about each file copied to `url`: its facts here, and there."""
    found: dict[str, tuple[object, object]] = {}
    with suppress(FileNotFoundError):
        for line in (folder / NOTES).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, KeyError, TypeError):  # a line cut short when the process was killed
                note = json.loads(line)
                if note["url"] == url:
                    found[note["file"]] = note["here"], note["there"]
    return found


def _facts(place: Any) -> list | None:
    """An object's size, and its ETag or time; None if it does not exist or only its size is known."""
    place.fs.invalidate_cache(place.path)
    try:
        info = place.fs.info(place.path)
    except (FileNotFoundError, PermissionError):
        return None
    marks = [str(info[key]) for key in remote.MARKS if info.get(key)]
    return [info["size"], *marks] if marks else None


def _hide_older(target: Any, folder: Path) -> None:
    """Remove the manifest there if it is not ours: half-replaced tokens must not look complete."""
    ours, theirs = folder / "tokens/manifest.json", target / "tokens/manifest.json"
    with suppress(FileNotFoundError, PermissionError):  # someone who may not read may still write
        if ours.is_file() and theirs.fs.cat_file(theirs.path) != ours.read_bytes():
            theirs.fs.rm_file(theirs.path)
