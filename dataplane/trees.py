"""Trees of multicast groups: those of the configuration as records, and what there is as rows."""

import ipaddress
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .router import Router
from .tree_config import ANY, TreeConfig

PAGE = 4096  # trees
_TREE = struct.Struct(">BBBBHxxI16s16sQQQ")
_PUT, _REMOVE = 1, 2


def record(tree: TreeConfig, source: int, index: Callable[[str], int]) -> bytes:
    """Return what puts a tree; *index* is that of an interface by its name."""
    group, sender = _packed(tree)
    incoming = index(tree.incoming) if tree.incoming else 0
    n = len(tree.outgoing)
    head = _TREE.pack(
        *(_PUT, source, _family(group), tree.local, n, incoming, group, sender, 0, 0, 0)
    )
    return head + struct.pack(f">{n}I", *map(index, tree.outgoing))


def removal(put: bytes) -> bytes:
    """Return the record that removes what *put* has put."""
    return bytes([_REMOVE]) + put[1:]


def rows(router: Router, names: Mapping[int, str]) -> Iterator[dict[str, Any]]:
    """Yield the trees of a router; *names* are those of its interfaces, by index.

    What several sources say of a tree is one row, as the dataplane takes it.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for source, tree, row in _listed(router):
        row["incoming-interface"] = names.get(row["incoming-interface"])
        row["outgoing-interface"] = [names.get(i, str(i)) for i in row["outgoing-interface"]]
        there = found.setdefault(tree, row | {"told-by": []})
        there["told-by"].append(source)
        there["incoming-interface"] = there["incoming-interface"] or row["incoming-interface"]
        there["local"] = there["local"] or row["local"]
        more = set(row["outgoing-interface"]) - set(there["outgoing-interface"])
        there["outgoing-interface"] = there["outgoing-interface"] + sorted(more)
    yield from found.values()


def _listed(router: Router) -> Iterator[tuple[int, tuple[str, str], dict[str, Any]]]:
    cursor = 0
    while True:
        cursor, data = router.trees(0, cursor, PAGE)
        at = 0
        while at < len(data):
            head = _TREE.unpack_from(data, at)
            _, source, family, local, n, incoming, group, sender, packets, octets, strayed = head
            outgoing = struct.unpack_from(f">{n}I", data, at + _TREE.size)
            at += _TREE.size + 4 * n
            key = _text(family, group), _text(family, sender) if any(sender) else ANY
            row = {"group": key[0], "source": key[1], "incoming-interface": incoming}
            counted = {"packets": packets, "bytes": octets, "strayed": strayed}
            yield (
                source,
                key,
                row | {"outgoing-interface": outgoing, "local": bool(local)} | counted,
            )
        if not cursor:
            return


def _packed(tree: TreeConfig) -> tuple[bytes, bytes]:
    group = ipaddress.ip_address(tree.group).packed
    return group, b"" if tree.source == ANY else ipaddress.ip_address(tree.source).packed


def _family(address: bytes) -> int:
    return 4 if len(address) == 4 else 6


def _text(family: int, address: bytes) -> str:
    return str(ipaddress.ip_address(address[:4] if family == 4 else address))
