"""A run's folder: one owner at a time, one configuration forever, metrics that end where the weights do.

runs/<name>/  config.yaml  command.txt  order.json  tokenizer.model  metrics.jsonl  checkpoints/  report.html
             starts.jsonl  decisions.jsonl  wandb.json  launch/ (job scripts, logs)
             preempted.json, finished.json or stopped.json

The newest complete checkpoint is authoritative and has all that is needed to resume. Every other file is a
view: checked when it is read, written again where possible, and named where not.
"""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from configs.errors import UNWRITABLE
from configs.existence import exists, is_dir, is_file
from configs.load import to_yaml
from configs.redact import redact_command
from data import folders
from data.tokens.store import TOKENIZERS, tokenizer_files, tokenizer_in
from data.tokens.tokenizer import fingerprint_of, read_fingerprint
from train.checkpoint.folder import newest_state, remove_leftovers
from train.config import RunError, TrainConfig
from train.ranks import identity, placement
from train.ranks.together import all_ranks_do, first_rank_does
from train.run import configuration, history, lock, markers, views
from train.run.lease import Lease

# Files that the trainer must be able to replace; it can do without the others.
FILES = (
    configuration.NAME,
    "order.json",
    *TOKENIZERS,
    "metrics.jsonl",
    "decisions.jsonl",
    *markers.ALL,
)
CHECKPOINTS = "checkpoints"
HANGS = "hangs"  # the watchdog's reports; empty files if it saw no hang
OURS = (lock.NAME, configuration.NAME, CHECKPOINTS)  # any of these marks a folder as a run's


def refuse_foreign(path: Path) -> None:
    """Raise RunError if `path` holds something other than a run; `relama launch` may have created it."""
    if any(exists(path / name) for name in OURS):
        return
    if (run := folders.run_with(path)) and run != path:
        word = folders.run_word(run)
        raise RunError(f"{path}: within the folder of the run {run}; choose another run=NAME, or run={word}")
    if exists(path) and not is_dir(path):
        raise RunError(f"{path}: a file, expected a run folder; choose another run=NAME")
    if runs := folders.runs_in(path):
        some = ", ".join(folders.run_word(run) for run in runs[:3])
        raise RunError(
            f"{path}: a folder of runs ({some}); choose another run=NAME, or one of them to resume"
        )
    if is_dir(path) and any(entry.name != "launch" for entry in path.iterdir()):
        raise RunError(f"{path}: not empty and not a run folder; choose another run=NAME")


def refuse_step(run: str, key: str = "run") -> None:
    """Raise RunError if a new run's name, such as NAME@100, means a step of an existing run."""
    name, _, step = run.rpartition("@")
    if name and step.isdecimal() and not exists(folders.run_path(run)) and is_dir(folders.run_path(name)):
        raise RunError(
            f"{key}={run}: a step of the run {name}, expected a new name; to continue from that step: "
            f"relama branch run={folders.run_word(folders.run_path(name))} at={int(step)} to=NEW"
        )


def refuse_other_data(config: TrainConfig) -> None:
    """Raise RunError if the run's folder cannot take `config.data`; called before that data is prepared.

    `claimed` refuses all other differences.
    """
    path = folders.run_path(config.run)
    refuse_step(config.run)
    refuse_foreign(path)
    if not exists(path):
        return
    try:
        saved = configuration.read_run_config(path)
    except RunError:  # nothing has begun there, or it is damaged
        return
    saved.data = config.data
    configuration.refuse_another_run(path, saved, newest_state(path / CHECKPOINTS))


@contextmanager
def claimed(config: TrainConfig, arguments: list[str]) -> Iterator["RunFolder"]:
    """The run's folder, held by the first rank until the block ends; all ranks call it.

    Each machine that does not see that folder has one of its own, held by its first rank.
    `arguments` are the command's. Raises RunError if another process or another run has the folder.
    """
    path = folders.run_path(config.run)
    is_new = not exists(path)
    with ExitStack() as held:
        leases: list[Lease] = []  # one, on the first rank of each folder

        def hold() -> None:
            path.mkdir(parents=True, exist_ok=True)
            leases.append(lock.hold(path / lock.NAME))  # first: it marks the folder as a run's
            held.callback(leases[0].release)
            if is_new:
                held.callback(_remove_unused, path)

        def claim() -> tuple[str, str]:
            refuse_step(config.run)
            refuse_foreign(path)
            hold()
            _refuse_unfit(path, config)
            markers.refuse_stopped(path)
            remove_leftovers(path / CHECKPOINTS)
            return leases[0].id, identity.node()

        def claim_own() -> None:
            """On a machine that does not see the first rank's folder."""
            if placement.leads():
                refuse_foreign(path)
                hold()
                _refuse_unfit(path, config)
                remove_leftovers(path / CHECKPOINTS)

        owner, host = first_rank_does(claim)
        sees = all_ranks_do(lambda: lock.is_shared(path / lock.NAME, owner))
        if apart := placement.compare(sees):
            _refuse_apart_without_remote(path, config, apart, host)
            all_ranks_do(claim_own)
        yield RunFolder(path, arguments, *leases)


