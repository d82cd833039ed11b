"""The web application of `relama serve`: OpenAI's /v1/completions and /v1/models, and a page to try them.

Errors are JSON in OpenAI's form, each one line. Only JSON is accepted, and only for the names that the server
was given: a page of another site that the user's browser shows can neither send requests nor read answers.
"""

import asyncio
import json
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from configs.sizes import binary
from data.tokens.tokenizer import Tokenizer
from train.generation import batching
from train.generation.batching import Batcher, End, QueueFull
from train.generation.completions import BadRequest, Completion, Reply, Text, parse

PAGE = Path(__file__).with_name("page.html")
LARGEST = 1 << 20  # bytes of a request
# What the page may do: run its own script, and talk to this server.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"


class Server:
    """What the routes share: the model's name, its tokenizer and context, and the batch."""

    def __init__(
        self, name: str, tokenizer: Tokenizer, context: int, batcher: Batcher, most: int, created: int
    ) -> None:
        self.name, self.tokenizer, self.context = name, tokenizer, context
        self.batcher, self.most, self.created = batcher, most, created

    async def complete(self, request: Request) -> Response:
        """POST /v1/completions."""
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise BadRequest("Content-Type: expected application/json", status=415)
        asked = parse(await _body(request), self.name, self.tokenizer, self.context, self.most)
        running = Running(self, asked)
        if asked.stream:
            return StreamingResponse(running.events(request), media_type="text/event-stream")
        return JSONResponse(await running.whole(request))

    async def models(self, request: Request) -> Response:
        """GET /v1/models and /v1/models/NAME."""
        model = {"id": self.name, "object": "model", "created": self.created, "owned_by": "relama"}
        wanted = request.path_params.get("name")
        if wanted is None:
            return JSONResponse({"object": "list", "data": [model]})
        if wanted != self.name:
            raise BadRequest(f"model: {wanted!r} is not served here; expected {self.name!r}", "model", 404)
        return JSONResponse(model)

    async def health(self, request: Request) -> Response:
        """GET /health: how many texts run, and how many wait."""
        running, waiting = self.batcher.counts
        return JSONResponse({"status": "ok", "running": running, "waiting": waiting})

    async def page(self, request: Request) -> Response:
        """GET /."""
        return HTMLResponse(PAGE.read_text(encoding="utf-8"), headers={"Content-Security-Policy": POLICY})


