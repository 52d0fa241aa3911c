"""What programs send through a router, as the bytes on the wire (P3)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from scapy.contrib.ospf import OSPF_Hdr, OSPF_Hello, OSPFv3_Hdr, OSPFv3_Hello
from scapy.layers.inet import ICMP, IP, UDP, in4_chksum
from scapy.layers.inet6 import ICMPv6EchoRequest, IPv6, in6_chksum
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from raicho.control.message import CallError
from raicho.control.message.escalation import EscalationClient, Outgoing
from raicho.dataplane.operation import BAD_LEN
from raicho.dataplane.router_config import default_mac

from .test_escalation import Agent
from .test_service import House, house, until

OSPF, HELLO_CHECKSUM = 89, 12
HOST, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02"


def mac(name: str) -> str:
    return default_mac(name).to_bytes(6, "big").hex(":")


def tree() -> dict[str, Any]:
    """Write a router down: if1 on p1 and if7 on VLAN 7 of it, if2 on p2 with a small MTU."""
    interfaces = [
        {"name": "if1", "port": "p1", "address": ["10.0.1.1/24", "2001:db8:1::1/64"]},
        {"name": "if7", "port": "p1", "vlan": 7, "address": ["10.0.7.1/24"]},
        {"name": "if2", "port": "p2", "address": ["10.0.2.1/24"], "mtu": 600},
        {"name": "bare", "port": "p3"},
    ]
    route = {"prefix": "192.0.2.0/24", "next-hop": [{"id": 1, "address": "10.0.2.9"}]}
    ports = [{"name": name, "kind": "memory"} for name in ("p1", "p2", "p3")]
    router = {"name": "r", "interface": interfaces, "route": [route]}
    return {"raicho": {"port": ports, "router": [router]}}


class Sender(Agent):
    """A program that sends, and sees what comes out."""

    def __init__(self, home: House) -> None:
        super().__init__(home)
        self.home = home

    async def takes(self, port: str) -> Packet:
        """Return the next frame that leaves by a port, without what the router says by itself."""
        found: list[Packet] = []

        def take() -> bool:
            while frame := self.home.port(port).take():
                if not said_by_itself(read := Ether(frame)):
                    found.append(read)
                    return True
            return False

        await until(take)
        return found[0]

    async def resolves(self, port: str, address: str, at: str = HOST) -> None:
        """Answer the router's question for a neighbour."""
        asked = await self.takes(port)
        assert asked.dst == "ff:ff:ff:ff:ff:ff"
        assert (asked[ARP].op, asked[ARP].pdst) == (1, address)
        answer = ARP(op=2, hwsrc=at, psrc=address, hwdst=asked.src, pdst=asked[ARP].psrc)
        self.home.port(port).put(bytes(Ether(src=at, dst=asked.src) / answer))


def said_by_itself(frame: Packet) -> bool:
    """Return whether it announces an address of the router, or looks for routers or groups."""
    if ARP in frame:
        return bool(frame[ARP].psrc == frame[ARP].pdst)
    return IPv6 in frame and frame[IPv6].nh in (0, 58) and ICMPv6EchoRequest not in frame


@asynccontextmanager
async def sender(folder: Path) -> AsyncIterator[Sender]:
    async with house(folder, tree) as home:
        await home.configure()
        made = Sender(home)
        try:
            yield made
        finally:
            made.bulk.close()


def is_right(ip: Packet) -> bool:
    """Return whether the checksum of an IPv4 header is what scapy makes it."""
    fresh = ip.copy()
    del fresh.chksum
    return bool(IP(bytes(fresh)).chksum == ip.chksum)


async def test_ospf_to_its_group(tmp_path: Path) -> None:
    """P3: TTL 1, the address of the interface, the group's MAC address (RFC 2328, A.1)."""
    hello = bytes(OSPF_Hdr(src="10.0.1.1") / OSPF_Hello())
    async with sender(tmp_path) as program:
        await program.router.send(
            Outgoing("224.0.0.5", OSPF, hello, interface="if1", traffic_class=0xC0)
        )
        frame = await program.takes("p1")
    assert (frame.dst, frame.src) == ("01:00:5e:00:00:05", mac("if1"))
    ip = frame[IP]
    assert (ip.src, ip.dst, ip.ttl, ip.tos, ip.proto) == ("10.0.1.1", "224.0.0.5", 1, 0xC0, OSPF)
    assert is_right(ip)
    assert bytes(ip.payload) == hello


async def test_ospf_where_the_route_leads(tmp_path: Path) -> None:
    """P3: next hop, its MAC address and the source are found; nothing else is needed."""
    update = bytes(OSPF_Hdr(type=4, src="10.0.2.1"))
    async with sender(tmp_path) as program:
        await program.router.send(Outgoing("192.0.2.5", OSPF, update))
        await program.resolves("p2", "10.0.2.9")
        frame = await program.takes("p2")
    assert (frame.dst, frame.src) == (HOST, mac("if2"))
    assert (frame[IP].src, frame[IP].dst, frame[IP].ttl) == ("10.0.2.1", "192.0.2.5", 64)
    assert is_right(frame[IP])
    assert bytes(frame[IP].payload) == update


