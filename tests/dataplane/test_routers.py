"""Routers of the configuration, on memory ports: what is there follows what is wanted."""

import ipaddress
import struct
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest

from raicho.control.message.routes import (
    NEIGHBOUR,
    PUT,
    REMOVE,
    ROUTE,
    Group,
    Hop,
    Kind,
    address_text,
    pack_group,
    pack_route,
    unpack_groups,
)
from raicho.control.message.trees import Tree, pack_tree, unpack_trees
from raicho.control.openflow.spec import own
from raicho.dataplane import routes, state
from raicho.dataplane.config import BadConfig, read
from raicho.dataplane.datapath import DONE
from raicho.dataplane.operation import BAD_LEN, NoSuch
from raicho.dataplane.router import STATIC
from raicho.dataplane.router_config import default_mac
from raicho.dataplane.routers import describe_labels

from .conftest import tree as make

SOURCE = 16
PAGE = struct.pack("!BII", 0, 0, 100)
PORTS = {"p1": "memory", "p2": "memory"}


def interface(net: int, **leaves: Any) -> dict[str, Any]:
    address = [f"10.0.{net}.1/24", f"2001:db8:{net}::1/64"]
    return {"name": f"if{net}", "port": f"p{net}", "address": address, **leaves}


def commit(rig: Any, tree: dict[str, Any]) -> None:
    rig.switch.commit(rig.switch.prepare(read(tree)), rig.now)


class Routed:
    """A rig whose configuration has a router."""

    def __init__(self, rig: Any) -> None:
        self.rig = rig

    def configure(
        self,
        *interfaces: dict[str, Any],
        ports: Any = PORTS,
        routes: Any = (),
        trees: Any = (),
        labels: Any = (),
        ttl: str = "uniform",
        nat: Any = None,
        **bridges: Any,
    ) -> None:
        tree = make(ports, **bridges)
        router = {
            "name": "r",
            "interface": list(interfaces),
            "route": list(routes),
            "tree": list(trees),
            "label": list(labels),
            "label-ttl": ttl,
        } | ({"nat": nat} if nat else {})
        tree["raicho"]["router"] = [router]
        commit(self.rig, tree)

    @property
    def router(self) -> Any:
        return self.rig.switch.routers.open["r"].router

    def index(self, name: str) -> int:
        return int(self.rig.switch.routers.open["r"].interfaces[name].index)

    def neighbour(self, name: str, address: str, mac: int) -> None:
        packed = ipaddress.ip_address(address).packed.ljust(16, b"\0")
        family = ipaddress.ip_address(address).version
        record = struct.pack("!BBHI16s6s10x", PUT, family, 0, self.index(name), packed,
                             mac.to_bytes(6, "big"))  # fmt: skip
        assert self.router.neighbour_mod(record, self.rig.now) == bytes(4)

    def forwards(self, to: str, port: str = "p2") -> bool:
        self.rig.put("p1", packet("if1", to))
        self.rig.turn()
        return len(self.rig.take(port)) == 1


def packet(name: str, to: str) -> bytes:
    ends = (ipaddress.ip_address(each).packed for each in ("10.0.1.9", to))
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 0, 0, 64, 17, 0, *ends)
    words = sum(struct.unpack("!10H", head))
    words = (words & 0xFFFF) + (words >> 16)
    check = ~((words & 0xFFFF) + (words >> 16)) & 0xFFFF
    head = head[:10] + check.to_bytes(2, "big") + head[12:]
    frame = default_mac(name).to_bytes(6, "big") + bytes.fromhex("020000000001") + b"\x08\0" + head
    return frame + struct.pack("!HHHH", 1, 2, 8, 0) + bytes(22)


@pytest.fixture
def routed(rig: Any) -> Routed:
    found = Routed(rig)
    found.configure(interface(1), interface(2))
    found.neighbour("if2", "10.0.2.9", 0x020000000029)
    assert found.forwards("10.0.2.9")
    return found


def test_a_change_of_other_things_keeps_what_is_known(routed: Routed) -> None:
    """T6: neighbours and routes of others live through commits."""
    hops = (Hop(Kind.GATEWAY, routed.index("if2"), ipaddress.ip_address("10.0.2.9").packed),)
    assert routed.router.next_hop_mod(pack_group(Group(SOURCE, 7, hops))) == bytes(4)
    assert routed.router.route_mod(pack_route("192.0.2.0/24", 7, SOURCE)) == bytes(4)
    index = routed.index("if2")
    static = {"prefix": "198.51.100.0/24", "discard": "blackhole"}
    routed.configure(interface(1, mtu=1400), interface(2), routes=[static])
    assert routed.index("if2") == index
    assert routed.forwards("192.0.2.1")
    assert routed.forwards("10.0.2.9")


