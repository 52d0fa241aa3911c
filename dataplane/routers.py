"""The routers of the configuration, with their interfaces and static routes.

A router has a bridge of its own, for the ports that are its alone.  An interface is up while it is
enabled, its port is open and has a link; what leads there follows.
"""

import ipaddress
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import trees
from .advertising import Advertised, advertised, describe_advertise
from .bridge import Bridge
from .config import BadConfig, Config
from .datapath import Dataplane
from .host import HostSide, exists
from .nat import Nat
from .router import LABEL, LABEL_LENGTH, LOCAL, STATIC, Router
from .router_config import InterfaceConfig, RouteConfig, RouterConfig
from .translation import Translation, check_nat, free_number, is_used

# Kind, index of the interface, address, weight, labels.
Way = tuple[str, int, bytes, int, tuple[int, ...]]
Destination = str | int  # a prefix, or a label

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """What an interface is like now."""

    vlan: int
    mac: int
    mtu: int
    reverse_path: str
    proxy_arp: bool
    up: bool
    nat_side: str = "none"
    nat: int = 0  # its number
    redirects: bool = True
    detects: bool = False
    number: int = 0  # for actions of flow entries


@dataclass(slots=True)
class Interface:
    """An interface that is there."""

    index: int
    config: InterfaceConfig
    settings: Settings
    addresses: set[str] = field(default_factory=set)
    host: HostSide | None = None
    advertised: Advertised | None = None


@dataclass(slots=True)
class Open:
    """A router that is there."""

    router: Router
    home: Bridge
    interfaces: dict[str, Interface] = field(default_factory=dict)
    routes: dict[Destination, RouteConfig] = field(default_factory=dict)  # of labels too
    hops: dict[Destination, list[Way]] = field(default_factory=dict)  # theirs, by index
    ids: dict[Destination, int] = field(default_factory=dict)  # groups of static routes
    last_id: int = 0
    trees: dict[tuple[str, str], bytes] = field(default_factory=dict)  # records, by key
    translation: Translation | None = None

    @property
    def nat(self) -> int:
        """Return the number of its NAT, if it has one."""
        return self.translation.number if self.translation else 0


