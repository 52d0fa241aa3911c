"""The configuration of routers, as values that can be compared."""

import hashlib
import ipaddress
import os
import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .advertising import AdvertiseConfig, read_advertise, wrong_advertise
from .nat_config import NatLeaves, read_nat
from .tree_config import TreeConfig, read_tree, wrong_trees

Tree = Mapping[str, Any]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface

ROUTE = "route"  # the pipeline of ports of routers
IPV6_MTU = 1280  # RFC 8200, section 5


@dataclass(frozen=True, slots=True)
class InterfaceConfig:
    """An interface of a router: on a port, or on a bridge."""

    name: str
    router: str
    port: str = ""
    bridge: str = ""
    vlan: int = 0  # 0: untagged
    mac: int = 0
    mtu: int = 1500
    enabled: bool = True
    addresses: tuple[str, ...] = ()
    reverse_path: str = "off"
    proxy_arp: bool = False
    host: bool = False
    nat: str = "none"  # which side of it
    redirects: bool = True
    detects: bool = False
    multicast: bool = False
    advertise: AdvertiseConfig = field(default_factory=AdvertiseConfig)
    number: int = 0  # by which actions of flow entries name it

    @property
    def path(self) -> str:
        return f"/raicho/router[name='{self.router}']/interface[name='{self.name}']"

    @property
    def place(self) -> tuple[str, str, int]:
        """Return where no other interface may be."""
        return self.port, self.bridge, self.vlan


@dataclass(frozen=True, slots=True)
class HopConfig:
    """A next hop of a static route."""

    id: int
    address: str = ""
    interface: str = ""
    weight: int = 1
    labels: tuple[int, ...] = ()  # to push, the outermost first


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """A static route: of a prefix, or of a label that packets come with."""

    prefix: str | int
    distance: int = 1
    metric: int = 0
    discard: str = ""
    hops: tuple[HopConfig, ...] = ()


@dataclass(frozen=True, slots=True)
class RouterConfig:
    """A router: its interfaces, static routes and static trees."""

    name: str
    host_namespace: str = ""
    interfaces: Mapping[str, InterfaceConfig] = field(default_factory=dict)
    routes: Mapping[str | int, RouteConfig] = field(default_factory=dict)
    labels: Mapping[str | int, RouteConfig] = field(default_factory=dict)
    label_ttl: str = "uniform"
    nat: NatLeaves = field(default_factory=NatLeaves)
    trees: Mapping[tuple[str, str], TreeConfig] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return f"/raicho/router[name='{self.name}']"


def default_mac(name: str) -> int:
    """Derive an address from the name of an interface and its host: locally administered.

    Two hosts, or network namespaces, on one link may well call their interfaces alike.
    """
    digest = hashlib.sha256(f"{name} {_host()}".encode()).digest()
    return int.from_bytes(bytes([digest[0] & 0xFC | 2]) + digest[1:6], "big")


def _host() -> str:
    """Return what tells this host, and the network namespace of this process, from others."""
    try:
        machine = Path("/etc/machine-id").read_text().strip()
    except OSError:
        machine = platform.node()
    return f"{machine} {os.stat('/proc/self/ns/net').st_ino}"


def read_router(row: Tree) -> RouterConfig:
    """Turn a row of /raicho/router into its configuration."""
    name = row["name"]
    interfaces = (_interface(name, each) for each in row.get("interface", ()))
    routes = (_route(each) for each in row.get("route", ()))
    labels = (_label(each) for each in row.get("label", ()))
    return RouterConfig(
        name,
        row.get("host-namespace", ""),
        {interface.name: interface for interface in interfaces},
        {route.prefix: route for route in routes},
        {label.prefix: label for label in labels},
        row.get("label-ttl", "uniform"),
        read_nat(row.get("nat", {})),
        {tree.key: tree for tree in map(read_tree, row.get("tree", ()))},
    )


def _interface(router: str, row: Tree) -> InterfaceConfig:
    mac = row.get("mac")
    return InterfaceConfig(
        row["name"],
        router,
        row.get("port", ""),
        row.get("bridge", ""),
        row.get("vlan", 0),
        int(mac.replace(":", ""), 16) if mac else default_mac(row["name"]),
        row.get("mtu", 1500),
        row.get("enabled", True),
        tuple(row.get("address", ())),
        row.get("reverse-path", "off"),
        row.get("proxy-arp", False),
        row.get("host", False),
        row.get("nat", "none"),
        row.get("redirects", True),
        row.get("duplicate-address-detection", False),
        row.get("multicast", False),
        read_advertise(row.get("router-advertisements", {})),
        row.get("number", 0),
    )


def _route(row: Tree) -> RouteConfig:
    return RouteConfig(
        row["prefix"],
        row.get("distance", 1),
        row.get("metric", 0),
        row.get("discard", ""),
        _hops(row),
    )


def _label(row: Tree) -> RouteConfig:
    ends = "local" if row.get("ends-here", False) else ""
    return RouteConfig(row["label"], discard=ends, hops=_hops(row))


def _hops(row: Tree) -> tuple[HopConfig, ...]:
    return tuple(
        HopConfig(
            hop["id"],
            hop.get("address", ""),
            hop.get("interface", ""),
            hop.get("weight", 1),
            tuple(hop.get("label", ())),
        )
        for hop in row.get("next-hop", ())
    )


