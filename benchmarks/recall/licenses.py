"""Licenses as scancode-toolkit labels them: `python benchmarks/recall/licenses.py WHEEL`.

Get the wheel with `pip download --no-deps scancode-toolkit`. Its rules are license texts and notices that
people found in real software, each with its license. Texts should be accepted if they grant MIT, BSD with two
or three clauses, or Apache 2.0, and only then. So should notices; one that names no license leaves the file
to its repository's, which is right for accepted ones. Labels are finer than ours: FreeBSD's own disclaimer
is a license of its own there, and so is a notice about contributions.
"""

import argparse
import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data.sources.github import licenses
from data.sources.github.recipe import ACCEPTED
from data.sources.github.recognize import notice_license, recognize

RULES = "licensedcode/data/rules/"
AS_HERE = {"bsd-new": "bsd-3-clause", "bsd-simplified": "bsd-2-clause"}  # by other names there
_HEAD = re.compile(r"---\n(.*?)\n---\n(.*)", re.DOTALL)
_EXPRESSION = re.compile(r"^license_expression: (.+)$", re.MULTILINE)
_NAME = re.compile(r"(?<![\w.+-])[\w.+-]+(?![\w.+-])")
_MARKED = re.compile(r"\{\{|\}\}")  # around a rule's required phrases


def rules(wheel: Path) -> Iterator[tuple[str, str, str]]:
    """The kind, license and text of each rule."""
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if not name.startswith(RULES) or not name.endswith(".RULE"):
                continue
            rule = _HEAD.match(archive.read(name).decode(errors="replace"))
            expression = _EXPRESSION.search(rule[1]) if rule else None
            if not rule or not expression or "is_false_positive: yes" in rule[1] or not rule[2].strip():
                continue
            for kind in ("text", "notice"):
                if f"is_license_{kind}: yes" in rule[1]:
                    yield kind, expression[1].lower(), _MARKED.sub("", rule[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("wheel", type=Path)
    counts: Counter[tuple[str, str]] = Counter()
    for kind, expression, text in rules(parser.parse_args().wheel):
        label = _NAME.sub(lambda name: AS_HERE.get(name[0], name[0]), expression)
        is_free = licenses.is_accepted(label, ACCEPTED)
        named = recognize(text) if kind == "text" else notice_license(text)
        if not named:
            outcome = "right, names none" if is_free else "names none, but is another license"
        elif licenses.is_accepted(named, ACCEPTED):
            outcome = "right, accepted" if is_free else "accepted, but is another license"
        else:
            outcome = "refused, but is an accepted license" if is_free else "right, refused"
        counts[kind, outcome] += 1
    print("| | texts | notices |\n|---|---:|---:|")
    for outcome in sorted({outcome for _, outcome in counts}, reverse=True):
        print(f"| {outcome} | {counts['text', outcome]:,} | {counts['notice', outcome]:,} |")
    for kind in ("text", "notice"):
        these = {outcome: n for (each, outcome), n in counts.items() if each == kind}
        right = sum(n for outcome, n in these.items() if outcome.startswith("right"))
        print(f"{kind}s judged as labeled: {100 * right / sum(these.values()):.1f} %")


if __name__ == "__main__":
    main()
