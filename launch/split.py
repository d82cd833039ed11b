"""Which arguments of `relama launch` are its own, and which are train's."""

from dataclasses import fields

from configs.elsewhere import ELSEWHERE, OF_SBATCH
from configs.load import ConfigError
from configs.schema import COMMON
from launch.config import OF_KUBERNETES, ClusterConfig

KEYS = ("cluster", "nodes", "gpus", "processes", "cpus", "image", "max_restarts", "wait", "dry_run")

# Words refused with a hint at the cluster key they mean: its last part, another tool's name, or sbatch's.
MEANT = {
    *(field.name for field in fields(ClusterConfig) if field.name not in COMMON),
    *(name for name, keys in ELSEWHERE.items() if keys[0].startswith("cluster.")),
    *OF_SBATCH,
}
# The keys that only some kinds of cluster read.
READ_BY = {
    "image": ("kubernetes",),
    "cpus": ("slurm", "kubernetes"),
    "wait": ("slurm", "kubernetes"),
    "cluster.exclude": ("slurm", "kubernetes"),
    "cluster.rendezvous": ("local",),
    **dict.fromkeys((f"cluster.{name}" for name in ("partition", "time", "setup", "sbatch")), ("slurm",)),
    **dict.fromkeys((f"cluster.{name}" for name in OF_KUBERNETES), ("kubernetes",)),
}


def split(argv: list[str]) -> tuple[list[str], list[str]]:
    """The launch's own arguments, and train's.

    Raises ConfigError for unprintable characters: a line break would end a comment in the job script.
    """
    for arg in argv:
        if not arg.isprintable():
            raise ConfigError(f"{arg!r}: contains an unprintable character")
    argv = [f"cluster.{arg[7:]}" if arg.startswith("launch.") else arg for arg in argv]  # launch.format=
    mine = [arg for arg in argv if _is_own(key_of(arg)) or arg in ("-h", "--help")]
    return mine, [arg for arg in argv if arg not in mine]


def without_effect(mine: list[str], cluster: str) -> dict[str, str]:
    """The launch's own arguments that this kind of cluster ignores, each with the kinds that read it."""
    found = {arg: READ_BY.get(".".join(key_of(arg).split(".")[:2]), (cluster,)) for arg in mine}
    return {arg: " and ".join(kinds) for arg, kinds in found.items() if cluster not in kinds}


def key_of(arg: str) -> str:
    return arg.partition("=")[0].lstrip("+~")


def _is_own(key: str) -> bool:
    return key.partition(".")[0] in KEYS or key.lstrip("-").replace("-", "_") in MEANT
