"""Runs every command of README.md and docs/, in the order of its page, unless it gives a reason not to.

A page runs in its own folder, which has the prepared sample, some text and one benchmark's documents.
Arguments appended to the page's (SMALLER) make training small, so that a page takes seconds. A command that
cannot be run ends with `# not run here: REASON`; on a line of its own, this comment applies to the rest of
its block.
"""

import gc
import json
import random
import re
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from launch import cli
from tests.support.fork_server import python
from tests.support.runs import REPOSITORY

PAGES = [
    "README.md",
    *sorted(str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "docs").rglob("*.md")),
]
MARK = "# not run here: "
# Prefixes of commands, in blocks without a language.
PROGRAMS = {
    *(
        "relama",
        "torchrun",
        "python",
        "make",
        "pip",
        "bash",
        "source",
        "cd",
        "for",
        "export",
        "git",
        "docker",
    ),
    *("wget", "rsync", "zcat", "hf", "gcloud", "aws", "ia", "srun", "sbatch", "squeue", "kubectl", "taskset"),
}
SMALLER = {
    "train": (
        "model.dim=32 model.n_layers=2 model.n_heads=2 seq_len=64 micro_batch=1 global_batch=512 steps=6 "
        "validate.sequences=2 threads=1"
    ),
    "validate": "sequences=2",
    "tokenizer": "vocab_size=320",
    "evaluate": "limit=2",
    "generate": "max_tokens=8",
    "report": "samples=never",
    "plan": "global_batch=16384 micro_batch=1",
}
# The run that each page assumes, made before its commands.
BEFORE = {"README.md": ["relama train model=tiny data=sample run=demo"]}


@dataclass(frozen=True)
class Command:
    """A command of a page; `reason` says why it is not run."""

    page: str
    line: int
    text: str
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


def commands(page: str, text: str) -> list[Command]:
    """The commands of a page, in order; lines that end with a backslash continue on the next."""
    found = []
    for block in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        language, body = block[1], block[2]
        first = text.count("\n", 0, block.start(2)) + 1
        plain = not language and any(line.split(" ")[0] in PROGRAMS for line in body.splitlines())
        if language in ("bash", "console", "sh") or plain:
            found += _of_block(page, first, body, prompts=language == "console")
    return found


def _of_block(page: str, first: int, body: str, prompts: bool) -> list[Command]:
    found, reason, held = [], None, ""
    for number, line in enumerate(body.splitlines(), first):
        if prompts and not held:
            if not line.startswith("$ "):
                continue  # output that the page shows
            line = line[2:]
        command, mark, why = line.partition(MARK)
        if mark and not why.strip():
            raise AssertionError(f"{page}:{number}: {MARK!r} is followed by no reason")
        if mark and not command.strip() and not held:
            reason = why.strip()
            continue
        held += command.removesuffix("\\")
        if command.endswith("\\"):
            continue
        text = " ".join(shlex.split(held, comments=True, posix=False))
        if text:
            found.append(Command(page, number, text, why.strip() or reason))
        held = ""
    return found


def run(text: str) -> None:
    """Run a command in the current folder: verbs in this process, torchrun as a command."""
    program, *arguments = shlex.split(text)
    if (
        program == "relama" and arguments[0] == "launch" and "dry_run=true" not in arguments
    ):  # replaces its process
        done = python("-m", "launch.cli", *arguments, *SMALLER["train"].split(), children=True)
        assert done.returncode == 0, done.stderr
    elif program == "relama":
        verb, *arguments = arguments
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            assert cli.main([verb, *arguments, *SMALLER.get(verb, "").split()]) == 0
        finally:  # a separate process would end here: drop its handlers and its lock on the run folder
            for number, handler in before.items():
                signal.signal(number, handler)
            gc.collect()
    elif program == "torchrun":
        script = arguments.index("train/main.py")
        arguments[script] = str(REPOSITORY / "train" / "main.py")
        started = ("-m", "torch.distributed.run", "--standalone")
        done = python(*started, *arguments, *SMALLER["train"].split())
        assert done.returncode == 0, done.stderr
    elif program == "echo" and arguments[1:2] == [">"]:
        Path(arguments[2]).write_text(f"{arguments[0]}\n")
    else:
        raise AssertionError(
            f"only relama, torchrun and echo TEXT > FILE are run here; or say why not: {MARK}…"
        )


@pytest.fixture
def page_folder(corpora, tmp_path, monkeypatch) -> Path:
    """The sample's stores, `texts/` to prepare, and two documents of PIQA."""
    (tmp_path / "corpora").mkdir()
    for source in corpora.iterdir():
        (tmp_path / "corpora" / source.name).symlink_to(source)
    drawn = random.Random(0)
    for name in ("texts", "FILES_OR_FOLDERS"):
        (tmp_path / name).mkdir()
        for i in range(300):  # enough different words for the 4,096 pieces of data=text
            words = " ".join("".join(drawn.choices("abdefgiklmnoprstuvz", k=6)) for _ in range(20))
            (tmp_path / name / f"{i}.txt").write_text(f"Document {i}. {words}\n" * 2)
    piqa = {"goal": "Catch a fish", "sol1": "use a rod", "sol2": "use a very large net", "label": 0}
    (tmp_path / "benchmarks" / "piqa").mkdir(parents=True)
    for split in ("train", "validation"):
        (tmp_path / "benchmarks" / "piqa" / f"{split}.jsonl").write_text(
            json.dumps(piqa) + "\n" + json.dumps(piqa)
        )
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_runs_or_says_why_not(page, page_folder, capsys):
    asked = [command for command in commands(page, (REPOSITORY / page).read_text()) if command.reason is None]
    if not asked:
        return
    for text in BEFORE.get(page, []):
        run(text)
    for command in asked:
        try:
            run(command.text)
        except (AssertionError, SystemExit, subprocess.TimeoutExpired) as error:
            last_line = capsys.readouterr().err.strip().splitlines()[-1:]
            pytest.fail(f"{command}\n{error}\n{' '.join(last_line)}", pytrace=False)


def test_commands_are_found_marked_and_joined():
    text = (
        "```bash\nrelama a x=1 \\\n    y=2  # why\nwget u  # not run here: the network\n\n```\n"
        "```\njust words\n```\n"
        "```\nrelama b\n# not run here: eight GPUs\nrelama c\nrelama d\n```\n"
        "```console\n$ relama e\nrelama: what it prints\n```\n```sql\nmake it\n```\n"
    )
    found = [(c.text, c.reason, c.line) for c in commands("p", text)]
    assert found == [
        ("relama a x=1 y=2", None, 3),
        ("wget u", "the network", 4),
        ("relama b", None, 11),
        ("relama c", "eight GPUs", 13),
        ("relama d", "eight GPUs", 14),
        ("relama e", None, 17),
    ]
    with pytest.raises(AssertionError, match="no reason"):
        commands("p", "```bash\nmake\n# not run here: \n```\n")


def test_a_failing_or_unknown_command_fails_its_page(page_folder):
    for text in ("relama report run=nowhere", "make demo"):
        with pytest.raises(AssertionError):
            run(text)


def test_every_link_of_the_docs_leads_somewhere():
    for page in PAGES:
        path = REPOSITORY / page
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text()):
            assert "://" in link or (path.parent / link).exists(), f"{page}: {link} is not there"


def test_every_page_of_the_docs_is_in_their_index():
    index = (REPOSITORY / "docs" / "README.md").read_text()
    for page in PAGES[1:]:
        name = str(Path(page).relative_to("docs"))
        assert name == "README.md" or f"]({name})" in index, f"docs/README.md does not lead to {name}"
