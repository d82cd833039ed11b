"""What each pod of `cluster=kubernetes` runs: torchrun, and then an exit code that tells the job what to do.

`python -m launch.pod nodes=4 … model=7b …` takes the keys of `relama launch`. Exit codes: 0, the run has
finished; REPLACE, it is saved and another pod resumes it; FINAL, another attempt would end the same way. Any
other code counts against the job's backoff limit.
"""

import sys

if __name__ == "__main__":  # the other imports take seconds
    from configs.interrupts import end_on_sigterm

    end_on_sigterm(75, "relama: told to end before torchrun had started; another pod resumes\n")  # REPLACE

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from configs.load import ConfigError, entry, load
from data.folders import run_path
from launch.config import LaunchConfig
from launch.split import split
from launch.torchrun import MEASURE, torchrun
from train.config import RunError, TrainConfig
from train.run import markers

REPLACE, FINAL = 75, 76  # sysexits' EX_TEMPFAIL and EX_PROTOCOL, which Python and torchrun do not use
NOTHING = (127, 128)  # no Relama in the image; also container runtimes' codes for a missing program
# Runs this module, or says that it is not in the image.
COMMAND = (
    "import importlib.util, runpy, sys\n"
    "if importlib.util.find_spec('launch') is None:\n"
    "    print('relama: error: image: has no Relama; build one as docs/clusters.md says',"
    " file=sys.stderr)\n"
    f"    sys.exit({NOTHING[0]})\n"
    "runpy.run_module('launch.pod', run_name='__main__', alter_sys=True)\n"
)
ENDPOINT = "RELAMA_RENDEZVOUS"  # HOST:PORT of the first pod
FOLDER = "RELAMA_FOLDER"  # where relative paths begin: the first volume
PATIENCE = 600.0  # seconds until the first pod is scheduled and its name is known


def run(argv: list[str]) -> int:
    os.chdir(os.environ.get(FOLDER, "."))
    mine, arguments = split(argv)
    config = load("launch", LaunchConfig, mine)
    measures = arguments[:1] == [MEASURE]
    folder = run_path(load("train", TrainConfig, arguments[measures:]).run)
    index = int(os.environ.get("JOB_COMPLETION_INDEX") or os.environ.get("PET_NODE_RANK") or 0)
    host, port = endpoint()
    for name in [name for name in os.environ if name.startswith("PET_")]:
        del os.environ[name]  # Kubeflow's settings for torchrun; ours are arguments
    rendezvous = [
        "--rdzv-backend=c10d",
        f"--rdzv-endpoint={address(host)}:{port}",
        f"--rdzv-id={folder.name}",
        f"--rdzv-conf=is_host={'true' if index == 0 else 'false'},join_timeout=1800",
    ]
    before = _seen(folder)
    code = _supervised(torchrun(config, rendezvous, arguments))
    verdict, why = judge_check(code) if measures else judge(code, before, _seen(folder))
    print(f"relama: pod {index}: {why}", flush=True)
    return verdict


def endpoint() -> tuple[str, str]:
    """Where the pods meet: our own variable, or the one of Kubeflow's runtime. Raises ConfigError."""
    known = os.environ.get(ENDPOINT)
    if not known and "PET_MASTER_ADDR" in os.environ:
        known = f"{os.environ['PET_MASTER_ADDR']}:{os.environ.get('PET_MASTER_PORT', '29400')}"
    if not known:
        raise ConfigError(f"{ENDPOINT} is not set; this command is for the pods of relama launch")
    host, _, port = known.rpartition(":")
    return host, port


def address(host: str) -> str:
    """The address of the first pod, which may start later than this one. Raises ConfigError."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
        except OSError as error:
            if time.monotonic() > deadline:
                raise ConfigError(
                    f"{host}: the first pod has no address ({error}); is it scheduled?"
                ) from None
            time.sleep(1)


def judge(code: int, before: dict[str, object], after: dict[str, object]) -> tuple[int, str]:
    """This pod's exit code and the reason, from torchrun's code and what the run left meanwhile."""
    left = {name for name in after if after[name] is not None and after[name] != before[name]}
    if code == 0 or markers.FINISHED in left:
        return 0, "the run has finished"
    if markers.STOPPED in left:
        return FINAL, f"ended by recovery (see {markers.STOPPED}): not started again"
    if markers.PREEMPTED in left:
        return REPLACE, "saved on a signal; another pod resumes it"
    if "latest" in left:
        return REPLACE, f"failed (torchrun: {code}) after a new checkpoint; another pod resumes from it"
    return 1, f"failed (torchrun: {code}) without a new checkpoint"


def judge_check(code: int) -> tuple[int, str]:
    """Like `judge`, for `launch check`."""
    return (FINAL, "the check failed, or found problems: see above") if code else (0, "the check is done")


def _seen(folder: Path) -> dict[str, object]:
    """A snapshot of the run's markers and newest checkpoint: what an earlier start left does not count."""
    names = {name: folder / name for name in (markers.FINISHED, markers.STOPPED, markers.PREEMPTED)}
    seen: dict[str, object] = {}
    for name, path in names.items():
        seen[name] = path.stat().st_mtime_ns if path.exists() else None
    latest = folder / "checkpoints" / "latest"
    seen["latest"] = latest.read_text() if latest.is_file() else None
    return seen


def _supervised(command: list[str]) -> int:
    """Run torchrun, and pass on the signals that this process, the pod's first, gets."""
    child: subprocess.Popen | None = None
    early: list[int] = []  # signals that came before it had started

    def pass_on(number: int, _frame: object) -> None:
        if child is None:
            early.append(number)
        else:
            child.send_signal(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        signal.signal(number, pass_on)
    child = subprocess.Popen(command)
    for number in early:
        child.send_signal(number)
    return child.wait()


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError,))


if __name__ == "__main__":
    sys.exit(main())
