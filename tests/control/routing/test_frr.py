"""FRRouting itself in a namespace, the adapter beside it, and a dataplane that is two dicts."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import zmq
from system.conftest import short_folder
from system.frr import Frr
from system.lab import Lab, Namespace
from system.needs import needs

from raicho.control.message import BulkClient, BulkReply, BulkRequest, BulkServer
from raicho.control.message.routes import Group, Hop, Kind, Source, pack_group, pack_route
from raicho.control.routing.adapter import Adapter
from raicho.control.routing.fpm_server import FpmServers
from raicho.control.routing.settings import Interface, Router, Routing

from .dataplane import Tables

pytestmark = needs("ip", "vtysh", "bgpd")

INDEX = 7  # of the interface r1p1 in the dataplane
PEER = ip_address("10.0.1.2").packed


class Dataplane:
    """A bulk endpoint that applies records to tables."""

    def __init__(self, context: zmq.SyncContext, endpoint: str) -> None:
        self.tables = Tables()
        self.server = BulkServer(context, endpoint, self._answer)

    async def _answer(
        self, peer: bytes, request: BulkRequest, frames: list[bytes]
    ) -> tuple[BulkReply, list[bytes]]:
        return BulkReply(), getattr(self, f"_{request.op}")(frames[0])

    def _route_mod(self, payload: bytes) -> list[bytes]:
        records = (payload[at : at + 32] for at in range(0, len(payload), 32))
        return [b"".join(self.tables.mod_route(record).to_bytes(4) for record in records)]

    def _next_hop_mod(self, payload: bytes) -> list[bytes]:
        codes, at = [], 0
        while at < len(payload):
            size = 8 + 40 * int.from_bytes(payload[at + 2 : at + 4])
            codes.append(self.tables.mod_group(payload[at : at + size]).to_bytes(4))
            at += size
        return [b"".join(codes)]

    def _route_begin(self, payload: bytes) -> list[bytes]:
        self.tables.begin(payload[0])
        return []

    def _route_sweep(self, payload: bytes) -> list[bytes]:
        return [self.tables.sweep(payload[0]).to_bytes(4)]

    def _next_hops(self, payload: bytes) -> list[bytes]:
        found = self.tables.groups.items()
        groups = [Group(of, ident, hops) for (of, ident), hops in found if of == payload[0]]
        return [bytes(4), b"".join(map(pack_group, groups))]

    def _neighbours(self, payload: bytes) -> list[bytes]:
        return [bytes(4), b""]


class House:
    """A namespace with an interface that has a peer, and the adapter of router r1."""

    def __init__(self, context: zmq.SyncContext, lab: Lab, folder: Path) -> None:
        self.lab, self.folder, self.context = lab, folder, context
        self.inside = lab.namespace("r1", ipv6=True)
        self.beyond = lab.namespace("r2", ipv6=True)
        lab.cable(self.inside, "r1p1", self.beyond, "r2p1")
        self.inside.ip("address", "add", "10.0.1.1/24", "dev", "r1p1")
        self.beyond.ip("address", "add", "10.0.1.2/24", "dev", "r2p1")
        self.alarms: list[str] = []
        self.dataplane = Dataplane(context, "inproc://bulk")
        self.client = BulkClient(context, "inproc://bulk")
        self.zebras = FpmServers()
        self._run: asyncio.Task[None] | None = None

    async def begin(self, **times: Any) -> Adapter:
        """Begin with an adapter, as a component that was just started does."""
        host = (Interface("r1p1", host=True),)
        settings = Router("r1", self.inside.name, host, Routing(**times))
        self.adapter = Adapter(settings, self.client.request, self.alarms.append, self.zebras)
        await self.adapter.open()
        self.adapter.dataplane_has({"r1p1": INDEX})
        self._run = asyncio.create_task(self.adapter.run())
        return self.adapter

    async def end(self) -> None:
        """End it at once, as kill -9 does."""
        self.adapter.close()
        if self._run:
            self._run.cancel()
            with suppress(asyncio.CancelledError):
                await self._run

    def told(self, source: Source = Source.FPM) -> dict[str, tuple[Hop, ...]]:
        """Return where the dataplane's routes of a source lead, by their prefixes."""
        return {text(key): hops for key, hops in self.dataplane.tables.hops(source).items()}

    async def until(self, condition: Callable[[], Any], what: str, patience: float = 30) -> None:
        try:
            async with asyncio.timeout(patience):
                while not condition():
                    await asyncio.sleep(0.05)
        except TimeoutError:
            seen = (self.told(), self.adapter.state(), self.adapter.stats())
            raise AssertionError(f"{what}: {str(seen)[-2000:]}") from None

    def zebra(self) -> Frr:
        frr = Frr(self.lab, self.inside, self.folder / str(len(self.lab.processes)))
        frr.start("zebra", "fpm address 127.0.0.1 port 2620")
        return frr


