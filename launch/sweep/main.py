"""`relama train --multirun optim.lr=1e-4,3e-4 seed=1,2`: one run for each combination, one after the other
or as `hydra/launcher=` says (launchers.py).

As in Hydra: a value with commas, `choice(…)` or `range(…)` is swept, and the last key varies fastest. Keys
that take a list, and `logger`, keep their commas; `choice([…],[…])` sweeps those. Each run is in
runs/NAME/KEY=VALUE+…, so the same command resumes what is not finished; `checkpoint.remote=` gets the same
folders.
"""

import itertools
import re
import shlex

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from configs import schema as schemas
from configs.load import ConfigError, entry, load
from launch.config import LaunchConfig
from launch.split import key_of, split
from launch.sweep import launchers
from train.config import RunError, TrainConfig

FLAGS = ("--multirun", "-m")
REMOTE = "checkpoint.remote"


def run(verb: str, argv: list[str]) -> int:
    """Run `relama VERB` for each combination; returns the exit code.

    Raises ConfigError before the first run if an argument is bad, or at the end if some runs failed.
    """
    launcher, options, arguments = launchers.split([arg for arg in argv if arg not in FLAGS])
    lines = [*commands(arguments)]
    if len(lines) == 1:
        raise ConfigError("--multirun: nothing to sweep; give a key values, such as optim.lr=1e-4,3e-4")
    for line in lines:  # a mistake in the last must not show only after the others
        load("train", TrainConfig, split(line)[1])
    codes = launchers.start(launcher, options, verb, lines)
    if codes[-1] in launchers.INTERRUPTED:  # Ctrl-C, which ends the sweep
        return 130
    failed = [line[-1] for line, code in zip(lines, codes) if code != 0]
    print(f"next: relama report {shlex.quote('run=' + ','.join(names(lines)))}", flush=True)
    if failed:
        raise ConfigError(
            f"{len(failed)} of {len(lines)} runs did not finish ({', '.join(failed)}); see above"
        )
    return 0


def commands(arguments: list[str]) -> list[list[str]]:
    """The arguments of each run, with its own `run=` as the last. Raises ConfigError."""
    choices = [values(arg) for arg in arguments if key_of(arg) != "run"]
    swept = [i for i, some in enumerate(choices) if len(some) > 1]
    found = []
    for line in itertools.product(*choices):
        given = [arg for arg in arguments if key_of(arg) == "run"]
        config = load("train", TrainConfig, split([*line, *given])[1])
        name, remote = config.run, config.checkpoint.remote
        own = "+".join(re.sub(r"[^\w.=+-]+", "-", line[i].lstrip("+")) for i in swept)
        if remote and own and REMOTE not in (key_of(line[i]) for i in swept):  # a URL belongs to one run
            line = [*(arg for arg in line if key_of(arg) != REMOTE), f"{REMOTE}={remote.rstrip('/')}/{own}"]
        found.append([*line, f"run={name}/{own}" if own else f"run={name}"])
    places = names(found)
    if len(set(places)) < len(places):
        twice = next(name for name in places if places.count(name) > 1)
        raise ConfigError(f"--multirun: two runs would be in {twice}; leave out one of the equal values")
    return found


def names(lines: list[list[str]]) -> list[str]:
    return [line[-1].partition("=")[2] for line in lines]


def values(arg: str) -> list[str]:
    """Split `key=a,b` into `key=a` and `key=b`; an argument that is not swept stays whole."""
    key, equals, value = arg.partition("=")
    plain = re.sub(r"^launch\.", "cluster.", key_of(arg))
    known = schemas.leaves_near(TrainConfig, plain) | schemas.leaves(LaunchConfig)
    takes_list = plain == "logger" or (plain in known and schemas.list_of(known[plain]) is not None)
    if not equals or (takes_list and not value.startswith("choice(")):
        return [arg]
    try:
        parsed = OverridesParser.create().parse_override(f"{key}={value}")
    except HydraException:
        return [arg]  # not an override, such as a path; `load` judges it
    if not parsed.is_sweep_override():
        return [arg]
    return [f"{key}={each}" for each in parsed.sweep_string_iterator()]


def main(verb: str, argv: list[str]) -> int:
    return entry(lambda arguments: run(verb, arguments), argv, errors=(RunError,))
