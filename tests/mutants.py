"""Deliberate faults, and the test that must fail for each: `python -m tests.mutants [WORD …]`.

Each fault is put into a copy of the repository, one at a time, and its test is run there. A WORD selects the
faults whose line contains it. First, all named tests must pass without a fault. `--table` prints the table of
docs/tests.md.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.support.deliberate_faults import FAULTS, Fault

ROOT = Path(__file__).resolve().parents[1]
COPIED = (
    "configs",
    "data",
    "model",
    "train",
    "launch",
    "tests",
    "docs",
    "benchmarks",
    "pyproject.toml",
    "LICENSE",
)
WORKERS = 2  # faults tried in parallel


def main(arguments: list[str]) -> int:
    if arguments == ["--table"]:
        print(table())
        return 0
    chosen = [fault for fault in FAULTS if not arguments or any(word in fault.what for word in arguments)]
    if not chosen:
        print(f"relama: no fault's line contains {' or '.join(arguments)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="relama-mutants-") as folder:
        clean = run(copied(Path(folder) / "clean"), sorted({fault.test for fault in chosen}))
        if clean.returncode:
            print(clean.stdout[-3000:], "relama: these tests are not green without a fault", file=sys.stderr)
            return 1
        with ThreadPoolExecutor(WORKERS) as pool:
            found = list(pool.map(partial(is_caught, Path(folder)), chosen))
    missed = [fault for fault, caught in zip(chosen, found, strict=True) if not caught]
    print(f"{len(chosen) - len(missed)} of {len(chosen)} faults were caught")
    return 1 if missed else 0


def is_caught(folder: Path, fault: Fault) -> bool:
    """Whether the test fails on a copy with this fault in it."""
    copy = copied(folder / f"fault-{FAULTS.index(fault)}")
    path = copy / fault.file
    text = path.read_text()
    if text.count(fault.old) != 1:
        print(
            f"STALE   {fault.what}: {fault.file} holds {fault.old!r} {text.count(fault.old)} times",
            flush=True,
        )
        return False
    path.write_text(text.replace(fault.old, fault.new))
    done = run(copy, [fault.test])
    shutil.rmtree(copy)
    print(f"{'caught' if done.returncode == 1 else 'MISSED'}  {fault.what}", flush=True)
    return done.returncode == 1  # pytest: tests ran, and one failed


def copied(copy: Path) -> Path:
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=ignore)
        else:
            copy.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, copy / name)
    return copy


def run(copy: Path, tests: list[str]) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *map(located, tests)]
    return subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True)


def located(test: str) -> str:
    """FOLDER::NAME becomes the file of the folder that has the test."""
    place, _, name = test.partition("::")
    if place.endswith(".py"):
        return test
    (file,) = [path for path in (ROOT / place).glob("test_*.py") if f"def {name}(" in path.read_text()]
    return f"{file.relative_to(ROOT)}::{name}"


def table() -> str:
    rows = [
        f"| {fault.what} | `{fault.file}` | `{located(fault.test).removeprefix('tests/')}` |"
        for fault in FAULTS
    ]
    return "\n".join(["| fault | in | failing test |", "|---|---|---|", *rows])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
