"""The tree's rules: the direction of imports, the sizes of folders and files, reserved names."""

import ast
import subprocess
import sys
from collections import Counter
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import setuptools

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("configs", "data", "model", "train", "launch")
# What each room may import of the others. configs is for entry points, which read their own keys with it.
BELOW = {
    "configs": set(),
    "data": {"configs"},
    "model": set(),
    "train": {"configs", "data", "model"},
    "launch": {"configs", "data", "train"},
}
MOST_LINES, MOST_FILES = 400, 16


def sources(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    return {module_of(path): path for path in sources(*ROOMS)}


def imports_of(tree: ast.AST) -> set[str]:
    """The project's own modules that are imported anywhere in a file: deferred and for type checkers, too."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in modules() else node.module)
    return {name for name in found if name in modules()}


@cache
def arrows() -> dict[str, set[str]]:
    return {name: imports_of(ast.parse(path.read_text())) - {name} for name, path in modules().items()}


def neighbor(module: str) -> str:
    """The folder or file, directly in its room, that a module is in: train.run for train.run.lock."""
    return ".".join(module.split(".")[:2])


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The nodes of one cycle, in order; empty without a cycle."""
    done: set[str] = set()

    def walk(node: str, trail: list[str]) -> list[str]:
        if node in trail:
            return [*trail[trail.index(node) :], node]
        if node in done:
            return []
        for other in sorted(graph.get(node, ())):
            found = walk(other, [*trail, node])
            if found:
                return found
        done.add(node)
        return []

    return next((found for node in sorted(graph) if (found := walk(node, []))), [])


def test_no_module_imports_itself_through_others():
    assert circle(arrows()) == []


def test_rooms_import_only_what_is_below_them():
    wrong = [
        f"{name} imports {other}"
        for name, others in arrows().items()
        for other in sorted(others)
        if other.partition(".")[0] not in BELOW[name.partition(".")[0]] | {name.partition(".")[0]}
    ]
    assert wrong == []


@pytest.mark.parametrize("room", ROOMS)
def test_no_folder_of_a_room_imports_itself_through_its_neighbors(room):
    """A folder or file of train/ is above those it imports: with a circle of them, neither could be."""
    inner: dict[str, set[str]] = {}
    for name, others in arrows().items():
        if name.startswith(f"{room}."):
            inside = {neighbor(other) for other in others if other.startswith(f"{room}.")}
            inner.setdefault(neighbor(name), set()).update(inside - {neighbor(name)})
    assert circle(inner) == []


def test_a_circle_and_a_deferred_import_are_detected():
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []
    late = ast.parse("def f():\n    from data import order\n    import train.config\n    import os\n")
    assert imports_of(late) == {"data.order", "train.config"}


def test_no_file_is_too_long():
    lengths = {
        module_of(path): len(path.read_text().splitlines()) for path in sources(*ROOMS, "tests", "benchmarks")
    }
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_no_folder_holds_more_than_sixteen_files():
    """In the whole repository, __init__.py included, apart from the tests and the YAML files of configs/."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    if not listed:
        pytest.skip("not a git checkout: git lists no files")
    counts = Counter(str(Path(name).parent) for name in listed if (ROOT / name).exists())
    full = {
        folder: count
        for folder, count in counts.items()
        if count > MOST_FILES and folder.partition("/")[0] not in ("tests", "configs")
    }
    assert full == {}


def test_no_name_hides_a_package_from_torchrun():
    """`torchrun train/main.py` puts train/ first on the import path, python data/main.py data/."""
    others = set(sys.stdlib_module_names) | set(packages_distributions())
    names = {path.stem for room in ROOMS for path in (ROOT / room).iterdir() if path.suffix in ("", ".py")}
    allowed = {
        *ROOMS,  # the rooms themselves
        "__init__",
        "__pycache__",
    }
    assert sorted((names - allowed) & others) == []


def test_an_installed_copy_has_every_file(monkeypatch):
    """Also one that is not editable, as `pip install .` makes: only C's sources stay behind."""
    monkeypatch.chdir(ROOT)
    project = setuptools.Distribution({"script_name": "setup.py"})
    project.parse_config_files(["pyproject.toml"])
    project.include_package_data = False  # or it writes relama.egg-info, and believes an old one
    build = project.get_command_obj("build_py")
    build.ensure_finalized()
    installed = {Path(file) for file in build.get_source_files()}
    installed |= {Path(folder, name) for _, folder, _, names in build.data_files for name in names}
    present = {
        path.relative_to(ROOT)
        for room in ROOMS
        for path in (ROOT / room).rglob("*.*")
        if path.is_file() and path.suffix not in (".c", ".h", ".so") and path.parent.name != "__pycache__"
    }
    assert present - installed == set()
