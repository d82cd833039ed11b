"""`relama launch cluster=slurm nodes=2 gpus=8 model=7b data=mix`, and `relama launch check|status|stop …`;
`relama launch generate|evaluate …` spreads those verbs over processes here.

In: the launch's own keys, and any of train's. Both are checked before anything starts, and so is the layout
against the number of processes: a job must not wait for days in a queue only to be refused.
"""

import difflib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from configs.load import ConfigError, entry, load
from configs.overrides import as_key
from configs.sizes import binary
from data.errors import DataError
from data.folders import run_path, run_word
from data.mixture import find_stores
from data.page import plural
from launch import k8s, local, slurm
from launch.config import LaunchConfig
from launch.job import Job, job_folder, kept, launched, word_for
from launch.split import KEYS, key_of, split, without_effect
from launch.torchrun import MEASURE, SPREAD
from train.checkpoint.folder import complete_steps
from train.config import RunError, TrainConfig
from train.ranks.layout import layout_of
from train.run import markers, views
from train.run.folder import refuse_foreign, refuse_step
from train.run.lineage import Lineage

POLL = 15.0  # seconds between two queries of a job's state
NFS_DELAY, POLL_MARKER = 60.0, 1.0  # seconds for which NFS may hide a new file (acdirmax), and between looks
PLACES = {"local": local, "slurm": slurm, "kubernetes": k8s}


def run(argv: list[str]) -> None:
    word = argv[0] if argv else ""
    if word in ("status", "stop"):
        return ask(word, argv[1:])
    if word in SPREAD:
        return spread(word, argv[1:])
    measures = word == MEASURE
    if word and not measures and "=" not in word and not word.startswith("-"):
        words = ", ".join((MEASURE, "status", "stop", *SPREAD))
        raise ConfigError(
            f"{word!r}: expected key=value, or one of {words} before the keys; leave it out to train, "
            "and run other verbs without `launch`"
        )
    mine, arguments = split(argv[measures:])
    config = load("launch", LaunchConfig, mine)
    arguments = on_gpus(config, arguments)
    train = check(config, arguments)
    for name, kinds in without_effect(mine, config.cluster.name).items():
        tell(f"warning: {name} has no effect with cluster={config.cluster.name}, only with {kinds}")
    path = run_path(train.run)
    if measures:  # on the run's machines, with its number of processes; a check makes no run
        config, arguments, lineage = replace(config, max_restarts=0), [MEASURE, *arguments], None
    else:
        lineage = Lineage.read(path)
        introduce(config, train, path, lineage)
    if config.dry_run:
        return print(text(config, path, arguments, argv), end="")
    if not measures:
        refuse_what_would_fail(config, train, path, lineage)
    if config.cluster.name == "local":
        return local.start(config, path, arguments, argv)
    submit(config, path, arguments, argv)


def introduce(config: LaunchConfig, train: TrainConfig, path: Path, lineage: Lineage | None) -> None:
    """Say what the run continues from, and that the pods of a job share no folder."""
    if lineage:
        tell(f"{path} continues from {lineage.parent} after step {lineage.step}")
    has_volumes = bool(config.cluster.volumes) or config.cluster.format == "trainjob"  # its runtime's
    are_apart = config.cluster.name == "kubernetes" and config.max_nodes > 1 and not has_volumes
    if are_apart and not train.checkpoint.remote:
        tell(
            f"warning: without cluster.volumes=CLAIM:/path the {config.max_nodes} pods share no folder; "
            "put run= in one, or set checkpoint.remote=URL"
        )


def refuse_what_would_fail(
    config: LaunchConfig, train: TrainConfig, path: Path, lineage: Lineage | None
) -> None:
    """Raise RunError or DataError for what the job would be refused for once it starts."""
    refuse_step(train.run)
    refuse_foreign(path)
    if config.cluster.name == "kubernetes":  # its volume is not here
        return
    if train.data.name != "sample":  # which a run makes itself
        weights = train.timeline.needed(train.corpora, lineage.step if lineage else 0)
        find_stores(train.corpora, replace(train.data, weights=weights, sources=None))
    if lineage and not complete_steps(path / "checkpoints"):
        lineage.checkpoint()  # the checkpoint that it begins with must exist