def test_static_routes_come_change_and_go(routed: Routed) -> None:
    def via(*hops: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"prefix": "192.0.2.0/24", "next-hop": list(hops)}]

    assert not routed.forwards("192.0.2.1")
    for hop in ({"address": "10.0.2.9"}, {"address": "10.0.2.9", "interface": "if2"}):
        routed.configure(interface(1), interface(2), routes=via({"id": 1, **hop}))
        routed.rig.switch.dataplane.tick(routed.rig.now + 20)
        assert routed.forwards("192.0.2.1")
    routed.configure(interface(1), interface(2))
    assert not routed.forwards("192.0.2.1")
    assert routed.router.counts()["next_hops"] == 0


def test_interfaces_follow_their_port_and_their_leaf(routed: Routed) -> None:
    routed.configure(interface(1), interface(2, enabled=False))
    assert not routed.forwards("10.0.2.9")
    routed.configure(interface(1), interface(2))
    assert routed.forwards("10.0.2.9")
    p2 = {"kind": "memory", "enabled": False}
    routed.configure(interface(1), interface(2), ports=PORTS | {"p2": p2})
    assert not routed.forwards("10.0.2.9")


def test_an_interface_that_goes_takes_its_routes_along(routed: Routed) -> None:
    routed.configure(interface(1))
    assert not routed.forwards("10.0.2.9")
    _, records = routed.router.routes(0, 0, 100)
    assert len(records) // ROUTE.itemsize == 4 + 2  # two links, our addresses, first and last
    routed.configure(interface(1), br0={"p2": 2})
    assert routed.rig.switch.bridges["br0"].has_port(2)


def test_the_router_may_go_and_come_back(routed: Routed) -> None:
    commit(routed.rig, make(PORTS))
    assert not routed.rig.switch.routers.open
    routed.configure(interface(1), interface(2))
    routed.neighbour("if2", "10.0.2.9", 0x020000000029)
    assert routed.forwards("10.0.2.9")


def test_each_route_has_a_result_of_its_own(routed: Routed) -> None:
    """F13: one of a thousand is wrong."""
    hops = (Hop(Kind.BLACKHOLE),)
    routed.router.next_hop_mod(pack_group(Group(SOURCE, 1, hops)))
    records = [pack_route(f"172.16.{i // 256}.{i % 256}/32", 1, SOURCE) for i in range(1000)]
    records[500] = pack_route("172.16.1.244/32", 2, SOURCE)  # there is no such group
    results = struct.unpack("!1000I", routed.router.route_mod(b"".join(records)))
    assert [i for i, code in enumerate(results) if code] == [500]
    assert results[500] == 4


def pages(ask: Callable[[int, int], tuple[int, bytes]], limit: int) -> Iterator[bytes]:
    cursor, page = ask(0, limit)
    yield page
    while cursor:
        cursor, page = ask(cursor, limit)
        yield page


def test_routes_are_listed_by_pages_and_swept(routed: Routed) -> None:
    """K21, K18."""
    routed.router.next_hop_mod(pack_group(Group(SOURCE, 1, (Hop(Kind.BLACKHOLE),))))
    wanted = {f"172.16.{i}.0/24" for i in range(50)}
    routed.router.route_mod(b"".join(pack_route(prefix, 1, SOURCE) for prefix in wanted))
    listed = pages(partial(routed.router.routes, SOURCE), 7)
    seen = [page[i : i + 32] for page in listed for i in range(0, len(page), 32)]
    prefixes = {f"{ipaddress.ip_address(record[16:20])}/{record[2]}" for record in seen}
    assert (len(seen), prefixes) == (50, wanted)
    routed.router.begin(SOURCE)
    routed.router.route_mod(pack_route("172.16.3.0/24", 1, SOURCE))
    assert routed.router.sweep(SOURCE) == 49
    assert routed.router.counts()["routes"] == 2 * (4 + 2) + 1 + 1


