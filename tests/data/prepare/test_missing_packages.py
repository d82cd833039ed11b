"""Which recipes the core can run, and what the others say."""

import subprocess
import sys

import pytest

from tests.support.runs import REPOSITORY

PREPARE = (
    "import sys; from tests.support import core_only; core_only.block_extras(); "
    "from launch.cli import main; sys.exit(main(['prepare', *sys.argv[1:]]))"
)


@pytest.mark.parametrize("recipe", ["wikipedia", "stackexchange", "github", "commoncrawl"])
def test_a_recipe_whose_package_is_missing_says_how_to_install_it(recipe, tmp_path):
    (tmp_path / "a.txt").write_text("x")
    arguments = [f"recipe={recipe}", f"input={tmp_path}/a.txt", f"corpora={tmp_path}/corpora"]
    done = subprocess.run(
        [sys.executable, "-c", PREPARE, *arguments], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and "needs the package" in lines[0] and "pip install -e '.[data]'" in lines[0]
    assert not (tmp_path / "corpora").exists()
