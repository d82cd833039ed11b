"""`cluster=slurm`: submit a job script with sbatch, ask squeue for its state, stop it.

People should be able to read the script. It has each argument of the command on a line of its own, quoted,
and each option of sbatch quoted as sbatch reads it.
"""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

from configs.load import ConfigError
from configs.redact import redact_command
from launch.config import LaunchConfig
from launch.job import Job, job_folder, keep, kept, word_for
from launch.torchrun import ENVIRONMENT, torchrun
from train.run import markers

OF_CLUSTER = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT")  # what a user may set for Slurm's commands


class Shell(str):
    """An argument that the job's shell must expand."""


def script(config: LaunchConfig, run: Path, arguments: list[str], typed: list[str]) -> str:
    """The text of the job script for `run` (absolute); `arguments` are train's overrides."""
    cluster = config.cluster
    if re.search(r"[\\%]", str(run)):
        raise ConfigError(
            f"run={run}: Slurm would interpret the \\ or % in its log's path; give another run="
        )
    nodes = config.nodes.replace(":", "-")
    for name, expected, remedy in (
        ("nodes", nodes, "give nodes=N"),
        ("ntasks-per-node", "1", "one torchrun per machine; processes= or gpus= says how many it starts"),
    ):
        if (given := cluster.sbatch.get(name, expected)) != expected:
            raise ConfigError(f"cluster.sbatch.{name}={given}: expected {expected}: {remedy}")
    options = {
        "job-name": "relama-" + re.sub(r"[^\w.-]+", "-", run.name),
        "nodes": nodes,
        "ntasks-per-node": "1",
        "cpus-per-task": str(config.cpus) if config.cpus else None,
        "gpus-per-node": str(config.gpus) if config.gpus else None,
        "partition": cluster.partition,
        "exclude": ",".join(cluster.exclude) or None,
        "time": cluster.time,
        "signal": f"B:USR1@{cluster.grace}",
        "requeue": "",
        "no-kill": "" if config.is_elastic else None,
        "open-mode": "append",
        "chdir": str(Path.cwd()),
        "output": f"{job_folder(run)}/job-%j.log",
        **cluster.sbatch,
    }
    environment = {**ENVIRONMENT, **cluster.environment}
    # Once one machine's torchrun ends, the others have the grace period and a minute; no limit if elastic.
    srun = ["srun", f"--wait={0 if config.is_elastic else cluster.grace + 60}"]
    srun += ["--no-kill"] if config.is_elastic else []
    srun += [f"--cpus-per-task={config.cpus}"] if config.cpus else []  # srun does not inherit the job's
    rendezvous = [
        "--rdzv-backend=c10d",
        Shell('--rdzv-endpoint="$endpoint"'),
        Shell('--rdzv-id="$SLURM_JOB_ID"'),
    ]
    training = [*srun, *torchrun(config, rendezvous, arguments)]
    return _SCRIPT.format(
        command=redact_command(["relama", "launch", *typed]),
        options="\n".join(_directive(name, value) for name, value in options.items() if value is not None),
        run=shlex.quote(str(run)),
        setup=f"source {shlex.quote(str(Path(cluster.setup).absolute()))}\n" if cluster.setup else "",
        exports="\n".join(f"export {name}={shlex.quote(value)}" for name, value in environment.items()),
        training=" \\\n    ".join(_quote(argument) for argument in training).replace(_MODULE, " -m "),
        preempted=markers.PREEMPTED,
        finished=markers.FINISHED,
        stopped=markers.STOPPED,
    )


_MODULE = " \\\n    -m \\\n    "  # `python -m launch.agent` stays on one line
_SCRIPT = """\
#!/usr/bin/env bash
# {command}
{options}

run={run}
newest() {{ cat "$run/checkpoints/latest" 2>/dev/null; }}
{setup}{exports}
endpoint=$(hostname):$((10000 + SLURM_JOB_ID % 20000)) # this script runs on the job's first machine

rm -f "$run/{preempted}" "$run/{finished}" "$run/{stopped}"
before=$(newest)

# Before the time limit, or a preemption, Slurm sends SIGUSR1 to this script: training saves and ends.
told=
due=
trap 'told=yes due=yes' USR1
trap : TERM # Slurm has sent it to the training too; see what became of that

{training} &
training=$!
while kill -0 "$training" 2>/dev/null; do # not wait: two signals at once, and it loses one
    [ -z "$due" ] || {{ due= && kill -USR1 "$training"; }} # also one that came before this process was known
    sleep 1
done
wait "$training"
code=$?

if [ "$code" = 0 ] || [ -e "$run/{finished}" ]; then
    echo "relama: job $SLURM_JOB_ID: the run has finished"
    exit 0
elif [ -e "$run/launch/stop" ] && [ -e "$run/{preempted}" ]; then
    echo "relama: job $SLURM_JOB_ID: stopped as asked; the same command resumes it"
    exit 0
elif [ -e "$run/launch/stop" ]; then
    echo "relama: job $SLURM_JOB_ID: stopped as asked, unsaved (torchrun: $code): resumes after $(newest)"
elif [ -e "$run/{stopped}" ]; then
    echo "relama: job $SLURM_JOB_ID: ended by recovery (see {stopped}): not requeued"
elif [ -e "$run/{preempted}" ] || [ -n "$told" ] || [ "$(newest)" != "$before" ]; then
    # Saved when told to, or failed after a new checkpoint: resume from there. If Slurm is ending this job
    # itself, it requeues it or somebody cancelled it, and neither is for this script to change.
    for try in 1 2 3 4 5 6; do # the controller may be busy
        state=$(squeue --noheader --jobs="$SLURM_JOB_ID" --format=%T) && break
        sleep 5
    done
    if [ "$state" = RUNNING ]; then
        echo "relama: job $SLURM_JOB_ID: requeued, to resume after $(newest)"
        scontrol requeue "$SLURM_JOB_ID"
    else
        echo "relama: job $SLURM_JOB_ID: ended by Slurm after $(newest)"
    fi
else
    echo "relama: job $SLURM_JOB_ID: failed (torchrun: $code) and made no new checkpoint: not requeued"
fi
exit "$code"
"""


