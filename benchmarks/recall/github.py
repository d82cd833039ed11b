"""How much of the code and of the notices is kept: `python benchmarks/recall/github.py`.

The independent reader is Pygments: the words of all tokens outside comments and docstrings are code, which
must be in the document of a kept file; comments may be in it. `--against CLONE` also measures another
version.
"""

import tarfile
from collections import Counter

from common import SHARED, Figures, report, words
from pygments.lexers import get_lexer_for_filename
from pygments.token import Comment, String
from pygments.util import ClassNotFound

INPUTS = sorted((SHARED / "code").glob("*.tar.gz"))


def judge(documents: dict[tuple[str, int], str]) -> dict[str, Figures]:
    """Judge kept files by their code, and by their comments that mention a copyright."""
    code, notices = Figures(), Figures()
    for path in INPUTS:
        with tarfile.open(path) as members:
            for number, member in enumerate(members):
                if (str(path), number) not in documents:
                    continue
                file = members.extractfile(member)
                text = (file.read() if file else b"").decode().replace("\r\n", "\n")
                try:
                    lexer = get_lexer_for_filename(member.name)
                except ClassNotFound:
                    continue
                given = words(documents[str(path), number])
                kinds: dict[bool, Counter[str]] = {False: Counter(), True: Counter()}
                for kind, value in lexer.get_tokens(text):
                    kinds[kind in Comment or kind in String.Doc] += words(value)
                code.add(kinds[False], words(text), given)
                held = {
                    word: count for word, count in kinds[True].items() if word in ("copyright", "licensed")
                }
                notices.add(Counter(held), words(text), given)
    return {"code": code, "copyright and licensed in comments (lower is better)": notices}


if __name__ == "__main__":
    report("github", INPUTS, judge)
