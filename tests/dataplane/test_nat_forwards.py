"""Port forwards that programs set, and single sessions that they end."""

import struct
from ipaddress import ip_address
from typing import Any

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from raicho.control.message.nat import (
    Forward,
    Session,
    pack_forward,
    pack_session,
    unpack_forwards,
    unpack_sessions,
)
from raicho.control.message.routes import ERRORS, REMOVE, Source
from raicho.dataplane import routes, state
from raicho.dataplane.nat_sessions import NEXT, PAGE
from raicho.dataplane.operation import Refused
from raicho.dataplane.router_config import default_mac
from raicho.dataplane.translation import (
    BAD,
    BY_CONFIGURATION,
    BY_PROGRAM,
    CONFIGURED,
    DONE,
    FULL,
    GONE,
    MAX_FORWARDS,
    NO_POOL,
)

from .test_nat_sessions import PORTS, ask, begin
from .test_routers import Routed, interface, routed

__all__ = ["routed"]  # a fixture

TCP, UDP_NUMBER = 6, 17
OUTSIDE, INSIDE, REMOTE = (ip_address(a).packed for a in ("10.0.2.1", "10.0.1.9", "10.0.2.9"))
POOL = {"name": "out", "interface": "if2"}
FIXED = {"first": "192.0.2.1", "last": "192.0.2.9"}
WEB = Forward(UDP_NUMBER, OUTSIDE, 80, INSIDE, 8080)
CONFIGURED_FORWARD = {
    "name": "ssh",
    "protocol": "tcp",
    "outside": "10.0.2.1",
    "outside-port": 22,
    "inside": "10.0.1.9",
    "inside-port": 22,
}


def configure(routed: Routed, **leaves: Any) -> None:
    nat = {"pool": [POOL], "forward": [CONFIGURED_FORWARD], **leaves}
    routed.configure(interface(1, nat="inside"), interface(2, nat="outside"), nat=nat)


def mod(routed: Routed, *forwards: Forward, op: int = 1) -> list[int]:
    payload = b"".join(pack_forward(each, op) for each in forwards)
    [codes] = ask(routed, "forward_mod", payload)
    return list(struct.unpack(f"!{len(forwards)}I", codes))


def listed(routed: Routed, limit: int = 100) -> list[Forward]:
    found: list[Forward] = []
    position = -1
    while position:
        head, records = ask(routed, "forwards", PAGE.pack(max(position, 0), limit))
        found += unpack_forwards(records)
        (position,) = NEXT.unpack(head)
    return found


def arrives(routed: Routed, port: int) -> int:
    """Send to a port outside; return the port inside at which it comes out, 0 if it does not."""
    mac = default_mac("if2").to_bytes(6, "big").hex(":")
    head = Ether(dst=mac, src="02:00:00:00:00:29") / IP(src="10.0.2.9", dst="10.0.2.1")
    routed.rig.put("p2", bytes(head / UDP(sport=999, dport=port) / bytes(20)))
    routed.rig.turn()
    frames = [Ether(frame) for frame in routed.rig.take("p1")]
    return sum(frame[UDP].dport for frame in frames if UDP in frame)


def test_what_a_program_forwards_comes_in_until_it_takes_that_back(routed: Routed) -> None:
    """G10, K19: beside the configuration, which stays as it is."""
    configure(routed)
    routed.neighbour("if1", "10.0.1.9", 0x020000000019)
    assert arrives(routed, 80) == 0
    assert mod(routed, WEB) == [DONE]
    assert arrives(routed, 80) == 8080
    assert mod(routed, Forward(UDP_NUMBER, OUTSIDE, 80, INSIDE, 8081)) == [DONE], "replaced"
    assert arrives(routed, 80) == 8081
    found = {(each.protocol, each.outside_port, each.source) for each in listed(routed)}
    assert found == {(TCP, 22, BY_CONFIGURATION), (UDP_NUMBER, 80, BY_PROGRAM)}
    (row,) = state.read(routed.rig.switch, "/router")
    assert [each["name"] for each in row["nat"]["forward"]] == ["ssh"]
    assert row["nat"]["counts"]["forwards"] == 1
    assert mod(routed, WEB, WEB, op=REMOVE) == [DONE, GONE]
    ask(routed, "nat_flush", b"")
    assert arrives(routed, 80) == 0


