"""OpenAI's completions as JSON: what a client may send, and what it gets.

The fields and their defaults are those of https://platform.openai.com/docs/api-reference/completions. What a
pretrained model cannot do is refused by name, and so is a field that does not exist.
"""

import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

from data.tokens.tokenizer import Tokenizer
from train.generation.prompts import Spelling

MOST_STOPS = 4
# Fields that are accepted with these values only, which change nothing.
WITHOUT_EFFECT: dict[str, tuple] = {
    "suffix": (None, ""),
    "logprobs": (None,),
    "logit_bias": (None, {}),
    "frequency_penalty": (None, 0),
    "presence_penalty": (None, 0),
}
FIELDS = (
    *("model", "prompt", "max_tokens", "temperature", "top_p", "n", "best_of", "seed", "stop", "echo"),
    *("stream", "stream_options", "user"),
)


class BadRequest(Exception):
    """One line for the client, with the field that it is about and HTTP's status."""

    def __init__(self, message: str, field: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.field, self.status = field, status

    def body(self) -> dict:
        """OpenAI's form of an error."""
        kind = "invalid_request_error" if self.status < 429 else "server_error"
        message, param = (text and _in_utf8(text) for text in (str(self), self.field))
        return {"error": {"message": message, "type": kind, "param": param, "code": None}}


@dataclass(frozen=True)
class Completion:
    """What a client asks for: `n` continuations of each prompt (BOS and tokens)."""

    prompts: list[list[int]]
    n: int
    max_tokens: int
    temperature: float
    top_p: float
    seed: int | None
    stops: list[str]
    echo: bool
    stream: bool
    usage: bool  # stream: how many tokens there were, at its end


def parse(body: bytes, model: str, tokenizer: Tokenizer, context: int, most: int) -> Completion:
    """The request in `body`, for at most `most` texts. Raises BadRequest."""
    asked = _object(body)
    for field, value in asked.items():
        if field in WITHOUT_EFFECT and value not in WITHOUT_EFFECT[field]:
            raise BadRequest(f"{field}: not supported by this server; leave it out", field)
        if field not in FIELDS and field not in WITHOUT_EFFECT:
            raise BadRequest(f"{field}: unknown field; expected {', '.join(FIELDS)}", field)
    if asked.get("model") not in (None, model):
        raise BadRequest(f"model: {asked['model']!r} is not served here; expected {model!r}", "model", 404)
    prompts = _prompts(asked.get("prompt"), tokenizer)
    for prompt in prompts:
        if len(prompt) >= context:
            raise BadRequest(
                f"prompt: {len(prompt)} tokens, but the model's context is {context}; give a shorter one",
                "prompt",
            )
    n = _number(asked, "n", int, 1, 1, most)
    if _number(asked, "best_of", int, n, 1, most) != n:
        raise BadRequest("best_of: expected n; this server does not rank completions", "best_of")
    if n * len(prompts) > most:
        raise BadRequest(f"n × prompts = {n * len(prompts)}: expected at most {most}", "n")
    seed = None if asked.get("seed") is None else _number(asked, "seed", int, 0, -(2**63), 2**63 - 1)
    options = asked.get("stream_options") or {}
    if not isinstance(options, dict):
        raise BadRequest('stream_options: expected {"include_usage": true}', "stream_options")
    return Completion(
        prompts,
        n,
        max_tokens=_number(asked, "max_tokens", int, 16, 1, 10**9),
        temperature=_number(asked, "temperature", float, 1.0, 0, 2),
        top_p=_number(asked, "top_p", float, 1.0, 1e-9, 1),
        seed=seed,
        stops=_stops(asked.get("stop")),
        echo=_flag(asked, "echo"),
        stream=_flag(asked, "stream"),
        usage=_flag(options, "include_usage"),
    )


def _in_utf8(text: str) -> str:
    """`text` with halves of surrogate pairs, which JSON can hold and UTF-8 cannot, as JSON escapes them."""
    return text.encode(errors="backslashreplace").decode()


def _object(body: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"not JSON ({str(error)[:80]}); expected an object with a prompt") from None
    if not isinstance(asked, dict):
        raise BadRequest("expected a JSON object with a prompt")
    return asked


def _number(asked: dict, field: str, kind: type, default: float, low: float, high: float) -> Any:
    value = asked.get(field)
    value = default if value is None else value
    is_kind = isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)
    if not is_kind or not low <= value <= high:
        noun = "a whole number" if kind is int else "a number"
        bounds = "above 0 and at most 1" if field == "top_p" else f"from {low} to {high}"
        raise BadRequest(f"{field}: {str(value)[:40]}: expected {noun} {bounds}", field)
    return kind(value)


