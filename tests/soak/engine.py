"""A switch in this process: a controller's session, bulk operations, a worker's thread, ports."""

import asyncio
import inspect
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from oracle.wire import split

from raicho.control.openflow.answers import Answer
from raicho.control.openflow.session import Session, Shared
from raicho.dataplane.config import read
from raicho.dataplane.openflow import Operations, now_ms
from raicho.dataplane.port import MemoryPort
from raicho.dataplane.switch import Switch

from .stream import MULTIPART, PORTS

HELLO, ERROR, FLOW_REMOVED, PACKET_IN = 0, 1, 11, 10
BARRIER_REQUEST, BARRIER_REPLY, MULTIPART_REPLY = 20, 21, 19


class Engine:
    """What a process of the agent and one of the dataplane do, without the sockets."""

    def __init__(self, max_flows: int) -> None:
        self._switch = Switch(now_ms())
        self._operations = Operations(self._switch)
        self._loop = asyncio.new_event_loop()
        self._session = Session(Shared(), time.monotonic())
        names = {f"m{number}": number for number in PORTS}
        bridge = {
            "name": "soak",
            "max-flows": max_flows,
            "port": [{"name": name, "number": number} for name, number in names.items()],
        }
        ports = [{"name": name, "kind": "memory"} for name in names]
        self._switch.commit(
            self._switch.prepare(read({"raicho": {"port": ports, "bridge": [bridge]}})), now_ms()
        )
        opened = (self._switch.ports.open[name] for name in names)
        self._ports = [port for port in opened if isinstance(port, MemoryPort)]
        self.packets = 0
        self.packet_ins = 0

    def __enter__(self) -> Self:
        self._told(bytes([4, HELLO, 0, 8, 0, 0, 0, 0]))
        return self

    def __exit__(self, *exc: object) -> None:
        self._switch.close()
        self._loop.close()

    def say(self, messages: bytes) -> list[bytes]:
        """Send messages; return what comes back, without packet-ins."""
        found = self._told(messages + bytes([4, BARRIER_REQUEST, 0, 8, 0, 0, 0, 0]))
        assert any(each[1] == BARRIER_REPLY for each in found), "no barrier reply"
        self.packet_ins += sum(each[1] == PACKET_IN for each in found)
        return [each for each in found if each[1] not in (BARRIER_REPLY, PACKET_IN)]

    def multipart(self, kind: int, body: bytes = b"") -> bytes:
        """Ask for statistics; return the bodies of all parts."""
        request = struct.pack("!BBHIHH4x", 4, MULTIPART, 16 + len(body), 0, kind, 0) + body
        found = [each for each in self.say(request) if each[1] == MULTIPART_REPLY]
        return b"".join(each[16:] for each in found)

    def send(self, number: int, frame: bytes) -> None:
        """Let a frame come in by a port; one that has no room is lost."""
        try:
            self._ports[number - 1].put(frame)
        except OSError:
            return
        self.packets += 1

    def drain(self) -> None:
        """Take what the ports have sent."""
        for port in self._ports:
            while port.take() is not None:
                pass

    def totals(self) -> dict[str, int]:
        """Sum what the workers count; drops are one number."""
        totals = self._switch.runners[0].worker.totals()
        return {**totals, "drops": sum(totals["drops"].values())}

    def _told(self, data: bytes) -> list[bytes]:
        self._session.receive(data, time.monotonic())
        bridge = self._switch.bridges["soak"]
        while asks := self._session.asks():
            for ticket, ask in asks:
                done = self._operations.run(ask.op, bridge.name, ask.payload)
                if inspect.isawaitable(done):
                    done = self._loop.run_until_complete(done)
                code, _, frames = done
                self._session.answer(ticket, Answer(code, tuple(frames)))
        self._switch.dataplane.tick(now_ms())
        for kind, messages in bridge.events():
            self._session.push(kind, messages)
        for punted in self._switch.punts(0).values():
            self._session.push("packet_in", b"".join(punted))
        assert self._session.closed is None, self._session.closed
        return list(split(self._session.to_send()))


def entries(data: bytes) -> Iterator[bytes]:
    """Cut a body into entries that begin with their length."""
    while data:
        size = int.from_bytes(data[:2], "big")
        assert 0 < size <= len(data)
        yield data[:size]
        data = data[size:]


def resident() -> int:
    """Return the bytes of memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmRSS")
