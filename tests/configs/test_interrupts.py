"""Ctrl-C while a program imports or ends, in real processes."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
ENDING = """
import atexit, sys, time
from launch import cli
atexit.register(lambda: (print("ending", flush=True), time.sleep(600)))
sys.argv = ["relama", "runs", "folder=."]
sys.exit(cli.main())
"""
LAST = """
import os

class Last:
    def __del__(self, write=os.write, kill=os.kill, process=os.getpid()):
        write(1, b"last\\n")
        kill(process, 2)

sys.last = Last()
"""


# As sitecustomize.py: the import of torch stops in the middle.
HELD = """
import sys, time

def hold(event, arguments):
    if event == "import" and arguments[0] == "torch.nn":
        print("importing", flush=True)
        time.sleep(600)

sys.addaudithook(hold)
"""


def started(*arguments: str, cwd: Path, path: str = str(REPOSITORY)) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=cwd,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": path},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "launch.cli", "train", "model=tiny"),
        (str(REPOSITORY / "train" / "main.py"), "model=tiny"),
        ("-m", "launch.agent", "--standalone", "train/main.py"),
    ],
    ids=["relama", "train/main.py", "agent"],
)
def test_ctrl_c_during_imports_is_one_line(arguments, tmp_path):
    here, site = tmp_path / "here", tmp_path / "site"
    here.mkdir()
    site.mkdir()
    (site / "sitecustomize.py").write_text(HELD)
    process = started(*arguments, cwd=here, path=f"{site}:{REPOSITORY}")
    assert process.stdout and process.stdout.readline() == "importing\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=120) == ("", "\nrelama: interrupted\n")
    assert process.returncode == 130 and not any(here.iterdir())


def test_ctrl_c_during_the_first_imports_is_one_line(tmp_path):
    (tmp_path / "difflib.py").write_text("import os\nos.kill(os.getpid(), 2)\n")  # launch/cli.py imports it
    code = "import sys\nfrom launch import relama\nsys.exit(relama())\n"
    process = started("-c", code, cwd=tmp_path)
    assert process.communicate(timeout=60) == ("", "\nrelama: interrupted\n")
    assert process.returncode == 130


def test_ctrl_c_while_python_ends_is_one_line(tmp_path):
    process = started("-c", ENDING, cwd=tmp_path)
    assert process.stdout and process.stderr
    lines = iter(process.stdout.readline, "")
    assert any(line == "ending\n" for line in lines)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=120) == 130 and process.stderr.read() == "\nrelama: interrupted\n"


def test_where_ctrl_c_is_ignored_it_stays_ignored(tmp_path):
    ending = ENDING.replace("time.sleep(600)", "sys.stdin.read()")  # until the signal has come
    code = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{ending}"
    process = started("-c", code, cwd=tmp_path)
    assert process.stdout and process.stdin
    assert any(line == "ending\n" for line in iter(process.stdout.readline, ""))
    process.send_signal(signal.SIGINT)
    process.stdin.close()
    assert process.wait(timeout=120) == 0


def test_ctrl_c_while_python_is_torn_down_does_not_kill_a_finished_verb(tmp_path):
    """Python restores the default handlers before it deletes what is left."""
    script = ENDING.replace('atexit.register(lambda: (print("ending", flush=True), time.sleep(600)))', LAST)
    process = started("-c", script, cwd=tmp_path)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0 and errors == "" and output.endswith("last\n")
