"""Hosts on links of their own, and the switch as the router between them."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from raicho.control.message import Set

from .lab import Lab, Namespace, wait_until
from .pinging import reached
from .switch import Switch


def v4(net: int, host: int) -> str:
    return f"10.7.{net}.{host}"


def v6(net: int, host: int) -> str:
    return f"2001:db8:{net}::{host}"


@dataclass
class Routed:
    """Host i has addresses .2 on link i, the router .1; each host's default route is by it."""

    lab: Lab
    switch: Switch
    place: Namespace
    hosts: tuple[Namespace, ...]
    folder: Path

    def configure(self, **leaves: object) -> None:
        """Make the router, with more leaves of all its interfaces."""
        ops = []
        for net in range(1, len(self.hosts) + 1):
            device = f"p{net}"
            ops.append(Set(f"/raicho/port[name='{device}']", _port(device)))
            value = {
                "port": device,
                "address": [f"{v4(net, 1)}/24", f"{v6(net, 1)}/64"],
                **leaves,
            }
            ops.append(Set(f"/raicho/router[name='r']/interface[name='if{net}']", value))
        self.switch.commit(*ops)

    def wait_reachable(self) -> None:
        for address in (v4(2, 2), v6(2, 2)):
            first = partial(reached, self.hosts[0], address)
            wait_until(first, address, 30)


def _port(device: str) -> dict[str, str]:
    return {"kind": "af_packet", "device": device}


def stand(lab: Lab, folder: Path, links: int = 2) -> Routed:
    """A switch that runs without configuration, and hosts that expect it to be their router."""
    place = lab.namespace("sw")
    hosts = []
    for net in range(1, links + 1):
        host = lab.namespace(f"h{net}", ipv6=True)
        lab.cable(host, "eth0", place, f"p{net}")
        host.ip("address", "add", f"{v4(net, 2)}/24", "dev", "eth0")
        host.ip("address", "add", f"{v6(net, 2)}/64", "dev", "eth0", "nodad")
        host.ip("route", "add", "default", "via", v4(net, 1))
        host.ip("-6", "route", "add", "default", "via", v6(net, 1))
        hosts.append(host)
    switch = Switch(lab, place, folder)
    switch.up()
    return Routed(lab, switch, place, tuple(hosts), folder)
