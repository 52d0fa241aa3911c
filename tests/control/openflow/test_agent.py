"""The agent as a component: its configuration, a dataplane that comes and goes, controllers."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq
from loopback import HOST, free_port

from raicho.control.component import Bootstrap
from raicho.control.message import (
    DONE,
    BulkEvent,
    BulkReply,
    BulkRequest,
    BulkServer,
    CallError,
    Code,
    Commit,
    ControlServer,
    Done,
    Endpoint,
    Failure,
    Get,
    Heartbeat,
    Lookup,
    Message,
    Ping,
    Pong,
    Prepare,
    Register,
    Registered,
    Request,
)
from raicho.control.openflow import framing
from raicho.control.openflow.agent import Agent
from raicho.control.openflow.spec import pack, pack_part, unpack
from raicho.control.openflow.spec.flows import FlowStats
from raicho.control.openflow.spec.messages import (
    BarrierReply,
    BarrierRequest,
    Error,
    FeaturesReply,
    FeaturesRequest,
    FlowMod,
    Hello,
    MultipartReply,
    MultipartRequest,
    PacketIn,
    PacketOut,
    Role,
    RoleRequest,
)
from raicho.control.openflow.spec.multipart import FlowReply, FlowRequest

OVERLAP = 5 << 16 | 3
FLOWS = bytes([0, 1])  # the type of a multipart


class Dataplane:
    """A dataplane that remembers what it was asked."""

    def __init__(self, context: zmq.SyncContext, run_dir: Path, instance: str = "first") -> None:
        self.asked: list[tuple[str, str]] = []
        self.attached: dict[str, bytes] = {}
        self.controllers: list[int] = []  # the numbers it was told
        self.applied: list[Any] = []
        self.shown = FlowStats(priority=9)
        self.instance = instance
        self.bulk = BulkServer(context, f"ipc://{run_dir}/dataplane.bulk", self._answer)
        self.control = ControlServer(context, f"ipc://{run_dir}/dataplane.control", self._ping)

    async def _ping(self, peer: bytes, request: Request[Any]) -> Message:
        assert isinstance(request, Ping)
        return Pong(self.instance)

    async def _answer(
        self, peer: bytes, request: BulkRequest, frames: list[bytes]
    ) -> tuple[BulkReply, list[bytes]]:
        self.asked.append((request.op, request.bridge))
        if request.op == "attach":
            self.attached[request.bridge] = peer
        if request.op == "controllers":
            self.controllers.append(int.from_bytes(frames[0], "big"))
        return BulkReply(DONE), self._frames(request.op, frames)

    def _frames(self, op: str, frames: list[bytes]) -> list[bytes]:
        """Fail flow-mods of priority 7 with OVERLAP; show one flow."""
        if op == "features":
            known = {"datapath_id": 42, "n_buffers": 0, "n_tables": 254, "capabilities": 7}
            return [msgspec.msgpack.encode(known)]
        if op == "apply":
            found, _ = framing.scan(frames[0], 4, bytes(256))
            mods = [unpack(frames[0][start:stop])[0] for _, start, stop, _ in found]
            self.applied += mods
            codes = [OVERLAP if getattr(mod, "priority", 0) == 7 else DONE for mod in mods]
            return [struct.pack(f"<{len(codes)}I", *codes)]
        if op == "multipart" and frames[0][:2] == FLOWS:
            return [pack_part(self.shown)]
        return []

    def push(self, bridge: str, kind: str, data: bytes) -> bool:
        return self.bulk.push(self.attached[bridge], BulkEvent(kind, bridge), [data])

    def close(self) -> None:
        self.bulk.close()
        self.control.close()


class Datastore:
    """A datastore that knows where the dataplane is, and no more."""

    def __init__(self, context: zmq.SyncContext, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.registered: list[Register] = []
        self.server = ControlServer(context, f"ipc://{run_dir}/datastore.control", self._answer)

    async def _answer(self, peer: bytes, request: Request[Any]) -> Message:
        if isinstance(request, Register):
            self.registered.append(request)
            return Registered("lease", {}, 0)
        if isinstance(request, Lookup):
            return Endpoint(request.api, f"ipc://{self.run_dir}/{request.api}", "1", "dataplane")
        if isinstance(request, Heartbeat):
            return Done()
        raise CallError(Failure(Code.UNSUPPORTED, "not here"))


class Controller:
    """A controller that listens, and its side of each connection."""

    def __init__(self) -> None:
        self.calls: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = (
            asyncio.Queue()
        )
        self._writers: list[asyncio.StreamWriter] = []

    async def listen(self) -> int:
        self._server = await asyncio.start_server(
            lambda r, w: self.calls.put_nowait((r, w)), HOST, 0
        )
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def accept(self) -> None:
        self.reader, self.writer = await asyncio.wait_for(self.calls.get(), 10)
        self._writers.append(self.writer)
        greeting, _ = await self.hear()
        assert isinstance(greeting, Hello)
        self.say(greeting)

    def say(self, *messages: Any) -> None:
        self.writer.write(b"".join(pack(m, i + 1) for i, m in enumerate(messages)))

    async def hear(self) -> tuple[Any, int]:
        async with asyncio.timeout(10):
            header = await self.reader.readexactly(8)
            size = int.from_bytes(header[2:4], "big")
            return unpack(header + await self.reader.readexactly(size - 8))

    def close(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()


class House:
    """The agent under test and everything around it."""

    def __init__(self, context: zmq.SyncContext, run_dir: Path) -> None:
        self.context, self.run_dir = context, run_dir
        self.revision = 0

    async def open(self) -> None:
        self.datastore = Datastore(self.context, self.run_dir)
        self.dataplane = Dataplane(self.context, self.run_dir)
        self.controller = Controller()
        self.port = await self.controller.listen()
        endpoint = f"ipc://{self.run_dir}/datastore.control"
        self.agent = Agent(Bootstrap(self.run_dir, endpoint, "openflow"))
        await self.agent.start()

    async def close(self) -> None:
        await self.agent.stop()
        self.controller.close()
        self.dataplane.close()
        self.datastore.server.close()

    async def configure(self, *bridges: dict[str, Any], txid: str = "") -> None:
        self.revision += 1
        txid = txid or f"t{self.revision}"
        config = {"raicho": {"bridge": list(bridges)}}
        await self.agent.handle(b"", Prepare(txid, self.revision, [], config))
        await self.agent.handle(b"", Commit(txid))

    def bridge(self, name: str = "br0", **more: Any) -> dict[str, Any]:
        row = {"name": "c1", "address": HOST, "port": self.port, "max-backoff": 1}
        return {"name": name, "controller": [row], **more}

    def copied(self) -> dict[str, int]:
        """Return what the agent knows of what br0 holds."""
        return self.agent.bridges["br0"].copied()

    async def served_again(self) -> None:
        """Wait until a dataplane that came later is told of controllers, which may ask by then."""
        await until(lambda: self.dataplane.controllers)

    async def get(self, path: str) -> Any:
        return (await self.agent.handle(b"", Get(path))).data  # type: ignore[attr-defined]


@asynccontextmanager
async def house(context: zmq.SyncContext, tmp_path: Path) -> AsyncIterator[House]:
    made = House(context, tmp_path)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


@asynccontextmanager
async def served(context: zmq.SyncContext, tmp_path: Path) -> AsyncIterator[House]:
    """The same, with a bridge whose controller is connected."""
    async with house(context, tmp_path) as made:
        await made.configure(made.bridge())
        await made.controller.accept()
        yield made


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_controller_is_served_by_the_dataplane(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """K16: features, flow-mods with their errors, barrier, multipart, packet-in."""
    async with served(context, tmp_path) as h:
        h.controller.say(FeaturesRequest(), FlowMod(), FlowMod(priority=7), BarrierRequest())
        assert await h.controller.hear() == (FeaturesReply(42, 0, 254, 0, 7), 1)
        error, xid = await h.controller.hear()
        assert (xid, error.type << 16 | error.code) == (3, OVERLAP)
        assert await h.controller.hear() == (BarrierReply(), 4)
        h.controller.say(MultipartRequest(0, FlowRequest()))
        flows = FlowReply((FlowStats(priority=9),))
        assert await h.controller.hear() == (MultipartReply(0, flows), 1)
        assert h.dataplane.push("br0", "packet_in", pack(PacketIn(data=b"frame")))
        assert await h.controller.hear() == (PacketIn(data=b"frame"), 0)


async def test_it_registers_its_schema_and_its_part_of_the_configuration(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    async with house(context, tmp_path) as h:
        await until(lambda: h.datastore.registered)
        [register] = h.datastore.registered
        assert "/raicho/bridge" in register.subscriptions
        assert register.modules[0].startswith("module raicho-openflow")


async def test_the_dataplane_hears_how_many_controllers_there_are(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """F8: without any, the fail mode decides; a tool at the management socket is none."""
    async with house(context, tmp_path) as h:
        await h.configure(h.bridge())
        await until(lambda: h.dataplane.controllers[-1:] == [0])
        await h.controller.accept()
        await until(lambda: h.dataplane.controllers[-1:] == [1])
        reader, tool = await asyncio.open_unix_connection(tmp_path / "br0.mgmt")
        tool.write(pack(Hello(), 1) + pack(BarrierRequest(), 2))
        await reader.readexactly(8)
        h.controller.writer.close()
        assert max(h.dataplane.controllers) == 1
        await until(lambda: h.dataplane.controllers[-1:] == [0])
        tool.close()


async def test_what_does_not_change_is_not_touched(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """M2: another bridge and another leaf come and go under a connection that lives."""
    async with served(context, tmp_path) as h:
        other = {"name": "br1", "listen": [{"name": "l1", "address": HOST, "port": free_port()}]}
        await h.configure(h.bridge(**{"fail-mode": "secure"}), other)
        await until(lambda: "br1" in h.dataplane.attached)
        await h.configure(h.bridge())
        h.controller.say(BarrierRequest())
        assert await h.controller.hear() == (BarrierReply(), 1)
        assert h.controller.calls.empty()
        assert ("detach", "br1") in h.dataplane.asked


async def test_a_connection_that_is_no_longer_configured_ends(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    async with served(context, tmp_path) as h:
        await h.configure({"name": "br0"})
        assert await h.controller.reader.read(1) == b""
        await h.configure(h.bridge())
        await h.controller.accept()


async def test_nonsense_is_refused_by_leaf_and_reason(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """Held by issue: a controller address that is nonsense; nothing changes."""
    async with served(context, tmp_path) as h:
        bad = {"name": "br0", "controller": [{"name": "c1", "address": "not an address!"}]}
        with pytest.raises(CallError) as caught:
            await h.configure(bad)
        assert (
            caught.value.failure.path == "/raicho/bridge[name='br0']/controller[name='c1']/address"
        )
        assert "not an address!" in caught.value.failure.reason
        h.controller.say(BarrierRequest())
        assert await h.controller.hear() == (BarrierReply(), 1)


async def test_a_listener_that_cannot_bind_is_refused(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """M17: at prepare; but what was configured before comes back whatever happens."""
    async with house(context, tmp_path) as h:
        with socket.create_server((HOST, 0)) as other:
            port = other.getsockname()[1]
            row = {"name": "br0", "listen": [{"name": "l1", "address": HOST, "port": port}]}
            with pytest.raises(CallError, match="ddress already in use") as caught:
                await h.configure(row)
            assert caught.value.failure.path == "/raicho/bridge[name='br0']/listen[name='l1']/port"
            await h.configure(row, txid="sync-1")
            await until(lambda: list(h.agent.bridges["br0"].rows()))
        reader, writer = await connected(port)
        assert (await reader.readexactly(8))[:2] == b"\4\0"
        writer.close()


async def test_a_dataplane_that_goes_costs_answers_and_no_connection(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """Requests get BAD_REQUEST/EPERM while it is away, and answers when it is back."""
    async with served(context, tmp_path) as h:
        h.controller.say(FeaturesRequest())
        features, _ = await h.controller.hear()
        h.dataplane.close()
        await until(lambda: not h.agent.datapath.up)
        h.controller.say(FlowMod(), BarrierRequest(), FeaturesRequest())
        heard = [await h.controller.hear() for _ in range(3)]
        assert [(xid, type(message)) for message, xid in heard[:2]] == [(1, Error), (2, Error)]
        assert {(error.type, error.code) for error, _ in heard[:2]} == {(1, 5)}
        assert heard[2] == (features, 3), "what is known stays known"
        h.dataplane = Dataplane(h.context, h.run_dir)
        await h.served_again()
        h.controller.say(BarrierRequest())
        assert await h.controller.hear() == (BarrierReply(), 1)
        assert h.controller.calls.empty()


async def test_a_dataplane_that_was_started_again_is_given_its_flows_back(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """C13: what it held, then what was asked since; controllers notice nothing."""
    async with served(context, tmp_path) as h:
        await until(lambda: h.copied()["copy"] > 0)
        h.controller.say(FlowMod(priority=5), PacketOut(), BarrierRequest())
        await h.controller.hear()
        h.dataplane.close()
        h.dataplane = Dataplane(h.context, h.run_dir, instance="second")
        await h.served_again()
        assert [mod.priority for mod in h.dataplane.applied] == [9, 5]
        h.controller.say(BarrierRequest())
        assert await h.controller.hear() == (BarrierReply(), 1)
        assert h.controller.calls.empty()


async def test_a_controller_that_was_refused_meanwhile_begins_anew(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """C13: what the switch holds is not what it set; so it is told in the one way there is."""
    async with served(context, tmp_path) as h:
        await until(lambda: h.copied()["copy"] > 0)
        h.dataplane.close()
        await until(lambda: not h.agent.datapath.up)
        h.controller.say(FlowMod(priority=5))
        error, _ = await h.controller.hear()
        assert isinstance(error, Error)
        h.dataplane = Dataplane(h.context, h.run_dir, instance="second")
        assert await h.controller.reader.read(1) == b""
        await h.controller.accept()
        assert [mod.priority for mod in h.dataplane.applied] == [9]


async def test_a_dataplane_that_cannot_take_everything_back_makes_controllers_begin_anew(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """C13."""
    async with house(context, tmp_path) as h:
        h.dataplane.shown = FlowStats(priority=7)  # which it will not take
        await h.configure(h.bridge())
        await h.controller.accept()
        await until(lambda: h.copied()["copy"] > 0)
        h.dataplane.close()
        h.dataplane = Dataplane(h.context, h.run_dir, instance="second")
        assert await h.controller.reader.read(1) == b""
        await h.controller.accept()


async def test_a_datastore_that_goes_is_not_missed(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """Endpoints that are known stay in use."""
    async with served(context, tmp_path) as h:
        h.datastore.server.close()
        h.dataplane.close()
        await until(lambda: not h.agent.datapath.up)
        h.dataplane = Dataplane(h.context, h.run_dir)
        await h.served_again()
        h.controller.say(BarrierRequest())
        assert await h.controller.hear() == (BarrierReply(), 1)


async def test_nobody_is_dialled_for_a_bridge_that_the_dataplane_does_not_have(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    async with house(context, tmp_path) as h:
        h.dataplane.close()
        await h.configure(h.bridge())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(h.controller.calls.get(), 0.5)
            raise AssertionError("dialled before it could answer")
        h.dataplane = Dataplane(h.context, h.run_dir)
        await h.controller.accept()


async def test_it_shows_controllers_and_flows(context: zmq.SyncContext, tmp_path: Path) -> None:
    async with served(context, tmp_path) as h:
        await until(lambda: h.agent.stats([])["openflow"]["connected"] == {"br0": 1})
        [row] = await h.get("/controllers")
        assert (row["bridge"], row["name"], row["connected"]) == ("br0", "c1", True)
        assert (row["role"], row["version"]) == ("equal", "1.3")
        [flow] = await h.get("/flows/br0")
        assert (flow["bridge"], flow["priority"]) == ("br0", 9)
        assert flow["text"].endswith("priority=9 actions=drop")
        for path in ("/nonsense", "/flows/br9"):
            with pytest.raises(CallError):
                await h.get(path)


async def connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with asyncio.timeout(15):
        while True:
            with contextlib.suppress(OSError):
                return await asyncio.open_connection(HOST, port)
            await asyncio.sleep(0.05)


async def test_each_bridge_has_a_socket_unless_it_is_told_otherwise(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """F8: named as Open vSwitch names its management sockets."""
    async with house(context, tmp_path) as made:
        await made.configure({"name": "br0"})
        path = tmp_path / "br0.mgmt"
        await until(path.exists)
        reader, writer = await asyncio.open_unix_connection(path)
        assert isinstance(unpack(await reader.readexactly(16))[0], Hello)
        writer.close()
        await made.configure({"name": "br0", "management-socket": False})
        assert not path.exists()


async def test_packet_ins_beyond_the_limit_are_counted(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """K17."""
    async with house(context, tmp_path) as made:
        limit = {"rate": 1, "burst": 2}
        await made.configure({"name": "br0", "packet-in-limit": limit})
        await until(lambda: made.dataplane.attached)
        made.dataplane.push("br0", "packet_in", pack(PacketIn(data=b"x")) * 5)
        counts = made.agent.bridges["br0"].limiter.dropped
        await until(lambda: counts["bridge"] == 3)
        assert made.agent.stats([])["openflow"]["packet_in_limited"] == {"br0": {"bridge": 3}}


async def test_files_that_tls_cannot_use_are_refused(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    async with house(context, tmp_path) as made:
        files = dict.fromkeys(("private-key", "certificate", "ca-certificate"), "/nowhere")
        with pytest.raises(CallError, match="cannot read '/nowhere'") as caught:
            await made.configure({"name": "br0", "tls": files})
        assert caught.value.failure.path == "/raicho/bridge[name='br0']/tls/private-key"


async def test_auxiliary_connections_live_with_their_main_one(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """F8: the second says which it is, shares the role, hears nothing unasked, and ends too."""
    async with house(context, tmp_path) as made:
        row = {"name": "c1", "address": HOST, "port": made.port, "max-backoff": 1}
        await made.configure({"name": "br0", "controller": [{**row, "auxiliary-connections": 1}]})
        await made.controller.accept()
        await made.controller.accept()
        made.controller.say(FeaturesRequest(), RoleRequest(Role.SLAVE, 1))
        features, role = [(await made.controller.hear())[0] for _ in range(2)]
        assert (features.auxiliary_id, role.role) == (1, Role.SLAVE)
        made.dataplane.push("br0", "packet_in", pack(PacketIn()))
        rows = await made.get("/controllers")
        assert {(r["auxiliary"], r["role"]) for r in rows} == {(0, "slave"), (1, "slave")}
        main, auxiliary = made.agent.bridges["br0"].channels
        if main.session.auxiliary_id:
            main, auxiliary = auxiliary, main
        main.close("the test says so")
        await until(lambda: auxiliary.session.closed == "the main connection is down")
