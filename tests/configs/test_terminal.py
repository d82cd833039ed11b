"""What a terminal shows: nothing wraps, colors only where wanted, and no long silence."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from types import SimpleNamespace

import pytest

from configs import terminal, waiting
from launch.columns import side_by_side
from tests.support.runs import REPOSITORY
from train.metrics import progress_line

# The seven sources of the mixture, seen as `data=mix` reports them.
SEVEN = {
    "commoncrawl": 1.1,
    "c4": 1.06,
    "github": 0.64,
    "wikipedia": 2.45,
    "books": 2.23,
    "arxiv": 1.06,
    "stackexchange": 1.03,
}


def in_a_terminal(code: str, columns: int, **environment: str) -> str:
    """Everything that `code` writes to a terminal of that width."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY), "TERM": "xterm"} | environment,
    )
    os.close(follower)
    written = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the terminal is gone with its last process
            break
        if not part:
            break
        written += part
    os.close(leader)
    assert process.wait() == 0, written.decode()
    return written.decode()


def screen(written: str, columns: int) -> list[str]:
    """The rows that a terminal of that width ends with; it knows \\r, \\n and colors, as a notebook does."""
    rows, at = [""], 0
    plain = "".join(
        part.partition("m")[2] if number else part for number, part in enumerate(written.split("\x1b["))
    )
    for character in plain:
        if character == "\r":
            at = 0
        elif character == "\n":
            rows.append("")
        else:
            if at == columns:  # it wraps
                rows.append("")
                at = 0
            rows[-1] = rows[-1][:at].ljust(at) + character + rows[-1][at + 1 :]
            at += 1
    return [row.rstrip() for row in rows]


def lines_of_a_run(sources: dict[str, float]) -> str:
    """Code that shows three steps, the last with a shorter line, and ends."""
    return (
        "from configs import terminal\n"
        "from train.metrics.progress_line import ProgressLine\n"
        "progress = ProgressLine(100000)\n"
        "line = {'loss': 1234.5678, 'lr': 3e-4, 'tokens_per_second': 3380123.4, 'mfu': 0.123, "
        f"'peak_flops': 9.89e14, 'epochs': {sources}}}\n"
        "progress.show(line | {'step': 99997})\n"
        "terminal.say('held out after step 99997: …')\n"
        "progress.show(line | {'step': 99998})\n"
        "progress.show(line | {'step': 99999, 'loss': 1.5, 'mfu': None})\n"
        "terminal.keep()\n"
    )


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
def test_the_progress_line_takes_one_row(columns):
    written = in_a_terminal(lines_of_a_run(SEVEN), columns)
    rows = screen(written, columns)
    assert rows[0] == "held out after step 99997: …" and len(rows) == 3 and rows[2] == ""
    assert rows[1].startswith("step 99999/100000  loss 1.5000") and "ETA" in rows[1]
    assert len(rows[1]) < columns
    assert ("MFU unknown" in rows[1]) == (columns >= 80)
    assert ("wikipedia 2.45" in rows[1]) == (columns >= 120)
    assert ("arxiv" in rows[1]) == (columns >= 200)


def test_no_color_is_obeyed():
    code = lines_of_a_run({"mine": 0.1})
    assert "\x1b[" in in_a_terminal(code, 80)
    assert "\x1b" not in in_a_terminal(code, 80, NO_COLOR="1")
    assert "\x1b" not in in_a_terminal(code, 80, TERM="dumb")


def test_a_pipe_gets_complete_lines_without_control_characters():
    code = "import time\ntime.monotonic = lambda: 1e6\n" + lines_of_a_run(SEVEN)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY)
    first, held, *others = done.stderr.splitlines()
    assert first.endswith("stackexchange 1.03") and "of 989 TFLOP/s" in first
    assert held.startswith("held out") and others == []  # at most a line in two seconds
    assert "\r" not in done.stderr and "\x1b" not in done.stderr


