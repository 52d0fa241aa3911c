"""The component: what goes through its sockets, with a real client at the other end."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
import zmq

from raicho.control.component import Bootstrap
from raicho.control.message import (
    Abort,
    BulkClient,
    BulkEvent,
    BulkReply,
    BulkRequest,
    CallError,
    Code,
    Commit,
    ControlClient,
    Get,
    Ping,
    Prepare,
    Stats,
)
from raicho.control.message.codes import code_of
from raicho.control.message.drain import open_socket
from raicho.control.openflow.spec import Message, pack, unpack
from raicho.control.openflow.spec.actions import Output
from raicho.control.openflow.spec.instructions import ApplyActions
from raicho.control.openflow.spec.messages import FlowMod, PortMod
from raicho.control.openflow.spec.ports import PortNo
from raicho.dataplane.datapath import DONE
from raicho.dataplane.operation import BAD_LEN, BAD_TYPE, Full, NoSuch, Refused, TimedOut
from raicho.dataplane.service import DataplaneComponent

FRAME = bytes.fromhex("0200000000020200000000010800") + bytes(50)
TO_CONTROLLER = FlowMod(instructions=(ApplyActions((Output(PortNo.CONTROLLER),)),))
NUMBERS = {"p1": 1, "p2": 2}
BOTH = {"p1": "memory", "p2": "memory"}


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.005)


class House:
    """A dataplane that runs in this process, and clients of both its endpoints."""

    def __init__(self, component: DataplaneComponent, make_tree: Any) -> None:
        self.component = component
        self.tree = make_tree
        self.control = ControlClient(component.context, component.endpoint)
        self.events: list[tuple[BulkEvent, Any]] = []
        self.bulk = self.client()
        self._n = 0

    def client(self) -> BulkClient:
        return BulkClient(self.component.context, self.component.bulk_endpoint, on_event=self._hear)

    def _hear(self, event: BulkEvent, frames: list[bytes]) -> None:
        data = b"".join(frames)
        while data:
            size = int.from_bytes(data[2:4], "big")
            self.events.append((event, unpack(data[:size])[0]))
            data = data[size:]

    async def hears(self, count: int) -> None:
        await until(lambda: len(self.events) == count)

    def kinds(self) -> list[str]:
        return [event.kind for event, _ in self.events]

    async def prepare(self, *args: Any, txid: str = "", **bridges: Any) -> str:
        self._n += 1
        txid = txid or f"tx{self._n}"
        await self.control.call(Prepare(txid, self._n, [], self.tree(*args, **bridges)))
        return txid

    async def configure(self, *args: Any, **bridges: Any) -> None:
        await self.control.call(Commit(await self.prepare(*args, **bridges)))

    async def ask(self, op: str, payload: bytes = b"", bridge: str = "br0") -> tuple[int, Any]:
        reply, frames = await self.bulk.request(BulkRequest(op, bridge), payload)
        return reply.code, frames

    async def apply(self, *messages: Message) -> list[int]:
        code, [results] = await self.ask("apply", b"".join(map(pack, messages)))
        assert code == DONE
        return memoryview(results).cast("I").tolist()

    async def get(self, path: str) -> Any:
        return (await self.control.call(Get(path))).data

    async def stats(self) -> Any:
        return (await self.control.call(Stats([]))).data

    def port(self, name: str) -> Any:
        return self.component.switch.ports.open[name]


@asynccontextmanager
async def house(folder: Path, make_tree: Any) -> AsyncIterator[House]:
    """Run a dataplane without a datastore."""
    component = DataplaneComponent(
        Bootstrap(folder / "run", f"ipc://{folder}/run/datastore.control", "dataplane")
    )
    await component.start()
    try:
        house = House(component, make_tree)
        yield house
        house.bulk.close()
        house.control.close()
    finally:
        await component.stop()


async def test_it_runs_and_answers_while_the_datastore_is_away(
    tmp_path: Path, make_tree: Any
) -> None:
    async with house(tmp_path, make_tree) as h:
        await h.control.call(Ping())
        assert h.component.state_of_health == "degraded"
        await h.configure(BOTH, br0=NUMBERS)
        await h.apply(FlowMod(instructions=(ApplyActions((Output(2),)),)))
        h.port("p1").put(FRAME)
        await until(lambda: h.port("p2").counters()["tx_packets"])


@pytest.mark.parametrize("ends", [Abort, Commit])
async def test_a_flow_is_added_at_once_while_a_transaction_is_open(
    tmp_path: Path, make_tree: Any, ends: type[Abort | Commit]
) -> None:
    """F2, F12: and stays, however that ends. Nobody coordinates: there is no datastore here."""
    async with house(tmp_path, make_tree) as h:
        await h.configure(BOTH, br0=NUMBERS)
        bridge = h.component.switch.bridges["br0"]
        txid = await h.prepare(BOTH, br0=NUMBERS | {"max-flows": 2})
        assert await h.apply(FlowMod(instructions=(ApplyActions((Output(2),)),))) == [DONE]
        h.port("p1").put(FRAME)
        await until(lambda: h.port("p2").counters()["tx_packets"])
        assert bridge.max_flows == 0
        await h.control.call(ends(txid))
        assert (bridge.max_flows, bridge.n_flows) == (2 if ends is Commit else 0, 1)


async def test_packets_for_controllers_reach_whoever_is_attached(
    tmp_path: Path, make_tree: Any
) -> None:
    async with house(tmp_path, make_tree) as h:
        await h.configure(BOTH, br0=NUMBERS)
        await h.apply(TO_CONTROLLER)
        h.port("p1").put(FRAME)
        await until(lambda: h.component._counters["packet_in_unheard"])
        await h.ask("attach")
        for _ in range(1000):
            h.port("p2").put(FRAME)
            await asyncio.sleep(0)
        await h.hears(1000)
        event, message = h.events[0]
        assert (event.kind, event.bridge) == ("packet_in", "br0")
        assert message.data == FRAME
        assert message.match[0].value == 2
        await h.ask("detach")
        h.port("p1").put(FRAME)
        await until(lambda: h.component._counters["packet_in_unheard"] == 2)
        assert len(h.events) == 1000


async def test_a_listener_that_went_away_is_forgotten(tmp_path: Path, make_tree: Any) -> None:
    """The other one still hears everything."""
    async with house(tmp_path, make_tree) as h:
        await h.configure(BOTH, br0=NUMBERS)
        await h.apply(TO_CONTROLLER)
        other = h.client()
        await other.request(BulkRequest("attach", "br0"))
        await h.ask("attach")
        other.close()
        heard = 0
        async with asyncio.timeout(20):
            while len(h.component._attached["br0"]) > 1:
                h.port("p1").put(FRAME)
                heard += 1
                await h.hears(heard)
        await h.ask("barrier")


async def test_a_flow_that_times_out_is_told(tmp_path: Path, make_tree: Any) -> None:
    async with house(tmp_path, make_tree) as h:
        await h.configure(BOTH, br0=NUMBERS)
        await h.ask("attach")
        assert await h.apply(FlowMod(idle_timeout=1, flags=1, cookie=7)) == [DONE]
        await until(lambda: "flow_removed" in h.kinds())
        [removed] = [message for event, message in h.events if event.kind == "flow_removed"]
        assert (removed.cookie, removed.reason) == (7, 0)
        assert (await h.get("/bridge[name='br0']"))["flows"] == 0


async def test_a_port_that_comes_goes_or_changes_is_told(tmp_path: Path, make_tree: Any) -> None:
    async with house(tmp_path, make_tree) as h:
        await h.configure(BOTH, br0={"p1": 1})
        await h.ask("attach")
        await h.configure(BOTH, br0=NUMBERS)
        await h.hears(1)
        down = PortMod(port_no=2, hw_addr=h.events[0][1].desc.hw_addr, config=1, mask=1)
        assert await h.apply(down) == [DONE]
        await until(lambda: h.events[-1][1].desc.state == 1)
        await h.configure(BOTH, br0={"p2": 2})
        await until(lambda: h.events[-1][1].reason == 1)
        told = [(message.reason, message.desc.port_no) for _, message in h.events]
        assert told == [(0, 2), (2, 2), (2, 2), (1, 1)]
        assert set(h.kinds()) == {"port_status"}


async def test_an_interface_that_changes_is_told_on_the_bus_too(
    tmp_path: Path, make_tree: Any, namespace: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C8."""
    namespace("link", "add", "eth1", "type", "veth", "peer", "name", "far1")
    for name in ("eth1", "far1"):
        namespace("link", "set", name, "up")
    async with house(tmp_path, make_tree) as h:
        published: list[tuple[str, Any]] = []
        double = SimpleNamespace(publish=lambda *event: published.append(event))
        double.close = h.component.publisher.close
        monkeypatch.setattr(h.component, "publisher", double)
        await h.configure({"p1": {"kind": "af_packet", "device": "eth1"}}, br0={"p1": 1})
        await h.ask("attach")
        await asyncio.sleep(0.2)
        published.clear()
        h.events.clear()
        namespace("link", "set", "eth1", "down")
        await until(lambda: h.events and published)
        [(event, status)] = h.events
        assert (event.kind, status.desc.state) == ("port_status", 1)
        [(topic, body)] = published
        assert topic == "port.link"
        assert (body["port"], body["old"], body["new"]) == ("p1", True, False)
        namespace("link", "del", "eth1")
        await until(lambda: h.events[-1][1].reason == 1)
        row = await h.get("/raicho/port[name='p1']")
        assert (row["up"], row["trouble"]) == (False, 'no interface "eth1"')


