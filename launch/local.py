"""`cluster=local`: torchrun on this machine, in the foreground, replacing this process."""

import os
import shlex
import signal
import socket
import subprocess
from pathlib import Path

from configs.load import ConfigError
from data.page import plural
from launch.config import LaunchConfig
from launch.job import Job, keep, kept, word_for
from launch.torchrun import ENVIRONMENT, torchrun

# What torchrun's process runs: ours, or torch's in launches of earlier versions.
MODULES = ("launch.agent", "torch.distributed.run")


def command(config: LaunchConfig, arguments: list[str]) -> list[str]:
    """torchrun on this machine: alone, or one of several that meet at `cluster.rendezvous`."""
    if config.max_nodes == 1:
        return torchrun(config, ["--standalone"], arguments)
    endpoint = config.cluster.rendezvous
    rendezvous = ["--rdzv-backend=c10d", f"--rdzv-endpoint={endpoint}", f"--rdzv-id={endpoint}"]
    return torchrun(config, rendezvous, arguments)


def text(config: LaunchConfig, arguments: list[str]) -> str:
    """The command, quoted for a shell."""
    return shlex.join(_arguments(config, arguments))


def _arguments(config: LaunchConfig, arguments: list[str]) -> list[str]:
    set_first = (f"{key}={value}" for key, value in _environment(config).items())
    return ["env", *set_first, *command(config, arguments)]


def _environment(config: LaunchConfig) -> dict[str, str]:
    return {**ENVIRONMENT, **config.cluster.environment}


def start(config: LaunchConfig, run: Path, arguments: list[str], typed: list[str]) -> None:
    """Replace this process with torchrun; does not return."""
    host = socket.gethostname()
    for job in kept(run):
        if job.cluster == "local" and job.host == host and is_alive(job):
            raise ConfigError(
                f"{run}: process {job.id} is already training it; "
                f"`relama launch stop {word_for(run)}` ends that process"
            )
    keep(run, "local", str(os.getpid()), host, "", typed)
    started = plural(config.processes_per_node, "process", "processes")
    print(f"relama: {started} on this machine (dry_run=true shows torchrun's command)", flush=True)
    become(config, arguments)


def become(config: LaunchConfig, arguments: list[str]) -> None:
    """Replace this process with torchrun; does not return."""
    arguments = command(config, arguments)
    os.execvpe(arguments[0], arguments, {**os.environ, **_environment(config)})


def is_alive(job: Job) -> bool:
    """Whether the torchrun of `job` still runs here; another program may have its process id by now."""
    if not Path("/proc").is_dir():  # not Linux
        shown = subprocess.run(["ps", "-o", "args=", "-p", job.id], capture_output=True, text=True)
        return any(module in shown.stdout for module in MODULES)
    try:
        line = Path(f"/proc/{int(job.id)}/cmdline").read_bytes().decode(errors="replace")
        return any(module in line for module in MODULES)
    except (OSError, ValueError):
        return False


def status(job: Job) -> str:
    """One line: whether it runs, and where its log is."""
    if job.host != socket.gethostname():
        return f"torchrun, process {job.id} on {job.host}; ask there"
    state = "is running" if is_alive(job) else "has ended"
    return f"torchrun, process {job.id} {state}; its log is the terminal of {job.at}"


def stop(_run: Path, job: Job) -> str:
    """Stop it as Ctrl-C would: the run saves and ends."""
    if job.host != socket.gethostname():
        raise ConfigError(f"process {job.id} is on {job.host}: stop it there")
    if not is_alive(job):
        return f"process {job.id} has ended already"
    os.kill(int(job.id), signal.SIGTERM)
    return f"process {job.id} was told to stop: it saves first"
