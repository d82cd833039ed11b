"""relama serve over real HTTP: OpenAI's own client, raw requests, many at once, a stop, bad requests."""

import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import torch

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from configs.load import load
from data.tokens.tokenizer import Tokenizer
from data.tokens.train_tokenizer import train_tokenizer
from model.config import LlamaConfig
from model.formats.huggingface import write_huggingface
from model.formats.weights import Weights
from model.initialize import initialize
from model.llama import Llama
from tests.support.runs import REPOSITORY, relama
from train.config import RunError
from train.generation import batching, serve
from train.generation.batching import Batcher, End, QueueFull, Request
from train.generation.prompts import pieces
from train.generation.sampling import generate
from train.generation.server import Server

TEXT = "The return value is a list; the list holds each name, and the names are sorted.\n"
CONTEXT = 96
PATIENCE = 120  # seconds


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A small model in Hugging Face's format."""
    root = tmp_path_factory.mktemp("served")
    train_tokenizer(iter([TEXT * 50]), root / "tokenizer.model", vocab_size=300)
    tokenizer = Tokenizer(root / "tokenizer.model")
    config = LlamaConfig(
        dim=32, n_layers=2, n_heads=2, vocab_size=tokenizer.vocab_size, multiple_of=64, max_seq_len=CONTEXT
    )
    model = Llama(config)
    initialize(model, seed=1)
    state = dict(model.named_parameters())
    write_huggingface(
        Weights(root, config, lambda name: state[name].detach()),
        root / "model",
        dtype=torch.float32,
        shard_bytes=1 << 30,
        extra={"tokenizer.model": (root / "tokenizer.model").read_bytes()},
    )
    return root / "model"


@pytest.fixture(scope="module")
def loaded(folder) -> tuple[Llama, Tokenizer]:
    from train.weights.open import load_model, open_weights

    weights = open_weights(folder)
    return load_model(weights, torch.device("cpu")), Tokenizer(folder / "tokenizer.model")


@pytest.fixture(scope="module")
def served(loaded):
    """A server in this process: its URL and its batch."""
    model, tokenizer = loaded
    batcher = Batcher(model, tokenizer.eos_id, rows=4, waiting=4)
    listener = serve.listening(load("serve", serve.ServeConfig, ["weights=x", "port=0"]))
    server = Server("tiny", tokenizer, CONTEXT, batcher, 8, 0)
    thread = threading.Thread(
        target=serve.answer, args=(server, listener, serve.hosts("127.0.0.1")), daemon=True
    )
    thread.start()
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    yield SimpleNamespace(url=url, batcher=batcher)
    batcher.close()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def requests(served, monkeypatch) -> list[Request]:
    """The requests that the batch takes."""
    found, submit = [], served.batcher.submit
    monkeypatch.setattr(served.batcher, "submit", lambda new: (submit(new), found.extend(new)))
    return found


def ask(served, **fields) -> httpx.Response:
    return httpx.post(f"{served.url}/v1/completions", json={"temperature": 0, **fields}, timeout=PATIENCE)


def alone(loaded, prompt: str, count: int) -> str:
    """What `relama generate temperature=0` writes."""
    model, tokenizer = loaded
    ids = [tokenizer.bos_id, *map(int, tokenizer.encode(prompt))]
    drawn = generate(
        model,
        [ids],
        max_tokens=count,
        temperature=0,
        top_p=1,
        generator=torch.Generator(),
        eos_id=tokenizer.eos_id,
    )
    return "".join(pieces(tokenizer, ids, (token for _, token in drawn)))