def submit(config: LaunchConfig, path: Path, arguments: list[str], typed: list[str]) -> None:
    """Hand the job to Slurm or Kubernetes. With `wait`, return once it has ended; if a job of this run is
    queued or running already, that one is waited for instead."""
    place = k8s if config.cluster.name == "kubernetes" else slurm
    job = queued(path, config.cluster.name) if config.wait else None
    if job:
        print(f"relama: waiting for job {job.id}, launched at {job.at}; log: {job.log}")
    elif config.cluster.name == "kubernetes":
        job = k8s.submit(config, path, arguments, typed)
        print(f"relama: Kubernetes {job.id} created; log: {job.log}")
    else:
        job = slurm.submit(config, path, arguments, typed)
        print(f"relama: Slurm job {job.id} submitted ({job_folder(path) / 'job.sh'}); log: {job.log}")
    if config.wait:
        return wait(path, job, place.is_queued)
    print(f"Next:\n  relama launch status {word_for(path)}\n  relama launch stop {word_for(path)}")


def tell(sentence: str) -> None:
    """Print a line to standard error, which leaves standard output to what a dry run prints."""
    print(f"relama: {sentence}", file=sys.stderr)


def queued(path: Path, cluster: str) -> Job | None:
    """The job, waiting or running, of the run in `path`, if there is one."""
    jobs = [job for job in kept(path) if job.cluster == cluster]
    return next((job for job in jobs if PLACES[cluster].is_queued(job)), None)


def wait(path: Path, job: Job, is_queued: Callable[[Job], bool]) -> None:
    """Return once the job has ended and its run has finished. Raises RunError if it ended otherwise."""
    silent = False
    while True:
        try:
            if not is_queued(job):
                break
            silent = False
        except ConfigError as error:  # the job continues while its cluster's controller restarts
            if not silent:
                tell(f"{error}; still waiting")
            silent = True
        time.sleep(POLL)
    if job.cluster == "kubernetes":  # its volume is not here
        if k8s.is_complete(job):
            return print(f"relama: job {job.id} has ended: the run has finished")
        raise RunError(f"{path}: the job ended before the run had finished; {k8s.status(job)}")
    deadline = time.monotonic() + NFS_DELAY
    while not any((path / marker).exists() for marker in markers.ALL) and time.monotonic() < deadline:
        time.sleep(POLL_MARKER)
    if (path / markers.FINISHED).exists():
        return print(f"relama: job {job.id} has ended: the run has finished")
    if (path / markers.STOPPED).exists():
        raise RunError(f"{path}: recovery ended the run (see {markers.STOPPED}); log: {job.log}")
    saved = " after saving" if (path / markers.PREEMPTED).exists() else ""
    raise RunError(f"{path}: job {job.id} ended{saved} before the run had finished; log: {job.log}")


def spread(verb: str, argv: list[str]) -> None:
    """`relama VERB` in several processes on this machine, which check its arguments; does not return."""
    mine, arguments = split(argv)
    config = replace(load("launch", LaunchConfig, mine), max_restarts=0)
    if config.cluster.name != "local" or config.max_nodes > 1:
        raise ConfigError(f"launch {verb}: only for processes of this machine; leave out cluster= and nodes=")
    arguments = on_gpus(config, arguments)
    if config.dry_run:
        return print(local.text(config, [verb, *arguments]))
    if not config.gpus:
        refuse_too_many(config.processes_per_node)
    local.become(config, [verb, *arguments])


def on_gpus(config: LaunchConfig, arguments: list[str]) -> list[str]:
    """With gpus=, also device=cuda: where GPUs cannot be used, a launch is refused instead of using CPUs."""
    if not config.gpus or any(key_of(arg) == "device" for arg in arguments):
        return arguments
    return [*arguments, "device=cuda"]


def text(config: LaunchConfig, path: Path, arguments: list[str], typed: list[str]) -> str:
    """What would run: the job script, the manifest, or torchrun's command."""
    if config.cluster.name == "local":
        return local.text(config, arguments) + "\n"
    if config.cluster.name == "kubernetes":
        return k8s.text(config, path, arguments)
    return slurm.script(config, path.absolute(), arguments, typed)


