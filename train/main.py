"""`torchrun train/main.py model=7b data=mix`, or `relama train …` in one process: parse, build, run."""

import os
import sys
from datetime import timedelta

from configs.load import entry, load
from data.errors import DataError
from model.formats.weights import FormatError
from train.allocator import raise_malloc_thresholds
from train.config import RunError, TrainConfig
from train.plan.auto import settle
from train.preflight import open_data
from train.ranks.rendezvous import tell_the_idle, wait_for_the_end
from train.ranks.setup import choose_layout, die_with_parent, is_idle, layout_of, set_up, tear_down
from train.ranks.watchdog import LONG, Watchdog
from train.run.folder import run_path
from train.run.starts import record_start


def run(argv: list[str]) -> int:
    config = settle(load("train", TrainConfig, argv))
    layout = choose_layout(config)
    stores, heldout, model_config = open_data(config, layout)
    layout_of(config, model_config, layout.world_size)  # again, now that the vocabulary is known
    rank = int(os.environ.get("RANK", 0))
    # One rank of a machine may have been reading all tokens, and the others wait for it.
    patience = timedelta(days=1) if config.verify_data == "always" else timedelta(minutes=10)
    if is_idle(layout.world_size):
        return wait_for_the_end(rank, patience)
    from train.trainer import Trainer  # a second of imports that a refused config does not wait for

    watchdog = Watchdog(run_path(config.run) / "hangs", rank, config.watchdog.timeout)
    if config.watchdog.timeout:
        watchdog.beat("starting", max(LONG, patience.total_seconds() / config.watchdog.timeout))
    trainer = None
    try:
        ranks = set_up(layout, config.device, config.threads, patience)
        trainer = Trainer(config, model_config, ranks, stores, heldout, watchdog)
        trainer.build()
        if trainer.folder:
            try:
                trainer.folder.write_command(argv)
                record_start(trainer.path, argv, trainer.step_done + 1, ranks)
            except OSError as error:  # of use to the report only
                print(f"relama: warning: {trainer.path}: {error}; this start is not recorded", flush=True)
        code = trainer.run()
        if code == 0 and trainer.folder:
            tell_the_idle(range(ranks.world_size, int(os.environ.get("WORLD_SIZE", 1))))
        return code
    finally:
        if trainer and trainer.folder:
            trainer.folder.release()
        watchdog.close()
        tear_down()


def main(argv: list[str] | None = None) -> int:
    die_with_parent()
    raise_malloc_thresholds()
    return entry(run, argv, errors=(RunError, DataError, FormatError))


if __name__ == "__main__":
    sys.exit(main())
