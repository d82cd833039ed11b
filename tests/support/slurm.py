"""A real Slurm on this machine for a test: munge, one controller and two nodes, on their own ports.

Debian: `apt-get install slurm-wlm munge`. If that is missing, the test is skipped with this reason.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.ports import free_port

NODES = ("n1", "n2")
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
SBIN = "/usr/sbin:/sbin"


def require_slurm() -> None:
    """Skip unless a Slurm can be started here."""
    missing = [name for name in NEEDED if shutil.which(name, path=f"{os.environ['PATH']}:{SBIN}") is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} here (Debian: apt-get install slurm-wlm munge)")
    if os.geteuid() != 0:
        pytest.skip("a Slurm of the test's own is started as root only")


@contextmanager
def cluster(folder: Path) -> Iterator[dict[str, str]]:
    """Run a cluster with a partition `main`; yields the environment in which Slurm's commands find it."""
    environment = {
        **os.environ,
        "PATH": f"{os.environ['PATH']}:{SBIN}",
        "SLURM_CONF": str(folder / "slurm.conf"),
    }
    for key in [key for key in environment if key.startswith("SLURM_") and key != "SLURM_CONF"]:
        del environment[key]
    folder.mkdir(parents=True, exist_ok=True)
    processes: list[subprocess.Popen] = []

    def start(*arguments: str) -> None:
        log = (folder / f"{arguments[0]}-{len(processes)}.out").open("w")
        processes.append(
            subprocess.Popen(arguments, env=environment, stdout=log, stderr=log, start_new_session=True)
        )

    try:
        _munge(folder, start)
        (folder / "slurm.conf").write_text(_configuration(folder))
        (folder / "state").mkdir(exist_ok=True)
        start("slurmctld", "-D")
        for node in NODES:
            (folder / f"spool-{node}").mkdir(exist_ok=True)
            start("slurmd", "-D", "-N", node)
        _wait_for_nodes(environment, folder)
        yield environment
    finally:
        subprocess.run(["scancel", "--user=root"], env=environment, capture_output=True)
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def _munge(folder: Path, start) -> None:
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    folder.chmod(0o755)
    start(
        "munged",
        "--foreground",
        "--force",
        f"--key-file={key}",
        f"--socket={folder / 'munge.socket'}",
        f"--pid-file={folder / 'munge.pid'}",
        f"--log-file={folder / 'munge.log'}",
        f"--seed-file={folder / 'munge.seed'}",
    )
    deadline = time.monotonic() + 120
    while not (folder / "munge.socket").exists():
        assert time.monotonic() < deadline, (folder / "munged-0.out").read_text()
        time.sleep(0.1)


def _configuration(folder: Path) -> str:
    host, ports = socket.gethostname(), [free_port() for _ in range(1 + len(NODES))]
    nodes = "\n".join(
        f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs=2 RealMemory=8000"
        for node, port in zip(NODES, ports[1:])
    )
    return f"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder / "munge.socket"},cred_expire=5
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
StateSaveLocation={folder / "state"}
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder / "slurmctld.pid"}
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder / "slurmctld.log"}
SlurmdLogFile={folder}/slurmd-%n.log
SchedulerParameters=batch_sched_delay=1,sched_interval=2
MpiDefault=none
SlurmdParameters=config_overrides
KillWait=10
{nodes}
PartitionName=main Nodes={",".join(NODES)} Default=YES MaxTime=INFINITE State=UP PriorityTier=1 GraceTime=600
PartitionName=urgent Nodes={",".join(NODES)} MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
"""


def _wait_for_nodes(environment: dict[str, str], folder: Path) -> None:
    deadline = time.monotonic() + 240
    while True:
        ran = subprocess.run(
            ["sinfo", "--noheader", "--Node", "--format=%T"], env=environment, capture_output=True, text=True
        )
        if ran.returncode == 0 and ran.stdout.split() and set(ran.stdout.split()) == {"idle"}:
            return
        logs = "".join(path.read_text()[-2000:] for path in sorted(folder.glob("*.log")))
        assert time.monotonic() < deadline, f"the nodes do not come up: {ran.stdout}{ran.stderr}\n{logs}"
        time.sleep(0.5)
