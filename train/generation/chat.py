"""`relama chat weights=PATH`: you and the model write one text in turns, in the terminal.

A pretrained model continues text; it has not learned to answer. What you type is a line of the text, and the
model continues it. The text so far is its context: when that is full, the oldest tokens are left out.
"""

import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from configs import terminal
from configs.load import entry, load
from configs.overrides import as_key
from data.errors import DataError
from data.tokens.tokenizer import Tokenizer
from model.formats.errors import FormatError
from model.llama import Llama
from train.config import RunError
from train.generation.inference import InferenceParallel, load_over, started
from train.generation.prompts import pieces
from train.generation.sampling import generate
from train.precision import inference_dtype, refuse_unknown_dtype
from train.weights.open import open_weights, tokenizer_of

HELP = """\
Type a line, and the model continues the text. Ctrl-C stops its turn; Ctrl-D or /quit ends.
  /again            draw the model's last turn again
  /undo             take back your last line and the model's turn
  /new              forget the text
  /text             print the text so far
  /temperature 0.8  0: always the likeliest token     /top_p 0.95
  /max_tokens 128   of one turn                       /stop TEXT  end a turn at TEXT (\\n: a new line)
  //…               a line that begins with /"""


@dataclass
class ChatConfig:
    """Which model, and how freely it writes; a command changes NUMBERS and the stop while it runs."""

    weights: str  # a run's folder or name, RUN@STEP, a Hugging Face folder or a Meta folder
    temperature: float = 0.8  # 0: always the likeliest token
    top_p: float = 0.95  # draw among the likeliest tokens of this total probability
    max_tokens: int = 128  # of one turn
    stop: str | None = None  # end a turn at this text, such as \n
    seed: int = 0  # of the draws
    tokenizer: str | None = None  # null: the one that came with the weights
    device: str = "auto"  # auto | cpu | cuda
    dtype: str = "auto"  # for the weights and computation: auto (bf16 where it is faster) | fp32 | bf16

    def __post_init__(self) -> None:
        refuse_unknown_dtype(self.dtype)
        for key in (*NUMBERS, "stop"):
            self.change(key, getattr(self, key))

    def change(self, key: str, value: str | float | None) -> None:
        """Set one of NUMBERS, or the stop. Raises ValueError with one line."""
        if key == "stop":
            self.stop = str(value).replace("\\n", "\n") if value else None
            return
        kind, low, high, expected = NUMBERS[key]
        try:
            number = kind(value)
        except (TypeError, ValueError):
            raise ValueError(f"{key}={value}: expected {expected}") from None
        if not low <= number <= high:
            raise ValueError(f"{key}={value}: expected {expected}")
        setattr(self, key, number)


# Each with its type, its bounds and what is expected of it.
NUMBERS: dict[str, tuple[type, float, float, str]] = {
    "temperature": (float, 0.0, 1e3, "a number from 0 to 1000"),
    "top_p": (float, 1e-9, 1.0, "a number above 0 and at most 1"),
    "max_tokens": (int, 1, 10**9, "a whole number of at least 1"),
}


class Chat:
    """The text so far, as turns: your lines and the model's, one after the other."""

    def __init__(self, model: Llama, tokenizer: Tokenizer, config: ChatConfig) -> None:
        self.model, self.tokenizer, self.config = model, tokenizer, config
        self.turns: list[str] = []
        self._generator = torch.Generator().manual_seed(config.seed)

    @property
    def text(self) -> str:
        return "".join(self.turns)

    def say(self, line: str) -> Iterator[str]:
        """Add your line; yields the model's turn piece by piece and adds what was yielded."""
        between = "\n" if self.turns and not self.text.endswith("\n") else ""
        self.turns.append(between + line)
        return self._turn()

    def again(self) -> Iterator[str]:
        """Draw the model's last turn again. Raises ValueError if there is none."""
        if len(self.turns) < 2:
            raise ValueError("nothing to draw again: type a line first")
        self.turns.pop()
        return self._turn()

    def undo(self) -> None:
        del self.turns[-2:]

    def _turn(self) -> Iterator[str]:
        context, config = self.model.config.max_seq_len, self.config
        count = min(config.max_tokens, context // 2)
        tokens = list(map(int, self.tokenizer.encode(self.text)))
        prompt = [self.tokenizer.bos_id, *tokens[max(0, len(tokens) - (context - count - 1)) :]]
        drawn = generate(
            self.model,
            [prompt],
            max_tokens=count,
            temperature=config.temperature,
            top_p=config.top_p,
            generator=self._generator,
            eos_id=self.tokenizer.eos_id,
        )
        self.turns.append("")
        for piece in until(config.stop, pieces(self.tokenizer, prompt, (token for _, token in drawn))):
            self.turns[-1] += piece
            yield piece


def until(stop: str | None, parts: Iterator[str]) -> Iterator[str]:
    """`parts` up to the first `stop` in their text; what may become one is held back."""
    held = ""
    for part in parts:
        held += part
        if stop and stop in held:
            yield held.partition(stop)[0]
            return
        keep = next((n for n in range(len(stop) - 1, 0, -1) if held.endswith(stop[:n])), 0) if stop else 0
        yield held[: len(held) - keep]
        held = held[len(held) - keep :]
    yield held


def converse(chat: Chat, lines: Iterator[str]) -> None:
    """Answer each line until they end or one is /quit."""
    for line in lines:
        command, _, value = line[1:].partition(" ")
        try:
            if not line.strip():
                continue
            if not line.startswith("/") or line.startswith("//"):
                _show(chat.say(line.removeprefix("/") if line.startswith("//") else line))
            elif command == "quit":
                return
            elif command == "again":
                _show(chat.again())
            elif command == "undo":
                chat.undo()
            elif command == "new":
                chat.turns.clear()
            elif command == "text":
                terminal.write(chat.text, exact=True)
            elif command in NUMBERS or command == "stop":
                if value or command == "stop":
                    chat.config.change(command, value)
                print(f"{command} = {getattr(chat.config, command)!r}")
            else:
                print("" if command == "help" else f"/{command}: no such command\n", HELP, sep="")
        except ValueError as error:
            print(error)


def _show(turn: Iterator[str]) -> None:
    with suppress(KeyboardInterrupt):  # ends this turn; what was printed stays in the text
        for piece in turn:
            terminal.write(piece, end="", exact=True)
    print()


def typed() -> Iterator[str]:
    """Lines from the terminal, edited and recalled where this Python has readline; or from a pipe."""
    with suppress(ImportError):  # a Python built without it
        import readline  # noqa: F401 - importing it is what makes input() edit lines
    while True:
        try:
            yield input("> " if sys.stdin.isatty() else "")
        except EOFError:
            return


def run(argv: list[str]) -> None:
    config = load("chat", ChatConfig, as_key("weights", argv))
    parallel = InferenceParallel()
    with started(parallel, config.device, copies=False) as ranks:
        weights = open_weights(Path(config.weights))
        tokenizer = tokenizer_of(weights, config.tokenizer)
        model = load_over(weights, ranks, parallel, inference_dtype(config.dtype, ranks, weights.config, 1))
        if sys.stdin.isatty():
            print(f"{weights.path}: {HELP.splitlines()[0]} /help lists more.")
        converse(Chat(model, tokenizer, config), typed())


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError, FormatError))


if __name__ == "__main__":
    sys.exit(main())
