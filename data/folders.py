"""Files and folders that appear complete or not at all, with one owner at a time while they are made.

Everything is written under a temporary name next to its destination, synced to disk and then renamed. A
killed process leaves only temporary names behind, which the next process deletes.
"""

import errno
import fcntl
import os
import shlex
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from fnmatch import fnmatchcase
from pathlib import Path

from configs import regular_file
from configs.checks import near
from configs.existence import exists, is_dir, is_file
from data.errors import DataError

NO_LINKS = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV)
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # what a file system without flock reports


def run_path(run: str) -> Path:
    """The folder of `run=`: RUN itself if /absolute, ./relative, below runs/ or a run; else runs/RUN."""
    first, path = run.partition(os.sep)[0], Path(run)
    is_path = (first in ("", ".", "..", "runs") and os.sep in run) or run in (".", "..")
    is_run = os.sep in run and is_file(path / "config.yaml")  # made when anything with a slash was a path
    return path if is_path or is_run else Path("runs") / run


def run_with(path: Path) -> Path | None:
    """The run folder that is `path` or contains it; None if there is none."""
    return next((one for one in (path, *path.parents) if _is_run(one)), None)


def find_run(word: str, key: str = "run") -> Path:
    """The folder of an existing run, given its name, its path or the path of something in it (checkpoints).

    Raises a DataError that names `key` and the probable intent if `word` is a step of a run, a folder of runs
    or unknown.
    """
    path = run_path(word)
    if "://" in word:
        raise DataError(
            f"{key}={word}: a URL, expected a run on this machine; copy it to a folder and give that"
        )
    name, _, step = word.rpartition("@")
    if name and step.isdecimal() and not exists(path) and is_dir(run_path(name)):
        raise DataError(f"{key}={word}: a step of a run, expected the run: {key}={run_word(run_path(name))}")
    for one in (path, Path(word)):
        if exists(one) and (run := run_with(one)):
            if one.parent.resolve() == (run / "checkpoints").resolve():
                raise DataError(f"{key}={word}: a step of a run, expected the run: {key}={run_word(run)}")
            return run
    if runs := runs_in(path):
        some = ", ".join(f"{key}={run_word(run)}" for run in runs[:5])
        raise DataError(f"{key}={word}: a folder of runs; choose one: {some}")
    if exists(path):  # whatever reads it reports what is wrong
        return path
    names = [other.name for other in path.parent.glob("*") if is_dir(other)]
    alike = near(path.name, names)
    meant = [f"did you mean {key}={run_word(path.parent / other)}?" for other in alike]
    raise DataError(f"{key}={word}: no such run ({path}); {(*meant, '`relama runs` lists the runs here')[0]}")


def runs_in(folder: Path) -> list[Path]:
    """The runs directly in a folder (a sweep's, for example), sorted by name."""
    return sorted(config.parent for config in folder.glob("*/config.yaml"))


def _is_run(path: Path) -> bool:
    return is_dir(path / "checkpoints") and is_file(path / "config.yaml")


def run_word(path: Path) -> str:
    """What to type after `run=` or `weights=` for the run in `path`, quoted for a shell."""
    name = str(path.relative_to("runs")) if path.is_relative_to("runs") else str(path)
    return shlex.quote(name if run_path(name) == path else str(path))


