"""Ports for servers that must be told theirs before they start."""

import os
import random
import socket
from contextlib import suppress
from pathlib import Path

_draw = random.Random(os.getpid())


def free_port() -> int:
    """A port of this machine that is free, and that no connection or `port=0` is given meanwhile.

    Those get ports of the kernel's range, in which a port that was found free may be taken before it is used.
    """
    low = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    for port in _draw.sample(range(10_000, low), 100) if low > 11_000 else []:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("", port))
            return port
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])
