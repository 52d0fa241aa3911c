"""A protocol comes from a folder: a leaf, a program, and no line of raicho's is another (G8)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from plugins.toy import TOY, Toy, address
from raicho.control.component import Bootstrap, Component
from raicho.control.datastore.service import Datastore
from raicho.control.message import CallError, CommitSession, ControlClient, Describe, Edit, Set
from raicho.dataplane.service import DataplaneComponent

BR0 = "/raicho/bridge[name='br0']"
HOST = bytes.fromhex("020000000001")
PATIENCE = 60.0


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


class House:
    """A datastore and a dataplane with a bridge of three ports, and whoever joins them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.endpoint = f"ipc://{folder}/datastore.control"
        self.components: list[Component] = []
        self._sessions = 0

    async def start(self) -> None:
        options = {"data": str(self.folder / "config.db")}
        await self._add(
            Datastore(Bootstrap(self.folder, self.endpoint, "datastore", options=options))
        )
        self.client = ControlClient(self.components[0].context, self.endpoint)
        self.dataplane = DataplaneComponent(Bootstrap(self.folder, self.endpoint, "dataplane"))
        await self.join(self.dataplane)
        ports = [{"name": f"p{i}", "kind": "memory"} for i in (1, 2, 3)]
        members = [{"name": f"p{i}", "number": i} for i in (1, 2, 3)]
        await self.commit("/raicho", {"port": ports, "bridge": [{"name": "br0", "port": members}]})

    async def _add(self, component: Component) -> None:
        await component.start()
        self.components.append(component)

    async def join(self, component: Component) -> None:
        await self._add(component)
        await until(lambda: component.state_of_health == "ready")

    async def toy(self) -> None:
        await self.join(Toy(Bootstrap(self.folder, self.endpoint, "toy")))

    async def commit(self, path: str, value: Any) -> None:
        self._sessions += 1
        session = f"s{self._sessions}"
        await self.client.call(Edit(session, [Set(path, value)]))
        await self.client.call(CommitSession(session), PATIENCE)

    async def station(self, port: str, number: int) -> None:
        await self.commit(f"{BR0}/port[name='{port}']/toy-station", number)

    def put(self, station: int) -> None:
        frame = address(station) + HOST + TOY.to_bytes(2) + bytes(50)
        self.dataplane.switch.ports.open["p1"].put(frame)

    def take(self, port: str) -> bytes | None:
        return self.dataplane.switch.ports.open[port].take()

    async def takes(self, port: str) -> bytes:
        found: list[bytes] = []
        await until(lambda: (frame := self.take(port)) and not found.append(frame))
        return found[0]

    async def close(self) -> None:
        self.client.close()
        for component in reversed(self.components):
            await component.stop()


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    home = House(folder)
    await home.start()
    try:
        yield home
    finally:
        await home.close()


async def test_a_protocol_comes_with_its_folder(tmp_path: Path) -> None:
    """G8: its leaf is checked and described as any other, and its program forwards."""
    async with house(tmp_path) as home:
        with pytest.raises(CallError, match="toy-station"):
            await home.station("p2", 7)
        await home.toy()
        await home.station("p2", 7)
        home.put(7)
        frame = await home.takes("p2")
        assert frame[:14] == address(7) + address(0xFF) + TOY.to_bytes(2)
        row = await home.client.call(Describe(f"{BR0}/port/toy-station"))
        assert row.node["module"] == "toy"
        with pytest.raises(CallError, match="255"):
            await home.station("p3", 255)


async def test_what_only_the_protocol_can_know_is_refused_by_it(tmp_path: Path) -> None:
    async with house(tmp_path) as home:
        await home.toy()
        await home.station("p2", 7)
        with pytest.raises(CallError, match="station 7 is there twice") as refused:
            await home.station("p3", 7)
        assert refused.value.failure.participant == "toy"
        home.put(7)
        await home.takes("p2")
        assert home.take("p3") is None


async def test_stations_move_at_run_time(tmp_path: Path) -> None:
    """G8, P6: entries share one template; what changes, changes for all packets at once."""
    async with house(tmp_path) as home:
        await home.toy()
        await home.station("p2", 7)
        await home.station("p3", 8)
        [bridge] = home.dataplane.switch.bridges.values()
        assert bridge.n_flows == 2
        for station, port in ((7, "p2"), (8, "p3")):
            home.put(station)
            await home.takes(port)
        await home.station("p2", 9)
        home.put(9)
        await home.takes("p2")
        assert bridge.n_flows == 2