def test_groups_are_listed_by_pages_of_one_source_or_all(routed: Routed) -> None:
    """K21: each once, though others come and go between pages."""
    ids = {(source, i * 7919) for source in (SOURCE, SOURCE + 1) for i in range(1, 51)}
    put = [pack_group(Group(*each, (Hop(Kind.BLACKHOLE),))) for each in ids]
    routed.router.next_hop_mod(b"".join(put))
    for asked, wanted in (
        (0, ids),
        (SOURCE, {each for each in ids if each[0] == SOURCE}),
        (SOURCE + 2, set()),
    ):
        seen: list[tuple[int, int]] = []
        for n, page in enumerate(pages(partial(routed.router.groups, asked), 7)):
            seen += [(group.source, group.id) for group in unpack_groups(page)]
            routed.router.next_hop_mod(
                pack_group(Group(SOURCE, 1_000_003 + n, (Hop(Kind.PROHIBIT),)))
            )
        assert sorted(each for each in seen if each[1] < 1_000_003) == sorted(wanted)
        assert len(seen) == len(set(seen))


def test_neighbours_are_listed_by_pages(routed: Routed) -> None:
    """K21."""
    wanted = {f"10.0.1.{i}" for i in range(10, 60)} | {"10.0.2.9"}
    for address in wanted:
        routed.neighbour("if1" if address < "10.0.2" else "if2", address, 0x020000000029)
    listed = list(pages(partial(routed.router.neighbours, routed.rig.now), 7))
    assert [len(page) for page in listed[:7]] == [7 * NEIGHBOUR.itemsize] * 7
    seen = [address_text(row) for row in np.frombuffer(b"".join(listed), NEIGHBOUR)]
    assert sorted(seen) == sorted(wanted)


def told(**leaves: Any) -> dict[str, Any]:
    """Return router advertisements with these leaves."""
    row = {name.replace("_", "-"): value for name, value in leaves.items()}
    return {"router-advertisements": {"enabled": True, **row}}


BAD = {
    "address of a network": (interface(1, address=["10.0.1.0/24"]), "address"),
    "no address": (interface(1, address=["10.0.1"]), "address"),
    "address of a group": (interface(1, mac="01:00:5e:00:00:01"), "mac"),
    "IPv6 on a short link": (interface(1, mtu=1000), "mtu"),
    "no port": (interface(1, port="p9"), "port"),
    "port of a bridge": (interface(1, port="p2"), "port"),
    "the same link": (interface(1, address=["10.0.7.2/24"]), "address"),
    "the same place": (interface(1, port="p7"), ""),
    "no time between": (interface(1, **told(min_interval=500, max_interval=600)), "min-interval"),
    "gone before the next": (interface(1, **told(lifetime=599)), "lifetime"),
    "no prefix": (interface(1, **told(prefix=["2001:db8::1/64"])), "prefix"),
}


@pytest.mark.parametrize(("row", "leaf"), BAD.values(), ids=BAD)
def test_what_cannot_be_is_refused(rig: Any, row: dict[str, Any], leaf: str) -> None:
    """T5: before anything has changed; the path says where."""
    tree = make(PORTS | {"p7": "memory"}, br0={"p2": 2})
    tree["raicho"]["router"] = [{"name": "r", "interface": [row, interface(7)]}]
    with pytest.raises(BadConfig) as caught:
        read(tree)
    assert leaf in caught.value.path.removeprefix("/raicho/router[name='r']/").partition("/")[2]


def test_a_namespace_that_is_not_there_is_refused(routed: Routed) -> None:
    tree = make(PORTS)
    tree["raicho"]["router"] = [{"name": "r", "host-namespace": "nowhere"}]
    with pytest.raises(BadConfig, match="no network namespace nowhere"):
        routed.rig.switch.prepare(read(tree))


CUT = ["route_mod", "neighbour_mod", "next_hop_mod", "tree_mod", "routes", "route_begin"]


@pytest.mark.parametrize("op", CUT)
def test_records_that_are_cut_are_refused_as_a_whole(routed: Routed, op: str) -> None:
    """C14: half a record is an error, not one record less."""
    code, text, frames = routes.answer(routed.rig.switch, op, "r", bytes(33))
    assert code == BAD_LEN
    assert op in text
    assert frames == ()
    assert routes.answer(routed.rig.switch, op, "nowhere", b"")[0] == NoSuch.code


def test_static_routes_that_stay_are_not_put_again(routed: Routed) -> None:
    """M20: a commit costs what it changes."""
    row = {"prefix": "192.0.2.0/24", "discard": "blackhole"}
    routed.configure(interface(1), interface(2), routes=[row])
    routed.router.begin(STATIC)
    routed.configure(interface(1), interface(2, mtu=1400), routes=[row])
    assert routed.router.sweep(STATIC) == 1  # as it was not put since


