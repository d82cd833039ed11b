"""Requests of several clients in one batch: each joins it at the next token, and leaves it when it ends.

One thread computes. Requests come from other threads and are told each token by their `emit`. Those that do
not fit wait in a bounded queue; when that is full, `submit` refuses.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from model.decode import Cache, next_logits
from model.llama import Llama
from train.generation.sampling import draw

POLL = 0.2  # seconds between looks at `close`, which a signal handler calls and which therefore takes no lock


class QueueFull(Exception):
    """No place is left in the queue."""


@dataclass(frozen=True)
class End:
    """Why a text ends: EOS (stop), its length, or an error."""

    reason: str  # stop | length | error
    message: str = ""


@dataclass(eq=False)
class Request:
    """A text to continue. `emit` gets each token and then an End; it is called by the batch's thread."""

    prompt: list[int]
    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None  # None: another one each time
    emit: Callable[[int | End], None]
    cancelled: bool = False  # set it, and the request leaves the batch without another `emit`
    generator: torch.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.generator = torch.Generator()
        self.generator.seed() if self.seed is None else self.generator.manual_seed(self.seed)


class Batcher:
    """Continues at most `rows` texts at once, while at most `waiting` more wait."""

    def __init__(self, model: Llama, eos_id: int, rows: int, waiting: int) -> None:
        self._model, self._eos_id = model, eos_id
        self._most_rows, self._most_waiting = rows, waiting
        self._waiting: deque[Request] = deque()
        self._running: list[Request] = []
        self._last: list[int] = []  # for each running text, the token that the model reads next
        self._left: list[int] = []  # for each running text, how many tokens it may still get
        self._taken = 0  # texts that run or are about to
        self.drawn = 0  # tokens so far, of all texts
        self._cache: Cache | None = None
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="batch", daemon=True)
        self._thread.start()

    @property
    def counts(self) -> tuple[int, int]:
        """How many texts run, and how many wait."""
        return self._taken, len(self._waiting)

    def submit(self, requests: Sequence[Request]) -> None:
        """Queue all of them, or raise QueueFull."""
        with self._changed:
            self._waiting = deque(request for request in self._waiting if not request.cancelled)
            free = self._most_rows - self._taken
            if len(self._waiting) + len(requests) > self._most_waiting + free:
                raise QueueFull
            self._waiting.extend(requests)
            self._changed.notify()

    def close(self) -> None:
        """End all texts and the thread."""
        self._closed = True

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._waiting or self._running or self._closed):
                    self._taken = 0
                    self._changed.wait(POLL)
                room = self._most_rows - len(self._running)
                new = [self._waiting.popleft() for _ in range(min(room, len(self._waiting)))]
                self._taken = len(self._running) + len(new)
            if self._closed:
                return self._end([*new, *self._waiting], "the server is shutting down")
            new = [request for request in new if not request.cancelled]
            try:
                self._advance()
                self._admit(new)
            except Exception as error:  # such as memory: it must not end the server
                self._end(new, f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")

    def _advance(self) -> None:
        """One more token for each running text."""
        if self._cache is None:
            return
        tokens = torch.tensor(self._last, dtype=torch.long)[:, None].to(self._device)
        logits = next_logits(self._model, self._cache, tokens)
        kept = self._tell(self._running, self._left, logits)
        if len(kept) < len(self._running):
            self._cache.keep(torch.tensor([row for row, _, _ in kept], dtype=torch.long))
        self._become([(self._running[row], token, left) for row, token, left in kept])

    def _admit(self, new: list[Request]) -> None:
        """Read the prompts of `new`, give each its first token, and let them join the batch."""
        if not new:
            return
        counts = torch.tensor([len(request.prompt) for request in new])
        padded = torch.zeros(len(new), int(counts.max()), dtype=torch.long)
        for row, request in enumerate(new):
            padded[row, : len(request.prompt)] = torch.tensor(request.prompt)
        cache = Cache(self._model, len(new), self._model.config.max_seq_len)
        logits = next_logits(self._model, cache, padded.to(self._device), counts)
        kept = self._tell(new, [request.max_tokens for request in new], logits)
        cache.keep(torch.tensor([row for row, _, _ in kept], dtype=torch.long))
        if kept and self._cache is not None:
            self._cache.join(cache)
        elif kept:
            self._cache = cache
        running = list(zip(self._running, self._last, self._left))
        self._become(running + [(new[row], token, left) for row, token, left in kept])

    def _become(self, texts: list[tuple[Request, int, int]]) -> None:
        self._running = [request for request, _, _ in texts]
        self._last, self._left = [token for _, token, _ in texts], [left for _, _, left in texts]
        if not texts:
            self._cache = None

    def _tell(
        self, requests: list[Request], lefts: list[int], logits: torch.Tensor
    ) -> list[tuple[int, int, int]]:
        """Draw a token for each row and emit it. Returns (row, token, left) for texts that continue."""
        kept = []
        for row, (request, left, values) in enumerate(zip(requests, lefts, logits.float().cpu())):
            if request.cancelled:
                continue
            self.drawn += 1
            token = draw(values, request.temperature, request.top_p, request.generator)
            if token == self._eos_id:
                request.emit(End("stop"))
                continue
            request.emit(token)
            if left == 1:
                request.emit(End("length"))
            else:
                kept.append((row, token, left - 1))
        return kept

    def _end(self, more: list[Request], why: str) -> None:
        for request in [*self._running, *more]:
            request.emit(End("error", why))
        self._become([])

    @property
    def _device(self) -> torch.device:
        return next(self._model.parameters()).device