def wrong_routers(
    routers: Mapping[str, RouterConfig], ports: Mapping[str, Any], bridges: Mapping[str, Any]
) -> Iterator[tuple[str, str]]:
    """Yield the path and the reason of everything that contradicts something else."""
    bridged = {name: bridge for bridge in bridges for name in bridges[bridge].ports}
    names: dict[str, str] = {}
    places: dict[tuple[str, str, int], str] = {}
    owners: dict[str, str] = {}
    numbers: dict[int, str] = {}
    for router in routers.values():
        for interface in router.interfaces.values():
            yield from _wrong_interface(interface)
            path = f"{interface.path}/router-advertisements"
            yield from wrong_advertise(interface.advertise, path)
            yield from _wrong_place(interface, ports, bridges, bridged)
            if (user := names.setdefault(interface.name, router.name)) != router.name:
                yield interface.path, f"router {user} has an interface of that name"
            other = places.setdefault(interface.place, interface.name)
            if other != interface.name:
                yield interface.path, f"interface {other} is on the same port and VLAN"
            other = numbers.setdefault(interface.number, interface.name)
            if interface.number and other != interface.name:
                yield f"{interface.path}/number", f"interface {other} has the same number"
            owner = owners.setdefault(interface.port or interface.name, router.name)
            if interface.port and owner != router.name:
                yield f"{interface.path}/port", f"router {owner} has port {interface.port} already"
        yield from _wrong_routes(router)
        yield from wrong_trees(router.path, router.trees, router.interfaces)
        yield from _overlapping(router)


def _wrong_place(
    interface: InterfaceConfig,
    ports: Mapping[str, Any],
    bridges: Mapping[str, Any],
    bridged: Mapping[str, str],
) -> Iterator[tuple[str, str]]:
    if interface.port and interface.port not in ports:
        yield f"{interface.path}/port", f"there is no port {interface.port}"
    if interface.bridge and interface.bridge not in bridges:
        yield f"{interface.path}/bridge", f"there is no bridge {interface.bridge}"
    if bridge := bridged.get(interface.port):
        reason = f"port {interface.port} is in bridge {bridge}; a port of a router is in none"
        yield f"{interface.path}/port", reason


def _wrong_interface(interface: InterfaceConfig) -> Iterator[tuple[str, str]]:
    if interface.mac >> 40 & 1 or not interface.mac:
        yield f"{interface.path}/mac", "the address of a group, or none at all"
    for text in interface.addresses:
        path = f"{interface.path}/address[.='{text}']"
        try:
            address = ipaddress.ip_interface(text)
        except ValueError as error:
            yield path, str(error)
            continue
        if not is_host(address):
            yield path, "not the address of a host on a link"
        if address.version == 6 and interface.mtu < IPV6_MTU:
            yield f"{interface.path}/mtu", f"IPv6 needs {IPV6_MTU} octets"


def is_host(address: Address) -> bool:
    """Return whether a host on a link can have the address."""
    network, ip = address.network, address.ip
    if (
        ip.is_multicast
        or ip.is_unspecified
        or ip.is_loopback
        or (ip.version == 4 and ip.is_reserved)
    ):
        return False
    if address.version == 6 or network.prefixlen >= 31:
        return True
    return ip not in (network.network_address, network.broadcast_address)


def _overlapping(router: RouterConfig) -> Iterator[tuple[str, str]]:
    links: dict[Network, str] = {}
    for interface in router.interfaces.values():
        for text in interface.addresses:
            try:
                network = ipaddress.ip_interface(text).network
            except ValueError:
                continue  # it was told
            other = links.setdefault(network, interface.name)
            if other != interface.name:
                path = f"{interface.path}/address[.='{text}']"
                yield path, f"the link of interface {other} has the prefix {network} too"


def _wrong_routes(router: RouterConfig) -> Iterator[tuple[str, str]]:
    for route in router.routes.values():
        path = f"{router.path}/route[prefix='{route.prefix}']"
        try:
            version = ipaddress.ip_network(route.prefix).version
        except ValueError as error:
            yield f"{path}/prefix", str(error)
            continue
        for hop in route.hops:
            yield from _wrong_hop(router, path, hop, version)
    for label in router.labels.values():
        for hop in label.hops:
            yield from _wrong_hop(router, f"{router.path}/label[label='{label.prefix}']", hop, 4)


def _wrong_hop(
    router: RouterConfig, path: str, hop: HopConfig, version: int
) -> Iterator[tuple[str, str]]:
    if hop.interface and hop.interface not in router.interfaces:
        yield f"{path}/next-hop", f"the router has no interface {hop.interface}"
    if hop.labels and not hop.address:
        yield f"{path}/next-hop", "labels are for a next hop that has an address"
    try:
        # What is below a label is no matter of the family of who it is sent to.
        if hop.address and not hop.labels and ipaddress.ip_address(hop.address).version < version:
            yield f"{path}/next-hop", "an IPv6 route by an IPv4 next hop"
    except ValueError as error:
        yield f"{path}/next-hop", str(error)