def test_a_nat_that_cannot_be_is_refused_before_anything_changes(routed: Routed) -> None:
    """T5: what the C core would refuse is known in prepare."""
    tree = make(PORTS)
    forward = {"name": "web", "protocol": "tcp", "outside": "192.0.2.7", "outside-port": 80}
    nat = {"forward": [{**forward, "inside": "10.0.1.9", "inside-port": 80}]}
    rows = [interface(1, nat="inside"), interface(2, nat="outside")]
    tree["raicho"]["router"] = [{"name": "r", "interface": rows, "nat": nat}]
    with pytest.raises(BadConfig) as caught:
        routed.rig.switch.prepare(read(tree))
    assert caught.value.path == "/raicho/router[name='r']/nat"
    assert routed.forwards("10.0.2.9")


# Trees.

GROUP, MAC = "239.1.1.1", bytes.fromhex("01005e010101")


def tree(**leaves: Any) -> dict[str, Any]:
    return {"group": GROUP, "source": "*", **leaves}


def goes_out(routed: Routed) -> bool:
    routed.rig.put("p1", MAC + packet("if1", GROUP)[6:])
    routed.rig.turn()
    (frame,) = routed.rig.take("p2") or [b""]
    assert not frame or frame[:12] == MAC + default_mac("if2").to_bytes(6, "big")
    return bool(frame)


def test_static_trees_come_change_and_go(routed: Routed) -> None:
    """P4: TIB by configuration; the state shows it with what it has counted."""
    both = interface(1), interface(2)
    assert not goes_out(routed)
    routed.configure(*both, trees=[tree(**{"outgoing-interface": ["if2"]})])
    assert goes_out(routed)
    (row,) = state.read(routed.rig.switch, "/tree")
    assert (row["packets"], row["strayed"]) == (1, 0)
    assert (row["router"], row["group"], row["source"]) == ("r", GROUP, "*")
    assert row["outgoing-interface"] == ["if2"]
    assert row["told-by"] == [STATIC]
    routed.configure(*both, trees=[tree(**{"incoming-interface": "if2"})])
    assert not goes_out(routed)
    (row,) = state.read(routed.rig.switch, "/tree")
    assert (row["packets"], row["strayed"]) == (1, 1)
    routed.configure(*both)
    assert not goes_out(routed)
    assert state.read(routed.rig.switch, "/tree") == []


def test_trees_follow_interfaces_that_begin_anew(routed: Routed) -> None:
    trees = [tree(**{"outgoing-interface": ["if2"]})]
    routed.configure(interface(1), interface(2), trees=trees)
    before = routed.index("if2")
    routed.configure(interface(1), interface(2, port="p3"), ports=PORTS | {"p3": "memory"})
    routed.configure(interface(1), interface(2), trees=trees)
    assert routed.index("if2") != before
    assert goes_out(routed)


def test_trees_by_records(routed: Routed) -> None:
    """K20: what several say of a tree is one tree; mark and sweep takes what one has said."""
    group, out = ipaddress.ip_address(GROUP).packed, routed.index("if2")
    put = Tree(SOURCE, group, outgoing=(out,))
    assert ask(routed, "tree_mod", pack_tree(put)) == (bytes(4),)
    assert goes_out(routed)
    other = Tree(SOURCE + 1, group, ipaddress.ip_address("10.0.1.9").packed, local=True)
    assert ask(routed, "tree_mod", pack_tree(other)) == (bytes(4),)
    assert not goes_out(routed)
    listed = {each.source: each for each in unpack_trees(ask(routed, "trees", PAGE)[1])}
    assert listed[SOURCE].outgoing == (out,)
    assert listed[SOURCE].packets == 1
    assert listed[SOURCE + 1].sender == other.sender
    assert listed[SOURCE + 1].local
    assert ask(routed, "tree_mod", pack_tree(other, REMOVE)) == (bytes(4),)
    assert goes_out(routed)
    assert ask(routed, "tree_begin", bytes([SOURCE])) == ()
    assert ask(routed, "tree_sweep", bytes([SOURCE])) == ((1).to_bytes(4, "big"),)
    assert not goes_out(routed)
    assert routed.router.counts()["trees"] == 0


def ask(routed: Routed, op: str, payload: bytes) -> Any:
    code, text, frames = routes.answer(routed.rig.switch, op, "r", payload)
    assert (code, text) == (DONE, "")
    return tuple(frames)


