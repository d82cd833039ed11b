"""Starts Python and torch once for many commands, of one process or of several ranks.

A server process imports the trainer once. For each command it forks a child with the command's arguments,
folder, environment and outputs, which runs the script, module or code as `python …` does. A torchrun that is
started so forks its ranks (`forked_children.py`). Commands whose subject is how a Python starts, what a bare
one imports, or torchrun itself, start their own instead.
"""

import atexit
import ctypes
import gc
import json
import os
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

from tests.support.forked_children import LARGEST, fork_children

REPOSITORY = Path(__file__).resolve().parents[2]
AGENTS = ("launch.agent", "torch.distributed.run")  # modules that start Pythons
GRACE = 30  # seconds from SIGTERM to SIGKILL for the other ranks of one that failed, as torchrun gives them


def python(
    *arguments: str | Path,
    ranks: int = 0,
    timeout: float = 400,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    children: bool = False,
) -> subprocess.CompletedProcess[str]:
    """The end and the outputs of `python ARGUMENTS…` (a script, `-m module` or `-c code`).

    `ranks`: run so many, joined as by torchrun on one machine; the exit code is 1 if one fails, which ends
    the others. `children`: as of `fork`. Raises TimeoutExpired with what was printed; the command is killed.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        command = fork(*arguments, ranks=ranks, cwd=cwd, env=env, out=out, err=err, children=children)
        try:
            code = command.wait(timeout)
        except subprocess.TimeoutExpired as late:
            os.kill(command.pid, signal.SIGKILL)
            command.wait()
            late.add_note(tail(out) + tail(err))
            raise
        finally:
            command.close()
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(command.args, code, out.read().decode(), err.read().decode())


class Forked:
    """A running command, with the part of Popen's interface that tests use."""

    def __init__(self, args: list[str], reports: socket.socket, printed: IO[bytes] | None = None) -> None:
        """`printed`: the file that gets its output, if the caller wants it shown where it fails."""
        self.args, self._reports, self.returncode, self.printed = args, reports, None, printed
        self.pid = self._next()

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._reports], [], [], 0)[0]:
            self.returncode = self._next()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises TimeoutExpired, with the end of the output."""
        if self.returncode is None:
            if not select.select([self._reports], [], [], timeout)[0]:
                late = subprocess.TimeoutExpired(self.args, timeout or 0)
                late.add_note(self.tail())
                raise late
            self.returncode = self._next()
        return self.returncode

    def tail(self, size: int = 3000) -> str:
        """The end of its output so far, where that is kept."""
        return tail(self.printed, size) if self.printed else ""

    def send_signal(self, number: int) -> None:
        """Nothing if it has ended, though that may not be reported yet."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def close(self) -> None:
        self._reports.close()

    def _next(self) -> int:
        report = self._reports.recv(100)
        if not report:
            raise RuntimeError(f"the fork server ended before {self.args} did")
        return int(report)


def tail(printed: IO[bytes], size: int = 3000) -> str:
    """The last bytes of an open file, without moving the place at which it is written."""
    end = os.fstat(printed.fileno()).st_size
    return os.pread(printed.fileno(), size, max(0, end - size)).decode(errors="replace")


def fork(
    *arguments: str | Path,
    ranks: int = 0,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    out: IO | None = None,
    err: IO | None = None,
    new_session: bool = False,
    children: bool = False,
) -> Forked:
    """Start `python ARGUMENTS…`; outputs that are not given are dropped.

    `children`: fork also the Pythons that it starts or becomes, as is done for each torchrun.
    """
    request = {
        "arguments": [str(argument) for argument in arguments],
        "ranks": ranks,
        "folder": str(cwd or os.getcwd()),
        "env": dict(os.environ if env is None else env),
        "new_session": new_session,
        "children": children,
    }
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with open(os.devnull, "wb") as nowhere, theirs:
        descriptors = [(file or nowhere).fileno() for file in (out, err)]
        socket.send_fds(_server(), [json.dumps(request).encode()], [*descriptors, theirs.fileno()])
    return Forked(request["arguments"], ours, out)


