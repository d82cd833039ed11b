"""What a message proposes where a disk is too small can be done, and helps: on a real one of a few MB.

Without the right to mount one, these tests are skipped.
"""

import re
import shutil
from pathlib import Path

import pytest

from tests.support.disk import fill, small_disk
from tests.support.runs import learned, run, same_tensors, succeed
from train.checkpoint.folder import complete_steps

SETTINGS = ("steps=20", "checkpoint.every=4")  # a checkpoint takes 4.1 MB


@pytest.fixture
def disk(tmp_path):
    """Room for two checkpoints and half of a third, until `disk/filler` is removed."""
    with small_disk(tmp_path / "disk", mib=30) as mounted:
        if mounted is None:
            pytest.skip("mounting a tmpfs needs root")
        fill(mounted, left=10_000_000)
        yield mounted


@pytest.fixture(scope="module")
def undisturbed(corpora, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    succeed(f"corpora={corpora}", f"run={folder}", *SETTINGS)
    return folder


def same_end(folder: Path, undisturbed: Path) -> None:
    assert learned(folder) == learned(undisturbed)
    same_tensors(folder / "checkpoints" / "step-000020", undisturbed / "checkpoints" / "step-000020")


def test_without_room_for_a_checkpoint_a_run_starts_on_another_disk_or_once_there_is_room(
    disk, corpora, undisturbed, tmp_path
):
    fill(disk, left=3_000_000)
    here, elsewhere = (f"run={disk / 'run'}", f"run={tmp_path / 'elsewhere'}")
    refused = run(f"corpora={corpora}", *SETTINGS, here)
    assert refused.returncode == 1 and not (disk / "run").exists()
    assert "make room, or choose run=PATH on another disk" in refused.stderr
    (needed,) = re.findall(r"a checkpoint needs ([\d.]+) MB, but its disk has 3 MB free", refused.stderr)
    succeed(f"corpora={corpora}", *SETTINGS, elsewhere)
    same_end(tmp_path / "elsewhere", undisturbed)
    fill(disk, left=int(1e6 * 2 * float(needed)) + 1_000_000)  # the one that it replaces as well
    succeed(f"corpora={corpora}", *SETTINGS, here, "checkpoint.keep=1")
    same_end(disk / "run", undisturbed)


def test_the_warning_of_a_disk_that_will_be_full_proposes_as_many_checkpoints_as_fit(
    disk, corpora, undisturbed
):
    arguments = (f"corpora={corpora}", *SETTINGS, f"run={disk / 'run'}")
    (keep,) = re.findall(r"will be full before .*\((checkpoint\.keep=1)\)", run(*arguments).stdout)
    shutil.rmtree(disk / "run")
    said = succeed(*arguments, keep)
    assert "relama: warning" not in said.stdout + said.stderr
    same_end(disk / "run", undisturbed)


@pytest.mark.parametrize("mend", ["make room", "keep fewer"])
def test_a_run_whose_disk_is_full_of_its_checkpoints_goes_on_with_fewer_or_with_room(
    mend, disk, corpora, undisturbed
):
    folder = disk / "run"
    arguments = (f"corpora={corpora}", *SETTINGS, f"run={folder}")
    ended = run(*arguments)
    assert ended.returncode == 1
    assert ended.stdout.count("could not be saved") == 2  # of the steps 12 and 16
    last = ended.stderr.splitlines()[-1]
    assert re.search(r"step-000020: could not be saved \(No space left on device, [\d.]+ MB free\)", last)
    assert last.endswith("earlier checkpoints are kept; fix the cause and run the same command again")
    assert complete_steps(folder / "checkpoints") == [4, 8]
    again = run(*arguments)
    assert again.returncode == 1 and "checkpoint.keep=1" in again.stdout
    if mend == "make room":
        (disk / "filler").unlink()
    said = succeed(*arguments, *(["checkpoint.keep=1"] if mend == "keep fewer" else []))
    assert "could not be saved" not in said.stdout
    same_end(folder, undisturbed)