@pytest.mark.parametrize(
    ("leaves", "reason"),
    [
        ({"group": "224.0.0.5"}, "no group that routers forward"),
        ({"group": "ff02::5"}, "no group that routers forward"),
        ({"group": "10.0.0.1"}, "no group that routers forward"),
        ({"group": "x"}, "does not appear to be"),
        ({"group": "FF0E::1"}, "ff0e::1"),
        ({"source": "239.0.0.1"}, "no source"),
        ({"source": "2001:db8::1"}, "no source"),
        ({"outgoing-interface": ["if9"]}, "no interface if9"),
        ({"incoming-interface": "if9"}, "no interface if9"),
    ],
)
def test_trees_that_cannot_be(routed: Routed, leaves: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadConfig, match=reason):
        routed.configure(interface(1), interface(2), trees=[tree(**leaves)])


# Labels.


def shim(label: int, ttl: int) -> bytes:
    return (label << 12 | 0x100 | ttl).to_bytes(4, "big")


def labelled(frame: bytes, label: int) -> bytes:
    return frame[:12] + b"\x88\x47" + shim(label, 64) + frame[14:]


def sent(routed: Routed, frame: bytes, port: str = "p2") -> bytes:
    """Return what leaves behind the addresses when a frame comes in."""
    routed.rig.put("p1", frame)
    routed.rig.turn()
    (out,) = routed.rig.take(port)
    return bytes(out[12:])


def test_static_labels_come_change_and_go(routed: Routed) -> None:
    """P4: push by a route, swap, pop for the next router, and the end of a path (RFC 3031)."""
    frame, by = packet("if1", "192.0.2.1"), {"address": "10.0.2.9", "interface": "if2"}

    def configure(label: dict[str, Any], *pushed: int, ttl: str = "uniform") -> None:
        route = {"prefix": "192.0.2.0/24", "next-hop": [{"id": 1, **by, "label": list(pushed)}]}
        labels = [{"label": 100, **label}]
        routed.configure(interface(1), interface(2), routes=[route], labels=labels, ttl=ttl)

    configure({"next-hop": [{"id": 1, **by, "label": [200]}]}, 300)
    assert routed.router.counts()["labels"] == 1
    assert sent(routed, frame)[:6] == b"\x88\x47" + shim(300, 63)
    assert sent(routed, labelled(frame, 100))[:6] == b"\x88\x47" + shim(200, 63)
    configure({"next-hop": [{"id": 1, **by}]})
    assert sent(routed, labelled(frame, 100))[:3] == b"\x08\x00\x45"
    configure({"ends-here": True}, 300, ttl="pipe")
    assert sent(routed, labelled(frame, 100))[:6] == b"\x88\x47" + shim(300, 255)
    row = describe_labels(routed.rig.switch.routers.open["r"])
    assert row == [{"label": 100, "ends-here": True, "next-hop": []}]
    routed.configure(interface(1), interface(2))
    assert routed.router.counts()["labels"] == 0
    routed.rig.put("p1", labelled(frame, 100))
    routed.rig.turn()
    assert routed.rig.take("p2") == []


@pytest.mark.parametrize(
    ("hop", "why"),
    [
        ({"address": "10.0.2.9", "interface": "if9"}, "no interface if9"),
        ({"interface": "if2", "label": [200]}, "has an address"),
        ({"address": "no"}, "does not appear"),
    ],
)
def test_next_hops_of_labels_make_sense(routed: Routed, hop: dict[str, Any], why: str) -> None:
    label = {"label": 100, "next-hop": [{"id": 1, **hop}]}
    with pytest.raises(BadConfig, match=why):
        routed.configure(interface(1), interface(2), labels=[label])


def test_flow_entries_send_packets_into_a_router(routed: Routed) -> None:
    """F7: an interface keeps its number until the leaf is another, and entries wait for it."""
    ports = PORTS | {"p3": "memory"}

    def routes(frame: bytes) -> bool:
        routed.rig.put("p3", frame)
        routed.rig.turn()
        return len(routed.rig.take("p2")) == 1

    routed.configure(interface(1, number=7), interface(2), ports=ports, br0={"p3": 1})
    routed.rig.act(own.sent(own.Route(7)))
    frame = b"\x02" + bytes(5) + packet("if1", "10.0.2.9")[6:]  # to no address of the router's
    assert routes(frame)
    routed.configure(interface(1), interface(2, number=8), ports=ports, br0={"p3": 1})
    assert not routes(frame)
    routed.configure(interface(1, number=8), interface(2, number=7), ports=ports, br0={"p3": 1})
    assert routes(frame)
    [shown, _] = state.read(routed.rig.switch, "/router")[0]["interface"]
    assert shown["number"] == 8


def test_a_number_is_that_of_one_interface(routed: Routed) -> None:
    with pytest.raises(BadConfig, match=r"if2'\]/number: interface if1 has the same number"):
        routed.configure(interface(1, number=7), interface(2, number=7))
