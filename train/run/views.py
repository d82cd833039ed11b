"""Read and write the files of a run folder that are not its checkpoints, and say what is wrong with one.

Each can be moved away at any time: all that a run needs to resume is in its newest checkpoint.
"""

import errno
from pathlib import Path

from configs import regular_file
from configs.existence import exists, is_dir, is_file
from data import folders
from train.config import RunError

AWAY = "move it away and run the same command again"


def content(path: Path) -> bytes | None:
    """A file's bytes, None if there is no file. Raises RunError if it cannot be read."""
    try:
        return regular_file.content(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise RunError(f"{path}: a folder, expected a file; {AWAY}") from None
    except regular_file.NotAFile as error:
        raise RunError(f"{path}: {error.strerror}; {AWAY}") from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise
        raise RunError(
            f"{path}: cannot be read ({error.strerror or error}); restore access, or {AWAY}"
        ) from None


def write(path: Path, text: str) -> None:
    """Replace a file atomically. Raises RunError if it cannot be written."""
    try:
        folders.write_whole(path, text)
    except OSError as error:
        refuse_other_than_file(path)
        raise RunError(f"{path}: cannot be written ({error.strerror or error}); {AWAY}") from None


def refuse_other_than_file(path: Path) -> None:
    """Raise RunError if a folder, a pipe, a device or a broken link is where a file belongs."""
    if is_dir(path):
        raise RunError(f"{path}: a folder, expected a file; {AWAY}")
    if exists(path) and not is_file(path):
        raise RunError(f"{path}: a pipe or a device, expected a file; {AWAY}")
    if path.is_symlink() and not exists(path):
        raise RunError(f"{path}: a link to a missing file; restore that, or {AWAY}")
