"""The compiled module, built from the current source."""

import shutil
import subprocess
import sysconfig
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

from data.ccnet import fasttext_file

SOURCES = sorted(map(str, Path(fasttext_file.__file__).with_name("c").glob("*.c")))


@pytest.fixture(scope="session")
def native(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    """The current sources, compiled with the flags of pyproject.toml."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    built = tmp_path_factory.mktemp("native") / f"native{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = sysconfig.get_path("include")
    flags = ["-O3", "-ffp-contract=off", "-shared", "-fPIC", "-Wall", "-Werror", f"-I{include}"]
    subprocess.run([compiler, *flags, *SOURCES, "-o", str(built), "-lm"], check=True)
    spec = util.spec_from_file_location("native", built)
    assert spec is not None and spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