def test_openais_client_gets_what_generate_writes(served, loaded):
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0)
    assert [model.id for model in client.models.list()] == ["tiny"]
    assert client.models.retrieve("tiny").owned_by == "relama"
    asked = {"model": "tiny", "prompt": "The return", "max_tokens": 12, "temperature": 0}
    whole = client.completions.create(**asked)
    assert whole.choices[0].text == alone(loaded, "The return", 12)
    assert whole.choices[0].finish_reason == "length" and whole.usage.completion_tokens == 12
    stream = list(client.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    texts = [piece.choices[0].text for piece in stream if piece.choices]
    assert "".join(texts) == whole.choices[0].text and len(texts) > 3
    assert stream[-1].usage == whole.usage
    with pytest.raises(openai.BadRequestError, match="temperature: 3: expected a number from 0 to 2"):
        client.completions.create(**asked | {"temperature": 3})
    with pytest.raises(openai.NotFoundError, match="'other' is not served here; expected 'tiny'"):
        client.completions.create(**asked | {"model": "other"})


def test_clients_that_come_at_different_times_share_the_batch_and_get_their_own_text(
    served, loaded, requests, monkeypatch
):
    """The next client comes when those before it have a few tokens more."""
    prompts = ["The", "The names are", "a list", "sorted. The return value", "x", "each name"]
    expected = [alone(loaded, prompt, 40 + n) for n, prompt in enumerate(prompts)]
    come, steps, most = threading.Semaphore(0), [0], []

    def counted(*given):
        steps[0] += 1
        most.append(served.batcher.counts[0])
        if steps[0] % 3 == 0 and steps[0] < 3 * len(prompts):
            come.release()
            wait_until(lambda: len(requests) > steps[0] // 3)
        return real(*given)

    def client(n: int) -> str:
        if n:
            assert come.acquire(timeout=PATIENCE)
        return ask(served, prompt=prompts[n], max_tokens=40 + n).json()["choices"][0]["text"]

    real = batching.next_logits
    monkeypatch.setattr(batching, "next_logits", counted)
    with ThreadPoolExecutor(len(prompts)) as pool:
        assert list(pool.map(client, range(len(prompts)))) == expected
    assert max(most) == 4  # they did not run one after the other


def test_several_prompts_and_choices_are_numbered_and_a_seed_repeats_them(served):
    asked = {"prompt": ["The", [300 - 1, 5]], "n": 2, "max_tokens": 6, "temperature": 1, "seed": 7}
    first, second = (ask(served, **asked).json() for _ in range(2))
    assert [choice["index"] for choice in first["choices"]] == [0, 1, 2, 3]
    assert first["choices"] == second["choices"] != ask(served, **asked | {"seed": 8}).json()["choices"]


def test_a_stop_ends_the_text_before_it_even_across_tokens(served, loaded):
    text = alone(loaded, "The", 60)
    stop = text[10:14]
    choice = ask(served, prompt="The", max_tokens=60, stop=["\x00", stop]).json()["choices"][0]
    assert choice["text"] == text[: text.index(stop)] and choice["finish_reason"] == "stop"
    assert ask(served, prompt="The", max_tokens=9, echo=True).json()["choices"][0]["text"].startswith("The")


def test_a_long_completion_ends_with_the_context(served):
    answer = ask(served, prompt="The", max_tokens=10_000).json()
    assert answer["choices"][0]["finish_reason"] in ("length", "stop")
    assert answer["usage"]["total_tokens"] <= CONTEXT


BAD = {
    b"{": "not JSON",
    b"[" * 100_000: "not JSON",
    b"[]": "expected a JSON object",
    b'{"prompt": 3}': "prompt: expected a text, a list of texts, or a list of token ids",
    b'{"prompt": []}': "prompt: expected a text",
    b'{"prompt": [1, 999]}': "prompt: expected token ids from 0 to 299",
    b'{"prompt": "a", "max_new_tokens": 3}': "max_new_tokens: unknown field; expected model, prompt",
    b'{"prompt": "a", "max_tokens": 0}': "max_tokens: 0: expected a whole number from 1",
    b'{"prompt": "a", "temperature": NaN}': "temperature: nan: expected a number from 0 to 2",
    b'{"prompt": "a", "temperature": true}': "temperature: True: expected a number",
    b'{"prompt": "a", "top_p": 0}': "top_p: 0: expected a number above 0 and at most 1",
    b'{"prompt": "a", "n": 9}': "n: 9: expected a whole number from 1 to 8",
    b'{"prompt": ["a", "b", "c"], "n": 3}': "n \u00d7 prompts = 9: expected at most 8",
    b'{"prompt": "a", "stop": [""]}': "stop: expected a text, or a list of at most 4",
    b'{"prompt": "a", "stream": 1}': "stream: 1: expected true or false",
    b'{"prompt": "a", "logprobs": 5}': "logprobs: not supported by this server; leave it out",
    b'{"prompt": "a", "seed": "x"}': "seed: x: expected a whole number",
    b'{"prompt": "a", "x\\ud800": 1}': "x\\ud800: unknown field",
    b'{"prompt": "a", "n": "\\udc80"}': "n: \\udc80: expected a whole number",
    b'{"prompt": "' + b"x " * 200 + b'"}': f"but the model's context is {CONTEXT}; give a shorter one",
}


@pytest.mark.parametrize("body", BAD, ids=lambda body: body[:30].decode())
def test_a_bad_request_is_refused_in_one_line(body, served):
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"{served.url}/v1/completions", content=body, headers=headers, timeout=PATIENCE)
    error = answer.json()["error"]
    assert answer.status_code == 400 and error["type"] == "invalid_request_error"
    assert BAD[body] in error["message"] and "\n" not in error["message"]


def test_other_requests_are_refused_with_their_status(served):
    url = f"{served.url}/v1/completions"
    client = httpx.Client(timeout=PATIENCE)
    chat = client.post(f"{served.url}/v1/chat/completions", json={})
    assert chat.status_code == 404 and "POST /v1/completions" in chat.json()["error"]["message"]
    assert client.get(url).status_code == 405
    assert client.post(url, content=b"{}").status_code == 415  # what a form of another site can send
    other = client.post(url, json={}, headers={"Host": "evil.example"})
    assert other.status_code == 403 and "expected one of" in other.json()["error"]["message"]
    large = client.post(url, json={"prompt": "a" * (1 << 20)})
    assert large.status_code == 413
    page = client.get(served.url)
    assert "<textarea" in page.text and "connect-src 'self'" in page.headers["content-security-policy"]
    assert client.get(f"{served.url}/health").json()["status"] == "ok"


def test_a_full_queue_refuses_and_a_client_that_leaves_frees_its_place(loaded):
    model, tokenizer = loaded
    batcher = Batcher(model, tokenizer.eos_id, rows=1, waiting=1)
    said: list = []
    started, go = threading.Event(), threading.Event()

    def hold(what: int | End) -> None:
        started.set()
        assert go.wait(PATIENCE)

    running = Request([1, 5], 90, 1.0, 1.0, 1, hold)
    batcher.submit([running])
    assert started.wait(PATIENCE)
    batcher.submit([Request([1, 6], 1, 0.0, 1.0, 1, said.append)])
    with pytest.raises(QueueFull):
        batcher.submit([Request([1, 7], 1, 0.0, 1.0, 1, said.append)])
    running.cancelled = True
    go.set()
    wait_until(lambda: said[-1:] == [End("length")])
    batcher.close()


def test_a_temperature_near_zero_takes_the_likeliest_token(served, loaded):
    answer = ask(served, prompt="The", max_tokens=9, temperature=1e-40)  # logits / temperature overflows
    assert answer.json()["choices"][0]["text"] == alone(loaded, "The", 9)


def test_a_client_that_leaves_while_it_waits_frees_its_place(served, requests, monkeypatch):
    """The batch has 4 rows and 4 places to wait."""
    real, go = batching.next_logits, threading.Event()
    monkeypatch.setattr(batching, "next_logits", lambda *given: go.wait(PATIENCE) and real(*given))
    url, asked = f"{served.url}/v1/completions", {"prompt": ["The"] * 4, "max_tokens": 1}
    with ThreadPoolExecutor(1) as first:
        try:
            running = first.submit(httpx.post, url, json=asked, timeout=PATIENCE)
            wait_until(lambda: running.done() or served.batcher.counts == (4, 0))
            for count in (8, 12):  # a full queue would refuse the second at once
                leave_once(url, asked, lambda count=count: len(requests) == count)
                wait_until(lambda: all(request.cancelled for request in requests[4:]))
        finally:
            go.set()
        assert running.result().status_code == 200


def leave_once(url: str, asked: dict, holds: Callable[[], bool]) -> None:
    """Ask, and close the connection without an answer when `holds`."""
    host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
    body = json.dumps(asked).encode()
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Type: application/json\r\n"
    with socket.create_connection((host, int(port)), timeout=PATIENCE) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_until(holds)
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):  # no answer: it waits
            connection.recv(1)


