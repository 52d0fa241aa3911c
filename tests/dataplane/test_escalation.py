"""Packets for programs beside the dataplane: what each gets, and what that costs the others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from raicho.control.message import BulkClient, BulkEvent, CallError
from raicho.control.message.escalation import (
    ESCALATED,
    Escalated,
    EscalationClient,
    Reason,
    Subscription,
    unpack,
)
from raicho.dataplane.escalations import EVENT_RATE
from raicho.dataplane.operation import BAD_LEN
from raicho.dataplane.router import REASONS
from raicho.dataplane.router_config import default_mac

from .test_service import House, house, until

OSPF, ETH_ARP, HOST = 89, 0x0806, "02:00:00:00:00:01"
PORTS = ("p1", "p2")


def tree() -> dict[str, Any]:
    """Write a router down whose interface if1 is on p1."""
    interfaces = [
        {"name": f"if{i}", "port": f"p{i}", "address": [f"10.0.{i}.1/24"]} for i in (1, 2)
    ]
    ports = [{"name": name, "kind": "memory"} for name in PORTS]
    return {"raicho": {"port": ports, "router": [{"name": "r", "interface": interfaces}]}}


class Agent:
    """A program that gets packets."""

    def __init__(self, home: House) -> None:
        self.copies: list[Escalated] = []
        self.bulk = BulkClient(
            home.component.context, home.component.bulk_endpoint, on_event=self._hear
        )
        self.router = EscalationClient(self.bulk.request, "r")

    def _hear(self, event: BulkEvent, frames: list[bytes]) -> None:
        assert (event.kind, event.bridge) == (ESCALATED, "r")
        self.copies += unpack(frames)

    async def hears(self, count: int) -> None:
        await until(lambda: len(self.copies) >= count)
        assert len(self.copies) == count


@asynccontextmanager
async def routed(folder: Path, agents: int = 1) -> AsyncIterator[tuple[House, list[Agent]]]:
    async with house(folder, tree) as home:
        await home.configure()
        made = [Agent(home) for _ in range(agents)]
        try:
            yield home, made
        finally:
            for agent in made:
                agent.bulk.close()


def packet(to: str, *, payload: Any = b"hello, router", **fields: Any) -> bytes:
    mac = default_mac("if1").to_bytes(6, "big").hex(":")
    head = Ether(dst=mac, src=HOST) / IP(src="10.0.1.9", dst=to, **{"proto": OSPF, **fields})
    return bytes(head / payload)


def put(home: House, *frames: bytes) -> None:
    for frame in frames:
        home.port("p1").put(frame)


async def test_an_agent_gets_what_it_asked_for_and_where_it_came_from(tmp_path: Path) -> None:
    """P2: packet and metadata."""
    async with routed(tmp_path, 2) as (home, [ospf, bgp]):
        id = await ospf.router.subscribe(Subscription(protocol=OSPF))
        await bgp.router.subscribe(Subscription(protocol=17, port=179))
        hello = packet("10.0.1.1")
        put(home, hello, packet("10.0.1.1", proto=90))
        await ospf.hears(1)
        assert ospf.copies == [Escalated(id, Reason.LOCAL, "if1", "p1", 0, 0, hello)]
        put(home, open_ := packet("10.0.1.1", proto=17, payload=UDP(sport=5000, dport=179)))
        await bgp.hears(1)
        assert bgp.copies[0].frame == open_
        await ospf.hears(1)


async def test_what_cannot_be_forwarded_is_told_with_its_reason(tmp_path: Path) -> None:
    """P2: TTL expired, no route, nobody there."""
    async with routed(tmp_path) as (home, [agent]):
        await agent.router.subscribe(Subscription((Reason.TTL, Reason.NO_ROUTE, Reason.RESOLVE)))
        put(home, packet("10.0.2.9", ttl=1), packet("203.0.113.1"), packet("10.0.2.8"))
        await agent.hears(3)
        assert {IP(each.frame[14:]).dst: each.reason for each in agent.copies} == {
            "10.0.2.9": Reason.TTL,
            "203.0.113.1": Reason.NO_ROUTE,
            "10.0.2.8": Reason.RESOLVE,
        }


async def test_what_passes_through_goes_on(tmp_path: Path) -> None:
    """P2: any packet that enters, whoever it is for."""
    async with routed(tmp_path) as (home, [agent]):
        await agent.router.subscribe(Subscription((Reason.SEEN,), protocol=46))
        put(home, packet("10.0.2.9", proto=46))
        await agent.hears(1)
        assert agent.copies[0].reason is Reason.SEEN
        await until(lambda: home.port("p2").counters()["tx_packets"])
        assert Ether(home.port("p2").take()).type == ETH_ARP  # it is on its way


async def test_an_agent_that_died_costs_the_others_nothing(tmp_path: Path) -> None:
    """P2: what would be its copies is dropped and not kept."""
    async with routed(tmp_path, 2) as (home, [dead, alive]):
        await dead.router.subscribe(Subscription(protocol=OSPF))
        await alive.router.subscribe(Subscription(protocol=OSPF))
        dead.bulk.close()
        sent = 0
        async with asyncio.timeout(20):
            while len(await subscriptions(home)) > 1:
                put(home, packet("10.0.1.1"))
                sent += 1
                await alive.hears(sent)
        assert (await home.stats())["bulk"]["escalated_dropped"] >= 1
        put(home, packet("10.0.1.1"))
        await alive.hears(sent + 1)


async def test_each_agent_has_a_rate_of_its_own(tmp_path: Path) -> None:
    """P2: what is above it is dropped and counted."""
    async with routed(tmp_path, 2) as (home, [slow, quick]):
        await slow.router.subscribe(Subscription(protocol=OSPF, rate=1))
        await quick.router.subscribe(Subscription(protocol=OSPF, rate=1_000_000))
        for _ in range(100):
            put(home, packet("10.0.1.1"))
        await quick.hears(100)
        rows = {row["rate"]: row for row in await subscriptions(home)}
        assert rows[1_000_000] | {"id": 0} == {
            **{"id": 0, "reasons": ["local"], "eth-type": None, "protocol": OSPF, "port": None},
            **{"rate": 1_000_000, "sent": 100, "dropped": 0},
        }
        assert rows[1]["sent"] + rows[1]["dropped"] == 100
        assert rows[1]["dropped"] > 0
        await slow.hears(rows[1]["sent"])


async def test_a_subscription_ends_when_it_is_to(tmp_path: Path) -> None:
    async with routed(tmp_path, 2) as (home, [agent, other]):
        id = await agent.router.subscribe(Subscription(protocol=OSPF))
        with pytest.raises(CallError, match="is no subscription of yours"):
            await other.router.unsubscribe(id)
        await agent.router.unsubscribe(id)
        put(home, packet("10.0.1.1"))
        await until(lambda: home.port("p1").counters()["tx_packets"])  # a refusal
        assert agent.copies == []
        with pytest.raises(CallError, match="is no subscription of yours"):
            await agent.router.unsubscribe(id)


BAD = {
    "no reason": (Subscription(reasons=()), "r", "needs a rate and a known reason"),
    "no rate": (Subscription(rate=0), "r", "needs a rate"),
    "a port of what has none": (Subscription(protocol=OSPF, port=1), "r", "a port of TCP"),
    "no such router": (Subscription(), "nowhere", "no router 'nowhere'"),
}


@pytest.mark.parametrize(("wanted", "router", "why"), BAD.values(), ids=BAD)
async def test_what_cannot_be_is_refused(
    tmp_path: Path, wanted: Subscription, router: str, why: str
) -> None:
    async with routed(tmp_path) as (home, [agent]):
        with pytest.raises(CallError, match=why):
            await EscalationClient(agent.bulk.request, router).subscribe(wanted)
        code, _ = await home.ask("subscribe", bytes(15), "r")
        assert code == BAD_LEN
        assert await subscriptions(home) == []


async def test_what_a_router_had_goes_with_it(tmp_path: Path) -> None:
    async with routed(tmp_path) as (home, [agent]):
        id = await agent.router.subscribe(Subscription(protocol=OSPF))
        home.tree = lambda: {"raicho": {}}
        await home.configure()
        home.tree = tree
        await home.configure()
        assert await subscriptions(home) == []
        with pytest.raises(CallError):
            await agent.router.unsubscribe(id)
        assert await agent.router.subscribe(Subscription(protocol=OSPF)) != id


def test_both_ends_mean_the_same_reasons() -> None:
    assert {each.name.lower().replace("_", "-"): int(each) for each in Reason} == REASONS


async def subscriptions(home: House) -> list[dict[str, Any]]:
    """Return those of agents: the component has its own, for events."""
    rows = (await home.get("/router[name='r']"))["subscription"]
    return [row for row in rows if row["rate"] != EVENT_RATE]
