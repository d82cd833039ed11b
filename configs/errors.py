"""One line for what ended a command, on the terminal and in the file that torchrun reads from each rank."""

import errno
import getpass
import json
import os
import shlex
import shutil
import socket
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from configs import terminal
from configs.interrupts import speaks
from configs.redact import redact
from configs.sizes import decimal

AGENT = "RELAMA_AGENT"  # set by launch/agent.py, which prints a refusal itself, as the last line
FULL = (errno.ENOSPC, errno.EDQUOT)
_FORBIDDEN = (errno.EACCES, errno.EPERM)
UNWRITABLE = (*_FORBIDDEN, errno.EROFS)  # again at the next try, too
FAILING = (  # of a disk, or of a network drive whose server is away or has forgotten the file
    *(errno.EIO, errno.EREMOTEIO, errno.ESTALE, errno.EUCLEAN),
    *(errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOTCONN),
)
_NO_FOLDER = (errno.EEXIST, errno.ENOTDIR)  # of mkdir, or of opening a file below a file
_NO_TARGET = (errno.ENOENT, errno.EEXIST, errno.ELOOP)  # of a link


def report(error: Exception, origin: str = "") -> None:
    """Print the error's line, prefixed with `origin`, on each machine's first rank, and tell torchrun."""
    where = f" [{socket.gethostname()}]" if os.environ.get("GROUP_RANK", "0") != "0" else ""
    text = explained(error) if isinstance(error, OSError) else str(error) + _room(error, str(error))
    text = f"{where}: {terminal.printable(redact(' '.join((origin + (text or str(error))).split())))}"
    is_final = getattr(error, "is_final", False)
    _tell_torchrun(f"relama: error{text}", is_final)
    is_repeated = is_final and AGENT in os.environ
    if speaks() and not is_repeated:
        terminal.keep()  # keep the progress line on the screen
        # Not wrapped: it may name a command or a path to copy.
        print(terminal.paint("relama: error", "red") + text, file=sys.stderr, flush=True)


def explained(error: OSError) -> str | None:
    """What is wrong with a path or its disk, with how to fix it; None for other errors."""
    path = error.filename2 or error.filename
    if error.errno in FULL:
        places = [path] if path else [os.getcwd(), tempfile.gettempdir()]
        room = " and ".join(f"{place} ({_free(Path(place))} free)" for place in places)
        return f"no space left on the disk of {room}; make room there and run the same command again"
    if error.errno in _FORBIDDEN and path:
        return (
            f"{path}: {error.strerror}, as user {_user()}; choose another folder, or have its owner or mode "
            f"changed (ls -ld {shlex.quote(str(_forbidding(Path(path))))})"
        )
    if error.errno == errno.EROFS and path:
        return f"{path}: its file system is read-only; choose a folder on another one"
    if error.errno in FAILING and path:
        return (
            f"{path}: {error.strerror}; its disk or network drive fails: restore it (mount, dmesg), and run "
            "the same command again"
        )
    if error.errno in _NO_TARGET and path and (link := _dead_link(Path(path))):
        return (
            f"{link}: a link to {os.readlink(link)}, which is missing; restore that (is its disk mounted?), "
            "or choose another path"
        )
    if error.errno in _NO_FOLDER and path and (file := _file_in(Path(path))):
        return f"{file}: a file, expected a folder; choose another path, or move that file away"
    if error.errno == errno.EISDIR and path:
        return f"{path}: a folder, expected a file; give the path of a file"
    if error.errno == errno.ENAMETOOLONG:
        return f"{str(path)[:60]}…: a name in this path is too long for its file system; choose a shorter one"
    return None


def reason(error: OSError) -> str:
    """Why a place cannot be used, in a few words without Python's numbers; the caller names the place."""
    path = error.filename2 or error.filename
    if error.errno in _NO_FOLDER and path and _file_in(Path(path)):
        return "a file, expected a folder"
    if error.errno in _NO_TARGET and path and (link := _dead_link(Path(path))):
        return f"{link} is a link to {os.readlink(link)}, which is missing"
    return error.strerror or str(error)


def again(error: OSError) -> str:
    """How to go on after a place could not be written; empty for a full disk, where `report` says it."""
    return "" if error.errno in FULL else "; fix the cause and run the same command again"


def _room(error: Exception, text: str) -> str:
    """How to go on where a full disk is behind a refusal that does not say so."""
    cause = error.__context__
    while cause is not None and not isinstance(cause, OSError):  # a refusal made of another one
        cause = cause.__context__
    if cause is None or cause.errno not in FULL or " free" in text:
        return ""
    path = cause.filename2 or cause.filename
    free = f" ({_free(Path(path))} free)" if isinstance(path, str) else ""
    return f"; make room on its disk{free} and run the same command again"


def _file_in(path: Path) -> Path | None:
    """The part of `path` that is a file."""
    return next((part for part in (path, *path.parents) if part.exists() and not part.is_dir()), None)


def _forbidding(path: Path) -> Path:
    """The part of `path` whose owner or mode forbids it: for a new or a removed file its folder."""
    if not os.path.lexists(path):
        return next((part for part in path.parents if os.path.lexists(part)), path)
    is_open = os.access(path, os.R_OK | os.W_OK | os.X_OK * os.path.isdir(path))
    return path.parent if is_open and not os.access(path.parent, os.W_OK) else path


def _dead_link(path: Path) -> Path | None:
    """The part of `path` that is a dangling link."""
    return next((part for part in (path, *path.parents) if part.is_symlink() and not part.exists()), None)


def _free(path: Path) -> str:
    while not path.exists():
        path = path.parent
    return decimal(shutil.disk_usage(path).free)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return str(os.getuid())


def _tell_torchrun(line: str, is_final: bool) -> None:
    if file := os.environ.get("TORCHELASTIC_ERROR_FILE"):
        content = {"message": line, "final": is_final, "extraInfo": {"timestamp": str(int(time.time()))}}
        with suppress(OSError):
            Path(file).write_text(json.dumps({"message": content}))
