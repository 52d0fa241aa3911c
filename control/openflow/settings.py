"""The agent's part of the configuration: frozen values, checked, and their difference.

The paths that errors name are those of the schema (raicho-openflow.yang).
"""

import ipaddress
import re
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

DEFAULT_PORT = 6653
VERSIONS = {"1.0": 1, "1.3": 4}
_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)")
_NUMBERS = re.compile(r"[0-9.]+")


Protocol = Literal["tcp", "tls"]


class Controller(msgspec.Struct, frozen=True, rename="kebab"):
    """A controller to connect to."""

    name: str
    address: str = ""
    port: int = DEFAULT_PORT
    protocol: Protocol = "tcp"
    max_backoff: int = 8
    inactivity_probe: int = 15
    auxiliary_connections: int = 0


class Listen(msgspec.Struct, frozen=True, rename="kebab"):
    """An address on which controllers may connect."""

    name: str
    address: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    protocol: Protocol = "tcp"


class Tls(msgspec.Struct, frozen=True, rename="kebab"):
    """The files that say who the bridge is, and whom it trusts."""

    private_key: str = ""
    certificate: str = ""
    ca_certificate: str = ""


class PacketInLimit(msgspec.Struct, frozen=True, rename="kebab"):
    """How many packets a second go to controllers; a rate of 0 is no limit."""

    rate: int = 0
    burst: int = 1000
    port_rate: int = 0
    port_burst: int = 100


class Bridge(msgspec.Struct, frozen=True, rename="kebab"):
    """What the agent does for one bridge."""

    name: str
    controller: tuple[Controller, ...] = ()
    listen: tuple[Listen, ...] = ()
    management_socket: bool = True
    tls: Tls = Tls()
    packet_in_limit: PacketInLimit = PacketInLimit()
    openflow_version: tuple[str, ...] = ()

    @property
    def versions(self) -> tuple[int, ...]:
        """The numbers of the versions that controllers may speak."""
        return tuple(VERSIONS[name] for name in self.openflow_version) or tuple(VERSIONS.values())


Settings = dict[str, Bridge]


class Fault(ValueError):
    """Something in the configuration that cannot be, and the path of the leaf."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(reason)
        self.path = path
        self.reason = reason


def settings_of(config: dict[str, Any]) -> Settings:
    """Return the settings in a configuration tree; raise Fault if one cannot be."""
    rows = (config.get("raicho") or {}).get("bridge") or []
    found: Settings = {}
    for row in rows:
        where = f"/raicho/bridge[name='{row.get('name')}']"
        try:
            bridge = msgspec.convert(row, Bridge)
        except msgspec.ValidationError as error:
            raise Fault(where, str(error)) from None
        for version in bridge.openflow_version:
            if version not in VERSIONS:
                known = ", ".join(VERSIONS)
                raise Fault(f"{where}/openflow-version", f"{version!r} is not spoken; {known} are")
        for controller in bridge.controller:
            at = f"{where}/controller[name='{controller.name}']"
            _check_controller(at, controller)
            _check_protocol(at, controller, bridge.tls)
        for listen in bridge.listen:
            at = f"{where}/listen[name='{listen.name}']"
            _check_listen(at, listen)
            _check_protocol(at, listen, bridge.tls)
        found[bridge.name] = bridge
    _check_listeners_differ(found)
    return found


def _check_controller(where: str, row: Controller) -> None:
    fault = address_fault(row.address)
    if fault:
        raise Fault(f"{where}/address", f"{row.address!r} is no address of a controller: {fault}")
    _check_port(where, row.port)


def _check_protocol(where: str, row: Controller | Listen, tls: Tls) -> None:
    missing = [name for name, file in named_files(tls).items() if not file]
    if row.protocol == "tls" and missing:
        raise Fault(f"{where}/protocol", f"tls needs {' and '.join(missing)} of the bridge")


def named_files(tls: Tls) -> dict[str, str]:
    """Return the files by the names of their leaves."""
    return {field.encode_name: getattr(tls, field.name) for field in msgspec.structs.fields(tls)}


def _check_listen(where: str, row: Listen) -> None:
    try:
        ipaddress.ip_address(row.address)
    except ValueError:
        text = f"{row.address!r} is no IP address to listen on"
        raise Fault(f"{where}/address", text) from None
    _check_port(where, row.port)


def _check_port(where: str, port: int) -> None:
    if not 1 <= port <= 0xFFFF:
        raise Fault(f"{where}/port", f"{port} is no TCP port; 1 to 65535 are")


def _check_listeners_differ(settings: Settings) -> None:
    taken: dict[tuple[str, int], str] = {}
    for where, row in _listeners(settings):
        other = taken.setdefault((row.address, row.port), where)
        if other != where:
            text = f"{row.address}:{row.port} is taken by {other}"
            raise Fault(f"{where}/port", text)


def _listeners(settings: Settings) -> Iterator[tuple[str, Listen]]:
    for bridge in settings.values():
        for row in bridge.listen:
            yield f"/raicho/bridge[name='{bridge.name}']/listen[name='{row.name}']", row


def address_fault(address: str) -> str | None:
    """Return why nobody can be connected to at *address*; None if it may be possible."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return _host_fault(address)
    if ip.is_multicast or ip.is_unspecified:
        return "it names no single host"
    return None


def _host_fault(name: str) -> str | None:
    if not name:
        return "it is empty"
    if ":" in name:
        return "it is no IPv6 address, and the port has a leaf of its own"
    if _NUMBERS.fullmatch(name):
        return "it is no IPv4 address"
    labels = name.removesuffix(".").split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        return "it is neither an IP address nor a host name"
    return None