def check(config: LaunchConfig, arguments: list[str]) -> TrainConfig:
    """Train's config, if it can run on the launch's processes. Raises ConfigError or RunError."""
    try:
        train = load("train", TrainConfig, arguments)
    except ConfigError as error:
        for arg in arguments:
            near = difflib.get_close_matches(key_of(arg), KEYS, n=1, cutoff=0.75)
            if near and str(error).startswith(f"{key_of(arg)}: unknown key"):
                raise ConfigError(f"{key_of(arg)}: unknown key; did you mean {near[0]}?") from None
        raise
    if config.cluster.name == "local" and not config.gpus:
        refuse_too_many(config.processes_per_node)
    ends = (config.min_nodes, config.max_nodes)
    for nodes in range(config.min_nodes, config.max_nodes + 1):
        processes = nodes * config.processes_per_node
        try:
            used = _used(train, processes, config.processes_per_node)
        except RunError as error:  # a machine that leaves or joins would end the run
            within = f"nodes={config.nodes}, on {plural(nodes, 'node')}: " if config.is_elastic else ""
            raise RunError(f"{within}{error}") from None
        if used < processes and nodes in ends:
            tell(
                f"{used} of {plural(processes, 'process', 'processes')} on {plural(nodes, 'node')} will work"
            )
    return train


def _used(train: TrainConfig, processes: int, per_node: int) -> int:
    """How many of the processes the layout uses. Raises RunError if it is impossible."""
    if not train.parallel.auto:
        return layout_of(train, train.model, processes).world_size
    from train.plan.auto import with_any_memory  # imports torch, which other launches do not need

    return with_any_memory(train, processes, per_node).world_size


def refuse_too_many(processes: int) -> None:
    """Raise ConfigError if Python and torch alone, once per process, do not fit in this machine's memory."""
    from train.plan import needs  # imports torch, which status, stop and jobs for Slurm do not need

    free = needs.available_memory()
    if free is not None and processes * needs.PROCESS > free:
        raise ConfigError(
            f"processes={processes}: each takes {binary(needs.PROCESS)} before the model, and "
            f"{binary(free)} are free; at most {max(1, int(free // needs.PROCESS))} fit; one per "
            f"core ({os.cpu_count()}) is usual"
        )


def ask(verb: str, arguments: list[str]) -> None:
    """`status` and `stop`, for the run that these arguments would train."""
    _, arguments = split(as_key("run", arguments))
    path = run_path(load("train", TrainConfig, arguments).run)
    jobs = kept(path)
    if not jobs:
        others = ", ".join(map(run_word, launched(path.parent))) or "none"
        problem = (
            f"{path}: no launch recorded for this run; give" if arguments else f"launch {verb}: expected"
        )
        raise ConfigError(f"{problem} run=NAME of one that was launched (in {path.parent}: {others})")
    problems = []  # a problem with one job must not hide the next
    for job in jobs:
        place = PLACES[job.cluster]
        try:
            line = place.status(job) + progress(path) if verb == "status" else place.stop(path, job)
            print(f"{path}: {line}")
        except ConfigError as error:
            problems.append(str(error))
    if problems:
        raise ConfigError("; ".join(problems))


def progress(path: Path) -> str:
    """How far the run in `path` is, from its metrics and markers."""
    metrics = path / "metrics.jsonl"
    try:
        steps = (views.content(metrics) or b"").count(b"\n")
        lineage = Lineage.read(path)
    except RunError as error:
        return f"; {error}"
    done = f"; {steps + (lineage.step if lineage else 0)} steps are done" if steps else ""
    if lineage:
        done += f", the first {lineage.step} by {lineage.parent.name}"
    if (path / markers.FINISHED).exists():
        return f"{done}, the run has finished"
    if (path / markers.STOPPED).exists():
        return f"{done}, ended by recovery (see {markers.STOPPED})"
    return f"{done}, saved on a signal" if (path / markers.PREEMPTED).exists() else done


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError))


if __name__ == "__main__":
    sys.exit(main())