def test_a_client_that_leaves_in_mid_stream_leaves_the_batch(served, requests, monkeypatch):
    asked, before, go = {"prompt": ["The"] * 4, "max_tokens": 90, "stream": True}, served.batcher.drawn, []
    real, left = batching.next_logits, threading.Event()

    def until_it_leaves(*given):
        go.append(given)
        assert len(go) < 10 or left.wait(PATIENCE)
        return real(*given)

    monkeypatch.setattr(batching, "next_logits", until_it_leaves)
    try:
        with httpx.stream("POST", f"{served.url}/v1/completions", json=asked, timeout=PATIENCE) as stream:
            next(stream.iter_lines())
        wait_until(lambda: all(request.cancelled for request in requests))
    finally:
        left.set()
    wait_until(lambda: served.batcher.counts == (0, 0))
    assert len(requests) == 4 and served.batcher.drawn - before < 4 * 20


def test_a_failing_model_ends_its_requests_and_not_the_server(loaded, monkeypatch):
    model, tokenizer = loaded
    batcher = Batcher(model, tokenizer.eos_id, rows=2, waiting=2)
    said: list = []
    ended = threading.Event()

    def hear(what: int | End) -> None:
        said.append(what)
        if isinstance(what, End):
            ended.set()

    with monkeypatch.context() as patch:
        patch.setattr(batching, "next_logits", lambda *_: (_ for _ in ()).throw(MemoryError("no room")))
        batcher.submit([Request([1, 5], 3, 0.0, 1.0, None, hear)])
        assert ended.wait(PATIENCE) and said == [End("error", "MemoryError: no room")]
    ended.clear()
    batcher.submit([Request([1, 5], 2, 0.0, 1.0, None, hear)])
    assert ended.wait(PATIENCE) and said[-1] == End("length")
    batcher.close()


