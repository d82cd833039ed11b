"""The line that ends a command."""

import errno
import os
import re
import shlex
from pathlib import Path

import pytest

from configs import regular_file
from configs.errors import report


class Refusal(Exception):
    pass


@pytest.mark.parametrize("refusals", [1, 2])
def test_a_refusal_by_a_full_disk_names_the_room_and_what_to_do(refusals, tmp_path, capsys):
    try:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "new" / "page.html"))
    except OSError as error:
        refusal: Exception = error
        for _ in range(refusals):  # one made of another
            cause, refusal = refusal, Refusal(f"page.html: cannot be written ({error.strerror})")
            refusal.__context__ = cause
    report(refusal)
    line = capsys.readouterr().err
    assert line.startswith(
        "relama: error: page.html: cannot be written (No space left on device); make room on"
    )
    assert re.search(r" \([\d.,]+ (bytes?|[kMGTP]B) free\) and run the same command again\n$", line)
    assert line.count("\n") == 1


def test_other_refusals_stay_as_they_are(capsys):
    refusal = Refusal("page.html: cannot be written (Input/output error)")
    refusal.__context__ = OSError(errno.EIO, "Input/output error", "page.html")
    report(refusal)
    assert capsys.readouterr().err == "relama: error: page.html: cannot be written (Input/output error)\n"


@pytest.mark.parametrize("below", ["", "checkpoints", "checkpoints/step-000001/state.json"])
@pytest.mark.parametrize("target", ["not mounted", "link"])
def test_a_link_to_nothing_is_named_with_its_target(tmp_path, capsys, target, below):
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(OSError) as failed:
        (link / below).mkdir(parents=True, exist_ok=True)
    report(failed.value)
    assert (
        f"{link}: a link to {target}, which is missing; restore that (is its disk mounted?), or choose"
        in (capsys.readouterr().err)
    )


def test_an_error_of_reading_has_the_name_of_its_file(tmp_path):
    with pytest.raises(OSError) as failed, regular_file.named(tmp_path / "a"):
        raise OSError(errno.ESTALE, "Stale file handle")
    assert failed.value.filename == str(tmp_path / "a")
    with pytest.raises(OSError) as failed, regular_file.named(tmp_path / "a"):
        raise OSError(errno.ESTALE, "Stale file handle", "another")
    assert failed.value.filename == "another"


@pytest.mark.parametrize(
    ("closed", "wanted"),
    [("", "new"), ("", "new/below"), ("", "old"), ("old", "old"), ("below it", "below it/new")],
)
def test_missing_rights_name_what_can_be_listed_and_lacks_them(closed, wanted, tmp_path, capsys, monkeypatch):
    """The folder of what is new or is to be removed, not a file that is not there or is fine."""
    folder = tmp_path / "a folder"
    (folder / "below it").mkdir(parents=True)
    (folder / "old").touch()
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, how: Path(path) != folder / closed and real(path, how))
    report(PermissionError(errno.EACCES, "Permission denied", str(folder / wanted)))
    (named,) = re.findall(r"\(ls -ld (.*)\)$", capsys.readouterr().err)
    assert shlex.split(named) == [str(folder / closed)]
