"""The launches of a run, recorded in runs/NAME/launch/ so that `status` and `stop` find them.

launch/  job.sh (what Slurm was given)  job-123.log  job.json, or job-HOST.json for torchrun on a machine
"""

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from configs.redact import redact_command
from data.folders import run_word, write_whole


@dataclass(frozen=True)
class Job:
    """One launch of a run."""

    cluster: str  # slurm | kubernetes | local
    id: str  # the job's number, KIND/NAMESPACE/NAME, or a process id
    host: str  # where it was launched
    log: str  # empty: the terminal
    command: str  # what was typed
    at: str


def job_folder(run: Path) -> Path:
    return run / "launch"


def word_for(run: Path) -> str:
    """`run=…` of this folder, quoted for a shell."""
    return f"run={run_word(run)}"


def keep(run: Path, cluster: str, number: str, host: str, log: str, arguments: list[str]) -> Job:
    """Record a launch, and clear an earlier request to stop."""
    folder = job_folder(run)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "stop").unlink(missing_ok=True)
    at = time.strftime("%Y-%m-%d %H:%M:%S")
    job = Job(cluster, number, host, log, redact_command(["relama", "launch", *arguments]), at)
    path = folder / (f"job-{host}.json" if cluster == "local" else "job.json")
    write_whole(path, json.dumps(asdict(job), indent=1))
    return job


def launched(runs: Path) -> list[Path]:
    """The launched runs in a folder, including those of sweeps, by name."""
    patterns = ("*/launch/job*.json", "*/*/launch/job*.json")
    return sorted({path.parents[1] for pattern in patterns for path in runs.glob(pattern)})


def kept(run: Path) -> list[Job]:
    """The launches of `run`, the newest last."""
    found = []
    for path in job_folder(run).glob("job*.json"):
        try:
            found.append(Job(**json.loads(path.read_text())))
        except (ValueError, TypeError):
            continue  # not ours
    return sorted(found, key=lambda job: job.at)