@pytest.mark.parametrize("txid", ["sync-1", "tx1-undo"])
async def test_what_was_in_force_comes_back_also_without_an_interface(
    tmp_path: Path, make_tree: Any, txid: str
) -> None:
    async with house(tmp_path, make_tree) as h:
        ports = {"p1": {"kind": "af_packet", "device": "absent0"}, "p2": "null"}
        with pytest.raises(CallError) as refused:
            await h.prepare(ports, br0=NUMBERS)
        failure = refused.value.failure
        assert failure.path == "/raicho/port[name='p1']/device"
        assert failure.participant == "dataplane"
        await h.control.call(Commit(await h.prepare(ports, txid=txid, br0=NUMBERS)))
        rows = (await h.get("/bridge[name='br0']"))["port"]
        assert [row["attached"] for row in rows] == [False, True]


async def test_a_transaction_that_is_aborted_leaves_no_trace(
    tmp_path: Path, make_tree: Any
) -> None:
    """T5."""
    async with house(tmp_path, make_tree) as h:
        await h.configure(BOTH, br0=NUMBERS)

        async def seen() -> Any:
            found = await h.get("/")
            for worker in found["worker"]:
                del worker["profile"]  # it sleeps and wakes as it likes
            return found

        before = await seen()
        txid = await h.prepare({"p3": "null"}, workers=({"id": 1},), br1={"p3": 1})
        await h.control.call(Abort(txid))
        assert await seen() == before


