"""Does a browser show the text that is extracted from web pages? `python benchmarks/recall/browser.py`.

The pages are those of trafilatura's evaluation in ../shared/data, or the .html files below `--folder`.
Chromium shows each without scripts and network. What is extracted is a selection, so every line of it should
be shown, with the same spaces and between line breaks. Some lines differ on purpose: powers, glosses,
quotation marks, bylines, and text that a style sheet hides until a script runs. Needs Chromium.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from itertools import count, islice
from pathlib import Path
from typing import Any

from data.sources.commoncrawl.charset import decode_html
from data.sources.commoncrawl.main_content import extract

ARCHIVE = Path(__file__).resolve().parents[3] / "shared/data/cc/trafilatura-html-pages.tar.gz"
OPTIONS = "--headless --no-sandbox --disable-gpu --remote-debugging-pipe --blink-settings=imagesEnabled=false"
OFFLINE = "--host-resolver-rules='MAP * ~NOTFOUND'"
SHOWN = "document.body ? document.body.innerText : ''"
UNSEEN = re.compile("[\u00ad\u200b-\u200d\u2060\ufeff]")
MARK = re.compile(r"\s*(?:•|\d+\.)\s")  # of a list's item, which a browser draws
MOST = 100  # places where a short line may be shown
AROUND = 30  # characters shown on each side of a difference


class Browser:
    """Chromium, which takes and gives messages of its DevTools protocol, each ended by a zero byte."""

    def __init__(self, program: str, profile: str) -> None:
        (theirs, requests), (answers, mine) = os.pipe(), os.pipe()
        command = f"exec '{program}' {OPTIONS} {OFFLINE} --user-data-dir='{profile}' 3<&{theirs} 4>&{mine}"
        self.process = subprocess.Popen(
            ["sh", "-c", command],
            pass_fds=(theirs, mine),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(mine)
        self.requests, self.answers = os.fdopen(requests, "wb"), os.fdopen(answers, "rb")
        self.ids, self.rest, self.session = count(1), b"", ""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")
        self.call("Emulation.setScriptExecutionDisabled", value=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to a request."""
        number = next(self.ids)
        request = {"id": number, "method": method, "params": parameters}
        self.requests.write(
            json.dumps(request | ({"sessionId": self.session} if self.session else {})).encode()
        )
        self.requests.write(b"\0")
        self.requests.flush()
        return self._wait("id", number).get("result", {})

    def text(self, page: Path) -> str:
        """What a page shows."""
        self.call("Page.navigate", url=page.as_uri())
        self._wait("method", "Page.loadEventFired")
        return self.call("Runtime.evaluate", expression=SHOWN)["result"].get("value") or ""

    def _wait(self, key: str, value: object) -> dict[str, Any]:
        while True:
            message, zero, after = self.rest.partition(b"\0")
            if not zero:
                self.rest += os.read(self.answers.fileno(), 1 << 20) or sys.exit("Chromium ended")
                continue
            self.rest = after
            if (read := json.loads(message)).get(key) == value:
                return read


def signs(text: str) -> tuple[str, list[str]]:
    """A text's characters without space, and the space before each: nothing, a space or a line break."""
    characters, spaces, space = [], [], "\n"
    for sign in UNSEEN.sub("", text).casefold():
        if sign.isspace():
            space = "\n" if "\n" in (space, sign) else " "
        else:
            characters.append(sign)
            spaces.append(space)
            space = ""
    return "".join(characters), [*spaces, "\n"]


def differences(line: str, shown: str, spaces: list[str]) -> dict[str, int]:
    """Kinds of differences of a line from what is shown, with their places there."""
    for text in (line, MARK.sub("", line, count=1)):
        taken, own = signs(text)
        places = [each.start() for each in islice(re.finditer(re.escape(taken), shown), MOST)]
        if places:
            return min((_differences(own, spaces, place) for place in places), key=len)
    return {"not shown": -1}


def _differences(own: list[str], spaces: list[str], at: int) -> dict[str, int]:
    end = at + len(own) - 1
    found: dict[str, int] = {}
    for place, space in enumerate(own[1:-1], at + 1):
        if bool(space) != bool(spaces[place]):
            found.setdefault("a word in two" if space else "words run together", place)
        elif spaces[place] == "\n":
            found.setdefault("line break lost", place)
    if spaces[at] != "\n":
        found["begins within a line"] = at
    if spaces[end] != "\n":
        found["ends within a line"] = end
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, help="a folder of .html files")
    arguments = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None or not (arguments.folder or ARCHIVE).exists():
        parser.error(f"needs Chromium and pages in {arguments.folder or ARCHIVE}")
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        if arguments.folder is None:
            with tarfile.open(ARCHIVE) as archive:
                archive.extractall(place, filter="data")
        pages = sorted((arguments.folder or Path(place)).rglob("*.html"))
        browser = Browser(program, f"{place}/profile")
        for page in pages:
            shown, spaces = signs(browser.text(page.resolve()))
            kinds: dict[str, str] = {}
            for line in extract(decode_html(page.read_bytes(), ""))[1].split("\n"):
                for kind, at in differences(line, shown, spaces).items() if line.strip() else ():
                    sample = (
                        line if at < 0 else f"{shown[max(0, at - AROUND) : at]}|{shown[at : at + AROUND]}"
                    )
                    kinds.setdefault(kind, sample.strip()[: 2 * AROUND + 1])
            counts.update(list(kinds) or ["none"])
            for kind, sample in kinds.items():
                print(f"{page.name}: {kind}: {sample}", flush=True)
        browser.process.terminate()
        browser.process.wait()
    print(f"\n| difference | of {len(pages)} pages |\n|---|---:|")
    for kind, number in counts.most_common():
        print(f"| {kind} | {number} |")


if __name__ == "__main__":
    main()
