"""Interfaces that change, go and come back, in a network namespace."""

import select
import socket
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import pytest

from raicho.dataplane import mtu
from raicho.dataplane.config import BadConfig, read
from raicho.dataplane.links import EventsLost, LinkEvent, LinkWatch
from raicho.dataplane.switch import LinkChange

ADD, DELETE, MODIFY = range(3)
FRAME = bytes.fromhex("0200000000020200000000010800") + bytes(50)
ETH1 = {"kind": "af_packet", "device": "eth1"}


@pytest.fixture
def ip(namespace: Any) -> Any:
    """Give ip(8) in a namespace with eth1 and its peer far1, both up."""
    add_pair(namespace)
    return namespace


def add_pair(ip: Any) -> None:
    ip("link", "add", "eth1", "type", "veth", "peer", "name", "far1")
    for name in ("eth1", "far1"):
        ip("link", "set", name, "up")


@pytest.fixture
def watch(ip: Any) -> Iterator[LinkWatch]:
    watch = LinkWatch()
    yield watch
    watch.close()


def events(watch: LinkWatch, seconds: float = 0.2) -> Iterator[LinkEvent]:
    """Yield events until there were none for a while."""
    while select.select([watch.fileno()], [], [], seconds)[0]:
        while event := watch.next():
            yield event


