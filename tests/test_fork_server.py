"""A command runs the same in the fork server as in its own Python."""

import subprocess
import sys

import pytest

from tests.support.fork_server import server

SCRIPT = """
import os, sys, threading, time
print(sys.argv[1:], os.getcwd(), os.environ.get("MARK"), __name__, sys.path[0], "torch" in sys.modules)
print("said", file=sys.stderr)
threading.Timer(0.2, lambda: print("the thread has ended")).start()
if "sleep" in sys.argv:
    time.sleep(60)
if "raise" in sys.argv:
    raise ValueError("no")
sys.exit(3 if "three" in sys.argv else None)
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MARK", "set")
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


@pytest.mark.parametrize(("arguments", "code"), [([], 0), (["a b", "three"], 3), (["raise"], 1)])
def test_output_folder_environment_and_exit_code_are_the_same(script, arguments, code):
    ours = server().run(script, arguments, timeout=60)
    plain = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True)
    assert ours.returncode == plain.returncode == code
    assert ours.stdout == plain.stdout.replace("False", "True")  # torch is there already
    assert ours.stdout.endswith("the thread has ended\n")
    assert ours.stderr.splitlines()[-1] == plain.stderr.splitlines()[-1]


def test_a_command_that_hangs_is_killed_and_the_next_one_runs(script):
    with pytest.raises(subprocess.TimeoutExpired):
        server().run(script, ["sleep"], timeout=1)
    assert server().run(script, [], timeout=60).returncode == 0
