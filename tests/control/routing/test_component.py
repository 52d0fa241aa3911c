"""The component beside datastore and dataplane, as processes, and FRRouting in a namespace."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import zmq
from system.conftest import short_folder
from system.frr import Frr
from system.lab import Lab
from system.needs import needs

from raicho.control.component import holder
from raicho.control.message import (
    CallError,
    CommitSession,
    ControlClient,
    Edit,
    Event,
    Get,
    Ping,
    Set,
    Subscriber,
)

pytestmark = needs("ip", "vtysh", "bgpd")

ROUTER = "/raicho/router[name='r']"
STATIC = "198.51.100.0/24"


class House:
    """The processes, a client of each, and zebra beside them."""

    def __init__(self, context: zmq.SyncContext, processes: Any, lab: Lab, folder: Path) -> None:
        self.context, self.processes, self.lab, self.folder = context, processes, lab, folder
        self.run_dir = processes.run_dir
        self.inside = lab.namespace("os", ipv6=True)
        self.clients = {
            name: ControlClient(context, f"ipc://{self.run_dir}/{name}.control")
            for name in ("datastore", "dataplane", "routing")
        }

    async def start(self) -> None:
        self.processes.start("raicho.control.bus")
        data = self.run_dir / "config.db"
        self.processes.start("raicho.control.datastore", "--data", data)
        self.processes.start("raicho.dataplane")
        self.processes.start("raicho.control.routing")
        for client in self.clients.values():
            await client.call(Ping(), 60)
        await self.commit(
            Set("/raicho/port[name='p1']", {"kind": "null"}),
            Set(f"{ROUTER}/host-namespace", self.inside.name),
            Set(f"{ROUTER}/routing/stale-time", 2),
            Set(f"{ROUTER}/interface[name='if1']", {"port": "p1", "host": True}),
            Set(f"{ROUTER}/interface[name='if1']/address", ["10.0.1.1/24"]),
        )

    async def commit(self, *ops: Set) -> None:
        await self.clients["datastore"].call(Edit("test", list(ops)), 20)
        await self.clients["datastore"].call(CommitSession("test"), 20)

    def cli(self, *words: str) -> Any:
        """Run a command, and return what it writes as JSON."""
        done = subprocess.run(
            [sys.executable, "-m", "raicho.control.cli", *words, "--json"],
            env=self.processes.environment(RAICHO_RUN_DIR=str(self.run_dir)),
            capture_output=True,
            text=True,
            timeout=60,
        )
        return json.loads(done.stdout or done.stderr)

    def kill(self, name: str) -> None:
        pid = holder(self.run_dir, name)
        assert pid
        os.kill(pid, signal.SIGKILL)

    def routes(self) -> dict[str, list[str]]:
        """Return where routes lead, by prefix and source."""
        found = self.cli("show", "routes", "r")
        if not isinstance(found, list):
            return {}  # the dataplane is not there yet
        return {f"{row['prefix']} {row['source']}": row["via"] for row in found}

    async def state(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.clients["routing"].call(Get(ROUTER))).data
        return found


@asynccontextmanager
async def house(context: zmq.SyncContext, processes: Any) -> AsyncIterator[House]:
    with short_folder() as folder, Lab() as lab:
        os.chmod(folder, 0o755)
        house = House(context, processes, lab, folder)
        await house.start()
        yield house
        for client in house.clients.values():
            client.close()


async def until(condition: Callable[[], Any], what: str) -> None:
    try:
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(condition):
                await asyncio.sleep(0.2)
    except TimeoutError:
        raise AssertionError(what) from None


async def test_a_daemon_decides_and_any_of_us_may_die(
    context: zmq.SyncContext, processes: Any
) -> None:
    """K18, F10, P8, Q16 to Q19: FRRouting, the component, the dataplane, the command line."""
    async with house(context, processes) as h:
        alerts: list[Event] = []
        subscriber = Subscriber(context, f"ipc://{h.run_dir}/bus.sub", ["alert."], alerts.append)
        frr = Frr(h.lab, h.inside, h.folder / "frr")
        frr.start("zebra", "fpm address 127.0.0.1 port 2620")
        frr.start("staticd", f"ip route {STATIC} 10.0.1.2")
        by_static = {f"{STATIC} fpm": ["10.0.1.2 dev if1"]}
        await until(lambda: by_static.items() <= h.routes().items(), "the route of staticd")
        rows = h.cli("show", "next-hops", "r")
        assert {"fpm", "kernel"} <= {row["source"] for row in rows}
        (row,) = h.cli("show", "routing")
        assert (row["name"], row["zebra"]) in [("r", "resending"), ("r", "present")]

        h.kill("routing")
        assert by_static.items() <= h.routes().items()
        h.processes.start("raicho.control.routing")
        h.inside.ip("route", "add", "203.0.113.0/24", "via", "10.0.1.3")
        by_hand = {"203.0.113.0/24 kernel": ["10.0.1.3 dev if1"]}
        wanted = by_static | by_hand
        await until(lambda: wanted.items() <= h.routes().items(), "a route of the kernel")

        h.kill("dataplane")
        h.processes.start("raicho.dataplane")
        with suppress(CallError):
            await h.clients["dataplane"].call(Ping(), 60)
        await until(lambda: "10.0.1.0/24 connected" in h.routes(), "the dataplane")
        # The tap has gone with the dataplane, and the kernel's route with it; zebra's comes back.
        await until(lambda: by_static.items() <= h.routes().items(), "the route of staticd again")

        h.kill("datastore")
        made = h.cli(
            "route", "add", "r", "192.0.2.0/24", "--via", "10.0.1.9@if1*2", "--via", "@if1"
        )
        assert made == {"router": "r", "prefix": "192.0.2.0/24"}
        assert h.routes()["192.0.2.0/24 operator"] == ["10.0.1.9 dev if1 weight 2", "dev if1"]
        h.cli("route", "remove", "r", "192.0.2.0/24")
        assert "192.0.2.0/24 operator" not in h.routes()
        error = h.cli("route", "remove", "r", "192.0.2.0/24")["error"]
        assert error["reason"] == "route 192.0.2.0/24: there is no such entry"

        frr.kill("zebra")
        await until(lambda: any("zebra has gone" in str(a.body) for a in alerts), "an alert")
        assert {alert.topic for alert in alerts} == {"alert.routing"}
        subscriber.close()