class Site:
    """A switch with port p1 on eth1 that hears of its links."""

    def __init__(self, rig: Any, watch: LinkWatch, **leaves: Any) -> None:
        self.rig, self.watch = rig, watch
        list(events(watch))
        rig.configure({"p1": ETH1 | leaves, "p2": "memory"}, br0={"p1": 1, "p2": 2})
        rig.flow(2, in_port=1)
        rig.statuses()

    def changes(self) -> list[LinkChange]:
        """Hear all there is, and return what changed."""
        hear = self.rig.switch.hear
        return [c for event in events(self.watch) for c in hear(event, self.rig.now)]

    def forwards(self) -> bool:
        """Send a frame into far1 and see whether it comes out of p2."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as far:
            far.bind(("far1", 0))
            far.send(FRAME)
        self.rig.turn()
        return FRAME in self.rig.take("p2")


@pytest.fixture
def site(rig: Any, watch: LinkWatch) -> Site:
    return Site(rig, watch)


def test_an_event_says_what_an_interface_is_like(ip: Any, watch: LinkWatch) -> None:
    list(events(watch))
    begin = time.monotonic()
    ip("link", "set", "eth1", "down")
    assert select.select([watch.fileno()], [], [], 10)[0]
    took = time.monotonic() - begin
    print(f"C8: heard of it {took * 1000:.1f} ms after ip(8) was started")
    down = [event for event in events(watch) if event.name == "eth1"]
    assert down
    assert not any(event.up or event.admin_up or event.gone for event in down)
    ip("link", "del", "eth1")
    gone = [event for event in events(watch) if event.name == "eth1" and event.gone]
    assert [event.ifindex for event in gone] == [down[0].ifindex]
    assert watch.next() is None


def test_events_that_did_not_fit_are_known_to_be_lost(ip: Any, watch: LinkWatch) -> None:
    batch(ip, *(f"link set eth1 mtu {1400 + i % 50}" for i in range(10_000)))
    with pytest.raises(EventsLost):
        while watch.next():
            pass


def batch(ip: Any, *commands: str) -> None:
    """Let one ip(8) run all commands."""
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("\n".join(commands) + "\n")
        file.flush()
        ip("-batch", file.name)


def test_a_watch_that_is_closed_says_so(watch: LinkWatch) -> None:
    watch.close()
    watch.close()
    for call in (watch.next, watch.fileno):
        with pytest.raises(ValueError, match="closed"):
            call()


def test_down_and_up_are_told_once_each(site: Site, ip: Any) -> None:
    """C8: port, old, new; and a port-status for the controllers."""
    for state, up in (("down", False), ("up", True)) * 3:
        ip("link", "set", "eth1", state)
        assert site.changes() == [LinkChange("p1", not up, up)]
        assert site.rig.statuses() == [(MODIFY, 1)]
    assert site.forwards()


def test_a_hundred_flaps_are_two_hundred_changes(site: Site, ip: Any) -> None:
    """C8, although all of it is heard at the end."""
    batch(ip, *["link set eth1 down", "link set eth1 up"] * 100)
    changes = site.changes()
    assert [change.new for change in changes] == [False, True] * 100
    assert site.forwards()


def test_a_port_stays_on_an_interface_that_is_renamed(site: Site, ip: Any) -> None:
    ip("link", "set", "eth1", "down")
    ip("link", "set", "eth1", "name", "other")
    ip("link", "set", "other", "up")
    assert [change.new for change in site.changes()] == [False, True]
    assert site.forwards()
    ip("link", "set", "other", "down")
    assert site.changes() == [LinkChange("p1", True, False)]


def test_an_interface_that_goes_and_comes_back_is_opened_again(
    site: Site, ip: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """F4: under the same number, with the flows that were there."""
    for _ in range(3):
        ip("link", "del", "eth1")
        assert LinkChange("p1", True, False) in site.changes()
        assert site.rig.statuses()[-1] == (DELETE, 1)
        assert list(site.rig.switch.ports.missing) == ["p1"]
        assert site.rig.switch.stats()["ports"].keys() == {"p2"}
        add_pair(ip)
        assert site.changes()[-1] == LinkChange("p1", False, True)
        assert (ADD, 1) in site.rig.statuses()
        assert site.forwards()
    assert site.rig.switch.stats()["interfaces"] == {"lost": 3, "returned": 3, "refused": 0}
    assert caplog.text.count("lost its interface") == 3


def test_other_changes_go_on_while_an_interface_is_missing(site: Site, ip: Any) -> None:
    ip("link", "del", "eth1")
    site.changes()
    site.rig.configure({"p1": ETH1, "p2": "memory", "p3": "null"}, br0={"p1": 7, "p3": 3})
    assert site.rig.statuses()[-1] == (ADD, 3)
    add_pair(ip)
    site.changes()
    assert (ADD, 7) in site.rig.statuses()


def test_lost_events_are_made_up_for_by_looking(site: Site, ip: Any) -> None:
    hear = site.rig.switch.hear
    ip("link", "set", "eth1", "down")
    assert hear(None, site.rig.now) == [LinkChange("p1", True, False)]
    ip("link", "del", "eth1")
    add_pair(ip)
    assert hear(None, site.rig.now) == []
    assert hear(None, site.rig.now)[-1:] == [LinkChange("p1", False, True)]
    assert site.forwards()


def test_a_port_that_was_in_force_may_wait_for_its_interface(
    rig: Any, watch: LinkWatch, ip: Any, make_tree: Any
) -> None:
    """What the datastore brings back after a restart must not fail as a whole."""
    tree = make_tree({"p1": {"kind": "af_packet", "device": "eth9"}, "p2": "null"},
                     br0={"p1": 1, "p2": 2})  # fmt: skip
    list(events(watch))
    with pytest.raises(BadConfig, match="eth9"):
        rig.switch.prepare(read(tree))
    rig.switch.commit(rig.switch.prepare(read(tree), lenient=True), rig.now)
    assert rig.statuses() == [(ADD, 2)]
    ip("link", "add", "eth9", "type", "veth", "peer", "name", "far9")
    for event in events(watch):
        rig.switch.hear(event, rig.now)
    assert (ADD, 1) in rig.statuses()


def test_an_interface_that_is_removed_from_the_configuration_is_let_go(site: Site, ip: Any) -> None:
    site.rig.configure()
    ip("link", "del", "eth1")
    add_pair(ip)
    assert site.changes() == []


def test_the_mtu_is_set_at_commit_and_put_back(site: Site, ip: Any, make_tree: Any) -> None:
    """T5, M3: a dry run does not touch it."""
    rig = site.rig
    assert mtu.read("eth1") == 1500
    tree = make_tree({"p1": ETH1 | {"mtu": 1400}, "p2": "memory"}, br0={"p1": 1, "p2": 2})
    rig.switch.abort(rig.switch.prepare(read(tree)))
    assert mtu.read("eth1") == 1500
    rig.switch.commit(rig.switch.prepare(read(tree)), rig.now)
    assert mtu.read("eth1") == 1400
    assert (DELETE, 1) not in rig.statuses(), "the port stays open"
    rig.configure({"p1": ETH1, "p2": "memory"}, br0={"p1": 1, "p2": 2})
    assert mtu.read("eth1") == 1500


def test_the_mtu_of_an_interface_that_comes_back_is_set_again(site: Site, ip: Any) -> None:
    ports = {"p1": ETH1 | {"mtu": 1300}, "p2": "memory"}
    site.rig.configure(ports, br0={"p1": 1, "p2": 2})
    ip("link", "del", "eth1")
    site.changes()
    add_pair(ip)
    site.changes()
    assert mtu.read("eth1") == 1300


def test_an_mtu_that_the_interface_does_not_take_is_refused(site: Site, ip: Any) -> None:
    ports = {"p1": ETH1 | {"mtu": 60}}
    before = site.rig.snapshot()
    text = r"p1'\]/mtu: bad MTU 60 for eth1: it takes 68 to 65535"
    with pytest.raises(BadConfig, match=text):
        site.rig.configure(ports)
    assert site.rig.snapshot() == before


def test_a_port_that_is_not_enabled_sets_its_interface_down_until_it_goes(
    site: Site, ip: Any
) -> None:
    ports = {"p1": ETH1 | {"enabled": False}, "p2": "memory"}
    site.rig.configure(ports, br0={"p1": 1, "p2": 2})
    assert site.changes() == [LinkChange("p1", True, False)]
    site.rig.configure({"p2": "memory"}, br0={"p2": 2})
    up = [event.admin_up for event in events(site.watch) if event.name == "eth1"]
    assert up[-1]