async def test_a_bridge_that_goes_takes_its_listeners_along(tmp_path: Path, make_tree: Any) -> None:
    async with house(tmp_path, make_tree) as h:
        await h.configure(br0={})
        await h.ask("attach")
        await h.configure()
        assert (await h.ask("attach"))[0] == NoSuch.code
        await h.configure(BOTH, br0=NUMBERS)
        await h.ask("barrier")
        assert not h.events, "who wants to hear of the new one attaches again"


async def test_what_does_not_exist_is_said_to(tmp_path: Path, make_tree: Any) -> None:
    async with house(tmp_path, make_tree) as h:
        await h.configure(br0={})
        reply, _ = await h.bulk.request(BulkRequest("apply", "br9"), b"")
        assert (reply.code, reply.text) == (NoSuch.code, "apply: no bridge 'br9'")
        assert await h.ask("dance") == (1 << 16 | 1, [])
        for path in ("/lamp", "/port[name='p9']", "/port/name"):
            with pytest.raises(CallError) as unknown:
                await h.get(path)
            assert unknown.value.failure.code == Code.NOT_FOUND


async def test_the_state_has_the_leaves_of_the_schema(tmp_path: Path, make_tree: Any) -> None:
    """G3: state equals config."""
    async with house(tmp_path, make_tree) as h:
        port = {"kind": "memory", "enabled": False, "worker": 1}
        bridge = {"p1": 7, "datapath-id": "000000000000002a", "max-flows": 9}
        worker = {"id": 1, "mode": "poll"}
        await h.configure({"p1": port}, workers=(worker,), br0=bridge)
        row = await h.get("/raicho/port[name='p1']")
        lanes = {"device-queues": 1, "lane": [{"queue": 0, "worker": 1}]}
        assert row == row | port | lanes | {"name": "p1", "device": ""}
        row = await h.get("/worker[id='1']")
        assert row == row | worker | {"port": ["p1"], "cpu": None}
        row = await h.get("/raicho/bridge[name='br0']")
        assert (row["datapath-id"], row["max-flows"]) == ("000000000000002a", 9)
        (member,) = row["port"]
        place = {"name": "p1", "number": 7, "attached": True}
        assert member == member | place | {"pipeline": "openflow", "vlan-mode": "trunk"}
        views = {
            "port",
            "worker",
            "bridge",
            "fdb",
            "multicast",
            "drops",
            "router",
            "tree",
            "plugin",
        }
        assert set(await h.get("/")) == views


