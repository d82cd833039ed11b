"""A compiled module, built from the current sources with the flags of pyproject.toml."""

import shutil
import subprocess
import sysconfig
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest


def build(sources: Path, folder: Path) -> ModuleType:
    """The module `native` of a folder of C sources. Skips the test where nothing can be compiled."""
    compiler = shutil.which("cc")
    if compiler is None or not Path(sysconfig.get_path("include"), "Python.h").is_file():
        pytest.skip("no C compiler, or not the headers of this Python")
    built = folder / f"native{sysconfig.get_config_var('EXT_SUFFIX')}"
    flags = ["-O3", "-ffp-contract=off", "-shared", "-fPIC", "-Wall", "-Werror"]
    flags.append(f"-I{sysconfig.get_path('include')}")
    files = sorted(map(str, sources.glob("*.c")))
    subprocess.run([compiler, *flags, *files, "-o", str(built), "-lm"], check=True)
    spec = util.spec_from_file_location("native", built)
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
