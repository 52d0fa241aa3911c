"""Taps: interfaces that come and go with their ports."""

import select
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from raicho.dataplane.config import BadConfig, read
from raicho.dataplane.links import LinkWatch
from raicho.dataplane.opening import has_interface

from .conftest import FRAME

TAP5 = {"kind": "tap", "device": "tap5"}
ALL = 3  # ETH_P_ALL


@pytest.fixture
def tapped(rig: Any, namespace: Any) -> Any:
    """Give a switch that forwards between a tap and p2."""
    rig.configure({"t": TAP5, "p2": "memory"}, br0={"t": 1, "p2": 2})
    rig.flow(2, in_port=1)
    rig.flow(1, in_port=2)
    return rig


def host(device: str = "tap5") -> socket.socket:
    """Open the host's side of a tap."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
    opened.bind((device, ALL))
    opened.settimeout(10)
    return opened


def forwards(rig: Any) -> bool:
    """Send a frame into the tap and see whether it comes out of p2."""
    with host() as end:
        end.send(FRAME)
    rig.turn()
    return FRAME in rig.take("p2")


def test_frames_pass_between_the_host_and_the_switch(tapped: Any) -> None:
    assert forwards(tapped)
    with host() as end:
        tapped.put("p2")
        tapped.turn()
        assert end.recv(2048) == FRAME


def test_an_interface_comes_and_goes_with_its_port(tapped: Any) -> None:
    assert has_interface("tap5")
    tapped.configure({"p2": "memory"}, br0={"p2": 2})
    assert not has_interface("tap5")


def test_an_interface_that_was_there_stays(rig: Any, namespace: Any) -> None:
    namespace("tuntap", "add", "tap5", "mode", "tap")
    rig.configure({"t": TAP5}, br0={"t": 1})
    rig.configure({})
    assert has_interface("tap5")


def test_a_dry_run_makes_no_interface(rig: Any, namespace: Any, make_tree: Any) -> None:
    """T5, M4."""
    rig.switch.abort(rig.switch.prepare(read(make_tree({"t": TAP5 | {"mtu": 1400}}))))
    assert not has_interface("tap5")


def test_the_mtu_of_a_tap_is_set_and_its_queues_are_served(rig: Any, namespace: Any) -> None:
    """T1."""
    many = TAP5 | {"mtu": 1400, "device-queues": 2, "lane": [{"queue": 1, "worker": 3}]}
    rig.configure({"t": many, "p2": "memory"}, workers=({"id": 3},), br0={"t": 1, "p2": 2})
    rig.flow(2, in_port=1)
    assert rig.port("t").link().mtu == 1400
    assert forwards(rig)


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ("a/b", '"a/b" is no name for an interface'),
        ("sixteen-letters-", '"sixteen-letters-" is no name for an interface'),
        ("lo", 'cannot use "lo" as a tap: Invalid argument'),
    ],
)
def test_what_cannot_be_a_tap_is_refused(
    rig: Any, namespace: Any, device: str, reason: str
) -> None:
    """T1."""
    with pytest.raises(BadConfig) as refused:
        rig.configure({"t": TAP5 | {"device": device}})
    assert str(refused.value).startswith(f"/raicho/port[name='t']/device: {reason}")


def events(watch: LinkWatch) -> Iterator[Any]:
    """Yield events until there were none for a while."""
    while select.select([watch.fileno()], [], [], 0.2)[0]:
        while event := watch.next():
            yield event


def test_a_port_whose_interface_is_removed_waits_for_another(tapped: Any, namespace: Any) -> None:
    watch = LinkWatch()
    try:
        namespace("link", "del", "tap5")
        for event in events(watch):
            tapped.switch.hear(event, tapped.now)
        assert "t" in tapped.switch.ports.missing
        namespace("tuntap", "add", "tap5", "mode", "tap")
        namespace("link", "set", "tap5", "up")
        for event in events(watch):
            tapped.switch.hear(event, tapped.now)
    finally:
        watch.close()
    assert "t" in tapped.switch.ports.open
    assert forwards(tapped)