def text(key: bytes) -> str:
    family, length = key[:2]
    return str(ip_network((key[2:6] if family == 4 else key[2:], length)))


def by(*gateways: bytes) -> tuple[Hop, ...]:
    return tuple(Hop(Kind.GATEWAY, INDEX, gateway) for gateway in gateways)


@asynccontextmanager
async def house(context: zmq.SyncContext) -> AsyncIterator[House]:
    with short_folder() as folder, Lab() as lab:
        os.chmod(folder, 0o755)
        house = House(context, lab, folder)
        try:
            yield house
        finally:
            await house.end()
            house.client.close()
            house.dataplane.server.close()


def add_kernel_routes(space: Namespace, folder: Path, n: int, how: str) -> list[str]:
    """Put routes into the kernel's table, and return their prefixes."""
    prefixes = [f"100.{64 + (i >> 14)}.{i >> 6 & 255}.{(i & 63) << 2}/30" for i in range(n)]
    batch = folder / "batch"
    batch.write_text("".join(f"route add {prefix} {how}\n" for prefix in prefixes))
    space.ip("-batch", str(batch))
    return prefixes


async def test_static_routes_of_zebra_arrive(context: zmq.SyncContext) -> None:
    """K18, F10: IPv4 and IPv6, several ways, a black hole, and what goes again."""
    async with house(context) as h:
        await h.begin()
        frr = h.zebra()
        frr.start(
            "staticd",
            "ip route 198.51.100.0/24 10.0.1.2",
            "ip route 203.0.113.0/24 10.0.1.2",
            "ip route 203.0.113.0/24 10.0.1.3",
            "ip route 192.0.2.0/24 Null0",
            "ipv6 route 2001:db8:1::/48 fe80::2 r1p1",
        )
        link_local = ip_address("fe80::2").packed
        wanted = {
            "10.0.1.0/24": (Hop(Kind.LINK, INDEX),),
            "198.51.100.0/24": by(PEER),
            "203.0.113.0/24": by(PEER, ip_address("10.0.1.3").packed),
            "192.0.2.0/24": (Hop(Kind.BLACKHOLE),),
            "2001:db8:1::/48": by(link_local),
        }
        await h.until(lambda: h.told() == wanted, f"{wanted} is not all")
        gone = ("203.0.113.0/24 10.0.1.3", "192.0.2.0/24 Null0")
        frr.show("configure", *(f"no ip route {route}" for route in gone))
        wanted["203.0.113.0/24"] = by(PEER)
        del wanted["192.0.2.0/24"]
        await h.until(lambda: h.told() == wanted, "what went is there")
        assert h.adapter.state()["zebra"] == "resending"
        assert h.adapter.stats()["zebra"]["malformed"] == 0


async def test_routes_of_the_kernel_come_without_those_of_zebra(context: zmq.SyncContext) -> None:
    """K18: the second source; addresses that are set on the host's side are ours."""
    async with house(context) as h:
        await h.begin()
        frr = h.zebra()
        frr.start("staticd", "ip route 198.51.100.0/24 10.0.1.2")
        h.inside.ip("route", "add", "203.0.113.0/24", "via", "10.0.1.2", "metric", "9")
        h.inside.ip("address", "add", "192.0.2.1/24", "dev", "r1p1")
        h.inside.ip("-6", "route", "add", "unreachable", "2001:db8::/32")
        wanted = {
            "10.0.1.0/24": (Hop(Kind.LINK, INDEX),),
            "10.0.1.1/32": (Hop(Kind.LOCAL),),
            "192.0.2.0/24": (Hop(Kind.LINK, INDEX),),
            "192.0.2.1/32": (Hop(Kind.LOCAL),),
            "203.0.113.0/24": by(PEER),
            "2001:db8::/32": (Hop(Kind.UNREACHABLE),),
        }
        await h.until(lambda: h.told(Source.KERNEL) == wanted, f"{wanted} is not all")
        await h.until(lambda: "198.51.100.0/24" in h.told(), "zebra's own")
        h.inside.ip("route", "del", "203.0.113.0/24")
        h.inside.ip("address", "del", "192.0.2.1/24", "dev", "r1p1")
        for gone in ("192.0.2.0/24", "192.0.2.1/32", "203.0.113.0/24"):
            del wanted[gone]
        await h.until(lambda: h.told(Source.KERNEL) == wanted, "what went is there")


