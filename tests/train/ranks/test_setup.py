"""Joining and leaving the group: its ports, which other machines cannot reach (docs/security.md); its end."""

import contextlib
import fcntl
import gc
import os
import socket
import struct
import weakref
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address

import fairscale.nn.model_parallel.initialize as fairscale_groups
import pytest
import torch

from model.parallelize.mesh import Layout
from tests.support.fork_server import python
from train.config import Refused, RunError
from train.ranks import watchdog
from train.ranks.setup import join_process_group, set_up, tear_down
from train.ranks.watchdog import longest_wait

# Join a group, then print the interface that gloo uses and the addresses at which this process listens.
LISTENING = """
import os
from datetime import timedelta
from pathlib import Path
from train.ranks.setup import join_process_group, tear_down

join_process_group("gloo", int(os.environ.get("WORLD_SIZE", 1)), timedelta(minutes=1))
mine = {os.readlink(fd) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()}
found = [os.environ.get("GLOO_SOCKET_IFNAME", "none")]
for table in filter(Path.exists, (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))):
    for line in table.read_text().splitlines()[1:]:
        address, state, inode = (line.split()[i] for i in (1, 3, 9))
        if state == "0A" and f"socket:[{inode}]" in mine:
            found.append(address.partition(":")[0])
os.write(1, (" ".join(found) + "\\n").encode())  # at once: ranks share the output
tear_down()
"""


def test_a_network_interface_that_is_down_is_named(monkeypatch):
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "nosuch0")
    with pytest.raises(RunError, match="nosuch0: no such network interface, or it is down; bring it up"):
        join_process_group("gloo", 1, timedelta(minutes=1))


