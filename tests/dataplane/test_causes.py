"""A double of a routing OS: it hears on the bus of what happens in the dataplane (C7).

How long each took is printed, as it depends on what else the machine does.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from raicho.control.bus.bus import Bus
from raicho.control.component import Bootstrap
from raicho.control.message import Event, Message, Subscriber
from raicho.control.message.causes import LinkMoved, Missed, TableFull
from raicho.control.openflow.spec import pack
from raicho.control.openflow.spec.match import match
from raicho.control.openflow.spec.messages import FlowMod
from raicho.dataplane.escalations import EVENT_RATE
from raicho.dataplane.openflow import now_ms

from .test_escalation import packet, put, tree
from .test_service import FRAME, House, house, until

BRIDGE = {
    "name": "br0",
    "pipeline": "bridge",
    "max-flows": 1,
    "port": [{"name": "p3", "number": 1, "max-macs": 1}],
}


def whole_tree(device: str = "") -> dict[str, Any]:
    """Add a bridge that takes one address and one flow, and if wanted an interface on a device."""
    found = tree()
    found["raicho"]["port"].append({"name": "p3", "kind": "memory"})
    found["raicho"]["bridge"] = [BRIDGE]
    if device:
        found["raicho"]["port"].append({"name": "p4", "kind": "af_packet", "device": device})
        row = {"name": "if4", "port": "p4", "address": ["10.0.4.1/24"]}
        found["raicho"]["router"][0]["interface"].append(row)
    return found


class RoutingOs:
    """Subscribes to `escalate.` at the bus."""

    def __init__(self, bus: Bus) -> None:
        self.heard: list[Event] = []
        self._from = Subscriber(
            bus.context, bus.bootstrap.endpoint("bus.sub"), ["escalate."], self.heard.append
        )

    def of(self, kind: str) -> list[Event]:
        return [each for each in self.heard if each.topic == f"escalate.{kind}"]

    async def hears(self, kind: str, cause: Callable[[], Any]) -> Message:
        """Return the next event of a kind after its cause."""
        before, began = len(self.of(kind)), time.monotonic()
        cause()
        await until(lambda: len(self.of(kind)) > before)
        print(f"escalate.{kind}: {(time.monotonic() - began) * 1000:.1f} ms")
        body = self.of(kind)[before].body
        assert isinstance(body, Message)
        return body

    def close(self) -> None:
        self._from.close()


@asynccontextmanager
async def listened(folder: Path, device: str = "") -> AsyncIterator[tuple[House, RoutingOs]]:
    """Run a bus and a dataplane, until the routing OS hears of it."""
    bus = Bus(Bootstrap(folder / "run", f"ipc://{folder}/run/datastore.control", "bus"))
    await bus.start()
    os = RoutingOs(bus)
    try:
        async with house(folder, lambda: whole_tree(device)) as home:
            await home.configure()
            while not os.heard:  # the subscription is on its way
                put(home, packet("203.0.113.1"))
                await asyncio.sleep(0.1)
            yield home, os
    finally:
        os.close()
        await bus.stop()


async def test_packets_that_cannot_go_on(tmp_path: Path) -> None:
    async with listened(tmp_path) as (home, os):
        where, source = ("r", "if1", "p1", 0), "10.0.1.9"
        missed = await os.hears("route-miss", lambda: put(home, packet("203.0.113.7")))
        assert missed == Missed(*where, source, "203.0.113.7", 0)
        missed = await os.hears("neighbour-miss", lambda: put(home, packet("10.0.2.9")))
        assert missed == Missed(*where, source, "10.0.2.9", 0)
        missed = await os.hears("ttl-expired", lambda: put(home, packet("10.0.2.9", ttl=1)))
        assert missed == Missed(*where, source, "10.0.2.9", 0)


async def test_a_flood_is_told_of_a_few_times(tmp_path: Path) -> None:
    """Of what is above the rate each event says how much it was."""
    async with listened(tmp_path) as (home, os):
        began = time.monotonic()
        for _ in range(500):
            put(home, packet("203.0.113.7"))
        dropped = await until_told(home)
        count, seconds = len(os.of("route-miss")), time.monotonic() - began
        assert count <= EVENT_RATE * (seconds + 2)
        await asyncio.sleep(2 / EVENT_RATE)
        missed = await os.hears("route-miss", lambda: put(home, packet("203.0.113.8")))
        assert isinstance(missed, Missed)
        assert missed.dropped >= dropped > 0


async def until_told(home: House) -> int:
    """Wait until the subscription for events has seen all 500; return how many it dropped."""
    async with asyncio.timeout(20):
        while True:
            rows = (await home.get("/router[name='r']"))["subscription"]
            [row] = [row for row in rows if row["reasons"] == ["no-route"]]
            if row["sent"] + row["dropped"] >= 500:
                return int(row["dropped"])
            await asyncio.sleep(0.01)


async def test_tables_that_are_full(tmp_path: Path) -> None:
    async with listened(tmp_path) as (home, os):
        bridge = home.component.switch.bridges["br0"]

        def two_addresses() -> None:
            for last in (1, 2):
                home.port("p3").put(FRAME[:11] + bytes([last]) + FRAME[12:])

        def two_flows() -> None:
            for number in (1, 2):
                bridge.apply(pack(FlowMod(match=match(in_port=number))), now_ms())

        assert await os.hears("table-full", two_addresses) == TableFull("mac", "br0", 1)
        assert await os.hears("table-full", two_flows) == TableFull("flow", "br0", 1)


async def test_a_link(tmp_path: Path, namespace: Any) -> None:
    namespace("link", "add", "eth1", "type", "veth", "peer", "name", "far1")
    for name in ("eth1", "far1"):
        namespace("link", "set", name, "up")
    async with listened(tmp_path, "eth1") as (_, os):
        await until(lambda: all(each.body.up for each in os.of("link")[-1:]))
        moved = await os.hears("link", lambda: namespace("link", "set", "far1", "down"))
        assert moved == LinkMoved("r", "if4", "p4", False)
        moved = await os.hears("link", lambda: namespace("link", "set", "far1", "up"))
        assert moved == LinkMoved("r", "if4", "p4", True)
