"""What a routing OS and others hear on the bus of a running switch: C7, C8.

How long each took is printed, and not judged: it depends on what else the machine does.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from bench.peers.raicho import ask
from raicho.control.message import Message, Set, Stats
from raicho.control.message.causes import LinkMoved, Missed, TableFull

from .conftest import short_folder
from .hearing import Hearing
from .lab import Lab, Namespace, wait_until
from .needs import needs
from .routed import Routed, stand, v4

pytestmark = needs("ping")

FLAPS = 100
NOWHERE = "203.0.113.7"
BRIDGE = {
    "pipeline": "bridge",
    "port": [{"name": "p3", "number": 1, "max-macs": 1}],
}


@dataclass
class Heard:
    """A router with hosts on p1 and p2, a bridge with a host on p3, and who hears of them."""

    routed: Routed
    hearing: Hearing

    @property
    def place(self) -> Namespace:
        return self.routed.place

    def after(self, topic: str, cause: Callable[[], Any]) -> Message | dict[str, Any]:
        """Return the first event of a topic that comes after its cause."""
        before, began = len(self.hearing.of(topic)), time.time()
        cause()
        came, event = self.hearing.wait(topic, before + 1)
        print(f"{topic}: {1000 * (came - began):.1f} ms after the command was started")
        return event.body

    def after_packets(self, topic: str, cause: Callable[[], Any]) -> Message | dict[str, Any]:
        """The same of a cause that is repeated: events of packets have a rate, the rest is lost."""
        before = len(self.hearing.of(topic))
        wait_until(lambda: cause() or len(self.hearing.of(topic)) > before, topic)
        return self.hearing.of(topic)[before][1].body

    def ping(self, to: str, *options: str) -> None:
        argv = ("ping", "-c", "1", "-W", "1", *options, to)
        self.routed.hosts[0].run(*argv, check=False)

    def is_heard(self) -> bool:
        """Cause an event; tell whether one has come: a subscription takes a while to get there."""
        self.ping(NOWHERE)
        return bool(self.hearing.of("escalate.route-miss"))


@pytest.fixture(scope="module")
def heard() -> Iterator[Heard]:
    with short_folder() as folder, Lab() as lab:
        routed = stand(lab, folder, links=3)
        with Hearing(routed.switch.run_dir, "") as hearing:
            ports = [
                Set(f"/raicho/port[name='p{i}']", {"kind": "af_packet", "device": f"p{i}"})
                for i in (1, 2, 3)
            ]
            interfaces = [
                Set(
                    f"/raicho/router[name='r']/interface[name='if{net}']",
                    {"port": f"p{net}", "address": [f"{v4(net, 1)}/24"]},
                )
                for net in (1, 2)
            ]
            bridge = Set("/raicho/bridge[name='br0']", BRIDGE)
            routed.switch.commit(*ports, *interfaces, bridge)
            found = Heard(routed, hearing)
            wait_until(found.is_heard, "the first event")
            yield found
        print(routed.switch.log.read_text())


def test_packets_that_cannot_go_on(heard: Heard) -> None:
    """C7: nobody knows the neighbour, nothing leads there, the time to live is used up."""
    where, source = ("r", "if1", "p1", 0), v4(1, 2)
    nobody = v4(2, 77)
    for kind, to, options in (
        ("route-miss", NOWHERE, ()),
        ("neighbour-miss", nobody, ()),
        ("ttl-expired", v4(2, 2), ("-t", "1")),
    ):
        body = heard.after_packets(f"escalate.{kind}", partial(heard.ping, to, *options))
        assert isinstance(body, Missed)
        assert (body.router, body.interface, body.port, body.vlan) == where
        assert (body.source, body.destination) == (source, to)


def test_a_link_under_a_router(heard: Heard) -> None:
    """C7."""
    far = heard.routed.hosts[1]
    for state, up in (("down", False), ("up", True)):
        body = heard.after("escalate.link", partial(far.ip, "link", "set", "eth0", state))
        assert body == LinkMoved("r", "if2", "p2", up)


def test_a_table_that_is_full(heard: Heard) -> None:
    """C7: one address is learned behind the port, the second finds no room."""
    host = heard.routed.hosts[2]

    def speak_as(last: int) -> None:
        host.ip("link", "set", "eth0", "address", f"02:00:00:00:99:0{last}")
        host.run("ping", "-c", "1", "-W", "1", v4(3, 1), check=False)

    speak_as(1)
    body = heard.after("escalate.table-full", partial(speak_as, 2))
    assert isinstance(body, TableFull)
    assert (body.table, body.owner) == ("mac", "br0")
    assert body.refused > 0


def test_an_interface_that_is_set_down_is_told_once(heard: Heard) -> None:
    """C8: port, old, new, and when it was."""
    for state, up in (("down", False), ("up", True)):
        began = time.time()
        body = heard.after("port.link", partial(heard.place.ip, "link", "set", "p2", state))
        assert isinstance(body, dict)
        assert (body["port"], body["old"], body["new"]) == ("p2", not up, up)
        assert began <= body["time"] <= time.time()


def test_a_hundred_flaps(heard: Heard) -> None:
    """C8: a pair of events for each, or fewer and it is counted that the kernel told of fewer."""
    hearing, before = heard.hearing, len(heard.hearing.of("port.link"))
    lost_before = _links_lost(heard)
    with tempfile.NamedTemporaryFile("w") as file:
        file.write("link set p2 down\nlink set p2 up\n" * FLAPS)
        file.flush()
        began = time.time()
        heard.place.ip("-batch", file.name)
    took = time.time() - began

    def told() -> list[tuple[float, Any]]:
        return [(came, event.body) for came, event in hearing.of("port.link")[before:]]

    def all_told() -> bool:
        found = told()
        return len(found) == 2 * FLAPS or bool(lost() and found and found[-1][1]["new"])

    def lost() -> bool:
        return _links_lost(heard) > lost_before

    wait_until(all_told, "the last of the flaps")
    bodies = [body for _, body in told()]
    late = sorted(1000 * (came - body["time"]) for came, body in told())
    print(
        f"{FLAPS} flaps in {took * 1000:.0f} ms: {len(bodies)} events, each heard after "
        f"{late[len(late) // 2]:.1f} ms (median), {late[-1]:.1f} ms at most"
    )
    assert {body["port"] for body in bodies} == {"p2"}
    assert bodies[0]["old"] is True
    assert bodies[-1]["new"] is True
    assert all(body["old"] != body["new"] for body in bodies)
    assert all(a["new"] == b["old"] and a["time"] <= b["time"] for a, b in pairwise(bodies))
    assert len(bodies) == 2 * FLAPS or lost()
    assert not hearing.gaps


def _links_lost(heard: Heard) -> int:
    """Return how often the kernel had more to tell than there was room for."""
    counters = ask(heard.routed.switch.run_dir, "dataplane", Stats(["bulk"])).data["bulk"]
    return int(counters.get("link_events_lost", 0))
