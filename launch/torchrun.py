"""The torchrun command of a launch, as a list of arguments; the same on this machine and inside a Slurm job.

It has what saving and restarting a run needs: signals from schedulers reach the workers, which have
`cluster.grace` seconds to save (30 when a machine joins: torchrun has no switch for that), and each start
gets its own store.
"""

import signal
import sys
from pathlib import Path

from launch.config import LaunchConfig

TRAIN = Path(__file__).resolve().parents[1] / "train" / "main.py"
MEASURE = "check"  # the first argument, if the machines are only to be measured
SPREAD = ("generate", "evaluate")  # the first argument, if a verb other than train is spread over ranks
# SIGUSR1 is not among torchrun's own.
SIGNALS = ("SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1")
GRACE = "--shutdown-timeout"
# torchrun's agents keep the address of their first store, so they may send a machine that joins later to the
# wrong one; without sharing, each start makes a new store.
ENVIRONMENT = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}


def torchrun(config: LaunchConfig, rendezvous: list[str], arguments: list[str]) -> list[str]:
    """`python -m launch.agent … train/main.py …`, or the check's main.py, or another verb.

    `arguments`: train's, perhaps with MEASURE before them; or a verb of SPREAD and its arguments.
    """
    program = [str(TRAIN), *arguments]
    if arguments[:1] == [MEASURE]:
        program = [str(TRAIN.with_name("check") / "main.py"), *arguments[1:]]
    elif arguments[:1] and arguments[0] in SPREAD:
        program = ["--module", "launch.cli", *arguments]
    # If torchrun handled SIGHUP, it would end on one that nohup told it to ignore.
    ignored = "SIGHUP" if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN else ""
    signals = ",".join(name for name in SIGNALS if name != ignored)
    return [
        *(sys.executable, "-m", "launch.agent"),
        f"--nnodes={config.nodes}",
        f"--nproc-per-node={config.processes_per_node}",
        *rendezvous,
        f"--max-restarts={config.max_restarts}",
        f"--signals-to-handle={signals}",
        f"{GRACE}={config.cluster.grace}",
        *program,
    ]