def test_sentences_wrap_between_words_and_commands_do_not():
    code = (
        "import sys\n"
        "from configs import terminal\n"
        "terminal.say('relama: memory: ' + 'about 0.61 GiB ' * 6, sys.stdout)\n"
        "terminal.say('done. Next:\\n  relama generate weights=' + 'long/' * 12, sys.stdout)\n"
    )
    sentence, command = in_a_terminal(code, 60).split("done. Next:\r\n")
    assert all(len(line) <= 60 and not line.endswith(" ") for line in sentence.split("\r\n"))
    assert sentence.split("\r\n")[1].startswith("  ") and sentence.count("GiB") == 6
    assert command == "  relama generate weights=" + "long/" * 12 + "\r\n"


def test_the_findings_of_an_audit_wrap_between_words(tmp_path):
    code = (
        f"import os\nimport train.recipe.audit as audit\nos.chdir({str(tmp_path)!r})\n"
        "audit.main(['corpora=.', 'steps=10', 'model=tiny'])\n"
    )
    lines = in_a_terminal(code, 60).rstrip().split("\r\n")
    assert len(lines) > 20
    assert [line for line in lines if len(line) > 60 and "`relama " not in line] == []  # not commands
    assert " ".join(lines[:2]) == (
        "the mixture over 40,960 tokens, compared with the paper's   (Table 1, 1.4T tokens)"
    )


def test_a_table_that_does_not_fit_is_stacked():
    code = (
        "from configs.table import table\n"
        "heads = ('source', 'loss', 'perplexity', 'bits/byte', 'tokens', 'sequences')\n"
        "row = ('python_code', '6.1077', '449.31', '2.6787', '87,808', '343 of 343')\n"
        "print('\\n'.join(table(heads, [row])))\n"
    )
    first, *figures, _ = in_a_terminal(code, 50).split("\r\n")
    assert first == "python_code" and all(len(line) <= 50 for line in figures)
    assert "  ".join(line.strip() for line in figures) == (
        "loss 6.1077  perplexity 449.31  bits/byte 2.6787  tokens 87,808  sequences 343 of 343"
    )
    heads, row, _ = in_a_terminal(code, 80).split("\r\n")
    assert heads.index("loss") + 4 == row.index("6.1077") + 6 and row.startswith("python_code  ")


def test_the_speed_shown_leaves_out_pauses():
    line = {"step": 1, "loss": 1.0, "lr": 1e-3, "tokens_per_second": 100.0, "mfu": 0.01, "epochs": {}}
    line["seconds"] = {"total": 10.0, "validate": 7.0, "checkpoint": 1.0, "compute": 1.5, "data": 0.5}
    parts = progress_line._parts(line, 2, None)
    assert parts[3][0] == "500 tok/s" and parts[5][0] == "MFU 5.0%"
    assert progress_line._parts(line | {"seconds": {}}, 2, None)[3][0] == "100 tok/s"


def test_wide_characters_take_two_columns():
    assert terminal.width("步 a") == 4 and terminal.fit("步步步", 4) == "步…"
    assert terminal.fit("abcdef", 4) == "abc…" and terminal.fit("abcd", 4) == "abcd"


def test_parts_are_shortened_in_the_order_given():
    parts = [["step 1/2", "1/2"], ["lr 3e-4", ""], ["epochs: a 1 b 2", "epochs: 1–2", ""]]
    order = (2, 2, 1, 0)
    assert terminal.choose(parts, 40, order) == ["step 1/2", "lr 3e-4", "epochs: a 1 b 2"]
    assert terminal.choose(parts, 30, order) == ["step 1/2", "lr 3e-4", "epochs: 1–2"]
    assert terminal.choose(parts, 20, order) == ["step 1/2", "lr 3e-4", ""]
    assert terminal.choose(parts, 9, order) == ["step 1/2", "", ""]
    assert terminal.choose(parts, 3, order) == ["1/2", "", ""]


