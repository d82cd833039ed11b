"""`relama serve weights=PATH`: OpenAI's completions over HTTP, for this machine unless told otherwise.

Clients of OpenAI's API work with base_url=http://127.0.0.1:8000/v1 and any key. Requests are continued in one
batch; those that do not fit wait in a bounded queue, and what does not fit there is refused.
"""

import ipaddress
import logging
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from configs import terminal
from configs.load import entry, load
from configs.overrides import as_key
from data.errors import DataError
from model.formats.errors import FormatError
from train.config import RunError
from train.generation.batching import Batcher
from train.generation.inference import InferenceParallel, load_over, started
from train.precision import inference_dtype, refuse_unknown_dtype
from train.weights.open import open_weights, tokenizer_of


@dataclass
class ServeConfig:
    """Which model, where, and how much at once."""

    weights: str  # a run's folder or name, RUN@STEP, a Hugging Face folder or a Meta folder
    host: str = "127.0.0.1"  # the address to listen on; 0.0.0.0 is all, without password or encryption
    port: int = 8000  # 0: any free one
    name: str | None = None  # of the model, for clients; null: as in weights=
    batch: int = 8  # texts continued at once; each has a cache for the model's context
    queue: int = 32  # texts that may wait; more are refused
    tokenizer: str | None = None  # null: the one that came with the weights
    device: str = "auto"  # auto | cpu | cuda
    dtype: str = "auto"  # for the weights and computation: auto (bf16 where it is faster) | fp32 | bf16

    def __post_init__(self) -> None:
        refuse_unknown_dtype(self.dtype)
        if not 0 <= self.port < 65536:
            raise ValueError(f"port={self.port}: expected 0 to 65535")
        if self.batch < 1:
            raise ValueError(f"batch={self.batch}: expected at least 1")
        if self.queue < 0:
            raise ValueError(f"queue={self.queue}: expected 0 or above")


def run(argv: list[str]) -> None:
    config = load("serve", ServeConfig, as_key("weights", argv))
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        raise RunError(f"relama serve needs the package {error.name} (pip install -e '.[serve]')") from None
    parallel = InferenceParallel()
    with listening(config) as listener, started(parallel, config.device, copies=False) as ranks:
        weights = open_weights(Path(config.weights))
        tokenizer = tokenizer_of(weights, config.tokenizer)
        dtype = inference_dtype(config.dtype, ranks, weights.config, config.batch)
        model = load_over(weights, ranks, parallel, dtype)
        batcher = Batcher(model, tokenizer.eos_id, config.batch, config.queue)
        from train.generation.server import Server  # needs the extra

        name = config.name or config.weights
        most = config.batch + config.queue
        server = Server(name, tokenizer, weights.config.max_seq_len, batcher, most, int(time.time()))
        address, port = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        terminal.say(f"relama: serving {weights.path} as {name} on http://{shown}:{port} (Ctrl-C ends)")
        if not is_loopback(address):
            terminal.say(
                f"relama: warning: host={config.host}: anyone who reaches {address}:{port} can use the "
                "model, without password or encryption"
            )
        answer(server, listener, hosts(config.host))


def listening(config: ServeConfig) -> socket.socket:
    """The listening socket. Raises RunError if the address is not this machine's or the port is in use."""
    try:
        found = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
        return listener
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise RunError(
            f"host={config.host} port={config.port}: cannot listen there ({why}); give another port= (0: any "
            "free one), or an address of this machine"
        ) from None


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def hosts(host: str) -> frozenset[str] | None:
    """The names in a request's Host header that are answered: this machine's loopback ones, or any."""
    names = {"127.0.0.1", "localhost", "[::1]"}
    try:
        return frozenset(names) if is_loopback(host) else None
    except ValueError:
        return frozenset(names) if host == "localhost" else None


def answer(server, listener: socket.socket, names: frozenset[str] | None) -> None:
    """Serve until a signal."""
    import uvicorn

    from train.generation.server import application

    class Uvicorn(uvicorn.Server):
        interrupted = False

        def handle_exit(self, sig: int, frame) -> None:
            self.interrupted = self.interrupted or sig == signal.SIGINT
            server.batcher.close()  # so that no client is waited for
            super().handle_exit(sig, frame)

    for name in (
        "uvicorn",
        "asyncio",
    ):  # a stop or a client that leaves is not an error; the server reports real ones
        logging.getLogger(name).setLevel(logging.CRITICAL)
    config = uvicorn.Config(
        application(server, names),
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    serving = Uvicorn(config)
    serving.run(sockets=[listener])
    if serving.interrupted:  # asyncio loses a Ctrl-C that arrives as its last task ends
        raise KeyboardInterrupt


def main(argv: list[str] | None = None) -> int:
    return entry(run, argv, errors=(RunError, DataError, FormatError))


if __name__ == "__main__":
    sys.exit(main())
