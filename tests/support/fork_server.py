"""Starts Python and torch once for many single-process runs of `train/main.py`.

A server process imports the trainer once. For each command it forks a child with the command's arguments,
folder, environment and outputs, which runs the script as `python train/main.py …` does. Commands that are
signaled, measured or distributed start their own Python instead (tests/support/runs.py).
"""

import atexit
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
LARGEST = 1 << 20  # bytes of a request: arguments and environment


class ForkServer:
    """The server's client; each process has one (`server`)."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
        env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())],
            cwd=REPOSITORY,
            env=env | {"PYTHONPATH": str(REPOSITORY)},
            pass_fds=[theirs.fileno()],
        )
        theirs.close()
        atexit.register(self._socket.close)  # which ends the server

    def run(self, script: Path, arguments: list[str], timeout: float) -> subprocess.CompletedProcess[str]:
        """`python SCRIPT ARGUMENTS…` in the current folder and environment. Raises TimeoutExpired."""
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            request = {
                "script": str(script),
                "arguments": arguments,
                "folder": os.getcwd(),
                "env": dict(os.environ),
            }
            self._socket.settimeout(120)
            socket.send_fds(self._socket, [json.dumps(request).encode()], [out.fileno(), err.fileno()])
            child = self._answer()
            self._socket.settimeout(timeout)
            try:
                code = self._answer()
            except TimeoutError:
                os.kill(child, signal.SIGKILL)
                self._socket.settimeout(10)
                self._answer()
                raise subprocess.TimeoutExpired([str(script), *arguments], timeout) from None
            out.seek(0)
            err.seek(0)
            return subprocess.CompletedProcess(
                [str(script), *arguments], code, out.read().decode(), err.read().decode()
            )

    def _answer(self) -> int:
        answer = self._socket.recv(100)
        if not answer:
            raise RuntimeError(f"the fork server ended with {self._process.wait()}")
        return int(answer)


@cache
def server() -> ForkServer:
    return ForkServer()


def serve(connection: socket.socket) -> None:
    """Fork a child for each request; answer with its process id, then with its exit code."""
    while True:
        content, descriptors, *_ = socket.recv_fds(connection, LARGEST, 2)
        if not content:
            return
        child = os.fork()
        if not child:
            connection.close()
            _become(json.loads(content), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        connection.send(str(child).encode())
        _, status = os.waitpid(child, 0)
        connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(request: dict, out: int, err: int) -> None:
    """Run the script in this process and exit, like a Python started for it."""
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["env"])
        sys.argv = [request["script"], *request["arguments"]]
        sys.path[0] = str(Path(request["script"]).parent)
        runpy.run_path(request["script"], run_name="__main__")
        code = 0
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        threading._shutdown()  # pyright: ignore[reportAttributeAccessIssue]  # as at Python's own end
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    import train.main  # noqa: F401  # what every command would import

    if len(os.listdir("/proc/self/task")) != 1:
        sys.exit("an import has started a thread: a fork would lose it")
    serve(socket.socket(fileno=int(sys.argv[1])))