@cache
def _server() -> socket.socket:
    """The connection to this process's server; closing it ends the server."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
    env = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(REPOSITORY)}
    env["JE_ARROW_MALLOC_CONF"] = "background_thread:false"  # importing pyarrow would start a thread
    with theirs:
        subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())],
            cwd=REPOSITORY,
            env=env,
            pass_fds=[theirs.fileno()],
        )
    atexit.register(ours.close)
    return ours


def serve(connection: socket.socket) -> None:
    """Fork a keeper for each request, which reports the command's process id, then its exit code."""
    while True:
        content, descriptors, *_ = socket.recv_fds(connection, LARGEST, 3)
        while _reap():
            pass
        if not content:
            return
        if not os.fork():
            connection.close()
            _keep(json.loads(content), *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _reap() -> bool:
    """Whether a keeper had ended."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _keep(request: dict, out: int, err: int, reports: int) -> None:
    is_ready, tell_ready = os.pipe()
    child = os.fork()
    if not child:
        os.close(reports)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(out, 1)
        os.dup2(err, 2)
        if request["new_session"]:
            os.setsid()
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests run under nohup
        os.close(is_ready)
        os.close(tell_ready)
        if request["ranks"]:
            _lead(request)
        _become(request)
    os.close(tell_ready)
    os.read(is_ready, 1)  # ends when the child is in its session, as Popen's constructor does
    with socket.socket(fileno=reports) as client:
        try:
            client.send(str(child).encode())
            _, status = os.waitpid(child, 0)
            client.send(str(os.waitstatus_to_exitcode(status)).encode())
        except BrokenPipeError:  # the client has ended
            pass
    os._exit(0)


def _lead(request: dict) -> None:
    """Fork the ranks, keep their store and exit when all have ended, as torchrun does."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2 * request["ranks"])
    errors = Path(tempfile.mkdtemp())
    workers: dict[int, int] = {}  # ranks by process id
    for rank in range(request["ranks"]):
        worker = os.fork()
        if not worker:
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            request["env"] |= _torchruns_variables(rank, request["ranks"], listener.getsockname()[1])
            request["env"]["TORCHELASTIC_ERROR_FILE"] = str(errors / str(rank))
            listener.close()
            _become(request)
        workers[worker] = rank
    from torch._C._distributed_c10d import TCPStore

    address = listener.getsockname()
    store = TCPStore(*address, is_master=True, wait_for_workers=False, master_listen_fd=listener.detach())
    failed: tuple[int, int] | None = None  # the first rank that did, and its exit code
    deadline = float("inf")
    while workers:
        worker, status = os.waitpid(-1, 0 if not failed else os.WNOHANG)
        rank = workers.pop(worker, None)
        if rank is not None and status and not failed:
            failed, deadline = (rank, os.waitstatus_to_exitcode(status)), time.monotonic() + GRACE
            _signal(workers, signal.SIGTERM)
        if failed and not worker:
            if time.monotonic() > deadline:
                _signal(workers, signal.SIGKILL)
            time.sleep(0.02)
    if failed:
        _tell_of_the_first_failure(errors, *failed)
    shutil.rmtree(errors)
    del store
    os._exit(int(failed is not None))


def _tell_of_the_first_failure(errors: Path, rank: int, code: int) -> None:
    """Name the first rank that failed, and its error, where rank 0 has not printed its own."""
    if (errors / "0").exists() or (rank == 0 and code > 0):
        return
    told = errors / str(rank)  # by `configs.errors`
    said = json.loads(told.read_text())["message"]["message"] if told.exists() else "it told torchrun nothing"
    os.write(2, f"rank {rank} failed first, with exit code {code}: {said}\n".encode())


def _signal(workers: Iterable[int], number: int) -> None:
    for worker in workers:
        os.kill(worker, number)


def _torchruns_variables(rank: int, ranks: int, port: int) -> dict[str, str]:
    return {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "GROUP_RANK": "0",
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "OMP_NUM_THREADS": "1",
        "TORCHELASTIC_RUN_ID": "forked",
        "TORCHELASTIC_RESTART_COUNT": "0",
        "TORCHELASTIC_MAX_RESTARTS": "0",
        "TORCHELASTIC_USE_AGENT_STORE": "True",
    }


def _become(request: dict) -> None:
    """Run the command in this process and exit, like a Python started for it."""
    code = 1
    try:
        os.chdir(request["folder"])
        os.environ.clear()
        os.environ.update(request["env"])
        if request.get("children") or (
            request["arguments"][:1] == ["-m"] and request["arguments"][1] in AGENTS
        ):
            fork_children(_become)
        _extend_path()
        _execute(request["arguments"])
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


def _extend_path() -> None:
    """Add the folders of PYTHONPATH, and run a sitecustomize.py in them, as a Python does that starts."""
    new = [one for one in os.environ.get("PYTHONPATH", "").split(os.pathsep) if one and one not in sys.path]
    sys.path[1:1] = new
    for site in (Path(folder) / "sitecustomize.py" for folder in new):
        if site.exists():
            runpy.run_path(str(site))


def _execute(arguments: Sequence[str]) -> None:
    first, *rest = arguments
    if first == "-u":
        sys.stdout.reconfigure(write_through=True)  # pyright: ignore[reportAttributeAccessIssue]  # a TextIOWrapper
        first, *rest = rest
    if first == "-m":
        sys.argv, sys.path[0] = rest, os.getcwd()
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif first == "-c":
        sys.argv, sys.path[0] = ["-c", *rest[1:]], ""
        sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), sys.modules["__main__"].__dict__)
    else:
        sys.argv, sys.path[0] = [first, *rest], str(Path(first).parent)
        runpy.run_path(first, run_name="__main__")


if __name__ == "__main__":
    import train.begin
    import train.main
    import train.trainer  # noqa: F401  # what most commands would import
    from configs import waiting
    from train.loggers import chosen, to_wandb
    from train.metrics import peak

    waiting.AFTER = 600.0  # on a slow machine there would be more lines
    chosen.PATIENCE, to_wandb.TIMEOUT = 240.0, 120  # and not all would be sent to a logger in time
    peak.MATRIX_SIZES, peak.MEASURED_SECONDS, peak.CHECKED_SECONDS = (256, 256), 0.0, 0.0  # at each start
    if len(os.listdir("/proc/self/task")) != 1:
        sys.exit("an import has started a thread: a fork would lose it")
    gc.freeze()  # a child's collections, the one at its end too, leave out what was imported here
    serve(socket.socket(fileno=int(sys.argv[1])))
