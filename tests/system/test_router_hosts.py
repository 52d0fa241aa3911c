"""Hosts on a link whose kernels believe what the router tells them: addresses, a default route, a
better gateway."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from bench.peers.raicho import ask
from raicho.control.message import Get, Set

from .lab import Lab, Namespace, wait_until
from .needs import needs
from .pinging import reached
from .switch import Switch

pytestmark = needs("ping")

INTERFACE = "/raicho/router[name='r']/interface[name='lan']"
FAR = "192.0.2.1"
FAR6 = "2001:db8:99::1"


class Link:
    """A router on a link with a host, and another gateway, behind which there is more."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.place, hub = lab.namespace("sw"), lab.namespace("hub")
        self.host, self.other = (lab.namespace(name, ipv6=True) for name in ("h", "g"))
        hub.ip("link", "add", "br0", "type", "bridge")
        hub.ip("link", "set", "br0", "up")
        for name, end in (("p1", self.place), ("eth0", self.host), ("eth0", self.other)):
            far = f"x{len(hub.ip('-o', 'link').splitlines())}"
            lab.cable(end, name, hub, far)
            hub.ip("link", "set", far, "master", "br0")
        self.host.ip("address", "add", "10.7.1.2/24", "dev", "eth0")
        self.host.ip("route", "add", "default", "via", "10.7.1.1")
        for address in ("10.7.1.3/24", "2001:db8:1::3/64"):
            self.other.ip("address", "add", address, "dev", "eth0")
        for address in (f"{FAR}/32", f"{FAR6}/128"):
            self.other.ip("address", "add", address, "dev", "lo")
        self.other.ip("route", "add", "default", "via", "10.7.1.1")
        self.switch = Switch(lab, self.place, folder)
        self.switch.up()

    def configure(self, **leaves: object) -> None:
        address = ["10.7.1.1/24", "2001:db8:1::1/64"]
        value = {"port": "p1", "address": address, **leaves}
        self.switch.commit(
            Set("/raicho/port[name='p1']", {"kind": "af_packet", "device": "p1"}),
            Set(INTERFACE, value),
        )

    def lead_back(self, prefix: str, gateway: str) -> None:
        """Let a route of the router lead to the other gateway."""
        hop = {"id": 1, "address": gateway, "interface": "lan"}
        self.switch.commit(
            Set(f"/raicho/router[name='r']/route[prefix='{prefix}']", {"next-hop": [hop]})
        )


def default_of(host: Namespace) -> str:
    return host.ip("-6", "route", "show", "default")


def link_local(host: Namespace) -> str:
    found = re.search(r"inet6 (fe80::\S+)/64", host.ip("-6", "address", "show", "dev", "eth0"))
    assert found
    return found[1]


@pytest.fixture
def link(folder: Path) -> Iterator[Link]:
    with Lab() as lab:
        found = Link(lab, folder)
        yield found
        print(found.switch.log.read_text())


def test_a_host_configures_itself(link: Link) -> None:
    """RFC 4861, 6.2 and RFC 4862, 5.5: an address of our prefix, and a default route by us."""
    told = {"enabled": True, "max-interval": 4}
    link.configure(**{"router-advertisements": told})
    wait_until(lambda: "proto ra" in default_of(link.host), "a default route", 60)

    def addresses() -> str:
        return link.host.ip("-6", "address", "show", "dev", "eth0", "scope", "global")

    wait_until(lambda: "2001:db8:1:" in addresses(), "an address", 60)
    assert "2592000sec" in addresses() or "2591" in addresses()
    wait_until(partial(reached, link.host, "2001:db8:1::1"), "the router", 60)
    link.switch.commit(Set(f"{INTERFACE}/router-advertisements/enabled", False))
    wait_until(lambda: "proto ra" not in default_of(link.host), "it to be none any more", 60)


def test_a_host_follows_a_redirect(link: Link) -> None:
    """RFC 792, RFC 4861, 8: what would go back by the link it came from goes there at once."""
    link.configure(**{"router-advertisements": {"enabled": True, "max-interval": 4}})
    wait_until(lambda: "proto ra" in default_of(link.host), "a default route", 60)
    link.lead_back("192.0.2.0/24", "10.7.1.3")
    link.lead_back("2001:db8:99::/64", link_local(link.other))

    def towards(address: str) -> str:
        reached(link.host, address)
        return link.host.ip("route", "get", address)

    assert "via 10.7.1.1" in link.host.ip("route", "get", FAR)
    wait_until(lambda: "via 10.7.1.3" in towards(FAR), "a redirect", 60)
    wait_until(lambda: f"via {link_local(link.other)}" in towards(FAR6), "a redirect of IPv6", 60)
    assert reached(link.host, FAR)
    assert reached(link.host, FAR6)


def test_no_host_is_told_where_redirects_are_off(link: Link) -> None:
    """K18."""
    link.configure(redirects=False)
    link.lead_back("192.0.2.0/24", "10.7.1.3")
    wait_until(partial(reached, link.host, FAR), "the way by the router", 60)
    for _ in range(3):
        assert reached(link.host, FAR)
    assert "via 10.7.1.1" in link.host.ip("route", "get", FAR)


def test_an_address_that_a_host_has_is_not_used(link: Link) -> None:
    """RFC 4862, 5.4: the host answers for its address, and an alert says so."""
    link.host.ip("address", "add", "2001:db8:1::7/64", "dev", "eth0", "nodad")
    link.configure(**{"duplicate-address-detection": True})
    wait_until(partial(reached, link.host, "2001:db8:1::1"), "the router", 60)
    link.switch.commit(Set(f"{INTERFACE}/address", ["2001:db8:1::1/64", "2001:db8:1::7/64"]))

    def state() -> list[str]:
        (router,) = ask(link.switch.run_dir, "dataplane", Get("/router")).data
        (interface,) = router["interface"]
        found: list[str] = interface["duplicate"]
        return found

    wait_until(lambda: state() == ["2001:db8:1::7/64"], "the duplicate", 60)
    wait_until(
        lambda: "somebody else has address 2001:db8:1::7/64 of lan" in link.switch.log.read_text(),
        "an alert",
        60,
    )
    assert reached(link.host, "2001:db8:1::1")
