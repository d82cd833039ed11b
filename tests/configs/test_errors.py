"""The line that ends a command."""

import errno
import re

import pytest

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
