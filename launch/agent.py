"""torchrun with one last line in place of its traceback: `python -m launch.agent` takes torchrun's arguments.

The line is the error of the rank that failed first; configs/errors.py leaves it in the file that torchrun
gives each rank. Ranks that refuse their arguments are not restarted, nor are ranks that fail twice in a row
with the same line.
"""

import sys

if __name__ == "__main__":  # the other imports take seconds
    from configs.interrupts import end_at_once

    end_at_once()

import logging
import os
import re
import signal
from pathlib import Path
from typing import Any, cast

from torch.distributed import run
from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher import api

from configs.errors import AGENT
from launch.torchrun import GRACE, TRAIN

RESUME = "the same command resumes from the newest checkpoint"


def main(argv: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    args = run.parse_args(known(arguments, run.get_args_parser().format_usage()))
    os.environ[AGENT] = "1"
    if args.nproc_per_node != "1":
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # torchrun would, with four lines about it
    if "LOGLEVEL" not in os.environ:  # torchrun's own setting
        logging.getLogger("torch.distributed.elastic.multiprocessing.api").setLevel(logging.CRITICAL)
    setattr(api, "LocalElasticAgent", Agent)  # noqa: B010 - torchrun has no switch for another agent
    try:
        run.run(args)
    except ChildFailedError as error:
        trains = Path(args.training_script).parts[-2:] == TRAIN.parts[-2:]  # not a check, nor another verb
        print(last_line(*error.get_first_failure(), trains), file=sys.stderr, flush=True)
        return 1
    except SignalException as error:  # the ranks have reported what they saved
        return 128 + error.sigval
    return 0


def known(arguments: list[str], usage: str) -> list[str]:
    """torchrun's arguments, without GRACE if this torch lacks it, as 2.11 does: ranks then have 30 s."""
    return [one for one in arguments if GRACE in usage or not one.startswith(GRACE)]


class Agent(LocalElasticAgent):
    """torchrun's agent, which gives up when a restart has changed nothing."""

    _line: str | None = None  # why the ranks failed last

    def _monitor_workers(  # pyright: ignore[reportIncompatibleVariableOverride]  # torch's decorator is untyped
        self, worker_group: WorkerGroup
    ) -> RunResult:
        result: RunResult = cast(Any, super())._monitor_workers(worker_group)
        if result.is_failed():
            first = min(result.failures.values(), key=lambda failure: failure.timestamp)
            line = reported(first)
            is_same = line and self._line and _without_amounts(line) == _without_amounts(self._line)
            if is_same or (line and cast(Any, first.message).get("final")):
                self._remaining_restarts = 0
            self._line = line
        return result


def _without_amounts(line: str) -> str:
    """`line` without what differs between starts, such as the free GiB."""
    return re.sub(r"(?<![\d.,])\d[\d.,]*+ (?:bytes?|[kMGTP]i?B)\b|(?<!\d)\d++\.\d++", "", line)


def reported(failure: ProcessFailure) -> str | None:
    """The line that the rank left for torchrun, if it is ours."""
    message = cast(Any, failure.message)  # a dict if the rank left a file, whatever the annotation says
    if isinstance(message, dict) and str(message.get("message", "")).startswith("relama:"):
        return message["message"]
    return None


def last_line(rank: int, failure: ProcessFailure, trains: bool) -> str:
    """Why `rank` failed, in one line; for training, also how to resume."""
    if line := reported(failure):
        return line
    if failure.exitcode == -signal.SIGKILL and trains:
        how = "was killed; if its memory ran out, lower micro_batch"
    elif failure.exitcode == -signal.SIGKILL:
        how = "was killed; if its memory ran out, use fewer processes"
    elif failure.exitcode < 0:
        how = f"was ended by {failure.signal_name()}"
    else:
        how = f"ended with exit code {failure.exitcode}; its lines above say why"
    return f"relama: error: rank {rank} {how}" + f"; {RESUME}" * trains


if __name__ == "__main__":
    sys.exit(main())