class Running:
    """One client's request in the batch: its texts, and what the batch says of them."""

    def __init__(self, server: Server, asked: Completion) -> None:
        self._asked, self._reply = asked, Reply(server.name)
        self._said: asyncio.Queue[tuple[int, int | End | None]] = asyncio.Queue()  # None: the client left
        prompts = [prompt for prompt in asked.prompts for _ in range(asked.n)]
        self._texts = [Text(server.tokenizer, prompt, asked.stops, asked.echo) for prompt in prompts]
        loop = asyncio.get_running_loop()
        self._requests = [
            batching.Request(
                prompt,
                min(asked.max_tokens, server.context - len(prompt)),
                asked.temperature,
                asked.top_p,
                None if asked.seed is None else asked.seed + index,
                partial(self._hear, loop, index),
            )
            for index, prompt in enumerate(prompts)
        ]
        try:
            server.batcher.submit(self._requests)
        except QueueFull:
            raise BadRequest("the queue is full; try again later", status=429) from None

    def cancel(self) -> None:
        """Leave the batch."""
        for request in self._requests:
            request.cancelled = True

    def _hear(self, loop: asyncio.AbstractEventLoop, index: int, what: int | End) -> None:
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(self._said.put_nowait, (index, what))

    async def _pieces(self) -> AsyncIterator[tuple[int, str]]:
        """(index, text) as they come, until all texts have ended.

        Raises BadRequest if the model fails, and ClientDisconnect.
        """
        left = len(self._texts)
        try:
            for index, text in enumerate(self._texts):
                if text.begin:
                    yield index, text.begin
            while left:
                index, what = await self._said.get()
                if what is None:
                    raise ClientDisconnect
                text = self._texts[index]
                if text.reason:  # it met a stop; the batch did not know yet
                    continue
                if isinstance(what, End) and what.reason == "error":
                    raise BadRequest(what.message, status=503)
                yield index, text.end(what.reason) if isinstance(what, End) else text.feed(what)
                if text.reason:
                    self._requests[index].cancelled = True
                    left -= 1
        finally:  # also if the client has gone
            self.cancel()

    async def whole(self, request: Request) -> dict:
        """The answer in one object."""
        parts: list[list[str]] = [[] for _ in self._texts]
        leaving = asyncio.create_task(self._leave_with(request))
        try:
            async for index, piece in self._pieces():
                parts[index].append(piece)
        finally:
            leaving.cancel()
        texts = [("".join(part), text.reason) for part, text in zip(parts, self._texts)]
        return self._reply.whole(texts, *self._usage())

    async def _leave_with(self, request: Request) -> None:
        """End the texts once the client has gone, including those that wait."""
        while (await request.receive())["type"] != "http.disconnect":
            continue
        self._said.put_nowait((0, None))

    async def events(self, request: Request) -> AsyncIterator[str]:
        """The answer as server-sent events."""
        try:
            async for index, piece in self._pieces():
                reason = self._texts[index].reason
                if await request.is_disconnected():
                    return
                if piece or reason:
                    yield _event(self._reply.piece(index, piece, reason))
            if self._asked.usage:
                yield _event(self._reply.last(*self._usage()))
            yield "data: [DONE]\n\n"
        except BadRequest as error:  # the status has been sent
            yield _event(error.body())
        finally:
            self.cancel()

    def _usage(self) -> tuple[int, int]:
        return sum(map(len, self._asked.prompts)), sum(text.tokens for text in self._texts)


def application(server: Server, hosts: frozenset[str] | None) -> Starlette:
    """The routes. `hosts`: the names by which clients may call the server; None: any."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, BadRequest)
        headers = {"Retry-After": "1"} if error.status == 429 else {}
        return JSONResponse(error.body(), error.status, headers)

    async def unknown(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        known = "GET / | /v1/models | /health, POST /v1/completions"
        message = f"{request.method} {request.url.path}: {error.detail}; expected {known}"
        return JSONResponse(
            BadRequest(message, status=error.status_code).body(), error.status_code, error.headers
        )

    async def gone(request: Request, error: Exception) -> Response:
        return Response(status_code=499)  # which nobody reads

    async def failed(request: Request, error: Exception) -> Response:
        traceback.print_exception(error, file=sys.stderr)
        return JSONResponse(BadRequest("the server failed; its log says why", status=500).body(), 500)

    app = Starlette(
        routes=[
            Route("/", server.page),
            Route("/health", server.health),
            Route("/v1/models", server.models),
            Route("/v1/models/{name:path}", server.models),
            Route("/v1/completions", server.complete, methods=["POST"]),
        ],
        exception_handlers={
            BadRequest: refused,
            HTTPException: unknown,
            ClientDisconnect: gone,
            Exception: failed,
        },
    )
    if hosts is not None:
        app.add_middleware(_OnlyFor, hosts=hosts)
    return app


class _OnlyFor:
    """Refuses requests for other names: with one, a page could have a browser call here (DNS rebinding)."""

    def __init__(self, app, hosts: frozenset[str]) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http":
            host = dict(scope["headers"]).get(b"host", b"").decode("latin-1").rsplit(":", 1)[0]
            if host not in self._hosts:
                names = ", ".join(sorted(self._hosts))
                error = BadRequest(
                    f"Host: {host[:60]!r} is not served here; expected one of {names}", status=403
                )
                return await JSONResponse(error.body(), error.status)(scope, receive, send)
        await self._app(scope, receive, send)


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise BadRequest(f"the request is larger than {binary(LARGEST)}", status=413)
    return body


def _event(value: dict) -> str:
    return f"data: {json.dumps(value)}\n\n"
