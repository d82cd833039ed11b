"""Which arguments of `relama launch` are its own, and which are train's."""

from configs.load import ConfigError

KEYS = ("cluster", "nodes", "gpus", "processes", "cpus", "image", "max_restarts", "wait", "dry_run")


def split(argv: list[str]) -> tuple[list[str], list[str]]:
    """The launch's own arguments, and train's. Refuses line breaks (the job script has comments)."""
    for arg in argv:
        if not arg.isprintable():
            raise ConfigError(f"{arg!r}: contains an unprintable character")
    argv = [f"cluster.{arg[7:]}" if arg.startswith("launch.") else arg for arg in argv]  # launch.format=
    mine = [arg for arg in argv if key_of(arg).partition(".")[0] in KEYS or arg in ("-h", "--help")]
    return mine, [arg for arg in argv if arg not in mine]


def key_of(arg: str) -> str:
    return arg.partition("=")[0].lstrip("+~")