def _flag(asked: dict, field: str) -> bool:
    value = asked.get(field)
    if value is not None and not isinstance(value, bool):
        raise BadRequest(f"{field}: {str(value)[:40]}: expected true or false", field)
    return bool(value)


def _prompts(given: object, tokenizer: Tokenizer) -> list[list[int]]:
    """A text, several, token ids, or several lists of them: each as BOS and tokens."""
    is_ids = isinstance(given, list) and bool(given) and all(type(item) is int for item in given)
    several = [given] if given is None or isinstance(given, str) or is_ids else given
    if not isinstance(several, list) or not several:
        raise BadRequest("prompt: expected a text, a list of texts, or a list of token ids", "prompt")
    return [_prompt(item, tokenizer) for item in several]


def _prompt(given: object, tokenizer: Tokenizer) -> list[int]:
    if given is None or isinstance(given, str):
        return [tokenizer.bos_id, *map(int, tokenizer.encode(given or ""))]
    if isinstance(given, list) and given and all(type(item) is int for item in given):
        if not all(0 <= item < tokenizer.vocab_size for item in given):
            raise BadRequest(f"prompt: expected token ids from 0 to {tokenizer.vocab_size - 1}", "prompt")
        return given if given[0] == tokenizer.bos_id else [tokenizer.bos_id, *given]
    raise BadRequest("prompt: expected a text, a list of texts, or a list of token ids", "prompt")


def _stops(given: object) -> list[str]:
    stops = [] if given is None else [given] if isinstance(given, str) else given
    if (
        not isinstance(stops, list)
        or not all(isinstance(stop, str) and stop for stop in stops)
        or len(stops) > MOST_STOPS
    ):
        raise BadRequest(f"stop: expected a text, or a list of at most {MOST_STOPS}", "stop")
    return stops


class Text:
    """One continuation as it grows, up to the first stop; what may become a stop is held back."""

    def __init__(self, tokenizer: Tokenizer, prompt: list[int], stops: list[str], echo: bool) -> None:
        self._spelling, self._stops = Spelling(tokenizer, prompt), stops
        self._held = ""
        self.begin = tokenizer.decode(prompt[1:]) if echo else ""  # is sent first
        self.tokens = 0
        self.reason: str | None = None

    def feed(self, token: int) -> str:
        """What can be sent now; sets `reason` if a stop was met."""
        self.tokens += 1
        self._held += self._spelling.feed(token)
        met = [at for stop in self._stops if (at := self._held.find(stop)) >= 0]
        if met:
            self.reason = "stop"
            return self._held[: min(met)]
        return self._take(max((_overlap(self._held, stop) for stop in self._stops), default=0))

    def end(self, reason: str) -> str:
        """What was held back."""
        self.reason = reason
        return self._take(0) + self._spelling.rest()

    def _take(self, keep: int) -> str:
        cut = len(self._held) - keep
        sent, self._held = self._held[:cut], self._held[cut:]
        return sent


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` begin `stop`."""
    return next((n for n in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:n])), 0)


class Reply:
    """The JSON that is sent: one object, or one for each piece of a stream."""

    def __init__(self, model: str) -> None:
        self._head = {
            "id": f"cmpl-{uuid.uuid4().hex}",
            "object": "text_completion",
            "created": int(time.time()),
            "model": model,
        }

    def whole(self, texts: list[tuple[str, str | None]], prompt_tokens: int, tokens: int) -> dict:
        """All texts, each with the reason it ended."""
        choices = [self._choice(index, *text) for index, text in enumerate(texts)]
        return {**self._head, "choices": choices, "usage": usage(prompt_tokens, tokens)}

    def piece(self, index: int, text: str, reason: str | None) -> dict:
        return {**self._head, "choices": [self._choice(index, text, reason)]}

    def last(self, prompt_tokens: int, tokens: int) -> dict:
        """The end of a stream whose usage was asked for."""
        return {**self._head, "choices": [], "usage": usage(prompt_tokens, tokens)}

    @staticmethod
    def _choice(index: int, text: str, reason: str | None) -> dict:
        return {"text": text, "index": index, "logprobs": None, "finish_reason": reason}


def usage(prompt_tokens: int, tokens: int) -> dict:
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": tokens,
        "total_tokens": prompt_tokens + tokens,
    }
