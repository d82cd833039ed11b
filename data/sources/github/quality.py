"""Which files are not worth training on: generated files, and those with hardly any code or text."""

import re

from data.sources.github.comments import Comments
from data.sources.github.notices import comment_lines

MAX_LINE, MEAN_LINE = 1000, 100  # characters (RedPajama)
MIN_ALPHANUMERIC = 0.25  # share of the characters (RedPajama)
MIN_LETTERS_PER_TOKEN = 1.5  # (RedPajama)

_GENERATED_LINES = 10  # search this many lines for a generator's mark
# What generators write into their files; people's sentences about generated files must not match.
_AUTO = r"(?:auto(?:matically)?[ -]?|machine[ -])"
_THIS = r"\b(?:this|the) (?:\w+ ){0,3}(?:is|was|has been) "
_GENERATED = re.compile(
    r"@generated\b|\b(?:code|file|source|header|class|script) generated (?:by|from|with|using)\b"
    r"(?! (?:it|them|these|those)\b)"
    rf"|{_THIS}{_AUTO}?generated (?:by|from|with|using|on|via|at)\b|{_THIS}an? {_AUTO}generated\b"
    rf"|\bthis (?:file|code|source|header|class|script|module) (?:is|was|has been) {_AUTO}?generated\b"
    rf"|^[^\w\n]*+{_AUTO}generated\b(?!\s+(?:ids?|names?|keys?|documentation|docs|tests?|data)\b)"
    rf"|\b{_AUTO}generated (?:file|code|by|from|with|using|on|via|source|header|do not)\b"
    r"|\bgenerated from ['\"/]|\bgenerated\b.{0,120}\bdo not (?:edit|modify|change|touch)\b"
    r"|(?<!\bwe )(?<!\bthey )\bdo not (?:edit|modify|change)\b(?! (?:the )?generated\b).{0,120}"
    r"\b(?:generated|overwritten)\b"
    r"|^[^\w\n]*+generated (?:by|from|with|using|on)\b(?! (?:the|an?|this|each|every|all|django)\b)"
    r"|\bgenerated from reading\b|\b(?:produced|created|made) by \S[^.\n]{1,60}\bdo not edit\b"
    r"|\b(?:parser|scanner|lexer|lexical analyzer), (?:made|generated|produced) by \S"
    r"|^[^\w\n]*+(?:(?:warning|note|attention)\W*+)?+do not (?:edit|modify)"
    r"(?: (?:this|the) file)?(?: (?:by hand|manually|directly))?\W*$",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
# Words, single digits and runs of marks, because a tokenizer may later be trained on this very text. These
# have more letters per token than LLaMA's tokens (a median of 2.6 against 1.8), so the threshold drops less.
_TOKENS = re.compile(r"[^\W\d_]+|\d|[^\w\s]+|_+")
_KINDS = {"a": r"[^\W\d_]", "0": r"\d", "_": r"_", " ": r"\s", ".": r"[^\w\s]"}  # of characters
_KIND_OF = bytes(
    next(ord(kind) for kind, pattern in _KINDS.items() if re.match(pattern, chr(code)))
    if code < 128
    else code
    for code in range(256)
)
_ONLY = {kind: bytes(code if code == kind else 32 for code in range(256)) for kind in b"a_."}


def generated_mark(text: str, comments: Comments) -> str:
    """The generator's mark in the comments at the top of the file, or ""."""
    lines = text.split("\n", _GENERATED_LINES)[:_GENERATED_LINES]
    top = "\n".join(lines)
    if not any(sign in top.lower() for sign in ("generated", "do not", "made by")):
        return ""
    if comments.line or comments.block:
        top = "\n".join(comment_lines(lines, comments))
    found = _GENERATED.search(top)
    return " ".join(found[0].split())[:80] if found else ""


def poor_quality(text: str) -> tuple[str, str] | None:
    """The reason to drop a text of poor quality and the figure that shows it; None if it is good enough."""
    lines = text.split("\n")
    longest, mean = max(map(len, lines)), len(text) / len(lines)
    letters, digits, tokens = _count(text)
    alphanumeric = (letters + digits) / len(text)
    if longest > MAX_LINE:
        return f"a line above {MAX_LINE} characters", str(longest)
    if mean > MEAN_LINE:
        return f"mean line above {MEAN_LINE} characters", f"{mean:.0f}"
    if alphanumeric < MIN_ALPHANUMERIC:
        return f"alphanumeric share below {MIN_ALPHANUMERIC}", f"{alphanumeric:.2f}"
    share = letters / max(1, tokens)
    if share < MIN_LETTERS_PER_TOKEN:
        return f"letters per token below {MIN_LETTERS_PER_TOKEN}", f"{share:.2f}"
    return None


def _count(text: str) -> tuple[int, int, int]:
    """The letters, the other alphanumeric characters and the tokens of a text."""
    if not text.isascii():
        letters = sum(map(str.isalpha, text))
        return letters, sum(map(str.isalnum, text)) - letters, len(_TOKENS.findall(text))
    kinds = text.encode().translate(_KIND_OF)  # ten times as fast as looking at each character
    digits = kinds.count(b"0")
    runs = [(b" " + kinds.translate(only)).count(bytes([32, kind])) for kind, only in _ONLY.items()]
    return kinds.count(b"a"), digits, digits + sum(runs)
