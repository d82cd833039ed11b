"""Make the README's pictures from a real run: `python docs/pictures/make.py`, in a few minutes.

terminal.svg shows what the commands printed; report.png is the report as Chromium (on the PATH) draws it.
"""

import html
import os
import pty
import shlex
import shutil
import subprocess
import sys
import tempfile
import termios
from contextlib import suppress
from pathlib import Path

HERE = Path(__file__).resolve().parent
RUN = "train model=tiny data=sample run=demo steps=200"
COMMANDS = (
    RUN,
    "generate weights=demo prompt='def read(self, ' max_tokens=40",
    "report run=demo",
)
WIDTH, SHOWN = 80, 8  # columns of the terminal; lines of each command's output
LINE, LETTER = 19, 8.4  # pixels


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        lines: list[str] = []
        for command in COMMANDS:
            lines += [f"$ relama {command}", *_output(command, Path(folder))[-SHOWN:], ""]
        (HERE / "terminal.svg").write_text(terminal(lines[:-1]), encoding="utf-8")
        page = Path(folder) / "runs" / "demo" / "report.html"
        _screenshot(page, HERE / "report.png")


def terminal(lines: list[str]) -> str:
    """The lines as an SVG of a terminal."""
    shown = [line[start : start + WIDTH] for line in lines for start in range(0, max(1, len(line)), WIDTH)]
    height, width = LINE * (len(shown) + 2), round(LETTER * (WIDTH + 4))
    rows = []
    for number, line in enumerate(shown, 2):
        kind = "command" if line.startswith("$ ") else "output"
        rows.append(f'<text class="{kind}" x="17" y="{LINE * number}">{html.escape(line)}</text>')
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">',
            "<style>text { font: 14px ui-monospace, monospace; fill: #d8dee9; white-space: pre }",
            ".command { fill: #a3be8c }</style>",
            '<rect width="100%" height="100%" rx="8" fill="#242933"/>',
            *rows,
            "</svg>\n",
        )
    )


def _output(command: str, folder: Path) -> list[str]:
    """What a terminal of WIDTH columns shows in the end."""
    run = [sys.executable, "-m", "launch.cli", *shlex.split(command)]
    ours, its = pty.openpty()
    termios.tcsetwinsize(its, (24, WIDTH))
    environment = {**os.environ, "NO_COLOR": "1"}
    with subprocess.Popen(run, cwd=folder, env=environment, stdin=its, stdout=its, stderr=its) as process:
        os.close(its)
        written = b""
        with suppress(OSError):  # its end, on Linux
            while part := os.read(ours, 4096):
                written += part
    os.close(ours)
    if process.returncode:
        sys.exit(f"docs/pictures/make.py: {command} ended with {process.returncode}")
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in written.decode().split("\n")]
    return [line.rstrip() for line in lines if line.strip()]


def _screenshot(page: Path, picture: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("docs/pictures/make.py: report.png needs Chromium on the PATH (apt-get install chromium)")
    with tempfile.TemporaryDirectory() as profile:
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
        where = (f"--user-data-dir={profile}", f"--screenshot={picture}", page.as_uri())
        subprocess.run(
            [browser, *flags, "--hide-scrollbars", "--window-size=1000,900", *where],
            check=True,
            capture_output=True,
        )


if __name__ == "__main__":
    main()
