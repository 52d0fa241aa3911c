"""One model of errors for all APIs: what is wrong has the same code and shape everywhere."""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from raicho.control.message import BulkRequest, Code
from raicho.control.message.codes import code_of
from raicho.control.message.nat import Forward, NatClient, Session, pack_forward, pack_session
from raicho.control.message.routes import (
    REMOVE,
    Group,
    Hop,
    Kind,
    RouteClient,
    Source,
    pack_group,
    pack_neighbour,
    pack_route,
)
from raicho.control.message.trees import Tree, TreeClient, pack_tree
from raicho.control.openflow.spec import Message, pack
from raicho.control.openflow.spec.messages import FlowMod, GroupMod, MeterMod
from raicho.dataplane import apis
from raicho.dataplane.datapath import DONE
from raicho.dataplane.operation import Operation
from raicho.dataplane.service import LISTENING

from .test_escalation import tree
from .test_service import House, house

OPERATIONS: dict[str, Operation[Any]] = {
    name: each for table in (*apis.TABLES, LISTENING) for name, each in table.items()
}
BARE = {"barrier", "features", "get_config", "attach", "detach"}  # which have no payload
BY_MESSAGE = {"apply"}  # answers for each message until one has no length
OURS, MAC, NOBODY = Source.OPERATOR, bytes(5) + b"\1", bytes([192, 0, 2, 1])
OUTSIDE = ip_address("10.0.2.1").packed
SSH = {"protocol": "tcp", "outside": "10.0.2.1", "outside-port": 22}

#: Of each API what is not there, already there, too many, and no item: the client, and the record.
ITEMS: dict[str, tuple[Any, str, bytes, Code]] = {
    "route: not there": (
        *(RouteClient, "route_mod", pack_route("192.0.2.0/24", 0, OURS, op=REMOVE)),
        Code.NOT_FOUND,
    ),
    "route: by no group": (
        *(RouteClient, "route_mod", pack_route("192.0.2.0/24", 99, OURS)),
        Code.NOT_FOUND,
    ),
    "route: none": (RouteClient, "route_mod", bytes([9] * 32), Code.INVALID),
    "next hop: not there": (
        *(RouteClient, "next_hop_mod", pack_group(Group(OURS, 99, ()), REMOVE)),
        Code.NOT_FOUND,
    ),
    "next hop: by no interface": (
        *(RouteClient, "next_hop_mod", pack_group(Group(OURS, 1, (Hop(Kind.LINK, 99),)))),
        Code.NOT_FOUND,
    ),
    "next hop: none": (RouteClient, "next_hop_mod", pack_group(Group(OURS, 1, ())), Code.INVALID),
    "neighbour: not there": (
        *(RouteClient, "neighbour_mod", pack_neighbour(NOBODY, 99, MAC, op=REMOVE)),
        Code.NOT_FOUND,
    ),
    "neighbour: on no interface": (
        *(RouteClient, "neighbour_mod", pack_neighbour(NOBODY, 99, MAC)),
        Code.NOT_FOUND,
    ),
    "neighbour: none": (RouteClient, "neighbour_mod", bytes([9] * 40), Code.INVALID),
    "tree: not there": (
        *(TreeClient, "tree_mod", pack_tree(Tree(OURS, bytes([239, 1, 1, 1])), REMOVE)),
        Code.NOT_FOUND,
    ),
    "tree: none": (TreeClient, "tree_mod", pack_tree(Tree(OURS, NOBODY)), Code.INVALID),
    "forward: not there": (
        *(NatClient, "forward_mod", pack_forward(Forward(6, OUTSIDE, 1, NOBODY, 1), REMOVE)),
        Code.NOT_FOUND,
    ),
    "forward: already there": (
        *(NatClient, "forward_mod", pack_forward(Forward(6, OUTSIDE, 22, NOBODY, 1))),
        Code.CONFLICT,
    ),
    "forward: from no pool": (
        *(NatClient, "forward_mod", pack_forward(Forward(6, NOBODY, 1, NOBODY, 1))),
        Code.REFUSED,
    ),
    "forward: none": (NatClient, "forward_mod", bytes(32), Code.INVALID),
    "session: not there": (
        *(NatClient, "nat_end", pack_session(Session(6, NOBODY, 1, NOBODY, 1))),
        Code.NOT_FOUND,
    ),
    "session: none": (NatClient, "nat_end", bytes(40), Code.INVALID),
}
#: The same of OpenFlow's messages, which have codes of their own.
MESSAGES: dict[str, tuple[Message, Code]] = {
    "group: not there": (GroupMod(1, 0, 7), Code.NOT_FOUND),
    "group: already there": (GroupMod(0, 0, 1), Code.CONFLICT),
    "group: none": (GroupMod(0, 9, 7), Code.INVALID),
    "meter: not there": (MeterMod(1, 1, 7), Code.NOT_FOUND),
    "meter: already there": (MeterMod(0, 1, 1), Code.CONFLICT),
    "flow: too many": (FlowMod(priority=2), Code.UNAVAILABLE),
    "flow: none": (FlowMod(command=9), Code.INVALID),
}


