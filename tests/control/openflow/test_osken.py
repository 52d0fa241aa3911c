"""A controller that nobody here wrote, over TCP."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from loopback import HOST, free_port

from raicho.control.openflow import framing
from raicho.control.openflow.answers import Answer, Ask
from raicho.control.openflow.asking import Then
from raicho.control.openflow.bridge import BridgeControl
from raicho.control.openflow.session import Description
from raicho.control.openflow.settings import Bridge, Controller
from raicho.control.openflow.spec import pack, pack_part, unpack
from raicho.control.openflow.spec.actions import Output
from raicho.control.openflow.spec.flows import FlowStats
from raicho.control.openflow.spec.instructions import ApplyActions
from raicho.control.openflow.spec.match import match
from raicho.control.openflow.spec.messages import FlowMod, PacketIn
from raicho.control.openflow.spec.multipart import FlowReply, PortDescReply
from raicho.control.openflow.spec.ports import Port

pytest.importorskip("os_ken")

MATCH = match(eth_type=0x0800, ipv4_dst=(0x0A000000, 0xFF000000))
BAD_MULTIPART = 1 << 16 | 2


class Dataplane:
    """Answer as a dataplane with one port and no groups does."""

    def __init__(self) -> None:
        self.applied: list[Any] = []

    def post(self, bridge: str, ask: Ask, then: Then) -> None:
        answer = getattr(self, f"_{ask.op}")(ask.payload)
        asyncio.get_running_loop().call_soon(then, answer)

    def _features(self, payload: bytes) -> Answer:
        known = {"datapath_id": 0xABC, "n_buffers": 0, "n_tables": 254, "capabilities": 7}
        return Answer(framing.DONE, (msgspec.msgpack.encode(known),))

    def _apply(self, payload: bytes) -> Answer:
        found, _ = framing.scan(payload, 4, bytes(256))
        self.applied += [unpack(payload[start:stop])[0] for _, start, stop, _ in found]
        return Answer(framing.DONE, (b"\xff" * 4 * len(found),))

    def _barrier(self, payload: bytes) -> Answer:
        return Answer(framing.DONE)

    _config = _controllers = _get_config = _barrier

    def _multipart(self, payload: bytes) -> Answer:
        if payload[:2] == b"\0\1":
            flow = FlowStats(priority=9, match=MATCH, instructions=(ApplyActions((Output(3),)),))
            return Answer(framing.DONE, (pack_part(FlowReply((flow,))),))
        if payload[:2] == b"\0\x0d":
            return Answer(framing.DONE, (pack_part(PortDescReply((Port(1, bytes(6), "veth0"),))),))
        return Answer(BAD_MULTIPART)


@asynccontextmanager
async def osken(
    port: int, script: str = "osken_controller.py"
) -> AsyncIterator[asyncio.StreamReader]:
    """Run the controller; what it says can be read."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, Path(__file__).with_name(script), str(port), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        yield process.stdout
    finally:
        process.kill()
        await process.wait()


async def test_os_ken_finds_a_switch(tmp_path: Path) -> None:
    """K16: handshake, a flow, a role, a barrier, desc, ports, an error, a packet-in."""
    port, dataplane = free_port(), Dataplane()
    row = Bridge("br0", (Controller("c1", HOST, port, max_backoff=1),))
    async with osken(port) as output:
        bridge = BridgeControl(row, Description(datapath="br0"), dataplane.post, tmp_path)
        await bridge.attached()
        heard: list[dict[str, Any]] = []
        async with asyncio.timeout(30):
            while not {"error", "desc"} <= {each["event"] for each in heard}:
                heard.append(json.loads(await output.readline()))
            packet_in = PacketIn(total_len=5, match=match(in_port=1), data=b"hello")
            bridge.push("packet_in", pack(packet_in))
            heard.append(json.loads(await output.readline()))
        await bridge.close()
    assert {each.pop("event"): each for each in heard} == {
        "features": {"datapath_id": 0xABC, "n_tables": 254},
        "ports": {"names": ["veth0"]},
        "role": {"role": 2, "generation": 1},
        "barrier": {},
        "desc": {"datapath": "br0"},
        "error": {"type": 1, "code": 2},
        "packet_in": {"data": "hello", "port": 1},
    }
    [flow] = dataplane.applied
    assert isinstance(flow, FlowMod)
    assert flow.match == MATCH


async def test_os_ken_finds_a_switch_that_speaks_1_0(tmp_path: Path) -> None:
    """F9: handshake with ports, a flow, a barrier, desc, flows, a packet-in."""
    port, dataplane = free_port(), Dataplane()
    row = Bridge("br0", (Controller("c1", HOST, port, max_backoff=1),))
    async with osken(port, "osken_controller_10.py") as output:
        bridge = BridgeControl(row, Description(datapath="br0"), dataplane.post, tmp_path)
        await bridge.attached()
        heard: list[dict[str, Any]] = []
        async with asyncio.timeout(30):
            while not {"flows", "desc"} <= {each["event"] for each in heard}:
                heard.append(json.loads(await output.readline()))
            packet_in = PacketIn(total_len=5, match=match(in_port=1), data=b"hello")
            bridge.push("packet_in", pack(packet_in))
            heard.append(json.loads(await output.readline()))
        assert [row["version"] for row in bridge.rows() if row["name"] == "c1"] == ["1.0"]
        await bridge.close()
    assert {each.pop("event"): each for each in heard} == {
        "features": {"datapath_id": 0xABC, "ports": {"1": "veth0"}},
        "barrier": {},
        "desc": {"datapath": "br0"},
        "flows": {"priority": 9, "dst": 0x0A000000, "out": 3},
        "packet_in": {"data": "hello", "port": 1},
    }
    [flow] = dataplane.applied
    assert isinstance(flow, FlowMod)
    assert (flow.match, flow.cookie, flow.table_id) == (MATCH, 5, 0)