def test_each_record_has_a_result_of_its_own(routed: Routed) -> None:
    """F13, G10: and the others are done."""
    configure(routed)
    bad = [
        (Forward(TCP, OUTSIDE, 22, INSIDE, 1), CONFIGURED),
        (Forward(TCP, bytes([9, 9, 9, 9]), 1, INSIDE, 1), NO_POOL),
        (Forward(1, OUTSIDE, 1, INSIDE, 1), BAD),
        (Forward(TCP, OUTSIDE, 0, INSIDE, 1), BAD),
        (Forward(TCP, OUTSIDE, 1, bytes(16), 1), BAD),
        (Forward(TCP, OUTSIDE, 1, b"", 1), BAD),
    ]
    assert mod(routed, *(each for each, _ in bad), WEB) == [code for _, code in bad] + [DONE]
    assert len(listed(routed)) == 2
    assert mod(routed, Forward(TCP, OUTSIDE, 22, INSIDE, 1), op=REMOVE) == [CONFIGURED]
    assert {CONFIGURED, NO_POOL, BAD, FULL, GONE} <= ERRORS.keys()


def test_forwards_are_bounded_and_listed_by_pages(routed: Routed) -> None:
    """K21."""
    configure(routed)
    many = [Forward(TCP, OUTSIDE, 1000 + i, INSIDE, 1) for i in range(MAX_FORWARDS)]
    assert mod(routed, *many) == [DONE] * (MAX_FORWARDS - 1) + [FULL]
    assert mod(routed, many[0]) == [DONE], "it has its place"
    ports = [each.outside_port for each in listed(routed, 100)]
    assert ports == [22, *(each.outside_port for each in many[:-1])]


def test_forwards_give_way_to_the_configuration(routed: Routed) -> None:
    """F1: what is configured never fails because of what a program wants."""
    configure(routed)
    assert mod(routed, WEB, Forward(TCP, OUTSIDE, 2222, INSIDE, 22)) == [DONE, DONE]
    taken = {**CONFIGURED_FORWARD, "name": "two", "outside-port": 2222}
    configure(routed, forward=[CONFIGURED_FORWARD, taken])
    found = {(each.outside_port, each.source) for each in listed(routed)}
    assert found == {(22, BY_CONFIGURATION), (2222, BY_CONFIGURATION), (80, BY_PROGRAM)}
    configure(routed, forward=[], pool=[{"name": "other", **FIXED}])
    assert listed(routed) == []
    (row,) = state.read(routed.rig.switch, "/router")
    assert row["nat"]["counts"]["forwards_given_up"] == 2


def test_sessions_end_one_by_one_as_they_are_listed(routed: Routed) -> None:
    """K19."""
    begin(routed)
    _, records = ask(routed, "nat_sessions", PAGE.pack(0, 100))
    sessions = list(unpack_sessions(records))
    assert len(sessions) == len(PORTS)
    one = sessions[2]
    assert pack_session(one) == records[2 * 40 : 3 * 40]
    bare = Session(one.protocol, one.inside, one.inside_port, one.remote, one.remote_port)
    wrong = bytes([9]) + pack_session(bare)[1:]
    payload = pack_session(bare) + pack_session(one) + wrong
    assert ask(routed, "nat_end", payload) == (struct.pack("!3I", DONE, GONE, BAD),)
    _, rest = ask(routed, "nat_sessions", PAGE.pack(0, 100))
    assert set(unpack_sessions(rest)) == {*sessions} - {one}


@pytest.mark.parametrize(("op", "size"), [("forward_mod", 32), ("nat_end", 40)])
def test_a_router_without_nat_has_nothing_to_change(routed: Routed, op: str, size: int) -> None:
    assert routes.answer(routed.rig.switch, op, "r", bytes(size))[0] == Refused.code
    assert listed(routed) == []


def test_both_ends_mean_the_same_source() -> None:
    assert (BY_CONFIGURATION, BY_PROGRAM) == (Source.STATIC, Source.OPERATOR)
