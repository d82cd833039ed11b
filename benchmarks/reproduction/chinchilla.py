"""Fit Hoffmann et al.'s own runs: `python benchmarks/reproduction/chinchilla.py svg_extracted_data.csv`.

The file is Besiroglu et al.'s (arXiv 2404.10102): the points of Hoffmann's Figure 4, from
github.com/epoch-research/analyzing-chinchilla, data/. As there, the five points of highest loss are left out.
"""

import csv
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from train.ladder.fit import Point, fit
from train.ladder.law import NAMES

PUBLISHED = {"E": 1.8172, "A": 482.01, "B": 2085.43, "alpha": 0.3478, "beta": 0.3658}  # their Table 1
COLUMNS = ("Model Size", "Training FLOP", "loss")
LEFT_OUT = 5


def main(path: str) -> None:
    with open(path, newline="") as file:
        rows = [
            (float(r["Model Size"]), float(r["Training FLOP"]), float(r["loss"]))
            for r in csv.DictReader(file)
        ]
    rows = sorted(rows, key=lambda row: row[2])[:-LEFT_OUT]
    points = [Point(f"{i}", size, flops / (6 * size), loss) for i, (size, flops, loss) in enumerate(rows)]
    begin = time.process_time()
    fitted = fit(points, replicates=1000)
    print(f"{len(points)} runs, {time.process_time() - begin:.1f} s of one core")
    print(f"{'':8}{'ours':>12}{'95 % of the bootstrap':>28}{'published':>12}")
    for name in NAMES:
        low, high = fitted.interval(name)
        between = f"{low:.4f} to {high:.4f}"
        print(f"{name:8}{getattr(fitted.law, name):12.4f}{between:>28}{PUBLISHED[name]:12.4f}")
        if not low < PUBLISHED[name] < high:
            sys.exit(f"{name}: the published value is outside the interval")


if __name__ == "__main__":
    main(sys.argv[1])