def test_a_port_in_use_and_a_strange_address_are_refused_in_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(RunError, match=f"port={port}: cannot listen there .Address already in use"):
            serve.listening(load("serve", serve.ServeConfig, ["weights=x", f"port={port}"]))
    with pytest.raises(RunError, match="or an address of this machine"):
        serve.listening(load("serve", serve.ServeConfig, ["weights=x", "port=0", "host=192.0.2.1"]))


def test_ctrl_c_ends_a_server_that_is_writing_in_one_line(folder):
    arguments = [*relama("serve"), f"weights={folder}", "port=0", "dtype=fp32"]
    server = subprocess.Popen(
        arguments, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=os.environ
    )
    try:
        assert server.stderr is not None
        line = server.stderr.readline()
        assert line.startswith(f"relama: serving {folder}"), line
        url = line.partition("http://")[2].partition(" ")[0]
        asked = {"prompt": ["The"] * 8, "n": 5, "max_tokens": 90, "stream": True}
        with httpx.stream("POST", f"http://{url}/v1/completions", json=asked, timeout=PATIENCE) as stream:
            lines = stream.iter_lines()
            assert json.loads(next(lines)[6:])["object"] == "text_completion"
            server.send_signal(signal.SIGINT)
            with pytest.raises((httpx.HTTPError, StopIteration)):
                while True:
                    if "error" in (said := next(lines)):
                        assert "shutting down" in said
        _, error = server.communicate(timeout=PATIENCE)
        assert server.returncode == 130 and error.split("\n") == ["", "relama: interrupted", ""]
    finally:
        server.kill()
        server.wait()