class Routers:
    """Routers by name."""

    def __init__(self, dataplane: Dataplane) -> None:
        self.open: dict[str, Open] = {}
        self._dataplane = dataplane
        self._numbers: dict[str, dict[str, int]] = {}  # of ports, by router

    # Configuration.

    def check(self, config: Config) -> None:
        """Raise BadConfig for what only this host can know."""
        for router in config.routers.values():
            if router.host_namespace and not exists(router.host_namespace):
                reason = f"there is no network namespace {router.host_namespace}"
                raise BadConfig(f"{router.path}/host-namespace", reason)
            if is_used(router):
                check_nat(router)

    def number(self, router: str, port: str) -> int:
        """Return the number of a port in the bridge of its router: it keeps the one it had."""
        numbers = self._numbers.setdefault(router, {})
        return numbers.setdefault(port, max(numbers.values(), default=0) + 1)

    def leave(self, wanted: Config) -> None:
        """Take out interfaces that go, or come back elsewhere."""
        for name, there in list(self.open.items()):
            router = wanted.routers.get(name)
            for each in list(there.interfaces.values()):
                new = router.interfaces.get(each.config.name) if router else None
                if (
                    new is None
                    or new.place != each.config.place
                    or _host_changes(each, new, router)
                ):
                    self._remove(there, each)

    def enter(self, wanted: Config, now_ms: int) -> None:
        """Let go of routers that are not wanted, whose ports are gone; make new ones."""
        for name in self.open.keys() - wanted.routers.keys():
            there = self.open.pop(name)
            _close(there)
            self._numbers.pop(name, None)
        for name in wanted.routers.keys() - self.open.keys():
            home = self._dataplane.add_bridge(f"router {name}", 0, now_ms)
            self.open[name] = Open(self._dataplane.add_router(name), home)

    def settle(
        self,
        wanted: Config,
        bridges: Mapping[str, Bridge],
        has_link: Callable[[str], bool],
        now_ms: int,
    ) -> None:
        """Make interfaces, addresses and routes what is wanted; *has_link* tells of ports."""
        for name, router in wanted.routers.items():
            there = self.open[name]
            former = self._begin_translation(there, router, now_ms)
            for config in router.interfaces.values():
                up = config.enabled and (bool(config.bridge) or has_link(config.port))
                try:
                    self._settle(there, router, config, bridges, up=up)
                    index = there.interfaces[config.name].index
                    there.router.set_listening(index, config.multicast, now_ms)
                except (OSError, ValueError) as error:
                    raise BadConfig(config.path, str(error)) from error
            self._settle_routes(there, router)
            _settle_trees(there, router)
            if former:
                former.close()

    def _begin_translation(
        self, there: Open, router: RouterConfig, now_ms: int
    ) -> Translation | None:
        """Give the router the NAT that it is to have; return one that is to be closed."""
        former, most = there.translation, router.nat.sessions
        if not is_used(router):
            there.translation = None
            return former
        if former is None or former.most != most:
            used = {each.nat for each in self.open.values() if each.translation}
            there.translation = Translation(self._dataplane, free_number(used), most)
        else:
            former = None
        assert there.translation
        there.translation.configure(router, now_ms)
        return former

    def refresh(self, port: str, *, up: bool) -> None:
        """Let the interfaces on a port follow its link; down before the port goes."""
        for there in self.open.values():
            for interface in there.interfaces.values():
                if interface.config.port == port:
                    self._set(there, interface, up=up and interface.config.enabled)

    def duplicates(self) -> Iterator[tuple[str, str, str]]:
        """Return addresses that are not used, as others have them: router, interface, address."""
        for name, there in self.open.items():
            for each in there.interfaces.values():
                for text in _texts(there.router.duplicates(each.index)):
                    yield name, each.config.name, text

    def on_port(self, port: str) -> Iterator[tuple[str, str]]:
        """Return the interfaces on a port: router and name."""
        for router, there in self.open.items():
            for name, each in there.interfaces.items():
                if each.config.port == port:
                    yield router, name

    def hosts(self) -> Iterator[tuple[int, Callable[[], None]]]:
        """Return descriptors that have something to read, and what reads it."""
        for there in self.open.values():
            for each in there.interfaces.values():
                if each.host is not None:
                    yield each.host.descriptor, _reader(there.router, each.index)

    def nats(self) -> Iterator[tuple[str, Nat]]:
        """Return the NATs that there are, with the names of their routers."""
        for name, there in self.open.items():
            if there.translation:
                yield name, there.translation.nat

    def close(self) -> None:
        """Let go of all of them."""
        for there in self.open.values():
            for interface in list(there.interfaces.values()):
                self._remove(there, interface)
            _close(there)
        self.open.clear()

    # Interfaces.

    def _settle(
        self,
        there: Open,
        router: RouterConfig,
        config: InterfaceConfig,
        bridges: Mapping[str, Bridge],
        *,
        up: bool,
    ) -> None:
        interface = there.interfaces.get(config.name)
        if interface is None:
            settings = _settings(there, config, up=up)
            if config.bridge:
                home, number = bridges[config.bridge], LOCAL
            else:
                home, number = there.home, self.number(router.name, config.port)
            index = there.router.add_interface(config.name, home, number, settings)
            interface = there.interfaces[config.name] = Interface(index, config, settings)
            if config.host:
                self._open_host(there, router, interface)
        interface.config = config
        self._set(there, interface, up=up)
        wanted = set(config.addresses)
        for text in interface.addresses - wanted:
            there.router.remove_address(interface.index, *_packed(text))
            interface.addresses.discard(text)
        for text in sorted(wanted - interface.addresses):
            there.router.add_address(interface.index, *_packed(text))
            interface.addresses.add(text)
        if interface.host:
            interface.host.set_addresses(wanted)
        told = advertised(config.advertise, config.mtu, config.addresses)
        if told != interface.advertised:
            there.router.set_advertised(interface.index, told)
            interface.advertised = told

    def _open_host(self, there: Open, router: RouterConfig, interface: Interface) -> None:
        config = interface.config
        interface.host = HostSide(config.name, router.host_namespace, config.mac, config.mtu)
        there.router.set_host(interface.index, interface.host.descriptor)
        interface.host.set_carrier(interface.settings.up)

    def _set(self, there: Open, interface: Interface, *, up: bool) -> None:
        config, settings = interface.config, _settings(there, interface.config, up=up)
        if settings == interface.settings:
            return
        there.router.set_interface(interface.index, config.name, settings)
        if interface.host and settings.mtu != interface.settings.mtu:
            interface.host.set_mtu(settings.mtu)
        if interface.host:
            interface.host.set_carrier(up)
        interface.settings = settings

    def _remove(self, there: Open, interface: Interface) -> None:
        there.router.remove_interface(interface.index)
        if interface.host:
            interface.host.close()
        del there.interfaces[interface.config.name]

    # Static routes.

    def _settle_routes(self, there: Open, wanted: RouterConfig) -> None:
        there.router.set_pipe(wanted.label_ttl == "pipe")
        routes = {**wanted.routes, **wanted.labels}
        for prefix in there.routes.keys() - routes.keys():
            there.router.remove_static(there.ids.pop(prefix), *_destination(prefix))
            del there.routes[prefix], there.hops[prefix]
        for prefix, route in routes.items():
            hops = _hops(route, there.interfaces)
            if there.routes.get(prefix) == route and there.hops[prefix] == hops:
                continue
            if prefix not in there.ids:
                there.last_id += 1
                there.ids[prefix] = there.last_id
            there.router.put_static(
                there.ids[prefix],
                hops,
                *_destination(prefix),
                route.distance,
                route.metric,
            )
            there.routes[prefix], there.hops[prefix] = route, hops


