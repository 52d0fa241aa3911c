"""A controller that costs little: it writes bytes made before and counts what comes back."""

import select
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from typing import Self

VERSION = 4
HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY, PACKET_IN = 0, 1, 2, 3, 10
MULTIPART_REQUEST, MULTIPART_REPLY, BARRIER_REQUEST, BARRIER_REPLY = 18, 19, 20, 21
FLOW, MORE = 1, 1
CHUNK = 1 << 20
BREAK = 1.0  # seconds between looks at the socket while nothing is exchanged
TIMEOUT = 120.0  # seconds without a byte from the switch after which it counts as dead


def message(kind: int, body: bytes = b"", xid: int = 0) -> bytes:
    """Put a header before a body."""
    return struct.pack("!BBHI", VERSION, kind, 8 + len(body), xid) + body


BARRIER = message(BARRIER_REQUEST)
ANY = struct.pack("!B3xII4xQQHH4x", 0xFF, 0xFFFFFFFF, 0xFFFFFFFF, 0, 0, 1, 4)
ALL_FLOWS = message(MULTIPART_REQUEST, struct.pack("!HH4x", FLOW, 0) + ANY)


class Controller:
    """Waits for one switch and talks to it.

    A switch that waits for its turn may ask whether its controller is still there, whatever it was
    told about that (Open vSwitch does after five seconds): a thread answers.
    """

    def __init__(self) -> None:
        self._turn, self._over = threading.Lock(), threading.Event()
        self._idle = threading.Thread(target=self._answer_between_turns, daemon=True)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._listening.settimeout(30)
        self._rest = b""

    @property
    def port(self) -> int:
        """Where the switch is to connect."""
        return int(self._listening.getsockname()[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        if self._idle.is_alive():
            self._idle.join()
        self._listening.close()
        if hasattr(self, "_socket"):
            self._socket.close()

    def accept(self) -> None:
        """Wait for the switch and greet it."""
        self._socket, _ = self._listening.accept()
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.setblocking(False)
        self.exchange(message(HELLO), lambda found: None if found[1] == HELLO else b"")
        self.write(b"")
        self._idle.start()

    def write(self, data: bytes) -> None:
        """Write 'data' and wait until all of it is in force."""
        self.exchange(data + BARRIER, lambda found: None if found[1] == BARRIER_REPLY else b"")

    def write_in_steps(self, steps: Sequence[bytes]) -> None:
        """Write with a barrier after each step, without waiting for one before the next."""
        left = len(steps)

        def count(found: memoryview) -> bytes | None:
            nonlocal left
            left -= found[1] == BARRIER_REPLY
            return b"" if left else None

        self.exchange(b"".join(step + BARRIER for step in steps), count)

    def dump(self) -> int:
        """Ask for all flows; return how many bytes of them came."""
        size = 0

        def part(found: memoryview) -> bytes | None:
            nonlocal size
            if found[1] != MULTIPART_REPLY:
                return b""
            size += len(found) - 16
            return b"" if found[11] & MORE else None

        self.exchange(ALL_FLOWS, part)
        return size

    def echo(self, packet_out: bytes, window: int, count: int) -> None:
        """Send packets that come back, 'window' of them in the air, until 'count' were back."""
        back = 0

        def again(found: memoryview) -> bytes | None:
            nonlocal back
            if found[1] != PACKET_IN:
                return b""
            back += 1
            if back == count:
                return None
            return packet_out if back <= count - window else b""

        self.exchange(packet_out * window, again)

    def exchange(self, data: bytes, each: Callable[[memoryview], bytes | None]) -> None:
        """Write 'data', and what 'each' makes of every message that comes; None ends it."""
        waiting = memoryview(data)
        with self._turn:
            while True:
                waiting = self._write(waiting)
                answers = [self._answer(found, each) for found in self._read(bool(waiting))]
                if None in answers:
                    return
                if more := b"".join(answer for answer in answers if answer):
                    waiting = memoryview(bytes(waiting) + more)

    def _answer_between_turns(self) -> None:
        """Read what comes while nothing is exchanged, and forget it but for echo requests."""
        while not self._over.wait(BREAK):
            if self._turn.acquire(blocking=False):
                try:
                    while select.select([self._socket], [], [], 0)[0]:
                        for found in self._read(writing=False):
                            self._write(memoryview(self._answer(found, lambda _: b"") or b""))
                except OSError:
                    return  # the next exchange says what is wrong
                finally:
                    self._turn.release()

    def _answer(
        self, found: memoryview, each: Callable[[memoryview], bytes | None]
    ) -> bytes | None:
        if found[1] == ERROR:
            raise RuntimeError(f"the switch answers with an error: {bytes(found).hex()}")
        if found[1] == ECHO_REQUEST:
            return bytes([VERSION, ECHO_REPLY]) + bytes(found[2:])
        return each(found)

    def _write(self, data: memoryview) -> memoryview:
        if data:
            try:
                return data[self._socket.send(data[:CHUNK]) :]
            except BlockingIOError:
                pass
        return data

    def _read(self, writing: bool) -> list[memoryview]:
        """Wait for room or bytes; return the whole messages that have come."""
        wanted = select.POLLIN | (select.POLLOUT if writing else 0)
        poll = select.poll()
        poll.register(self._socket, wanted)
        ready = poll.poll(TIMEOUT * 1000)
        if not ready:
            raise TimeoutError("the switch says nothing")
        if not ready[0][1] & ~select.POLLOUT:
            return []
        data = self._socket.recv(CHUNK)
        if not data:
            raise ConnectionError("the switch has hung up")
        return self._cut(self._rest + data if self._rest else data)

    def _cut(self, data: bytes) -> list[memoryview]:
        view, at, found = memoryview(data), 0, []
        while len(data) - at >= 8:
            size = data[at + 2] << 8 | data[at + 3]
            if size > len(data) - at:
                break
            found.append(view[at : at + size])
            at += size
        self._rest = data[at:]
        return found
