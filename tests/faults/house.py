"""A switch of real processes with a relay before each participant.

Processes outlive a test and are started again when they die, as a supervisor
would; what a test needs in its own event loop is opened by opened().
"""

import asyncio
import itertools
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import zmq

from raicho.control.message import (
    Alert,
    CallError,
    ControlClient,
    Event,
    Get,
    ListRegistry,
    Set,
    Subscriber,
)
from raicho.control.message.datastore import CommitResult, CommitSession, Edit, GetConfig

from .relay import Relay

PARTICIPANTS = ("dataplane", "openflow", "holder")
BRIDGE = "/raicho/bridge[name='br0']"
ELSEWHERE = "/raicho/log/component[name='statesync']/level"  # concerns nobody here
PATIENCE = 180.0  # seconds: the host may have much else to do


class House:
    """The processes, by name; start() and end() may be called from anywhere."""

    def __init__(self, folder: Path, rollback: str = "soft") -> None:
        self.folder = folder
        self.rollback = rollback
        common = ("--run-dir", str(folder))
        data = ("--data", str(folder / "config.db"))
        self._commands = {
            "bus": ("raicho.control.bus", *common),
            "datastore": ("raicho.control.datastore", *common, *data),
        } | {
            name: ("faults.participants", name, rollback, *common, "--identity", name)
            for name in PARTICIPANTS
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def endpoint(self, name: str) -> str:
        """Return the ipc endpoint of a name."""
        return f"ipc://{self.folder}/{name}"

    def start(self) -> None:
        """Start all that does not run."""
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        for name, command in self._commands.items():
            process = self._processes.get(name)
            if process is None or process.poll() is not None:
                self._processes[name] = subprocess.Popen(
                    [sys.executable, "-m", *command], env=environment
                )

    def kill(self, name: str) -> None:
        """Kill -9."""
        self._processes[name].kill()
        self._processes[name].wait()

    def pids(self) -> dict[str, int]:
        """Return who runs as what."""
        return {name: process.pid for name, process in self._processes.items()}

    def end(self) -> None:
        """Kill all."""
        for name in self._processes:
            self.kill(name)


class Open:
    """What a test uses: clients, relays, the alerts so far."""

    def __init__(self, house: House, context: zmq.SyncContext) -> None:
        self.house = house
        self.client = ControlClient(context, house.endpoint("datastore.control"))
        self.direct = {
            name: ControlClient(context, house.endpoint(f"{name}.control")) for name in PARTICIPANTS
        }
        self.relays = {
            name: Relay(
                context, name, house.endpoint(f"{name}.relay"), house.endpoint(f"{name}.control")
            )
            for name in PARTICIPANTS
        }
        self.events: list[Event] = []
        self._subscriber = Subscriber(context, house.endpoint("bus.sub"), [""], self.events.append)

    def close(self) -> None:
        """Close all sockets."""
        ends = (self.client, self._subscriber, *self.direct.values(), *self.relays.values())
        for end in ends:
            end.close()

    async def set(self, leaf: str, value: Any, session: str = "s") -> CommitResult:
        """Set a leaf of the bridge by a transaction."""
        await self.client.call(Edit(session, [Set(f"{BRIDGE}/{leaf}", value)]))
        return await self.client.call(CommitSession(session), PATIENCE)

    async def settled(self) -> dict[str, Any]:
        """Wait until all are there and synchronised; return what everybody holds."""
        async with asyncio.timeout(PATIENCE):
            while not await self._is_settled():
                await asyncio.sleep(0.02)
        held = {name: await self._held(name) for name in PARTICIPANTS}
        return held | {"datastore": (await self.client.call(GetConfig())).data}

    async def hearing(self) -> None:
        """Change something elsewhere until its event comes: from then on none is missed."""
        levels = itertools.cycle(("debug", "info"))
        async with asyncio.timeout(PATIENCE):
            while not self.events:
                await self.client.call(Edit("hearing", [Set(ELSEWHERE, next(levels))]))
                await self.client.call(CommitSession("hearing"), PATIENCE)
                await asyncio.sleep(0.02)

    async def alerted(self, name: str, cause: str) -> None:
        """Wait until an alert of a participant says so."""
        async with asyncio.timeout(PATIENCE):
            while not any(
                event.topic == f"alert.{name}" and cause in event.body.cause
                for event in self.events
                if isinstance(event.body, Alert)
            ):
                await asyncio.sleep(0.02)

    async def _is_settled(self) -> bool:
        with suppress(CallError):
            entries = (await self.client.call(ListRegistry(), 2)).components
            good = {entry.component for entry in entries if entry.alive and entry.synchronised}
            held = [await client.call(Get("/config"), 2) for client in self.direct.values()]
            return good >= {*PARTICIPANTS, "bus"} and all(value.data for value in held)
        return False

    async def _held(self, name: str) -> Any:
        """Return the configuration that a participant was told, and what it made of it."""
        client = self.direct[name]
        held = (await client.call(Get("/config"))).data
        own = {"dataplane": "/bridge", "holder": "/"}.get(name)
        return [held["config"], (await client.call(Get(own))).data if own else None]


@asynccontextmanager
async def opened(house: House, context: zmq.SyncContext) -> AsyncIterator[Open]:
    """Open what a test needs, and start whatever dies meanwhile."""
    it = Open(house, context)
    minder = asyncio.create_task(_mind(house))
    try:
        yield it
    finally:
        minder.cancel()
        it.close()


async def _mind(house: House) -> None:
    while True:
        house.start()
        await asyncio.sleep(0.1)
