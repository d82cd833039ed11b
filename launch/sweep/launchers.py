"""Where the runs of a sweep run: Hydra's `hydra/launcher=…`, for `relama train --multirun`.

In: the command of each run. Out: its exit code. `basic` starts one after the other here; `joblib` several at
once; `submitit_slurm` makes them one Slurm array, and `submitit_local` the same without Slurm. Options are
those of Hydra's plugins: `hydra.launcher.n_jobs=2`, `hydra.launcher.timeout_min=600`.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from configs.checks import one_of
from configs.load import ConfigError
from data.folders import run_path

CHOICE, PREFIX = "hydra/launcher", "hydra.launcher."
NAMES = ("basic", "joblib", "submitit_local", "submitit_slurm")
# submitit's options for any cluster; the others belong to one, and their names begin with it.
COMMON = (
    *("timeout_min", "cpus_per_task", "gpus_per_node", "tasks_per_node", "mem_gb", "nodes", "name"),
    "stderr_to_stdout",
)
INTERRUPTED = (130, -2)


def split(arguments: list[str]) -> tuple[str, dict[str, Any], list[str]]:
    """The launcher's name, its options and the other arguments. Raises ConfigError."""
    own = [arg for arg in arguments if arg.startswith((f"{CHOICE}=", PREFIX))]
    name, options = "basic", {}
    for arg in own:
        key, _, value = arg.partition("=")
        if key == CHOICE:
            name = value
        else:
            options[key.removeprefix(PREFIX)] = yaml.safe_load(value)
    try:
        one_of(CHOICE, name, NAMES)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    takes = {"basic": (), "joblib": ("n_jobs",)}.get(name)
    for key in options:
        if takes is not None and key not in takes:
            expected = ", ".join(f"{PREFIX}{each}" for each in takes) or "no options"
            raise ConfigError(f"{PREFIX}{key}: unknown key; {CHOICE}={name} takes {expected}")
    return name, options, [arg for arg in arguments if arg not in own]


def start(name: str, options: dict[str, Any], verb: str, lines: list[list[str]]) -> list[int]:
    """Run `relama VERB` with each line's arguments; returns the exit codes. Raises ConfigError."""
    begin: Callable[..., list[int]] = {"basic": _in_turn, "joblib": _at_once}.get(name, _submitted)
    if begin is _submitted:
        options = {"executor": name.removeprefix("submitit_"), **options}
    return begin(verb, lines, **options)


def _in_turn(verb: str, lines: list[list[str]]) -> list[int]:
    codes: list[int] = []
    for number, line in enumerate(lines, 1):
        print(f"relama: {number} of {len(lines)}: {line[-1]}", flush=True)
        codes.append(_waited(_command(verb, line)))
        if codes[-1] in INTERRUPTED:
            break
    return codes


def _waited(command: list[str]) -> int:
    """The exit code of a command. Ctrl-C reaches it too, and it saves before it ends."""
    seen: list[int] = []
    before = signal.getsignal(signal.SIGINT)
    if before != signal.SIG_IGN:  # which the command inherits
        signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        code = subprocess.Popen(command).wait()  # a KeyboardInterrupt inside Popen would orphan it
    finally:
        signal.signal(signal.SIGINT, before)
    return INTERRUPTED[0] if seen else code


def _at_once(verb: str, lines: list[list[str]], n_jobs: int = -1) -> list[int]:
    """`n_jobs` runs at a time; -1: one for each core."""
    try:
        from joblib import Parallel, delayed
    except ImportError:
        raise _missing("joblib") from None
    if not isinstance(n_jobs, int) or n_jobs == 0:
        raise ConfigError(f"{PREFIX}n_jobs={n_jobs}: expected a number of runs, or -1 for one for each core")
    for note in _notes(lines):
        print(note, flush=True)
    work = Parallel(n_jobs=n_jobs, prefer="threads")
    return [code or 0 for code in work(delayed(logged)(verb, line) for line in lines)]


def _submitted(verb: str, lines: list[list[str]], executor: str, **options: Any) -> list[int]:
    """Submit the runs as one array of jobs; submitit's files are in `submitit/` next to the runs."""
    try:
        import submitit
    except ImportError:
        raise _missing("submitit") from None
    folder = run_path(_name(lines[0])).parent / "submitit"
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    most = options.pop("array_parallelism", None)
    given = {key if key in COMMON else f"{executor}_{key}": value for key, value in options.items()}
    if most is not None and executor == "slurm":
        given["slurm_array_parallelism"] = most
    try:
        jobs_of = submitit.AutoExecutor(folder=folder, cluster=executor)
        jobs_of.update_parameters(**given)
        jobs = jobs_of.map_array(logged, [verb] * len(lines), lines)
    except Exception as error:  # submitit has several, and passes sbatch's on
        if folder in made:
            shutil.rmtree(folder, ignore_errors=True)
        for path in made[1:]:
            with suppress(OSError):
                path.rmdir()
        raise ConfigError(f"{CHOICE}=submitit_{executor}: {' '.join(str(error).split())}") from None
    for note in _notes(lines):
        print(note, flush=True)
    print(f"relama: submitted {', '.join(job.job_id for job in jobs)}; their logs: {folder}", flush=True)
    codes = []
    for job in jobs:
        try:
            codes.append(job.result())
        except Exception as error:  # the job was killed, or never began
            print(f"relama: {job.job_id}: {' '.join(str(error).split())[-300:]}", file=sys.stderr)
            codes.append(1)
    return codes


def logged(verb: str, line: list[str]) -> int:
    """Run one, with its output in its folder's launch/sweep.log: here, several outputs would mix."""
    log = _log(line)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        return subprocess.run(_command(verb, line), stdout=sink, stderr=subprocess.STDOUT).returncode


def _command(verb: str, line: list[str]) -> list[str]:
    return [sys.executable, "-m", "launch.cli", verb, *line]


def _notes(lines: list[list[str]]) -> Iterator[str]:
    return (f"relama: {line[-1]}, log: {_log(line)}" for line in lines)


def _name(line: list[str]) -> str:
    return line[-1].partition("=")[2]


def _log(line: list[str]) -> Path:
    return Path(os.path.abspath(run_path(_name(line)))) / "launch" / "sweep.log"


def _missing(package: str) -> ConfigError:
    return ConfigError(f"{CHOICE}: needs {package}; pip install -e '.[sweep]'")