async def test_everything_is_counted(tmp_path: Path, make_tree: Any) -> None:
    """K11: drops have a reason, and add up."""
    async with house(tmp_path, make_tree) as h:
        await h.configure(BOTH, br0=NUMBERS)
        for _ in range(5):
            h.port("p1").put(FRAME)
        await until(lambda: h.port("p1").counters()["rx_packets"] == 5)
        await h.ask("barrier")
        stats = await h.stats()
        assert stats["ports"]["p1"]["rx_packets"] == 5
        totals = stats["workers"]["0"]
        assert (totals["received"], totals["drops"]["no_entry"]) == (5, 5)
        rows = {row["name"]: row["packets"] for row in await h.get("/drops")}
        assert rows["no_entry"] == 5 == sum(rows.values())
        assert stats["bridges"]["br0"] == {"flows": 0, "events_lost": 0}


async def test_a_listener_that_does_not_read_blocks_nobody(tmp_path: Path, make_tree: Any) -> None:
    """M15: what it misses is counted."""
    async with house(tmp_path, make_tree) as h:
        await h.configure(BOTH, br0=NUMBERS)
        await h.apply(TO_CONTROLLER)
        deaf = open_socket(h.component.context, zmq.DEALER, ROUTING_ID=b"deaf", RCVHWM=1)
        deaf.connect(h.component.bulk_endpoint)
        deaf.send_multipart([msgspec.msgpack.encode(BulkRequest("attach", "br0")), b""])
        await until(lambda: h.component._attached.get("br0"))
        async with asyncio.timeout(60):
            while not h.component._counters["packet_in_dropped"]:
                with suppress(OSError):  # full: then there is enough for now
                    for _ in range(50):
                        h.port("p1").put(FRAME + bytes(1400))
                await h.ask("barrier")
        assert (await h.control.call(Ping())).instance
        deaf.close(linger=0)


def test_both_ends_mean_the_same_by_a_code() -> None:
    """G10: clients know a number by what kind of failure it is."""
    assert BulkReply().code == DONE
    assert [code_of(each) for each in (BAD_TYPE, BAD_LEN)] == [Code.UNSUPPORTED, Code.INVALID]
    kinds = {
        Refused: Code.REFUSED,
        NoSuch: Code.NOT_FOUND,
        Full: Code.UNAVAILABLE,
        TimedOut: Code.TIMEOUT,
    }
    assert {kind: code_of(kind.code) for kind in kinds} == kinds