async def test_icmp_gets_its_checksum(tmp_path: Path) -> None:
    """P3."""
    echo = ICMP(id=7, seq=1, chksum=0xDEAD) / b"ping"
    async with sender(tmp_path) as program:
        await program.router.send(Outgoing("10.0.1.9", 1, bytes(echo), source="10.0.1.1", ttl=9))
        await program.resolves("p1", "10.0.1.9")
        frame = await program.takes("p1")
    del echo.chksum
    assert bytes(frame[IP].payload) == bytes(echo)
    assert frame[IP].ttl == 9


async def test_udp_gets_its_checksum_and_its_fragments(tmp_path: Path) -> None:
    """P3: the sum is that of the whole, and the fragments fit the link (RFC 791)."""
    data = bytes(range(256)) * 6
    async with sender(tmp_path) as program:
        await program.router.send(Outgoing("10.0.2.9", 17, bytes(UDP(sport=1, dport=2) / data)))
        await program.resolves("p2", "10.0.2.9")
        frames = [await program.takes("p2")]
        while frames[-1][IP].flags.MF:
            frames.append(await program.takes("p2"))
    assert len(frames) == 3
    assert all(len(frame[IP]) <= 600 and is_right(frame[IP]) for frame in frames)
    assert len({frame[IP].id for frame in frames}) == 1
    payload = b"".join(bytes(frame[IP].payload) for frame in frames)
    assert payload[8:] == data
    assert in4_chksum(17, IP(src="10.0.2.1", dst="10.0.2.9"), payload) in (0, 0xFFFF)


async def test_what_must_not_be_fragmented_is_refused(tmp_path: Path) -> None:
    async with sender(tmp_path) as program:
        with pytest.raises(CallError, match="it is too long"):
            await program.router.send(Outgoing("10.0.2.9", 17, bytes(1000), dont_fragment=True))


async def test_ospf_of_ipv6_says_where_its_checksum_is(tmp_path: Path) -> None:
    """P3: RFC 5340, A.3.1; the source is link-local, as the group is."""
    hello = bytes(OSPFv3_Hdr(chksum=0xDEAD) / OSPFv3_Hello())
    async with sender(tmp_path) as program:
        await program.router.send(
            Outgoing("ff02::5", OSPF, hello, interface="if1", checksum_at=HELLO_CHECKSUM)
        )
        frame = await program.takes("p1")
    assert frame.dst == "33:33:00:00:00:05"
    assert (frame[IPv6].hlim, frame[IPv6].nh) == (1, OSPF)
    payload = bytes(frame[IPv6].payload)
    assert in6_chksum(OSPF, frame[IPv6], payload) in (0, 0xFFFF)
    assert payload[:12] + payload[14:] == hello[:12] + hello[14:]


async def test_arp_by_an_interface(tmp_path: Path) -> None:
    """P3: a frame leaves as it is, by a VLAN with its tag."""
    frame = bytes(Ether(src=OTHER, dst=HOST) / ARP(op=2, psrc="10.0.1.5", pdst="10.0.1.9"))
    async with sender(tmp_path) as program:
        await program.router.send_frame("if1", frame)
        assert bytes(await program.takes("p1")) == frame
        await program.router.send_frame("if7", frame)
        tagged = await program.takes("p1")
    assert tagged[Dot1Q].vlan == 7
    assert bytes(tagged)[:12] + bytes(tagged)[16:] == frame


def raw(destination: str, **fields: Any) -> Outgoing:
    return Outgoing(destination, OSPF, bytes(Raw(b"hello")), **fields)


BAD = {
    "no route": (raw("203.0.113.1"), "no route leads there"),
    "to ourselves": (raw("10.0.1.1"), "it is the router itself"),
    "to ourselves on the link": (raw("10.0.1.1", interface="if1"), "it is the router itself"),
    "not on the link": (raw("203.0.113.1", interface="if1"), "it is not on the link"),
    "no such interface": (raw("10.0.1.9", interface="if9"), "no interface 'if9'"),
    "no source": (raw("224.0.0.5", interface="bare"), "no address to send from"),
    "a checksum outside": (raw("10.0.1.9", checksum_at=4), "outside of the payload"),
}


@pytest.mark.parametrize(("outgoing", "why"), BAD.values(), ids=BAD)
async def test_what_cannot_be_sent_is_refused(tmp_path: Path, outgoing: Outgoing, why: str) -> None:
    async with sender(tmp_path) as program:
        with pytest.raises(CallError, match=why):
            await program.router.send(outgoing)


def test_addresses_are_of_one_family() -> None:
    with pytest.raises(ValueError, match="not of one family"):
        raw("10.0.1.9", source="2001:db8::1").pack()


async def test_records_that_are_none_are_refused(tmp_path: Path) -> None:
    async with sender(tmp_path) as program:
        with pytest.raises(CallError, match="no router 'nowhere'"):
            await EscalationClient(program.bulk.request, "nowhere").send(raw("10.0.1.9"))
        with pytest.raises(CallError, match="a frame has 14 to"):
            await program.router.send_frame("if1", bytes(13))
        with pytest.raises(CallError, match="there is no interface 'if9'"):
            await program.router.send_frame("if9", bytes(60))
        for op, size in (("send_message", 55), ("send_frame", 15)):
            assert (await program.home.ask(op, bytes(size), "r"))[0] == BAD_LEN
