"""The processes of raicho without a network of their own: memory ports, a listener on loopback."""

import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

from loopback import HOST, free_port

from bench.peers.raicho import ask
from raicho.control.component import holder
from raicho.control.message import CallError, CommitSession, Edit, Info, Set

from .lab import wait_until
from .switch import MODULES, environment

VERSION = 4
HELLO, ERROR, ECHO_REQUEST, BARRIER_REQUEST, BARRIER_REPLY = 0, 1, 2, 20, 21
MULTIPART_REQUEST, MULTIPART_REPLY, MORE = 18, 19, 1
PATIENCE = 30.0  # seconds for a reply
COMPONENTS = ("bus", "datastore", "dataplane", "openflow")


def message(kind: int, body: bytes = b"", xid: int = 0, version: int = VERSION) -> bytes:
    """Put a header before *body*."""
    return struct.pack("!BBHI", version, kind, 8 + len(body), xid) + body


class Peer:
    """A controller at the other end of a TCP connection; it reads when it is told to."""

    def __init__(self, port: int, hello: bytes = message(HELLO)) -> None:
        self._socket = socket.create_connection((HOST, port), PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""
        self.send(hello)
        assert self.read()[1] == HELLO

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def read(self) -> bytes:
        """Return the next message; an empty one once the switch has hung up."""
        while len(self._rest) < 8 or len(self._rest) < self._size():
            data = self._socket.recv(1 << 18)
            if not data:
                return b""
            self._rest += data
        size = self._size()
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def _size(self) -> int:
        return int.from_bytes(self._rest[2:4], "big")

    def exchange(self, data: bytes) -> list[bytes]:
        """Send, and return all that comes before the reply to a barrier behind it."""
        self.send(data + message(BARRIER_REQUEST, xid=0xFFFFFFFE))
        found = []
        while (each := self.read())[1] != BARRIER_REPLY:
            if each[1] != ECHO_REQUEST:
                found.append(each)
        return found

    def multipart(self, kind: int, body: bytes = b"") -> bytes:
        """Ask for statistics; return the bodies of all parts, or the error."""
        replies = self.exchange(message(MULTIPART_REQUEST, struct.pack("!HH4x", kind, 0) + body))
        if replies[0][1] == ERROR:
            return replies[0]
        return b"".join(reply[16:] for reply in replies if reply[1] == MULTIPART_REPLY)


class Headless:
    """Four components in a folder; `close` ends them whatever happened."""

    def __init__(self, folder: Path) -> None:
        self.run_dir = folder / "run"
        self.run_dir.mkdir()
        self.log = folder / "log"
        self.port = free_port()
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, ports: Iterable[int], **settings: Any) -> None:
        """Start them; make the bridge br0 with memory ports and a listener."""
        for name in COMPONENTS:
            data = ["--data", str(self.run_dir / "config.db")] if name == "datastore" else []
            where = ["--run-dir", str(self.run_dir), *data]
            self._start([sys.executable, "-m", MODULES[name], *where])
        wait_until(lambda: all(map(self._ready, COMPONENTS)), "all components to be ready")
        self.commit(_bridge(ports, self.port, settings))
        wait_until(self._listens, "the bridge to listen")

    def _start(self, command: Sequence[str]) -> None:
        with self.log.open("ab") as log:
            self._processes.append(
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment()
                )
            )

    def commit(self, ops: list[Any]) -> None:
        """Change the configuration."""
        ask(self.run_dir, "datastore", Edit("headless", ops))
        ask(self.run_dir, "datastore", CommitSession("headless"), timeout=20)

    def connect(self, **how: Any) -> Peer:
        """Connect a controller."""
        return Peer(self.port, **how)

    def resident(self, name: str) -> int:
        """Return the bytes of memory of a component."""
        for line in Path(f"/proc/{self.pid(name)}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise RuntimeError(f"{name} says no VmRSS")

    def pid(self, name: str) -> int:
        """Return the PID of a component that runs."""
        pid = holder(self.run_dir, name)
        assert pid is not None, f"{name} does not run:\n{self.log.read_text()}"
        return pid

    def close(self) -> None:
        """End them, the last one first."""
        for process in reversed(self._processes):
            process.terminate()
        end = time.monotonic() + PATIENCE
        for process in self._processes:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.wait()

    def _ready(self, name: str) -> bool:
        try:
            return bool(ask(self.run_dir, name, Info(), timeout=1).state == "ready")
        except CallError:
            return False

    def _listens(self) -> bool:
        try:
            socket.create_connection((HOST, self.port), 1).close()
        except OSError:
            return False
        return True


def _bridge(ports: Iterable[int], port: int, settings: dict[str, Any]) -> list[Set]:
    bridge = "/raicho/bridge[name='br0']"
    ops = [Set(f"{bridge}/listen[name='test']", {"address": HOST, "port": port})]
    ops += [Set(f"{bridge}/{leaf.replace('_', '-')}", value) for leaf, value in settings.items()]
    for number in ports:
        ops.append(Set(f"/raicho/port[name='m{number}']", {"kind": "memory"}))
        ops.append(Set(f"{bridge}/port[name='m{number}']/number", number))
    return ops
