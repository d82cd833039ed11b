"""The Pythons that a forked command starts or becomes are forked, too: torchrun's ranks, or a pod's torchrun.

A helper is forked before the command begins, while there is one thread. It forks each of them through a
process that ends at once, so that the command, a subreaper, becomes the parent: for the command it is a
child that Popen started, with its process id, session, exit code and death with the parent.
"""

import ctypes
import inspect
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

LARGEST = 1 << 20  # bytes of a request: arguments and environment
_PR_SET_CHILD_SUBREAPER = 36
_start: Any = cast(Any, subprocess.Popen)._execute_child  # of a program that is not this Python


def fork_children(become: Callable[[dict], None]) -> None:
    """From here on, Popen and execvpe start no new Python; `become(request)` is one, and exits."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    if not os.fork():
        ours.close()
        _help(theirs, become)
    theirs.close()

    def execute(process: Any, *given: Any) -> None:
        asked = inspect.signature(_start).bind(process, *given).arguments
        words = asked["args"]
        is_plain = not (asked["shell"] or asked["executable"] or asked["preexec_fn"] or asked["pass_fds"])
        if not is_plain or isinstance(words, str) or words[0] != sys.executable:
            return _start(process, *given)
        request = {
            "arguments": [*map(str, words[1:])],
            "ranks": 0,
            "folder": str(asked["cwd"] or os.getcwd()),
            "env": dict(os.environ if asked["env"] is None else asked["env"]),
            "new_session": asked["start_new_session"],
        }
        pipes = [asked[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        shown = [number if pipe == -1 else pipe for number, pipe in enumerate(pipes)]
        socket.send_fds(ours, [json.dumps(request).encode()], shown)
        process.pid = int(ours.recv(100))
        process._child_created = True
        names = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        process._close_pipe_fds(*(asked[name] for name in names))
        return None

    def exchange(file: str, words: Sequence[str], env: Mapping[str, str]) -> None:
        if file != sys.executable:
            os.execve(shutil.which(file, path=env.get("PATH")) or file, [*words], env)
        for number in signal.valid_signals():  # a new program has no handlers
            if callable(signal.getsignal(number)):
                is_ours = number == signal.SIGINT
                signal.signal(number, signal.default_int_handler if is_ours else signal.SIG_DFL)
        become({"arguments": [*words[1:]], "folder": os.getcwd(), "env": dict(env)})

    cast(Any, subprocess.Popen)._execute_child = execute
    os.execvpe = exchange


def _help(connection: socket.socket, become: Callable[[dict], None]) -> None:
    """Fork what is asked for until the command has ended. Signals to the command's group do not end this."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    while True:
        content, shown, *_ = socket.recv_fds(connection, LARGEST, 3)
        if not content:
            os._exit(0)
        request = json.loads(content)
        (is_known, tell), (is_adopted, adopt) = os.pipe(), os.pipe()
        between = os.fork()
        if not between:
            if os.fork():
                os._exit(0)
            connection.close()
            if request["new_session"]:
                os.setsid()
            os.write(tell, str(os.getpid()).encode())
            for descriptor in (is_known, tell, adopt):
                os.close(descriptor)
            os.read(is_adopted, 1)  # ends when the command is this process's parent
            os.close(is_adopted)
            for number, descriptor in enumerate(shown):
                os.dup2(descriptor, number)
                os.close(descriptor)
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            become(request)
        os.waitpid(between, 0)
        process_id = os.read(is_known, 100)
        for descriptor in (*shown, is_known, tell, is_adopted, adopt):
            os.close(descriptor)
        connection.send(process_id)
