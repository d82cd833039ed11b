"""What a pod does with a signal that comes before torchrun can take it."""

from launch.pod import REPLACE
from tests.support.fork_server import python

# The signal comes when torchrun runs and Popen has not returned yet.
STARTING = """
import os, signal, subprocess, sys, time
from launch import pod

def late(*given, real=subprocess.Popen._execute_child):
    real(*given)
    while not os.path.exists("ready"):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGTERM)

subprocess.Popen._execute_child = late
torchrun = '''
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
open("ready", "w").close()
time.sleep(60)
'''
sys.exit(pod._supervised([sys.executable, "-c", torchrun]))
"""
# It comes while the first pod, which this one looks for, has no address.
WAITING = """
import runpy, signal, socket

def unknown(*_, **__):
    signal.raise_signal(signal.SIGTERM)
    raise OSError("unknown")

socket.getaddrinfo = unknown
runpy.run_module("launch.pod", run_name="__main__", alter_sys=True)
"""


def test_a_signal_while_torchrun_is_started_is_passed_on(tmp_path):
    done = python("-c", STARTING, cwd=tmp_path)
    assert done.returncode == 7, done.stderr


def test_a_signal_before_that_ends_the_pod_which_another_replaces(tmp_path, monkeypatch):
    monkeypatch.setenv("RELAMA_RENDEZVOUS", "relama-r-0.relama-r:29400")
    words = ("cluster=kubernetes", "image=registry.example/relama:1", "nodes=2", "run=r", "model=tiny")
    done = python("-c", WAITING, *words, cwd=tmp_path)
    assert done.returncode == REPLACE, done.stderr
    assert done.stdout == "relama: told to end before torchrun had started; another pod resumes\n"