def whole() -> dict[str, Any]:
    """Write a bridge that one flow fills, and a router with a NAT."""
    found = tree()
    raicho = found["raicho"]
    raicho["bridge"] = [{"name": "br0", "max-flows": 1}]
    [router] = raicho["router"]
    for interface, side in zip(router["interface"], ("inside", "outside"), strict=True):
        interface["nat"] = side
    ssh = {"name": "ssh", **SSH, "inside": "10.0.1.9", "inside-port": 22}
    router["nat"] = {"pool": [{"name": "out", "interface": "if2"}], "forward": [ssh]}
    return found


def owner(op: str) -> str:
    """Return the name of what an operation is on."""
    return "br0" if op in {*apis.openflow.OPERATIONS, *LISTENING} else "r"


async def told(home: House, op: str, name: str, payload: bytes) -> tuple[int, str]:
    reply, frames = await home.bulk.request(BulkRequest(op, name), payload)
    assert reply.code == DONE or not frames
    return reply.code, reply.text


async def test_what_is_on_something_unknown_says_so(tmp_path: Path) -> None:
    """G10: all operations that there are, by the same code, with what was not found."""
    async with house(tmp_path, whole) as home:
        await home.configure()
        for op in OPERATIONS:
            code, text = await told(home, op, "nowhere", bytes(3))
            assert code_of(code) is Code.NOT_FOUND, op
            assert text.startswith(f"{op}: no ") and text.endswith("'nowhere'")


async def test_what_is_no_payload_says_how_it_is_wrong(tmp_path: Path) -> None:
    """G10: and nothing else has happened, whatever the operation."""
    async with house(tmp_path, whole) as home:
        await home.configure()
        before = await home.get("/router")
        for op in OPERATIONS.keys() - BARE - BY_MESSAGE:
            code, text = await told(home, op, owner(op), bytes(3))
            assert code_of(code) is Code.INVALID, op
            assert text.startswith(f"{op}: ") and "3" in text, text
        assert await home.get("/router") == before
        for op in BARE:
            assert (await told(home, op, owner(op), b""))[0] == DONE


@pytest.fixture
def names() -> Iterator[set[str]]:
    """Give the operations that take records, each of which is to be in ITEMS."""
    found = {op for op, each in OPERATIONS.items() if {"bulk"} < {*each.verbs} - {"get", "stat"}}
    yield found - {*apis.openflow.OPERATIONS} - {"route_sweep", "tree_sweep"}


async def test_what_is_wrong_with_an_item_has_the_same_code_everywhere(
    tmp_path: Path, names: set[str]
) -> None:
    """G10, F13: each names the item, and says what is wrong with it."""
    assert {op for _, op, _, _ in ITEMS.values()} == names
    async with house(tmp_path, whole) as home:
        await home.configure()
        for name, (kind, op, record, code) in ITEMS.items():
            [result] = await kind(home.bulk.request, "r").carry_out(op, [record])
            assert result.code is code, (name, result)
            what, _, why = result.text.partition(": ")
            assert what and why, name


async def test_messages_of_openflow_have_codes_that_mean_the_same(tmp_path: Path) -> None:
    """G10."""
    async with house(tmp_path, whole) as home:
        await home.configure()
        made = [pack(each) for each in (FlowMod(), GroupMod(0, 0, 1), MeterMod(0, 1, 1))]
        code, [results] = await home.ask("apply", b"".join(made))
        assert (code, set(memoryview(results).cast("I"))) == (DONE, {DONE})
        for name, (message, wanted) in MESSAGES.items():
            _, [results] = await home.ask("apply", pack(message))
            [number] = memoryview(results).cast("I")
            assert code_of(number) is wanted, (name, hex(number))