async def test_ten_thousand_routes_arrive_and_zebra_may_die(context: zmq.SyncContext) -> None:
    """F10, P8: kill -9 of zebra, and of the adapter, moves no route while they come back."""
    async with house(context) as h:
        prefixes = add_kernel_routes(h.inside, h.folder, 10_000, "via 10.0.1.2")
        await h.begin(restart_time=60, stale_time=3)
        frr = h.zebra()
        await h.until(lambda: len(h.told()) == 10_001, "10 000 routes")
        before = h.told()
        assert {*prefixes, "10.0.1.0/24"} == set(before)
        tables = h.dataplane.tables

        records = tables.n_records
        frr.kill("zebra")
        await h.until(lambda: h.adapter.state()["zebra"] == "awaited", "zebra is missed")
        assert h.alarms == ["router r1: zebra has gone; its routes stay for 60 s"]
        h.inside.ip("route", "del", prefixes[0])  # what zebra does not tell again
        h.zebra()
        await h.until(lambda: h.adapter.state()["zebra"] == "present", "zebra is back")
        await h.until(lambda: h.adapter.is_idle, "all is told")
        del before[prefixes[0]]
        assert h.told() == before
        of_the_kernel = 1
        assert tables.n_records == records + 1 + of_the_kernel  # nothing else was touched

        await h.end()
        tables.mod_group(pack_group(Group(Source.FPM, 9, by(bytes(4)))))  # of nobody
        tables.mod_route(pack_route("192.0.2.9/32", 9, Source.FPM))
        assert len(h.told()) == len(before) + 1
        await h.begin(restart_time=60, stale_time=3)
        await h.until(lambda: h.told() == before, "the same routes, without that of nobody")
        await h.until(lambda: (Source.FPM, 9) not in tables.groups, "nor its group")


async def test_a_zebra_that_stays_away_has_no_routes_any_more(context: zmq.SyncContext) -> None:
    """F10: after the time of its restart."""
    async with house(context) as h:
        await h.begin(restart_time=2, stale_time=1)
        frr = h.zebra()
        frr.start("staticd", "ip route 198.51.100.0/24 10.0.1.2")
        await h.until(lambda: "198.51.100.0/24" in h.told(), "a route")
        frr.kill("zebra")
        await h.until(lambda: not h.told(), "all are withdrawn")
        assert h.adapter.state()["zebra"] == "withdrawn"
        assert h.alarms == [
            "router r1: zebra has gone; its routes stay for 2 s",
            "router r1: 2 routes were withdrawn that zebra had told of",
        ]


async def test_a_new_dataplane_gets_all_at_once(context: zmq.SyncContext) -> None:
    """F10: what is known is told again, whoever had told it."""
    async with house(context) as h:
        add_kernel_routes(h.inside, h.folder, 1000, "via 10.0.1.2")
        await h.begin()
        h.zebra()
        await h.until(lambda: len(h.told()) == 1001, "1 000 routes")
        before = h.told()
        h.adapter.dataplane_left()
        h.dataplane.tables = Tables()
        h.inside.ip("route", "add", "198.51.100.0/24", "via", "10.0.1.2")
        h.adapter.dataplane_has({"r1p1": INDEX + 1})
        await h.until(lambda: len(h.told()) == 1002, "all of them")
        moved = (Hop(Kind.GATEWAY, INDEX + 1, PEER),)
        linked = (Hop(Kind.LINK, INDEX + 1),)
        wanted = {**before, "198.51.100.0/24": ()}
        assert h.told() == {p: linked if p == "10.0.1.0/24" else moved for p in wanted}


