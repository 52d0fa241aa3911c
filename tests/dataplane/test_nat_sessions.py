"""Sessions of NAT by the bulk endpoint."""

import struct
from ipaddress import ip_address
from typing import Any

import pytest

from raicho.dataplane import routes
from raicho.dataplane.datapath import DONE
from raicho.dataplane.nat import PROTOCOLS
from raicho.dataplane.nat_sessions import ENDED, NEXT, PAGE, RECORD
from raicho.dataplane.operation import BAD_LEN, Refused

from .test_routers import Routed, interface, packet, routed

__all__ = ["routed"]  # a fixture

UDP = PROTOCOLS["udp"]
PORTS = range(1000, 1005)


def from_port(port: int) -> bytes:
    """Return a UDP packet from a host inside."""
    frame: bytes = packet("if1", "10.0.2.9")
    return frame[:34] + struct.pack("!H", port) + frame[36:]


def begin(routed: Routed) -> None:
    """Begin a session from each of PORTS."""
    nat = {"pool": [{"name": "out", "interface": "if2"}]}
    routed.configure(interface(1, nat="inside"), interface(2, nat="outside"), nat=nat)
    for port in PORTS:
        routed.rig.put("p1", from_port(port))
    routed.rig.turn()
    assert len(routed.rig.take("p2")) == len(PORTS)


def ask(routed: Routed, op: str, payload: bytes) -> Any:
    code, text, frames = routes.answer(routed.rig.switch, op, "r", payload)
    assert (code, text) == (DONE, "")
    return frames


def test_sessions_are_listed_by_pages_and_ended(routed: Routed) -> None:
    """K19: those of NAT, by whose inside they are."""
    begin(routed)
    rows: list[Any] = []
    position, pages = 0, 0
    while position or not pages:
        head, records = ask(routed, "nat_sessions", PAGE.pack(position, 2))
        rows += RECORD.iter_unpack(records)
        (position,), pages = NEXT.unpack(head), pages + 1
    assert pages > 1
    assert sorted(row[3] for row in rows) == list(PORTS)
    inside, outside, remote = map(ip_address, ("10.0.1.9", "10.0.2.1", "10.0.2.9"))
    assert {(*row[:2], ip_address(row[6]), ip_address(row[7])) for row in rows} == {
        (4, UDP, outside, remote)
    }
    assert {ip_address(row[8][:4]) for row in rows} == {inside}
    for address, ended in ((ip_address("10.0.1.8"), 0), (inside, len(PORTS))):
        assert ask(routed, "nat_flush", address.packed) == (ENDED.pack(ended),)


def test_all_sessions_end_together(routed: Routed) -> None:
    begin(routed)
    assert ask(routed, "nat_flush", b"") == (ENDED.pack(len(PORTS)),)
    assert ask(routed, "nat_sessions", PAGE.pack(0, 9)) == (NEXT.pack(0), b"")


def test_a_router_without_nat_has_no_sessions(routed: Routed) -> None:
    assert ask(routed, "nat_sessions", PAGE.pack(0, 9)) == (NEXT.pack(0), b"")
    code, text, _ = routes.answer(routed.rig.switch, "nat_flush", "r", b"")
    assert (code, text) == (Refused.code, "nat_flush: the router has no NAT")


@pytest.mark.parametrize("size", [1, 3, 5, 17])
def test_what_is_no_address_ends_nothing(routed: Routed, size: int) -> None:
    code, text, _ = routes.answer(routed.rig.switch, "nat_flush", "r", bytes(size))
    assert (code, text) == (BAD_LEN, f"nat_flush: {size} bytes are no address")
