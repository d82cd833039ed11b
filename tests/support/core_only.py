"""Block every package that only an extra installs, to simulate a training node in a full environment."""

import re
import sys
from importlib.abc import MetaPathFinder
from importlib.metadata import PackageNotFoundError, packages_distributions, requires


def core_distributions() -> set[str]:
    """The names of the distributions that `pip install relama` installs, in normal form."""
    found: set[str] = set()
    open_ends = ["relama"]
    while open_ends:
        name = open_ends.pop()
        if name in found:
            continue
        found.add(name)
        try:
            needed = requires(name) or []
        except PackageNotFoundError:  # for another system or Python
            continue
        open_ends += [_name(line) for line in needed if "extra ==" not in line]
    return found


def _name(requirement: str) -> str:
    name = re.match(r"[\w.-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


class _Refuses(MetaPathFinder):
    def __init__(self) -> None:
        core = core_distributions()
        self.extras = {
            package
            for package, distributions in packages_distributions().items()
            if not {_name(distribution) for distribution in distributions} & core
        }

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self.extras:
            raise ModuleNotFoundError(f"No module named {name!r} (not in the core)", name=name)


def block_extras() -> None:
    """From here on, an import of a package that only an extra installs raises ModuleNotFoundError."""
    sys.meta_path.insert(0, _Refuses())
