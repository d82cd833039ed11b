"""What `relama generate` reads and prints: prompts from a file or standard input; text as it is generated."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from configs import terminal
from data.tokens.tokenizer import Tokenizer
from train.config import RunError

STDIN = "-"


def read_prompts(source: str, is_json: bool) -> list[str]:
    """The prompts in a file, one per line; `-` is standard input. With `is_json`, lines are {"prompt": …}.

    Raises RunError for an unreadable file, an empty line or a line without a prompt.
    """
    try:
        text = sys.stdin.buffer.read() if source == STDIN else Path(source).read_bytes()
        lines = text.decode("utf-8").removesuffix("\n").split("\n")  # U+2028 and others do not end a line
    except UnicodeDecodeError as error:
        raise RunError(
            f"prompts={source}: not UTF-8 text ({error}); expected a prompt on every line"
        ) from None
    except OSError as error:
        raise RunError(
            f"prompts={source}: cannot be read ({error.strerror}); expected a text file with one "
            "prompt per line, or - for standard input"
        ) from None
    where = [f"prompts={source}: line {number}" for number in range(1, len(lines) + 1)]
    return [_prompt(line.removesuffix("\r"), place, is_json) for line, place in zip(lines, where)]


def _prompt(line: str, where: str, is_json: bool) -> str:
    if not line.strip():
        raise RunError(f"{where} is empty; expected a prompt on every line")
    if not is_json:
        return line
    try:
        prompt = json.loads(line)["prompt"]
    except (ValueError, KeyError, TypeError):
        prompt = None
    if not isinstance(prompt, str) or not prompt:
        raise RunError(f'{where}: expected {{"prompt": "…"}} (json=true)')
    return prompt


def encode(tokenizer: Tokenizer, text: str, context: int) -> list[int]:
    """BOS and the text's tokens. Raises RunError if they fill the context."""
    tokens = [tokenizer.bos_id, *map(int, tokenizer.encode(text))]
    if len(tokens) >= context:
        raise RunError(
            f"prompt: {len(tokens)} tokens with BOS ({text[:30]!r}…), but the model's context is {context}; "
            "give a shorter one"
        )
    return tokens


class Spelling:
    """The text of tokens that come one by one after `prompt` (BOS and tokens)."""

    def __init__(self, tokenizer: Tokenizer, prompt: list[int]) -> None:
        self._tokenizer, self._tokens = tokenizer, prompt[1:]
        self._shown = tokenizer.decode(self._tokens)

    def feed(self, token: int) -> str:
        """What `token` adds; a character comes when its bytes are complete."""
        self._tokens.append(token)
        decoded = self._tokenizer.decode(self._tokens)
        if decoded.endswith("\ufffd"):
            return ""
        added, self._shown = decoded[len(self._shown) :], decoded
        return added

    def rest(self) -> str:
        """An incomplete character, if the text ends in one."""
        return self._tokenizer.decode(self._tokens)[len(self._shown) :]


def pieces(tokenizer: Tokenizer, prompt: list[int], tokens: Iterator[int]) -> Iterator[str]:
    """The text of each token after `prompt`, as `Spelling` gives it."""
    spelling = Spelling(tokenizer, prompt)
    for token in tokens:
        if text := spelling.feed(token):
            yield text
    yield spelling.rest()


def stream(tokenizer: Tokenizer, text: str, prompt: list[int], tokens: Iterator[int]) -> None:
    """Print `text`, then each token's text as it comes."""
    terminal.write(text, end="", exact=True)
    for piece in pieces(tokenizer, prompt, tokens):
        terminal.write(piece, end="", exact=True)
    print()
