"""Errors of one rank reach every rank, so that none waits for it."""

import pytest

from tests.support.fork_server import python
from tests.support.runs import REPOSITORY

SCRIPT = """
import torch.distributed as dist
from data.errors import DataError
from train.config import RunError
from train.ranks import identity
from train.ranks.together import first_rank_does

def fail():
    raise {error}("output=x: cannot be written")

dist.init_process_group("gloo")
identity.has_group = lambda: True
try:
    first_rank_does(fail)
except RunError as error:
    print(f"rank {{dist.get_rank()}}: {{error}}\\n", end="")  # one write: ranks share the output
dist.destroy_process_group()
"""


@pytest.mark.distributed
@pytest.mark.parametrize("error", ["DataError", "RunError", "OSError"])
def test_an_error_of_the_first_rank_is_raised_on_all(tmp_path, error):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(error=error))
    ran = python(script, ranks=2, cwd=REPOSITORY)
    assert ran.returncode == 0, ran.stderr
    assert sorted(ran.stdout.splitlines()) == [f"rank {rank}: output=x: cannot be written" for rank in (0, 1)]


ALL = """
import torch.distributed as dist
from train.config import RunError
from train.ranks import identity
from train.ranks.together import all_ranks_do

def work():
    if dist.get_rank() in {failing}:
        raise RunError("bench/piqa: no such file")
    return dist.get_rank()

dist.init_process_group("gloo")
identity.has_group = lambda: True
try:
    print(f"rank {{dist.get_rank()}}: did {{all_ranks_do(work)}}\\n", end="")
except RunError as error:
    print(f"rank {{dist.get_rank()}}: {{error}}\\n", end="")  # one write: ranks share the output
dist.destroy_process_group()
"""


@pytest.mark.distributed
@pytest.mark.parametrize(
    ("failing", "expected"),
    [
        ((), ["rank 0: did 0", "rank 1: did 1"]),
        ((1,), [f"rank {rank}: rank 1: bench/piqa: no such file" for rank in (0, 1)]),
        ((0, 1), [f"rank {rank}: bench/piqa: no such file" for rank in (0, 1)]),
    ],
    ids=["none", "one", "both"],
)
def test_an_error_of_any_rank_is_raised_on_all(tmp_path, failing, expected):
    script = tmp_path / "script.py"
    script.write_text(ALL.format(failing=failing))
    ran = python(script, ranks=2, cwd=REPOSITORY)
    assert ran.returncode == 0, ran.stderr
    assert sorted(ran.stdout.splitlines()) == expected
