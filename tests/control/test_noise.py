"""Noise at every endpoint of a running switch ends no process (C14)."""

import asyncio
import random
import stat
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import zmq
from faults.noise import noise

from raicho.control.message import CallError, ControlClient, Info, Information, Stats
from raicho.control.message.drain import open_socket
from raicho.control.supervisor.services import SERVICES

KINDS = {  # of the sockets that send noise, by the end of the endpoint's name
    ".control": (zmq.DEALER,),
    ".bulk": (zmq.DEALER,),
    "bus.pub": (zmq.PUB, zmq.XPUB),
    "bus.sub": (zmq.XSUB, zmq.SUB),
}
PACE = 500  # messages between questions whether all is well


class Running:
    """A switch, and clients of all its components."""

    def __init__(self, context: zmq.SyncContext, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.flooded: set[str] = set()
        self.clients: dict[str, ControlClient] = {}
        self._context = context
        for service in SERVICES:
            self.add(service.identity)

    def add(self, name: str) -> None:
        """Know one more component."""
        self.clients[name] = ControlClient(self._context, f"ipc://{self.run_dir}/{name}.control")

    async def who(self) -> dict[str, tuple[int, str]]:
        """Return PID and instance of each component, when all are ready."""
        async with asyncio.timeout(60):
            while True:
                with suppress(CallError):
                    found = [await client.call(Info(), 10) for client in self.clients.values()]
                    if all(info.state == "ready" for info in found):
                        return {info.component: (info.pid, info.instance) for info in found}
                await asyncio.sleep(0.1)

    def endpoints(self) -> Iterator[Path]:
        """Yield every socket in the run directory that was not flooded yet."""
        for path in sorted(self.run_dir.iterdir()):
            if stat.S_ISSOCK(path.stat().st_mode) and path.name not in self.flooded:
                yield path

    def close(self) -> None:
        for client in self.clients.values():
            client.close()


@pytest.mark.parametrize(
    "messages", [5_000, pytest.param(1_000_000, marks=pytest.mark.soak)], ids=str
)
async def test_noise_at_any_endpoint_ends_no_process(
    context: zmq.SyncContext, processes: Any, messages: int
) -> None:
    for service in SERVICES:  # without a supervisor, which would end what is slow
        arguments = (
            argument.format(data=processes.run_dir / "db") for argument in service.arguments
        )
        processes.start(service.module, *arguments)
    running = Running(context, processes.run_dir)
    await running.who()
    await flood_all(context, running, messages)
    processes.start("raicho.control.supervisor", "--data", processes.run_dir / "db")
    running.add("supervisor")
    await running.who()
    await flood_all(context, running, messages)
    running.close()


async def flood_all(context: zmq.SyncContext, running: Running, messages: int) -> None:
    """Flood every endpoint that was not flooded yet; all must be as before."""
    before = await running.who()
    for path in running.endpoints():
        kinds = next(kinds for end, kinds in KINDS.items() if path.name.endswith(end))
        for kind in kinds:
            began = time.monotonic()
            await flood(context, running, path, kind, messages // len(kinds))
            rate = messages / len(kinds) / (time.monotonic() - began)
            print(f"{path.name}: {messages // len(kinds)} messages, {rate:.0f} a second")
        running.flooded.add(path.name)
        assert await running.who() == before
    assert running.flooded >= {f"{name}.control" for name in before}
    assert running.flooded >= {"dataplane.bulk", "bus.pub", "bus.sub"}
    for name, client in running.clients.items():
        counters = (await client.call(Stats(["control"]), 10)).data["control"]
        print(f"{name}: {counters}")
        assert counters["malformed"] > messages / 4


async def flood(
    context: zmq.SyncContext, running: Running, path: Path, kind: int, messages: int
) -> None:
    """Send noise and read no answer, as quickly as the owner of the endpoint can take it."""
    rng = random.Random(kind)
    owner = running.clients[path.name.partition(".")[0]]
    socket = open_socket(context, kind, SNDHWM=0)
    socket.connect(f"ipc://{path}")
    for number in range(1, messages + 1):
        if kind == zmq.SUB:
            prefix = rng.randbytes(rng.randrange(40))
            socket.subscribe(prefix)
            socket.unsubscribe(prefix)
        else:
            socket.send_multipart(noise(rng), zmq.NOBLOCK)
        if number % PACE == 0 or number == messages:
            await asyncio.sleep(0.02)  # for what is on its way
            assert isinstance(await owner.call(Info(), 60), Information)
    socket.close()
