"""Begins a run whose keys are right: its layout and ranks, its folder, what is said of it, and the training.

Its imports take seconds, for torch; `train/main.py` refuses a mistyped key before them.
"""

import faulthandler
from datetime import timedelta
from pathlib import Path

from data.folders import run_path
from data.remote import is_remote
from train.config import Refused, RunError, TrainConfig
from train.plan import needs
from train.precision import make_deterministic
from train.preflight import Resolved, resolve, settled
from train.ranks import identity
from train.ranks.layout import is_idle
from train.ranks.rendezvous import tell_the_idle, wait_for_the_end
from train.ranks.setup import Ranks, die_with_parent, set_up, tear_down
from train.ranks.together import end_together
from train.ranks.watchdog import LONG, Watchdog, longest_wait
from train.run import markers
from train.run.folder import HANGS, claimed


def begin(config: TrainConfig, argv: list[str]) -> int:
    """Train, or wait for the others if this rank is idle; returns the exit code."""
    die_with_parent()
    faulthandler.enable(file=2)  # a crash in native code prints where each thread was
    resolved = _resolved(config)
    config = resolved.config
    # The first rank of each machine may have to read all tokens while the others wait.
    patience = timedelta(days=1) if config.verify_data == "always" else timedelta(minutes=10)
    if is_idle(resolved.layout):
        wait_for_the_end(identity.rank(), patience)
        return 0
    if config.deterministic:
        make_deterministic()
    from train.trainer import run_training  # a second of imports that a refused command does not wait for

    watchdog = Watchdog(run_path(config.run) / HANGS, identity.rank(), config.watchdog.timeout)
    if config.watchdog.timeout:
        watchdog.beat("starting", max(LONG, patience.total_seconds() / config.watchdog.timeout))
    try:
        with identity.waiting(watchdog.doing):
            longest = longest_wait(config.watchdog.timeout)
            ranks = set_up(resolved.layout, config.device, config.threads, patience, longest)
            chosen: list[str] = []
            resolved = settled(resolved, ranks.device, chosen.append)
            with claimed(resolved.config, argv) as folder:
                _introduce(resolved, folder.path, chosen)
                with needs.memory_named():
                    code = run_training(resolved, ranks, folder, watchdog)
            code = end_together(code)
            _dismiss_the_idle(ranks, code)
            return code
    finally:
        watchdog.close()
        tear_down()


def _introduce(run: Resolved, folder: Path, chosen: list[str]) -> None:
    """Say what the run is and needs, unless this is a restart or nothing is left to train."""
    if not identity.restarts() and not markers.has_finished(folder, run.config.last_step):
        for sentence in (*needs.sentences(run.config, run.layout, folder), *chosen):
            identity.say(sentence)


def _dismiss_the_idle(ranks: Ranks, code: int) -> None:
    if code == 0 and ranks.is_first:
        tell_the_idle(range(ranks.world_size, identity.world_size()))


def _resolved(config: TrainConfig) -> Resolved:
    """`resolve`, but on a first start with local data a refusal is final: torchrun does not try again."""
    try:
        return resolve(config, _refuse_early)
    except RunError as error:
        if identity.restarts() or is_remote(config.corpora):
            raise
        raise Refused(str(error)) from None


def _refuse_early(config: TrainConfig) -> None:
    identity.refuse_half()
    if config.evaluate.every:
        from train.evaluation.in_loop import refuse_impossible  # heavy, and rarely needed

        refuse_impossible(config)
