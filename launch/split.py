"""Which arguments of `relama launch` are its own, and which are train's."""

from dataclasses import fields

from configs.elsewhere import ELSEWHERE, OF_SBATCH
from configs.load import ConfigError
from configs.schema import COMMON
from launch.config import ClusterConfig

KEYS = ("cluster", "nodes", "gpus", "processes", "cpus", "image", "max_restarts", "wait", "dry_run")

# What is refused with the cluster's key that is meant: its last part, another tool's name, sbatch's options.
MEANT = {
    *(field.name for field in fields(ClusterConfig) if field.name not in COMMON),
    *(name for name, keys in ELSEWHERE.items() if keys[0].startswith("cluster.")),
    *OF_SBATCH,
}


def split(argv: list[str]) -> tuple[list[str], list[str]]:
    """The launch's own arguments, and train's. Refuses line breaks (the job script has comments)."""
    for arg in argv:
        if not arg.isprintable():
            raise ConfigError(f"{arg!r}: contains an unprintable character")
    argv = [f"cluster.{arg[7:]}" if arg.startswith("launch.") else arg for arg in argv]  # launch.format=
    mine = [arg for arg in argv if _is_own(key_of(arg)) or arg in ("-h", "--help")]
    return mine, [arg for arg in argv if arg not in mine]


def key_of(arg: str) -> str:
    return arg.partition("=")[0].lstrip("+~")


def _is_own(key: str) -> bool:
    return key.partition(".")[0] in KEYS or key.lstrip("-").replace("-", "_") in MEANT
