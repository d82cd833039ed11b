"""The docs' commands can be pasted: bash and a zsh in which one types pass the same words to each program.

Such a zsh has no comments unless it is told so: it reads them as words, so they must not hold what it would
expand, and follow only `relama`, which drops them.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_commands import PAGES
from tests.support.runs import REPOSITORY

PROGRAMS = ("relama", "torchrun", "make", "pip", "python", "bash", "source")
SHELLS = {"bash": ["bash", "--norc", "-s"], "zsh": ["zsh", "-f", "-i", "-s"]}


def typed(text: str) -> Iterator[str]:
    """What a person copies from a page: each command of a program, as it stands, and each comment."""
    for block in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        body = block[2]
        if block[1] == "console":  # without what the command prints
            body = re.sub(r"^(?!\$ ).*\n", "", body, flags=re.MULTILINE)
        if block[1] not in ("bash", "console", "sh", ""):
            continue
        for line in re.split(r"(?<!\\)\n", body):
            line = line.removeprefix("$ ")
            if line.startswith("# not run") or line.partition(" ")[0] in PROGRAMS:
                yield line


def words(shell: str, lines: list[str], folder: Path) -> tuple[list[str], set[str]]:
    """The words that each program gets from `shell`, a line for each; and what it complains of."""
    folder.mkdir()
    known = "".join(f"{name}() {{ printf '%s\\0' {name} \"$@\"; echo; }}\n" for name in PROGRAMS)
    script = known + "\n".join(lines) + "\n"
    done = subprocess.run(SHELLS[shell], input=script, capture_output=True, text=True, cwd=folder, timeout=60)
    return done.stdout.splitlines(), set(re.findall(r"(?:zsh|bash): .+", done.stderr))


@pytest.mark.skipif(not shutil.which("zsh"), reason="needs zsh")
def test_zsh_and_bash_pass_the_same_words(tmp_path):
    pages = [(page, (REPOSITORY / page).read_text()) for page in ("CONTRIBUTING.md", *PAGES)]
    lines = [line for _, text in pages for line in typed(text)]
    assert len(lines) > 100
    in_bash, complaints = words("bash", lines, tmp_path / "bash")
    assert complaints == set()
    in_zsh, complaints = words("zsh", lines, tmp_path / "zsh")
    assert complaints == {"zsh: command not found: #"}  # of a comment on its own line
    of_relama = [re.sub(r"\0#.*", "\0", line) if line.startswith("relama\0") else line for line in in_zsh]
    assert of_relama == in_bash
