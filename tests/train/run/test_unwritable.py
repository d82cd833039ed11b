"""Folders that the user may not write to: refused before any step; once they may be, the run goes on."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.runs import command, learned, succeed
from train.checkpoint.folder import complete_steps

pytestmark = pytest.mark.distributed

# Root may write anywhere until it has given up its capabilities; one is kept for reading Python itself.
CAPABILITIES = ("--bounding-set=-all,+dac_read_search", "--inh-caps=-all,+dac_read_search")


@pytest.fixture(scope="module")
def ordinary() -> list[str]:
    """The words before a command that make its user an ordinary one."""
    if os.geteuid() != 0:
        return []
    words = ["setpriv", *CAPABILITIES, "--no-new-privs"]
    if shutil.which("setpriv") is None or subprocess.run([*words, "true"], capture_output=True).returncode:
        pytest.skip("setpriv (util-linux) cannot drop root's capabilities here")
    return words


def refused(ordinary: list[str], *words: str) -> tuple[str, str]:
    """What the command printed, and the one line of its error."""
    done = subprocess.run([*ordinary, *command(*words)], capture_output=True, text=True)
    (line,) = [line for line in done.stderr.splitlines() if "error" in line or "Traceback" in line]
    assert done.returncode == 1
    return done.stdout, line.removeprefix("relama: error: ")


def test_a_checkpoint_folder_that_is_closed_ends_the_command_before_a_step(ordinary, corpora, tmp_path):
    run, words = tmp_path / "run", [f"corpora={corpora}", f"run={tmp_path / 'run'}", "steps=20"]
    succeed(*words, "stop_at=2")
    before, closed = learned(run), run / "checkpoints"
    closed.chmod(0o555)
    try:
        said, line = refused(ordinary, *words, "stop_at=4")
        assert line.startswith(f"{closed}: Permission denied, as user ") and line.endswith(
            f"(ls -ld {closed})"
        )
        assert "resuming" in said and "step 3/" not in said
        assert learned(run) == before
        again = [*ordinary, *command(*words, "stop_at=2")]  # nothing is left to be saved
        assert subprocess.run(again, capture_output=True).returncode == 0
    finally:
        closed.chmod(0o755)
    succeed(*words, "stop_at=4")
    assert max(complete_steps(closed)) == 4


@pytest.mark.parametrize("name", ["", "new"])
def test_a_closed_folder_is_named_and_not_a_file_that_is_not_there(name, ordinary, corpora, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    wanted = Path(closed, name or ".lock")
    _, line = refused(ordinary, f"corpora={corpora}", f"run={closed / name}", "steps=2")
    assert line.startswith(f"{wanted}: Permission denied, as user ") and line.endswith(f"(ls -ld {closed})")
    assert not any(closed.iterdir())
