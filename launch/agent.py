"""torchrun with one last line in place of its traceback: `python -m launch.agent` takes torchrun's arguments.

The line is the error of the rank that failed first, which `configs/load.py` leaves in the file that torchrun
names to each rank.
"""

import os
import signal
import sys
from typing import Any, cast

from torch.distributed import run
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

RESUME = "the same command resumes from the newest checkpoint"


def main(argv: list[str] | None = None) -> int:
    args = run.parse_args(sys.argv[1:] if argv is None else argv)
    if args.nproc_per_node != "1":
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # torchrun would, with four lines about it
    try:
        run.run(args)
    except ChildFailedError as error:
        print(last_line(*error.get_first_failure()), file=sys.stderr, flush=True)
        return 1
    except SignalException as error:  # the ranks have reported what they saved
        return 128 + error.sigval
    return 0


def last_line(rank: int, failure: ProcessFailure) -> str:
    """Why `rank` failed, in one line."""
    reported = cast(Any, failure.message)  # a dict if the rank left a file, whatever the annotation says
    if isinstance(reported, dict) and str(reported.get("message", "")).startswith("relama:"):
        return reported["message"]
    if failure.exitcode == -signal.SIGKILL:
        how = "was killed; if its memory ran out, lower micro_batch"
    elif failure.exitcode < 0:
        how = f"was ended by {failure.signal_name()}"
    else:
        how = f"ended with exit code {failure.exitcode}; its lines above say why"
    return f"relama: error: rank {rank} {how}; {RESUME}"


if __name__ == "__main__":
    sys.exit(main())
