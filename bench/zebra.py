"""What zebra says of a full table: by a stream that was made before, or the real one.

A stream is a next hop and so many routes through it, each a message of rtnetlink in a frame, as
zebra's dplane_fpm_nl writes them when somebody listens again.
"""

import shutil
import socket
import struct
import subprocess
import time
from ipaddress import IPv4Address

import numpy as np

from raicho.control.routing.namespace import inside

from .peers.processes import Processes

PROGRAM = "/usr/lib/frr/zebra"
FIRST = int(IPv4Address("100.64.0.0"))  # routes of 30 bits, one behind the other
LENGTH = 30
PLACE = ("127.0.0.1", 2620)  # where it is listened to
NEW_ROUTE, NEW_NEXT_HOP = 24, 104  # RTM_*
STATIC = 4  # RTPROT_*
NEXT_HOP = 1
LEAST = 50  # bytes of a route
PATIENCE, QUIET = 30.0, 1.0  # seconds until it speaks, and without a byte when it has said all
_FRAME = struct.Struct("!BBH")
_MESSAGE = struct.Struct("=IHHII")
_REPLACE = 0x501  # NLM_F_*: a request to create or replace


def stream(count: int, interface: int, gateway: str) -> bytes:
    """Return what zebra says of routes by a gateway on an interface of the host."""
    hop = struct.pack("=BBBBI", socket.AF_INET, 0, STATIC, 0, 0)
    hop += _number(1, NEXT_HOP) + _number(5, interface)
    hop += _attribute(6, IPv4Address(gateway).packed)
    head = struct.pack("=BBBBBBBBI", socket.AF_INET, LENGTH, 0, 0, 254, STATIC, 0, 1, 0)
    more = _number(6, 20) + _number(30, NEXT_HOP)  # metric, next hop
    route = np.frombuffer(_framed(NEW_ROUTE, head + _attribute(1, bytes(4)) + more), np.uint8)
    at = len(route) - len(more) - 4
    routes = np.tile(route, (count, 1))
    prefixes = FIRST + (np.arange(count, dtype=np.uint32) << (32 - LENGTH))
    routes[:, at : at + 4] = prefixes.astype(">u4").view(np.uint8).reshape(-1, 4)
    return _framed(NEW_NEXT_HOP, hop) + routes.tobytes()


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("=I", value))


def _framed(kind: int, body: bytes) -> bytes:
    size = _MESSAGE.size + len(body)
    head = _FRAME.pack(1, 1, _FRAME.size + size)
    return head + _MESSAGE.pack(size, kind, _REPLACE, 0, 0) + body


def connect(namespace: str) -> socket.socket:
    """Connect to who listens to zebra; OSError while nobody does."""
    return inside(namespace, lambda: socket.create_connection(PLACE))


def start(processes: Processes, namespace: str, count: int, device: str, gateway: str) -> None:
    """Let the kernel of a namespace have as many routes, and zebra read them there."""
    folder = processes.folder / "frr"
    processes.folder.chmod(0o755)
    folder.mkdir()
    shutil.chown(folder, "frr", "frr")
    prefixes = (IPv4Address(FIRST + (i << (32 - LENGTH))) for i in range(count))
    way = f"via {gateway} dev {device} proto static"
    batch = folder / "batch"
    batch.write_text("".join(f"route add {prefix}/{LENGTH} {way}\n" for prefix in prefixes))
    subprocess.run(["ip", "-n", namespace, "-batch", str(batch)], check=True)
    config = folder / "zebra.conf"
    config.write_text(f"fpm address {PLACE[0]} port {PLACE[1]}\n")
    command = [
        *("nsenter", f"--net=/run/netns/{namespace}", PROGRAM, "-f", str(config)),
        *("-i", str(folder / "pid"), "-z", str(folder / "zserv"), "--vty_socket", str(folder)),
        *("-M", "dplane_fpm_nl", "-s", "90000000"),
    ]
    processes.start(command, {})


def read(namespace: str, count: int) -> float:
    """Return the seconds that zebra takes to say all to somebody who only reads."""
    with inside(namespace, lambda: socket.create_server(PLACE)) as server:
        server.settimeout(PATIENCE)
        connection, _ = server.accept()
    n, begin = 0, time.perf_counter()
    last = begin
    with connection:
        connection.settimeout(PATIENCE)
        try:
            while data := connection.recv(1 << 20):
                n, last = n + len(data), time.perf_counter()
                if n >= LEAST * count:
                    connection.settimeout(QUIET)
        except TimeoutError:
            return last - begin
    raise RuntimeError(f"zebra went away after {n} bytes")
