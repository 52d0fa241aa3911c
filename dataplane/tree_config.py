"""Trees of multicast groups in the configuration of a router."""

import ipaddress
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

ANY = "*"  # source


@dataclass(frozen=True, slots=True)
class TreeConfig:
    """A static tree."""

    group: str
    source: str = ANY
    incoming: str = ""
    outgoing: tuple[str, ...] = ()
    local: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.group, self.source


def read_tree(row: Mapping[str, Any]) -> TreeConfig:
    """Turn a row of /raicho/router/tree into its configuration."""
    return TreeConfig(
        row["group"],
        row["source"],
        row.get("incoming-interface", ""),
        tuple(row.get("outgoing-interface", ())),
        row.get("local", False),
    )


def wrong_trees(
    path: str, trees: Mapping[tuple[str, str], TreeConfig], interfaces: Collection[str]
) -> Iterator[tuple[str, str]]:
    """Yield the path and the reason of everything that cannot be; *path* is that of the router."""
    for tree in trees.values():
        place = f"{path}/tree[group='{tree.group}'][source='{tree.source}']"
        if reason := _wrong_addresses(tree):
            yield place, reason
        if tree.incoming and tree.incoming not in interfaces:
            yield f"{place}/incoming-interface", f"the router has no interface {tree.incoming}"
        for name in tree.outgoing:
            if name not in interfaces:
                yield f"{place}/outgoing-interface", f"the router has no interface {name}"


def _wrong_addresses(tree: TreeConfig) -> str:
    try:
        group = ipaddress.ip_address(tree.group)
        source = ipaddress.ip_address(tree.source) if tree.source != ANY else None
    except ValueError as error:
        return str(error)
    if str(group) != tree.group or (source and str(source) != tree.source):
        return f"addresses are written as {group} and {source or ANY}"
    if not is_routed(group):
        return f"{group} is no group that routers forward"
    if source and (source.version != group.version or not _is_host(source)):
        return f"{source} is no source of packets to {group}"
    return ""


def is_routed(group: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Return whether it is a group, and more than one of a link (RFC 5771, 4; RFC 4291, 2.7)."""
    if group.version == 4:
        return group.is_multicast and not group.packed.startswith(bytes([224, 0, 0]))
    return group.is_multicast and group.packed[1] & 15 > 2


def _is_host(source: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if source.version == 4:
        return source.packed[0] != 0 and source.packed[0] < 224
    return not (source.is_multicast or source.is_link_local or source.is_unspecified)
