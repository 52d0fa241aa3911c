"""Trees of multicast groups: records of the volatile API of routers, and its client.

The operations go to the bulk endpoint of the dataplane as those of routes.py do.

    tree_mod                 records of 68 bytes, and 4 for each outgoing interface
    tree_begin, tree_sweep   the source, a byte: what is not put again in between is removed
    trees                    the source (0: all), a byte, and two numbers: where to begin and how
                             many at most; answered by where to go on (0: end), and records

A tree is what one source says of a group, or of what one sender sends to it.  The dataplane sends
packets by the outgoing interfaces that any source names, if they come by the incoming one that the
first of them names.
"""

import struct
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from typing import ClassVar

import msgspec

from .routes import BATCH, KEPT, PUT, Kept, Records, RouteClient, cut, family_of

_TREE = struct.Struct(">BBBBHxxI16s16sQQQ")
LOCAL = 1


class Tree(msgspec.Struct, frozen=True):
    """What a source says of a tree.  Addresses are 4 or 16 bytes; interfaces the dataplane's."""

    source: int
    group: bytes
    sender: bytes = b""  # none: any
    incoming: int = 0  # 0: by which a route leads to the sender
    outgoing: tuple[int, ...] = ()
    local: bool = False  # the router's host gets a copy
    packets: int = 0  # that took it, whoever named it; only in answers, as the next two
    octets: int = 0
    strayed: int = 0  # that came by another interface


def pack_tree(tree: Tree, op: int = PUT) -> bytes:
    """Return the record of a tree; to remove it, only source, group and sender matter."""
    outgoing = tree.outgoing if op == PUT else ()
    head = (op, tree.source, family_of(tree.group), tree.local, len(outgoing), tree.incoming)
    record = _TREE.pack(*head, tree.group, tree.sender, 0, 0, 0)
    return record + struct.pack(f">{len(outgoing)}I", *outgoing)


def unpack_trees(data: bytes) -> Iterator[Tree]:
    """Read records of trees; ValueError if they are none."""
    at = 0
    while at < len(data):
        try:
            head = _TREE.unpack_from(data, at)
            _, source, family, flags, n, incoming, group, sender, *counted = head
            outgoing = struct.unpack_from(f">{n}I", data, at + _TREE.size)
        except struct.error as error:
            raise ValueError(f"a tree is cut short at byte {at}") from error
        at += _TREE.size + 4 * n
        origin = cut(family, sender) if any(sender) else b""
        local = bool(flags & LOCAL)
        yield Tree(source, cut(family, group), origin, incoming, outgoing, local, *counted)


def _name(record: bytes) -> str:
    group, sender = (ip_address(cut(record[2], record[at : at + 16])) for at in (12, 28))
    return f"tree of {group} from {sender}"


class TreeClient(RouteClient):
    """The API of one router, with its trees.  CallError: a request failed as a whole."""

    kept: ClassVar[dict[str, Kept]] = {
        **KEPT,
        "tree_mod": Kept(lambda record: record[1:3] + record[12:44], _name),
    }

    async def trees_mod(self, records: Sequence[bytes]) -> Records:
        """Put and remove trees, a record each; return a code for each."""
        parts = [records[at : at + BATCH] for at in range(0, len(records), BATCH)]
        return await self._mod("tree_mod", [(b"".join(part), len(part)) for part in parts])

    async def begin_trees(self, source: int) -> None:
        """Mark all trees that *source* has put."""
        await self._request("tree_begin", bytes([source]))

    async def sweep_trees(self, source: int) -> int:
        """Remove what is still marked; return how many trees that were."""
        return int.from_bytes((await self._request("tree_sweep", bytes([source])))[0])

    async def trees(self, source: int = 0) -> list[Tree]:
        """Return all that a source says, or every one."""
        pages = [page async for page in self._pages("trees", source)]
        return list(unpack_trees(b"".join(pages)))
