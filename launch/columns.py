"""`python -m launch.columns BEFORE AFTER`: two models' continuations of the same prompts (`make demo`).

In: two files that `relama generate prompts=… json=true` wrote. Out: two columns that fit the terminal.
"""

import json
import sys
from itertools import zip_longest
from pathlib import Path

from configs import terminal

LEAST = 24  # columns of each text
TITLES = ("before training", "after")


def main(argv: list[str]) -> int:
    before, after = (
        [json.loads(line) for line in Path(name).read_text("utf-8").splitlines()] for name in argv
    )
    room = max(LEAST, (terminal.columns() - 4) // 2)
    for left, right in zip(before, after):
        texts = [texts["prompt"] + texts["completion"] for texts in (left, right)]
        print(
            "\n".join(
                side_by_side(
                    [TITLES[0], "", *texts[0].splitlines()], [TITLES[1], "", *texts[1].splitlines()], room
                )
            )
        )
        print()
    return 0


def side_by_side(left: list[str], right: list[str], room: int) -> list[str]:
    """The lines of two texts, each wrapped at `room` columns."""
    columns = [[piece for line in text for piece in _wrapped(line, room)] for text in (left, right)]
    rows = zip_longest(*columns, fillvalue="")
    return [f"{one}{' ' * (room - terminal.width(one))}  │ {other}".rstrip() for one, other in rows]


def _wrapped(line: str, room: int) -> list[str]:
    """The pieces of a line that fit `room` columns, cut between words if that wastes less than a third."""
    pieces, line = [""], terminal.printable(line.expandtabs(4))
    for letter in line:
        if terminal.width(pieces[-1] + letter) > room:
            text, _, word = pieces[-1].rpartition(" ")
            is_word = letter != " " and text.strip() and terminal.width(word) < room / 3
            pieces[-1:] = [text, word] if is_word else [pieces[-1], ""]
        pieces[-1] += letter
    return pieces


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