def _refuse_apart_without_remote(path: Path, config: TrainConfig, apart: list[str], host: str) -> None:
    """Raise RunError unless a bucket has the run: another machine may be first at the next start."""
    some = ", ".join(apart[:3]) + ("…" if len(apart) > 3 else "")
    if config.checkpoint.remote is None:
        raise RunError(
            f"{path}: on {some} this is not the folder that the first rank has on {host}; choose a run=PATH "
            "on a file system that all machines share, or set checkpoint.remote=URL"
        )
    url = config.checkpoint.remote
    identity.say(f"{some} and {host} do not share {path}: checkpoints are kept on {host} and at {url}")


def _refuse_unfit(path: Path, config: TrainConfig) -> None:
    """Raise RunError if the folder holds another run, or something in place of its files."""
    for name in FILES:
        views.refuse_other_than_file(path / name)
    checkpoints = path / CHECKPOINTS
    if is_file(checkpoints):
        raise RunError(f"{checkpoints}: a file, expected a folder; {views.AWAY}")
    checkpoints.mkdir(exist_ok=True)
    configuration.refuse_another_run(path, config, newest_state(checkpoints))


def _remove_unused(path: Path) -> None:
    """Remove a folder that was made for this start, if it was refused before it wrote anything."""
    with suppress(OSError):  # it holds another file: keep it
        reports = [*(path / HANGS).glob("*")]
        is_unused = {entry.name for entry in path.iterdir()} <= {lock.NAME, CHECKPOINTS, HANGS}
        if is_unused and not any(report.stat().st_size for report in reports):
            (path / CHECKPOINTS).rmdir()
            (path / lock.NAME).unlink()  # from here on, watchdogs begin no report
            for _ in range(3):  # but one that has just looked may still write its own
                shutil.rmtree(path / HANGS, ignore_errors=True)
                with suppress(OSError):
                    path.rmdir()
                    return


class RunFolder:
    """The paths of a run's files, and how the first rank writes them."""

    def __init__(self, path: Path, arguments: list[str], lease: Lease | None = None) -> None:
        """`lease`: on the first rank, while it holds the folder."""
        self.path, self.arguments, self.lease = path, arguments, lease

    @property
    def checkpoints(self) -> Path:
        return self.path / CHECKPOINTS

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def tokenizer(self) -> Path:
        return tokenizer_in(self.path)

    def write_config(self, config: TrainConfig) -> None:
        """Record what this run is from now on; called once all checks have passed."""
        views.write(self.path / configuration.NAME, to_yaml(config))

    def write_order(self, order: dict) -> None:
        """Record the order of the data and where its token stores are."""
        views.write(self.path / "order.json", json.dumps(order, indent=1))

    def write_command(self) -> None:
        """Record what was typed, without secrets, for the report; a failure is only worth a warning."""
        try:
            command = redact_command(["relama", "train", *self.arguments])
            folders.write_whole(self.path / "command.txt", command + "\n")
        except OSError as error:
            identity.say(f"warning: {self.path / 'command.txt'}: {error}; the command is not recorded")

    def keep_tokenizer(self, model: Path, fingerprint: str) -> None:
        """Copy the tokenizer into the folder, unless the one with this `fingerprint` is there."""
        if views.content(self.tokenizer) is not None:
            if fingerprint_of(self.tokenizer) == fingerprint:
                return
            identity.say(f"warning: {self.tokenizer}: not the tokenizer of this run's data; copied again")
        if read_fingerprint(model) != fingerprint:
            raise RunError(f"{model}: not the tokenizer that made these tokens; restore it")
        for name, file in tokenizer_files(model).items():
            with folders.replacing(self.path / name) as temporary:
                shutil.copyfile(file, temporary)

    def set_aside(self, *paths: Path) -> None:
        """Rename the files of a run that starts again, so that they are kept."""
        for path in paths:
            if note := folders.set_aside(path):
                identity.say(f"{path.name} starts again{note}")

    def refuse_unwritable(self) -> None:
        """Raise OSError now, not after hours of training, if no save can succeed; all ranks call it."""

        def refuse() -> None:
            if not placement.writes():
                return
            try:
                with tempfile.TemporaryFile(dir=self.checkpoints):
                    pass
            except OSError as error:
                if error.errno in UNWRITABLE:  # other faults may pass
                    error.filename = str(self.checkpoints)
                    raise

        all_ranks_do(refuse)

    def cut_metrics(
        self,
        step: int,
        owed: dict | None = None,
        begun: int = 0,
        owes: Callable[[dict], bool] = history.lacks_losses,
    ) -> dict | None:
        """Drop damaged lines and those after `step`, whose steps will be trained again.

        `owed`: the line of `step` without its held-out losses, if they were not known when it was saved.
        Returns it unless the file has a line that `owes` nothing. A branch has no lines up to step `begun`.
        """
        return history.cut_back(self.metrics, step, owed, begun, owes)
