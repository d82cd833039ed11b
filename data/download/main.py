"""`download=true`: fetches the publisher's files into `dumps/<source>`, each complete and verified or absent.

The list of files is kept next to them (`.downloads.json`), so a second run fetches the rest of the same dump,
and needs no network once all files are here. An unfinished file (`.NAME.part`) is resumed where it broke off.
"""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path

from configs.errors import reason
from configs.redact import redact
from configs.sizes import decimal
from data import folders
from data.download import http
from data.download.config import DumpsConfig
from data.download.publishers import PUBLISHERS, Remote, listed
from data.errors import DataError
from data.progress import Progress

LIST = ".downloads.json"
SPARE = 1 << 30  # bytes of disk to leave free


def download(recipe: str, source: str, config: DumpsConfig) -> Path:
    """Fetch those of the recipe's files that are missing; return their folder. Raises DataError."""
    folder, progress = Path(config.folder) / source, Progress(source)
    try:
        files = _files(recipe, folder, config, progress)
        with folders.locked(folder / ".lock"):
            missing = [file for file in files if not _is_here(folder, file)]
            if missing:
                _say_and_refuse(folder, files, missing, progress)
            for number, file in enumerate(missing):
                counted = f"file {len(files) - len(missing) + number + 1:,} of {len(files):,}"
                _fetch(file, folder, _showing(progress, counted, file))
                if number + 1 < len(missing):
                    time.sleep(file.pause)
            if missing:
                without = sum(not file.digest for file in missing)
                verified = (
                    f"; {without:,} without a checksum from their publisher" if without else ", verified"
                )
                progress.say(f"{_files_of(missing)} downloaded to {folder}{verified}")
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({reason(error)})") from None
    return folder


def downloaded(folder: Path, source: str) -> list[str]:
    """The files of the folder's list, sorted; says what else is there, such as an older dump."""
    listed = {file["name"] for file in json.loads((folder / LIST).read_text())["list"]}
    found = [path.relative_to(folder) for path in folders.files_below(folder)]
    others = [path for path in found if not folders.is_hidden(path) and str(path) not in listed]
    if others:
        more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
        Progress(source).say(
            f"{folder}: not read, because the list of this download lacks them: {others[0]}{more}; "
            f"input={folder} without download=true reads the entire folder"
        )
    return sorted(str(folder / name) for name in listed)


def _files(recipe: str, folder: Path, config: DumpsConfig, progress: Progress) -> list[Remote]:
    """The wanted files: as listed in the first run, or by the publisher now."""
    base = (config.mirror or PUBLISHERS[recipe][0]).rstrip("/")
    asked = {"from": base, "only": config.only, "files": config.files}
    try:
        kept = json.loads((folder / LIST).read_text())
        if kept["asked"] == asked:
            return [Remote(**file) for file in kept["list"]]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    files = list(_counted(islice(listed(recipe, base, config.only), config.files), base, progress))
    if not files:
        wanted = f" that begins with {' or '.join(config.only)} (dumps.only)" if config.only else ""
        raise DataError(f"{redact(base)}: lists no file of recipe={recipe}{wanted}")
    content = {"asked": asked, "list": [asdict(file) for file in files]}
    folder.mkdir(parents=True, exist_ok=True)
    folders.write_whole(folder / LIST, json.dumps(content, indent=1))
    return files


def _counted(files: Iterator[Remote], base: str, progress: Progress) -> Iterator[Remote]:
    progress.show(f"asking {redact(base)} for its list of files")
    for number, file in enumerate(files, 1):
        progress.show(f"listing {redact(base)}, {number:,} files")
        yield file


def _files_of(some: list[Remote]) -> str:
    return "1 file" if len(some) == 1 else f"{len(some):,} files"


def _is_here(folder: Path, file: Remote) -> bool:
    path = folder / file.name
    return path.is_file() and (file.size is None or path.stat().st_size == file.size)


def _part(folder: Path, file: Remote) -> Path:
    return folder / f".{file.name}.part"


def _say_and_refuse(folder: Path, files: list[Remote], missing: list[Remote], progress: Progress) -> None:
    """Say how much there is to download. Raises DataError if the disk has too little space for it."""
    parts = [_part(folder, file) for file in missing]
    begun = sum(part.stat().st_size for part in parts if part.exists())
    size = sum(file.size or 0 for file in missing) - begun
    unknown = "" if all(file.size is not None for file in missing) else " (not all sizes are known)"
    here = (
        f"{len(files) - len(missing):,} of {len(files):,} files are here; "
        if len(files) > len(missing)
        else ""
    )
    amount = f", {decimal(size)}{unknown}" if size > 50_000 else ""
    progress.say(f"{here}downloading {_files_of(missing)}{amount} to {folder}")
    free = shutil.disk_usage(folder).free
    if size + SPARE > free:
        raise DataError(
            f"{folder}: the download takes {decimal(size)}, but only {decimal(free)} are free; give "
            "dumps.folder= on a larger disk, or dumps.only= or dumps.files= for fewer files"
        )


def _fetch(file: Remote, folder: Path, show: Callable[[int], None]) -> None:
    """Fetch one file, complete and with the right checksum, or not at all. Raises DataError."""
    part = _part(folder, file)
    if not file.digest and file.size is None:  # nothing would reveal a second part from a different file
        part.unlink(missing_ok=True)
    problem = None
    for _ in range(2):  # a file may change on the server during the download
        http.download(file.url, part, file.size, show)
        problem = _problem(part, file)
        if problem is None:
            folders.sync(part)
            part.rename(folder / file.name)
            folders.sync(folder)
            return
        part.unlink()
    raise DataError(
        f"{redact(file.url)}: {problem}, twice; it was deleted. Run the same command again later, or delete "
        f"{folder / LIST} to take the publisher's newest list"
    )


def _problem(part: Path, file: Remote) -> str | None:
    size = part.stat().st_size
    if file.size is not None and size != file.size:
        return f"{size:,} bytes arrived, and its publisher lists {file.size:,}"
    if file.digest:
        with part.open("rb") as content:
            found = hashlib.file_digest(content, file.algorithm).hexdigest()
        if found != file.digest:
            return f"arrived with {file.algorithm} {found}, and its publisher lists {file.digest}"
    return None


def _showing(progress: Progress, counted: str, file: Remote) -> Callable[[int], None]:
    """A function that takes how many bytes have arrived, and shows them and the speed."""
    first: list[tuple[float, int]] = []

    def show(done: int) -> None:
        now = time.monotonic()
        first[:] = first or [(now, done)]
        since, began = first[0]
        rate = (done - began) / (now - since) if now > since and done > began else 0.0
        of = f" of {decimal(file.size)}" if file.size else ""
        speed = f", {decimal(rate)}/s" if rate else ""
        progress.show(f"downloading {counted}: {file.name}, {decimal(done)}{of}{speed}")

    return show
