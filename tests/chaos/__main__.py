"""`python -m tests.chaos --faults 100 --seed 0`: training under random faults.

It makes the table of docs/faults.md.

Exits with an error if a run is lost or does not end bitwise equal to the undisturbed one. As root, the runs
are on a small tmpfs so that the disk can be filled; otherwise that fault is omitted, and the last line says
so.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from data.prepare.sample import prepare_sample
from tests.chaos.campaign import Campaign, RunLost
from tests.chaos.faults import DISK, KINDS, NEED_A_SMALL_DISK, NEED_ANOTHER_RANK
from tests.chaos.run import SETTINGS, STEPS
from tests.support.disk import small_disk


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--faults", type=int, default=100, help="survive at least this many")
    parser.add_argument(
        "--seed", type=int, default=None, help="for the moments and places; drawn at random by default"
    )
    parser.add_argument("--ranks", type=int, nargs="+", default=[2, 4], help="ranks of the runs, in turn")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of each run")
    parser.add_argument("--per-run", type=int, default=25, help="faults per run")
    parser.add_argument(
        "--kinds", nargs="+", default=list(KINDS), help="parts of the names of the faults to inject"
    )
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="inject no fault after this many minutes"
    )
    parser.add_argument(
        "--keep",
        type=Path,
        help="a folder for the corpora, undisturbed runs, logs and results, for later campaigns too; "
        "the table is of all of them",
    )
    options = parser.parse_args()
    seed = int.from_bytes(os.urandom(4), "little") if options.seed is None else options.seed
    kinds = [kind for kind in KINDS if any(part in kind for part in options.kinds)]
    if not kinds:
        parser.error(f"--kinds: no fault's name has {' or '.join(options.kinds)}")
    if set(kinds) <= NEED_ANOTHER_RANK and 1 in options.ranks:
        parser.error(f"--ranks 1: {', '.join(kinds)} needs another rank; give other --kinds")
    print(f"seed {seed}", flush=True)
    begin = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the runs end with it
    with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder) / "disk", DISK) as disk:
        if disk is None:
            kinds = [kind for kind in kinds if kind not in NEED_A_SMALL_DISK]
        corpora = (options.keep or Path(folder)).absolute() / "corpora"
        prepare_sample(corpora)
        until = begin + 60 * options.minutes
        settings = (*SETTINGS, f"steps={options.steps}")
        work, kept = disk or Path(folder), options.keep
        campaign = Campaign(work, corpora, seed, kinds, settings, until=until, kept=kept)
        try:
            while len(campaign.survived) < options.faults and not campaign.is_late:
                left = options.faults - len(campaign.survived)
                ranks = options.ranks[campaign.runs % len(options.ranks)]
                campaign.strike(ranks, min(left, options.per_run))
                print(
                    f"run {campaign.runs} on {ranks} ranks ended bitwise like the undisturbed one"
                    + campaign.ends[-1],
                    flush=True,
                )
            lost = None
        except RunLost as error:
            lost = error
    struck = len({one.kind for one in campaign.survived})
    count = len(campaign.survived)
    if options.keep:
        campaign.all_results()
    print(f"\n{campaign.table()}\n")
    print(
        f"seed {seed}: {count} faults of {struck} kinds "
        f"on {campaign.runs} runs in {(time.monotonic() - begin) / 60:.0f} min, "
        + ("no run lost" if lost is None else f"a run LOST: {lost}")
    )
    if disk is None:
        print("not tried: disk full (mounting a tmpfs needs root)")
    return 0 if lost is None else 1


if __name__ == "__main__":
    sys.exit(main())