def aside(folder: Path) -> Path:
    """An empty temporary folder next to `folder`, to be filled and then passed to `commit`."""
    temporary = folder.with_name(folder.name + ".tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    return temporary


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """A temporary folder as from `aside`, for this process alone; what is left of it afterward is deleted.

    Raises DataError if another process is filling it. During the block, nobody else makes `folder`.
    """
    temporary = folder.with_name(folder.name + ".tmp")
    temporary.mkdir(parents=True, exist_ok=True)
    handle = os.open(temporary, os.O_RDONLY)
    try:
        if not _is_locked(handle, temporary, fcntl.LOCK_EX | fcntl.LOCK_NB):
            raise DataError(f"{folder}: another process is writing it; wait for it, or choose another folder")
        try:
            for left in temporary.iterdir():  # remains from a killed process
                shutil.rmtree(left) if is_dir(left) and not left.is_symlink() else left.unlink()
            yield temporary
        finally:
            if _is(handle, temporary):  # not committed
                shutil.rmtree(temporary, ignore_errors=True)
    finally:
        os.close(handle)


def commit(temporary: Path, folder: Path) -> None:
    """Replace `folder` with `temporary`, after syncing its contents to disk."""
    sync_tree(temporary)
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if exists(folder):
        folder.rename(old)
    temporary.rename(folder)
    sync(folder.parent)
    shutil.rmtree(old, ignore_errors=True)


def commit_once(temporary: Path, folder: Path) -> None:
    """Rename `temporary` to `folder` unless another process has already made the same folder."""
    sync_tree(temporary)
    try:
        temporary.rename(folder)
    except OSError:
        if not exists(folder):
            raise
        shutil.rmtree(temporary)
    sync(folder.parent)


@contextmanager
def replacing(path: Path, temporary: Path | None = None) -> Iterator[Path]:
    """Yield a path to write to; after the block, its file is synced to disk and replaces `path`.

    If the block raises, `path` is unchanged. Two processes take turns. A task that may run twice passes a
    `temporary` made by `own`.
    """
    if is_dir(path):
        raise IsADirectoryError(f"{path} is a folder; give the name of a file")
    with nullcontext(temporary) if temporary else _alone(path.with_name(path.name + ".tmp")) as temporary:
        try:
            yield temporary
            sync(temporary)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    sync(path.parent)


@contextmanager
def _alone(temporary: Path) -> Iterator[Path]:
    """Wait until no other process is writing `temporary`, then hold it."""
    while True:
        handle = os.open(temporary, os.O_CREAT | os.O_RDWR, 0o666)
        try:
            if _is_locked(handle, temporary, fcntl.LOCK_EX):
                yield temporary
                return
        finally:
            os.close(handle)


def _is_locked(handle: int, path: Path, how: int) -> bool:
    """Lock the open `path`; False if another process holds it, or has since renamed or deleted it."""
    try:
        fcntl.flock(handle, how)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    return _is(handle, path)


def _is(handle: int, path: Path) -> bool:
    """Whether `path` is still the file or folder that was opened as `handle`."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def write_whole(path: Path, text: str) -> None:
    """Write a small text file that appears complete or not at all. Raises OSError.

    Half of a surrogate pair, as from a file name that is not UTF-8, is written as its JSON escape.
    """
    with regular_file.named(path), replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")


def walk(folder: Path, needs_hidden: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
    """`os.walk` that raises OSError for a folder it cannot list; for a hidden one, only if it is needed."""

    def refuse(error: OSError) -> None:
        if needs_hidden or not error.filename or not is_hidden(Path(error.filename).relative_to(folder)):
            raise error

    return os.walk(folder, onerror=refuse)


def files_below(folder: Path) -> list[Path]:
    """All files below a folder, sorted. Unlike `rglob`, raises OSError for a folder that cannot be listed.

    It skips hidden folders that cannot be listed, such as the trash or a system's index.
    """
    found = [Path(place, name) for place, _, names in walk(folder, needs_hidden=False) for name in names]
    return sorted(path for path in found if is_file(path))


def is_hidden(path: Path) -> bool:
    """Whether any part of the relative `path`, a file or a folder, begins with a dot."""
    return any(part[0] == "." for part in path.parts)


def matching(folder: Path, pattern: str) -> list[Path]:
    """The paths in a folder that match, sorted; none if there is no such folder. Raises OSError."""
    try:
        return sorted(path for path in folder.iterdir() if fnmatchcase(path.name, pattern))
    except (FileNotFoundError, NotADirectoryError):
        return []


def set_aside(path: Path) -> str:
    """Keep a file under another name; return a note with that name, empty if there is nothing to keep."""
    if not exists(path) or path.stat().st_size == 0:
        return ""
    number = 1
    while exists(kept := path.with_stem(f"{path.stem}-{number}")):
        number += 1
    path.rename(kept)
    return f" (the old one is {kept})"


def refuse_unwritable(path: Path, output: Path | None = None) -> None:
    """Raise a DataError that names `output` if no file can be made at `path`; its parents may be missing.

    Call it before computing for a long time. It leaves nothing behind.
    """
    parent = path.parent
    try:
        if is_dir(path):
            raise IsADirectoryError(errno.EISDIR, "a folder; give the name of a file")
        while not exists(parent):
            parent = parent.parent
        with tempfile.TemporaryFile(dir=parent):  # it has no name, so a kill leaves nothing behind
            pass
    except OSError as error:
        raise DataError(f"output={output or path}: cannot be written ({error.strerror or error})") from None


@contextmanager
def locked(path: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock file `path` during the block; the lock is also released if this process is killed.

    If another process holds the lock, calls `waiting` once and waits, or raises DataError if `waiting` is
    None. Also raises DataError on a file system without locks.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is None:
                raise DataError(f"{path.parent}: another process is preparing this folder") from None
            waiting()
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
            raise DataError(
                f"{path.parent}: its file system has no locks ({error.strerror}); mount it with flock, or "
                "choose a folder on another"
            ) from None
        yield


def is_plain(name: object) -> bool:
    """Whether `name` is a plain name that cannot lead out of its folder."""
    return isinstance(name, str) and name not in ("", ".", "..") and not set("/\\\0") & set(name)


def own(path: Path) -> Path:
    """A path next to `path` for this process only, because a cluster may run a task twice at once."""
    return path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}.tmp")


def link(source: Path, goal: Path) -> None:
    """Give a file a second name, or copy it if its file system has no links (or no more of them)."""
    try:
        os.link(source, goal)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        with replacing(goal, own(goal)) as temporary:
            shutil.copyfile(source, temporary)


def sync_tree(folder: Path) -> None:
    """Sync a folder and everything in it to disk."""
    for path in [*sorted(folder.rglob("*")), folder]:
        sync(path)


def sync(path: Path) -> None:
    """Sync a file, or a folder's entries, to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL or not is_dir(path):  # some file systems cannot sync folders
            raise
    finally:
        os.close(handle)