def _settle_trees(there: Open, wanted: RouterConfig) -> None:
    """Put static trees that are not there as wanted, and remove those that are not."""
    records = {
        key: trees.record(tree, STATIC, lambda name: there.interfaces[name].index)
        for key, tree in wanted.trees.items()
    }
    for key in there.trees.keys() - records.keys():
        there.router.put_tree(trees.removal(there.trees.pop(key)))
    for key, record in records.items():
        if there.trees.get(key) != record:
            there.router.put_tree(record)
            there.trees[key] = record


def _settings(there: Open, config: InterfaceConfig, *, up: bool) -> Settings:
    return Settings(
        config.vlan,
        config.mac,
        config.mtu,
        config.reverse_path,
        config.proxy_arp,
        up,
        config.nat,
        there.nat if config.nat != "none" else 0,
        config.redirects,
        config.detects,
        config.number,
    )


def _close(there: Open) -> None:
    there.router.close()
    there.home.close()
    if there.translation:
        there.translation.close()


def _reader(router: Router, index: int) -> Callable[[], None]:
    return lambda: router.read_host(index)


def _host_changes(there: Interface, new: InterfaceConfig, router: RouterConfig | None) -> bool:
    """Return whether the host's side is another one: then the interface begins anew."""
    namespace = router.host_namespace if router else ""
    old = there.host.namespace if there.host else None
    wanted = namespace if new.host else None
    return old != wanted or (new.host and there.config.mac != new.mac)


def _packed(text: str) -> tuple[bytes, int]:
    address = ipaddress.ip_interface(text)
    return address.ip.packed, address.network.prefixlen


def _destination(prefix: Destination) -> tuple[int, bytes, int]:
    """Return family, bytes and length of what a static route is of."""
    if isinstance(prefix, int):
        return LABEL, prefix.to_bytes(4), LABEL_LENGTH
    network = ipaddress.ip_network(prefix)
    return network.version, network.network_address.packed, network.prefixlen


def _hops(route: RouteConfig, interfaces: Mapping[str, Interface]) -> list[Way]:
    if route.discard:
        return [(route.discard, 0, b"", 1, ())]
    hops = []
    for hop in route.hops:
        address = ipaddress.ip_address(hop.address).packed if hop.address else b""
        kind = "link" if not address else "gateway" if hop.interface else "recursive"
        index = interfaces[hop.interface].index if hop.interface else 0
        hops.append((kind, index, address, hop.weight, hop.labels))
    return hops


def describe(there: Open) -> list[dict[str, Any]]:
    """Return the interfaces of a router as rows with the names of the schema."""
    return [
        {
            "name": name,
            "index": each.index,
            "number": each.config.number or None,
            "port": each.config.port or None,
            "bridge": each.config.bridge or None,
            "vlan": each.config.vlan or None,
            "enabled": each.config.enabled,
            "address": sorted(each.addresses),
            "reverse-path": each.config.reverse_path,
            "proxy-arp": each.config.proxy_arp,
            "host": each.host is not None,
            "nat": each.settings.nat_side,
            "redirects": each.settings.redirects,
            "duplicate-address-detection": each.settings.detects,
            "duplicate": _texts(there.router.duplicates(each.index)),
            "multicast": each.config.multicast,
            "router-advertisements": describe_advertise(each.config.advertise),
            **_state(there.router.interface_state(each.index)),
        }
        for name, each in there.interfaces.items()
    ]


def _texts(addresses: Iterable[tuple[bytes, int]]) -> list[str]:
    return [f"{ipaddress.ip_address(packed)}/{length}" for packed, length in addresses]


def describe_routes(there: Open) -> list[dict[str, Any]]:
    """Return the static routes of a router as rows with the names of the schema."""
    return [
        {
            "prefix": route.prefix,
            "distance": route.distance,
            "metric": route.metric,
            "discard": route.discard or None,
            "next-hop": _describe_hops(route),
        }
        for route in there.routes.values()
        if isinstance(route.prefix, str)
    ]


def describe_labels(there: Open) -> list[dict[str, Any]]:
    """Return the static labels of a router as rows with the names of the schema."""
    return [
        {
            "label": route.prefix,
            "ends-here": bool(route.discard),
            "next-hop": _describe_hops(route),
        }
        for route in there.routes.values()
        if isinstance(route.prefix, int)
    ]


def _describe_hops(route: RouteConfig) -> list[dict[str, Any]]:
    return [
        {
            "id": hop.id,
            "address": hop.address or None,
            "interface": hop.interface or None,
            "weight": hop.weight,
            "label": list(hop.labels),
        }
        for hop in route.hops
    ]


def describe_trees(wanted: RouterConfig) -> list[dict[str, Any]]:
    """Return the static trees of a router as rows with the names of the schema."""
    return [
        {
            "group": tree.group,
            "source": tree.source,
            "incoming-interface": tree.incoming or None,
            "outgoing-interface": list(tree.outgoing),
            "local": tree.local,
        }
        for tree in wanted.trees.values()
    ]


def _state(state: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "-"): value for name, value in state.items()} | {
        "mac": state["mac"].hex(":")
    }
