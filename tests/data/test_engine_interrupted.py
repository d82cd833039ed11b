"""Ctrl-C while the engine's workers start and work, in real processes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.runs import REPOSITORY

INTERRUPTED = """
import signal, sys, time
from functools import partial
from pathlib import Path
from configs.load import entry
from data import engine

def work(folder, item):
    (folder / f"{item}.begun").touch()
    time.sleep(300)

def verb(arguments):
    logs = Path(arguments[0])
    engine.run(engine.EngineConfig(workers=2), "x", partial(work, logs), [0, 1, 2], logs, lambda: None)

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    sys.exit(entry(verb, None))
"""


@pytest.mark.parametrize("begun", [0, 2], ids=["while workers start", "while workers work"])
def test_ctrl_c_is_one_line_whatever_the_workers_do(begun, tmp_path):
    (tmp_path / "program.py").write_text(INTERRUPTED)
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "program.py"), str(tmp_path)],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # so that it can be sent to the group, as a terminal does
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    deadline = time.monotonic() + 120
    # The first child is multiprocessing's tracker.
    while len(children.read_text().split()) < 2 or len([*tmp_path.glob("*.begun")]) < begun:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=120)[0] == "\nrelama: interrupted\n"
    assert process.returncode == 130
