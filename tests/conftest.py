"""Shared by all tests: the real samples, the built-in sample, and the assignment of tests to workers.

pytest-xdist keeps a file on one worker, so that its fixtures are made once. All files in `SERIAL` run
first, on one worker, so that tests that kill, wait or measure never compete with one another.
"""

import atexit
import gc
import os
import pwd
import re
import shutil
import signal
import tempfile
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from configs import waiting

# Settings of the shell that would change what the tests reach, print or believe about their ranks.
OF_THE_SHELL = re.compile(
    r"(AWS|MLFLOW|PET|RELAMA|SLURM|TORCHELASTIC|WANDB)_.*|((ALL|FTP|HTTP|HTTPS|NO)_PROXY)|"
    r"COLUMNS|LINES|(NO|FORCE)_COLOR|(LOCAL_|GROUP_)?(RANK|WORLD_SIZE)|MASTER_(ADDR|PORT)|"
    r"GLOO_SOCKET_IFNAME|KUBECONFIG",
    re.IGNORECASE,
)
for name in filter(OF_THE_SHELL.fullmatch, [*os.environ]):
    del os.environ[name]
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # all files would be compiled for each Python that starts
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # as in a shell's background jobs, and inherited
    signal.signal(signal.SIGINT, signal.default_int_handler)
if "PYTEST_XDIST_WORKER" not in os.environ:  # workers share the first process's
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="relama-tests-")
    atexit.register(shutil.rmtree, os.environ["XDG_CACHE_HOME"], ignore_errors=True)

# Hypothesis's limits are in seconds of the wall clock. It draws the same examples on every machine;
# `pytest --hypothesis-profile=random` draws others.
hypothesis.settings.register_profile(
    "random", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.register_profile(
    "same", hypothesis.settings.get_profile("random"), derandomize=True, database=None
)
hypothesis.settings.load_profile("same")

waiting.AFTER = 600.0  # on a slow machine, verbs in this process would say more

# Inductor would start a pool of Pythons in each process that compiles, for a few small kernels.
os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
TESTS = Path(__file__).resolve().parent

# Tests with services, faults or deadlines. The longest comes first, so that the other worker need not wait.
SERIAL = (
    "train/ranks/test_elastic.py",
    "chaos/test_chaos.py",
    "train/test_resume.py",
    "train/test_recovery.py",
    "train/ranks/test_watchdog.py",
    "train/ranks/test_rendezvous.py",
    "launch/test_local.py",
    "launch/test_slurm.py",
    "data/test_engine.py",
)


# Tests in one process that take more than about six seconds: make test-quick omits them.
SLOW = (
    "data/tokens/test_tokenizer.py::test_ids_are_identical",
    "data/sources/test_source_tables.py",
    "data/prepare/test_sample.py",
    "data/prepare/test_damaged_work.py::test_damaged_files",
    "data/prepare/test_prepare_faults.py::test_killed_at_any",
    "data/sources/test_hostile.py::test_bombs_next",
    "train/loggers/test_wandb.py::test_a_resumed_run",
    "train/test_precision.py::test_a_run_keeps",
    "data/prepare/test_all_sources.py",
    "docs/test_commands.py::test_every_command",
    "docs/test_walkthroughs.py",
    "launch/test_script.py::test_the_trainings_marker",
    "data/prepare/test_ccnet_advice.py",
    "data/prepare/test_ccnet_models.py",
    "data/sources/arxiv/test_hostile_latex.py::test_hostile_text_takes_linear_time",
    "data/sources/wikipedia/test_wikitext.py::test_time_and_depth",
    "docs/test_commands.py::test_a_failing_or_unknown",
    "model/test_formats.py::test_every_tensor",
    "train/run/test_damaged_folder.py",
    "test_patterns_growth.py",
    "train/evaluation/",
    "train/integrity/test_corruption.py",
    "train/evaluation/test_validation.py",
    "data/test_buckets.py",
    "launch/test_mistakes.py",
    "launch/test_verb_faults.py",
    "train/branch/",
    "train/check/test_check.py",
    "train/checkpoint/test_remote.py",
    "train/generation/test_serve.py",
    "train/ladder/test_ladder",
    "train/test_other_tokenizers.py",
    "train/test_phases.py",
    "train/recipe/test_conformance.py::test_a_run_is_compared",
    "train/report/test_runs.py",
    "train/plan/test_plan.py",
    "train/plan/test_gpu_benchmark.py::test_every_part",
    "train/report/test_report.py",
    "train/test_bad_input.py",
    "train/test_verbs.py",
    "train/weights/test_export.py",
    "train/checkpoint/test_certificate.py",
    "train/checkpoint/test_saving.py",
    "model/test_parallelize.py",
)


class _ByFile(LoadScopeScheduling):
    """Keeps a file on one worker, and all files in `SERIAL` on one."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].removeprefix("tests/")
        return "serial" if file in SERIAL else file


@pytest.hookimpl(optionalhook=True)  # also without pytest-xdist
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    # loadgroup's marks have no effect under pytest 9.2 with pytest-xdist 3.8: each test is its own group.
    return _ByFile(config, log)


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Name bytes by their argument: packed bytes hold the time, and all workers must collect equal names."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests; put serial files first and short ones last, so that all workers end together."""
    long = set()
    for item in items:
        name = item.path.relative_to(TESTS).as_posix()
        if name in SERIAL or f"{name}::{item.name}".startswith(SLOW):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("slow") or item.get_closest_marker("distributed"):
            long.add(name)

    def place(item: pytest.Item) -> int:
        name = item.path.relative_to(TESTS).as_posix()
        return SERIAL.index(name) if name in SERIAL else len(SERIAL) + (name not in long)

    items.sort(key=place)  # stable: keeps the order within a file and among files of equal rank


def pytest_collection_finish() -> None:
    """Keep what was imported so far out of the collections: they would go through all of torch's objects."""
    gc.freeze()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real samples, which exists next to the clone on some machines only."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"the real samples are not on this machine ({SHARED_DATA})")
    return SHARED_DATA


@pytest.fixture(scope="session")
def corpora(tmp_path_factory, worker_id: str) -> Path:
    """The built-in sample, prepared once for all workers (later ones wait for the first)."""
    from data.prepare.sample import prepare_sample

    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "sample-corpora"
    folder.mkdir(exist_ok=True)
    prepare_sample(folder)
    return folder


@pytest.fixture
def homeless(monkeypatch):
    """A user without a home folder or a name, as in containers that run with any user id."""

    def unknown(uid: int):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("HOME", "XDG_CACHE_HOME", "RELAMA_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