def submit(config: LaunchConfig, run: Path, arguments: list[str], typed: list[str]) -> Job:
    """Hand the script to Slurm. Raises ConfigError with sbatch's message if it refuses, leaving nothing."""
    _need("sbatch")
    for job in kept(run):
        if job.cluster == "slurm" and (state := _state(job)):
            fix = f"`relama launch stop {word_for(run)}` ends that"
            raise ConfigError(f"{run}: job {job.id} ({state}) is already training it; {fix}")
    text, folder = script(config, run.absolute(), arguments, typed), job_folder(run)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)  # Slurm does not create the log's folder
    answer = _ask("sbatch", "--parsable", given=text)
    if answer.returncode != 0:
        for path in made:
            path.rmdir()
        raise ConfigError(f"sbatch refused the job: {_line(answer.stderr)}")
    kept_script = folder / "job.sh"
    kept_script.touch()
    kept_script.chmod(0o600)  # it contains cluster.environment, which may hold a secret
    kept_script.write_text(text)
    number = answer.stdout.strip().partition(";")[0]
    log = str(folder / f"job-{number}.log")
    return keep(run, "slurm", number, "", log, typed)


def status(job: Job) -> str:
    """One line: the job's state in Slurm, and where its log is."""
    _need("squeue")
    return (
        f"Slurm job {job.id}: {_asked(job, '%T, %M of %l, %R') or 'no longer in the queue'}; log: {job.log}"
    )


def is_queued(job: Job) -> bool:
    """Whether the job waits or runs. Raises ConfigError if Slurm does not answer."""
    _need("squeue")
    return bool(_state(job))


def stop(run: Path, job: Job) -> str:
    """Stop the job: if it runs, it saves and ends without being requeued; if it waits, it is canceled."""
    _need("scancel")
    state = _state(job)
    if not state:
        return f"Slurm job {job.id} has ended already"
    (job_folder(run) / "stop").touch()
    told = ["--batch", "--signal=USR1"] if state == "RUNNING" else []
    answer = _ask("scancel", *told, job.id)
    if answer.returncode != 0:
        raise ConfigError(f"scancel: {_line(answer.stderr)}")
    done = "was told to stop: it saves first" if told else "was cancelled"
    return f"Slurm job {job.id} ({state}) {done}; log: {job.log}"


def _state(job: Job) -> str:
    """Slurm's state of the job, such as RUNNING; empty once it has ended."""
    return _asked(job, "%T")


def _asked(job: Job, form: str) -> str:
    """squeue's output for the job, empty once it has ended. Raises ConfigError if squeue does not answer."""
    answer = _ask("squeue", "--noheader", f"--jobs={job.id}", f"--format={form}")
    if answer.returncode == 0:
        return _line(answer.stdout)
    if "Invalid job id" in answer.stderr:  # ended so long ago that Slurm has forgotten it
        return ""
    raise ConfigError(f"squeue does not answer ({_line(answer.stderr)}); try again")


def _directive(name: str, value: str) -> str:
    """One `#SBATCH` line; sbatch reads double quotes, and a backslash before a quote or a backslash."""
    if not re.fullmatch(r"[\w@%+=:,./-]*", value):
        value = '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"#SBATCH --{name}={value}" if value else f"#SBATCH --{name}"


def _quote(argument: str) -> str:
    return argument if isinstance(argument, Shell) else shlex.quote(argument)


def _need(program: str) -> None:
    if shutil.which(program) is None:
        raise ConfigError(f"cluster=slurm: {program} not found; run this on a login node of the cluster")


def _ask(*arguments: str, given: str | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(arguments, input=given, capture_output=True, text=True, env=_outside_of_jobs())


def _outside_of_jobs() -> dict[str, str]:
    """This environment without what a job's shell has of Slurm: sbatch would pass on that job's tasks, CPUs
    and memory, and the new job's srun would take them for its own."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SLURM_", "SRUN_")) or name in OF_CLUSTER
    }


def _line(text: str) -> str:
    return " ".join(text.split())