# Waits until each report has been made, however late the reporting thread is.
WAIT = (
    "import time; from configs import terminal, waiting\n"
    "waiting.AFTER = 600.0; waiting.POLL = 0.05\n"
    "shown = []\n"
    "for name in ('draw', 'say'):\n"
    "    def shows(text, *more, real=getattr(terminal, name)):\n"
    "        real(text, *more)\n"
    "        shown.append(text)\n"
    "    setattr(terminal, name, shows)\n"
    "def until(words):\n"
    "    end = time.monotonic() + 120\n"
    "    while words not in ''.join(shown) and time.monotonic() < end:\n"
    "        time.sleep(0.01)\n"
    "with waiting.waiting('reading x'):\n"
    "    for _ in waiting.counted('checking y', range(2)):\n"
    "        waiting.AFTER = 0.0\n"  # from here on both have taken long, so the inner one is told first
    "        until(', 0 of 2: ')\n"
    "    until('reading x: ')\n"
    "print('done')\n"
)


def test_a_long_wait_is_reported_and_leaves_nothing_on_a_terminal():
    narrow = in_a_terminal(WAIT.replace("checking y", "checking " + "y" * 60), 40)
    assert "…, 0 of 2: " in narrow  # what changes is never cut off
    written = in_a_terminal(WAIT, 80)
    assert "relama: checking y, 0 of 2: " in written and re.search(r"relama: reading x: \d+ s", written)
    assert screen(written, 80) == ["done", ""]


def test_a_log_gets_a_line_about_each_wait_once_a_minute():
    done = subprocess.run([sys.executable, "-c", WAIT], capture_output=True, text=True, cwd=REPOSITORY)
    assert [line.partition(":")[2].partition(",")[0].strip()[:9] for line in done.stderr.splitlines()] == [
        "checking ",
        "reading x",
    ]


def test_short_waits_do_not_hide_the_long_one_that_they_are_part_of(monkeypatch):
    said = threading.Event()
    lines: list[str] = []
    now = time.monotonic()

    def say(line: str, *_more: object) -> None:
        lines.append(line)
        said.set()

    for name in ("say", "draw"):
        monkeypatch.setattr(terminal, name, say)
    monkeypatch.setattr(waiting, "AFTER", 0.3)
    monkeypatch.setattr(waiting, "POLL", 0.01)
    monkeypatch.setattr(waiting, "time", SimpleNamespace(monotonic=lambda: now))  # a late thread ages no wait
    with waiting.waiting("reading all"):
        end = time.monotonic() + 120
        while not said.is_set() and time.monotonic() < end:
            with waiting.waiting("reading one"):
                now += 0.02
                said.wait(0.02)
    assert lines[0].startswith("relama: reading all: ")


def test_a_short_wait_prints_nothing_and_leaves_no_thread(capsys):
    with waiting.waiting("nothing"):
        pass
    deadline = time.monotonic() + 60
    while waiting._thread is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert waiting._thread is None and capsys.readouterr().err == ""


def test_a_generation_is_exact_in_a_pipe_and_harmless_on_a_terminal(capsys, monkeypatch):
    text = "a\x1b[2J\tb\n\u202egpj \u0645\u06cc\u200c\u062e\u0648"
    terminal.write(text, exact=True)
    assert capsys.readouterr().out == text + "\n"
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    terminal.write(text, exact=True)
    assert capsys.readouterr().out == "a\\x1b[2J\tb\n\\u202egpj \u0645\u06cc\u200c\u062e\u0648\n"
    terminal.write("one\ntwo")
    assert capsys.readouterr().out == "one\\ntwo\n"


def test_texts_next_to_each_other_are_cut_between_words_where_they_can_be():
    left = ["The function is a string, and the following is used", "    " + "x" * 40]
    lines = side_by_side(left, ["日本語 " * 6], 38)
    assert lines[:2] == [
        "The function is a string, and the       │ 日本語 日本語 日本語 日本語 日本語",
        "following is used                       │ 日本語",
    ]
    assert [line.partition("│")[0].rstrip() for line in lines[2:]] == ["    " + "x" * 34, "x" * 6]