async def test_routers_of_one_zebra_have_a_table_each(context: zmq.SyncContext) -> None:
    """K18: VRFs are told apart by the numbers of their tables.

    This kernel may have no VRFs, so the table is one of the default VRF: of those zebra tells only
    what changes, and not all when it connects.
    """
    async with house(context) as h:
        red = await h.begin()
        frr = h.zebra()
        frr.start("staticd", "ip route 198.51.100.0/24 10.0.1.2")
        in_main = {"10.0.1.0/24": (Hop(Kind.LINK, INDEX),), "198.51.100.0/24": by(PEER)}
        await h.until(lambda: h.told() == in_main, "the routes of the main table")
        h.inside.ip("route", "add", "192.0.2.0/24", "via", "10.0.1.3", "table", "10")
        before = h.dataplane

        h.dataplane = Dataplane(h.context, "inproc://blue")
        client = BulkClient(h.context, "inproc://blue")
        settings = Router("blue", h.inside.name, red.settings.interface, Routing(table=10))
        blue = Adapter(settings, client.request, h.alarms.append, h.zebras)
        await blue.open()
        blue.dataplane_has({"r1p1": INDEX})
        run = asyncio.create_task(blue.run())
        await h.until(lambda: blue.state()["zebra"] == "resending", "zebra is there for both")
        via = ("198.51.100.0/24 10.0.1.3 table 10", "203.0.113.0/24 10.0.1.3 table 10")
        await asyncio.to_thread(frr.show, "configure", *(f"ip route {route}" for route in via))
        other = by(ip_address("10.0.1.3").packed)
        in_ten = {"198.51.100.0/24": other, "203.0.113.0/24": other}
        await h.until(lambda: h.told() == in_ten, "the routes of table 10")
        await h.until(lambda: h.told(Source.KERNEL) == {"192.0.2.0/24": other}, "the kernel's")
        assert h.alarms == []
        blue.close()
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run
        client.close()
        h.dataplane.server.close()

        h.dataplane = before
        await asyncio.to_thread(frr.show, "configure", "no ip route 198.51.100.0/24 10.0.1.2")
        del in_main["198.51.100.0/24"]
        await h.until(lambda: h.told() == in_main, "the first one still hears zebra")


async def test_bytes_that_are_no_fpm_end_the_connection_only(context: zmq.SyncContext) -> None:
    """F10: whoever connects and says something else is closed, counted and forgotten."""
    async with house(context) as h:
        await h.begin()
        for junk in (b"GET / HTTP/1.0\r\n\r\n", b"\1\1\0\4", b"\1\1\0\x20" + bytes(28)):
            argv = h.inside.command("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/2620; cat >&3")
            process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.PIPE)
            await process.communicate(junk)
        counters = h.adapter._server.counters
        await h.until(lambda: counters["broken"] == 2 and counters["malformed"] == 1, "counted")
        frr = h.zebra()
        frr.start("staticd", "ip route 198.51.100.0/24 10.0.1.2")
        await h.until(lambda: "198.51.100.0/24" in h.told(), "zebra is heard as ever")


async def test_routes_of_bgp_arrive(context: zmq.SyncContext) -> None:
    """K18, P0: a peer tells 10 000 by BGP, and withdraws them when it dies."""
    async with house(context) as h:
        await h.begin()
        add_kernel_routes(h.beyond, h.folder, 10_000, "dev lo")
        peer = Frr(h.lab, h.beyond, h.folder / "peer")
        peer.start("zebra")
        peer.start("bgpd", *bgp(65002, "10.0.1.1", 65001, "redistribute kernel"))
        frr = h.zebra()
        frr.start("bgpd", *bgp(65001, "10.0.1.2", 65002))
        await h.until(lambda: len(h.told()) == 10_001, "10 000 routes", 60)
        told = h.told()
        assert told.pop("10.0.1.0/24") == (Hop(Kind.LINK, INDEX),)
        assert set(told.values()) == {by(PEER)}
        peer.kill("bgpd")
        await h.until(lambda: len(h.told()) == 1, "they are withdrawn")
        assert h.alarms == []


def bgp(own: int, peer: str, theirs: int, *more: str) -> list[str]:
    """Return a configuration of bgpd with one peer."""
    return [
        f"router bgp {own}",
        "no bgp ebgp-requires-policy",
        f"neighbor {peer} remote-as {theirs}",
        f"neighbor {peer} timers connect 1",
        "address-family ipv4 unicast",
        *more,
        "exit-address-family",
    ]
