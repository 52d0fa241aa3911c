"""A connection of TCP that goes on beside a test, and whether all of it arrives in order.

`python -m system.streaming receive ADDRESS` prints "listening", and at the end how many lines came
and whether each was the one after the last. `python -m system.streaming send ADDRESS FILE` sends
numbered lines, fifty in a second, until FILE is there.
"""

import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from .lab import Lab, Namespace, wait_until
from .switch import environment

PORT, EVERY = 9100, 0.02
PATIENCE = 120  # seconds until a connection on which nothing goes on is given up


def receive(address: str) -> None:
    """Take one connection and check its lines."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, PORT), family=family) as server:
        print("listening", flush=True)
        connection, _ = server.accept()
    connection.settimeout(PATIENCE)
    count = 0
    for line in connection.makefile():
        if int(line) != count:
            sys.exit(f"{line.strip()} came, not {count}")
        count += 1
        if count == 1:
            print("receiving", flush=True)
    print(f"received {count}", flush=True)


def send(address: str, end: str) -> None:
    """Send until told to stop."""
    count = 0
    with socket.create_connection((address, PORT), PATIENCE) as connection:
        while not Path(end).exists():
            connection.sendall(f"{count}\n".encode())
            count += 1
            time.sleep(EVERY)
    print(f"sent {count}", flush=True)


class Streaming:
    """Send to *address* on the host *to* until the block is left; then all has arrived."""

    def __init__(self, lab: Lab, folder: Path, sender: Namespace, to: Namespace, address: str):
        self._lab, self._sender, self._to, self._address = lab, sender, to, address
        name = address.replace(":", "-")
        self._logs = [folder / f"{way}-{name}" for way in ("receive", "send")]
        self._end = folder / f"end-{name}"

    def _start(self, way: int, *argv: str) -> None:
        command = [sys.executable, "-m", "system.streaming", *argv]
        inside = (self._to, self._sender)[way]
        self._logs[way].unlink(missing_ok=True)
        self._processes.append(self._lab.start(command, self._logs[way], inside, environment()))

    def _said(self, way: int) -> str:
        return self._logs[way].read_text()

    def __enter__(self) -> Self:
        self._end.unlink(missing_ok=True)
        self._processes: list[subprocess.Popen[bytes]] = []
        self._start(0, "receive", self._address)
        wait_until(lambda: "listening" in self._said(0), f"a listener at {self._address}")
        self._start(1, "send", self._address, str(self._end))
        wait_until(lambda: "receiving" in self._said(0), f"a stream to {self._address}")
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        self._end.touch()
        if kind is None:
            codes = [process.wait(PATIENCE) for process in reversed(self._processes)]
            received, sent = (self._said(way).split()[-1:] for way in (0, 1))
            assert codes == [0, 0], (self._said(0), self._said(1))
            assert received == sent


if __name__ == "__main__":
    way, *arguments = sys.argv[1:]
    send(*arguments) if way == "send" else receive(*arguments)
