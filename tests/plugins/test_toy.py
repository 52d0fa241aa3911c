"""A protocol comes from a folder: a leaf, a program, and no line of raicho's is another (G8)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from plugins.compiling import compiled
from plugins.toy import TOY, Toy, address
from raicho.control.component import Bootstrap, Component
from raicho.control.datastore.service import Datastore
from raicho.control.message import (
    CallError,
    CommitSession,
    ControlClient,
    Delete,
    Describe,
    Edit,
    Set,
)
from raicho.dataplane import state
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
        await self.load(compiled(self.folder))

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

    async def load(self, file: Path) -> None:
        await self.commit("/raicho/plugin[name='toy']/file", str(file))

    async def station(self, port: str, number: int) -> None:
        await self.commit(f"{BR0}/port[name='{port}']/toy-station", number)

    def put(self, station: int, passed: int = 0) -> None:
        frame = address(station) + HOST + TOY.to_bytes(2) + bytes([passed]) + bytes(49)
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
        assert frame[:15] == address(7) + address(0xFF) + TOY.to_bytes(2) + b"\1"
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


async def test_an_instruction_comes_with_the_folder(tmp_path: Path) -> None:
    """G8: compiled code that the dataplane loads, by its configuration, sees each frame."""
    async with house(tmp_path) as home:
        await home.toy()
        await home.station("p2", 7)
        for passed in (3, 15, 14):
            home.put(7, passed)
        assert (await home.takes("p2"))[14] == 4
        assert (await home.takes("p2"))[14] == 15
        [worker] = home.dataplane.switch.runners.values()
        await until(lambda: worker.worker.totals()["drops"]["plugin"] == 1)
        [row] = state.read(home.dataplane.switch, "/plugin")
        assert row["instruction"] == [{"name": "toy_count", "subtype": 0x8079, "args-size": 1}]


async def test_what_no_dataplane_would_load_is_refused(tmp_path: Path) -> None:
    """G8, F15: before anything has changed, and it says what is wrong."""
    async with house(tmp_path) as home:
        writable, text = compiled(tmp_path, "writable.so", SUBTYPE="0x8001"), tmp_path / "text.so"
        writable.chmod(0o777)
        text.write_text("no object")
        for file, reason in (
            (tmp_path / "away.so", "No such file"),
            (tmp_path, "not a file"),
            (text, "no shared object"),
            (writable, "others may write to it"),
            (compiled(tmp_path, "bare.so", SYMBOL="other"), "no symbol raicho_plugin"),
            (compiled(tmp_path, "old.so", ABI="7"), "made for version 7"),
            (compiled(tmp_path, "low.so", SUBTYPE="2"), "begin at 0x8000"),
            (compiled(tmp_path, "twin.so"), "which toy_count has already"),
        ):
            with pytest.raises(CallError, match=reason) as refused:
                await home.commit("/raicho/plugin[name='other']/file", str(file))
            assert refused.value.failure.participant == "dataplane"
            assert [row["name"] for row in state.read(home.dataplane.switch, "/plugin")] == ["toy"]


async def test_what_is_loaded_stays(tmp_path: Path) -> None:
    """Entries point to it: out of the configuration is not out of the process."""
    async with house(tmp_path) as home:
        await home.toy()
        await home.station("p2", 7)
        await home.client.call(Edit("gone", [Delete("/raicho/plugin")]))
        await home.client.call(CommitSession("gone"), PATIENCE)
        assert state.read(home.dataplane.switch, "/plugin") == []
        home.put(7)
        assert (await home.takes("p2"))[14] == 1