@pytest.mark.parametrize(
    ("left", "refusal"),
    [
        ("RANK=1", "RANK=1: set in the environment without WORLD_SIZE, MASTER_ADDR, MASTER_PORT; for one"),
        (
            "RANK=0 WORLD_SIZE=2",
            "set in the environment without MASTER_ADDR, MASTER_PORT; .* `unset RANK WORLD",
        ),
        ("WORLD_SIZE=2 MASTER_ADDR=h", "set in the environment without RANK, MASTER_PORT; "),
        ("RANK=0 MASTER_ADDR=h WORLD_SIZE=1", "without MASTER_PORT; "),
        ("RANK=first", "RANK=first: expected a number, as torchrun sets it; unset RANK for one process"),
        ("WORLD_SIZE=-1", "WORLD_SIZE=-1: expected a number"),
        ("WORLD_SIZE=0", "WORLD_SIZE=0: expected a number from 1 on, as torchrun sets it; unset WORLD_SIZE"),
        ("RANK=0 WORLD_SIZE=2 MASTER_ADDR=h MASTER_PORT=first", "MASTER_PORT=first: expected a number"),
        ("RANK=4 WORLD_SIZE=4 MASTER_ADDR=h MASTER_PORT=1", "RANK=4: expected a number below WORLD_SIZE=4, "),
    ],
)
def test_variables_that_another_tool_has_left_are_named(left, refusal, monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    for pair in left.split():
        monkeypatch.setenv(*pair.split("="))
    with pytest.raises(RunError, match=refusal):
        join_process_group("gloo", 1, timedelta(minutes=1))


@pytest.mark.parametrize(
    ("rank", "address", "refusal"),
    [
        (
            1,
            "nosuchhost.invalid",
            r"^MASTER_ADDR=nosuchhost.invalid: rank 0's machine, whose name is not known",
        ),
        (1, "127.0.0.1", r"^the ranks did not meet at 127.0.0.1:\d+ \(The client socket has timed out"),
        (
            0,
            "127.0.0.1",
            r"^the ranks did not meet at 127.0.0.1:\d+ \(Timed out .* 1/2 clients joined\); see",
        ),
    ],
)
def test_ranks_that_do_not_meet_say_where_they_looked(rank, address, refusal, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": 0, "LOCAL_WORLD_SIZE": 1}
    for name, value in {**settings, "MASTER_ADDR": address, "MASTER_PORT": port}.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(RunError, match=refusal) as refused:
        join_process_group("gloo", 2, timedelta(seconds=2))
    assert "PET_LOCAL_ADDR" in str(refused.value)


def test_a_process_without_a_gpu_of_its_own_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    with pytest.raises(Refused, match=r"process 3 of .* sees only 1 GPU \(CUDA_VISIBLE_DEVICES=2\)"):
        set_up(Layout(), "cuda")


# The first rank takes longer than torch's default, shortened here, in three groups.
SLOW_FIRST_RANK = """
import time
from datetime import timedelta
import torch.distributed as dist
from train.ranks import identity
from train.ranks.setup import join_process_group, tear_down
from train.ranks.together import first_rank_does, gloo_group

dist.distributed_c10d.default_pg_timeout = timedelta(seconds=1)
join_process_group("gloo", 2, timedelta(minutes=1), timedelta(minutes=2))
first_rank_does(lambda: time.sleep(3))
for group in (gloo_group(), gloo_group([0, 1])):
    if identity.is_first():
        time.sleep(3)
    dist.barrier(group)
tear_down()
"""


@pytest.mark.distributed
def test_ranks_wait_for_the_first_one_as_long_as_the_watchdog_lets_it_work():
    finished = python("-c", SLOW_FIRST_RANK, ranks=2)
    assert finished.returncode == 0, finished.stderr
    for timeout in (600.0, 0.5):
        assert longest_wait(timeout).total_seconds() > watchdog.LONG * timeout
    assert longest_wait(0) == timedelta(days=1)


def test_no_group_outlives_its_end(monkeypatch):
    """fairscale keeps its group in its module, until the interpreter ends, when gloo may abort it."""
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    join_process_group("gloo", 1, timedelta(minutes=1))
    monkeypatch.setattr(fairscale_groups, "_MODEL_PARALLEL_GROUP", torch.distributed.new_group([0]))
    group = weakref.ref(fairscale_groups.get_model_parallel_group())
    tear_down()
    gc.collect()
    assert group() is None


def is_loopback(address: str) -> bool:
    """`address` as in /proc/net/tcp: words of four bytes in this machine's order."""
    packed = b"".join(bytes.fromhex(address[i : i + 8])[::-1] for i in range(0, len(address), 8))
    return (IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)).is_loopback


@pytest.mark.parametrize("ranks", [0, 2])
def test_the_ranks_of_one_machine_listen_on_loopback_alone(ranks):
    env = {name: value for name, value in os.environ.items() if name != "GLOO_SOCKET_IFNAME"}
    finished = python("-c", LISTENING, ranks=ranks, env=env)
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.split("\n")[:-1]
    assert len(lines) == max(1, ranks)
    for line in lines:
        interface, *addresses = line.split()
        assert interface == "lo" and addresses
        assert all(map(is_loopback, addresses)), line


def test_an_interface_that_was_given_is_used():
    interface = other_interface()
    finished = python("-c", LISTENING, env=os.environ | {"GLOO_SOCKET_IFNAME": interface})
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.split()[0] == interface


def other_interface() -> str:
    """One that is up and has an address; containers also have tunnels and bridges without."""
    for _, name in socket.if_nameindex():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking, contextlib.suppress(OSError):
            request = struct.pack("256s", name.encode())
            fcntl.ioctl(asking, 0x8915, request)  # SIOCGIFADDR; an OSError without an address
            (flags,) = struct.unpack_from("h", fcntl.ioctl(asking, 0x8913, request), 16)  # SIOCGIFFLAGS
            if flags & 0x1 and flags & 0x40 and name != "lo":  # IFF_UP and IFF_RUNNING
                return name
    pytest.skip("this machine has no other network interface")
