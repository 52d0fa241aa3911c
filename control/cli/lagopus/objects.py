"""The objects of the old language and their attributes: one table.

What has no counterpart is understood and left out, with a note unless it says
what is so anyway.
"""

from collections.abc import Callable
from typing import Any, NamedTuple


class NotUnderstood(ValueError):
    """A command that cannot be taken; the text says what, and what would be right."""


def number(word: str) -> int:
    """Read a number, decimal or hexadecimal."""
    try:
        return int(word, 0)
    except ValueError:
        raise NotUnderstood(f"{word!r} is no number") from None


def datapath_id(word: str) -> str:
    """Read a datapath id, which the old language writes as a number."""
    return f"{number(word):016x}"


def one_of(*words: str, **renamed: str) -> Callable[[str], str]:
    """Read one of *words*, or of the keys of *renamed* (with - for _), which become its values."""
    known = {word: word for word in words} | {k.replace("_", "-"): v for k, v in renamed.items()}

    def read(word: str) -> str:
        if word not in known:
            raise NotUnderstood(f"{word!r} is none of {', '.join(known)}")
        return known[word]

    return read


class Attribute(NamedTuple):
    """One attribute: where it goes, and how it is read.

    *leaf* is what it becomes; none: it has no counterpart, and is noted unless
    its value is *usual*.  It may *refer* to an object of another kind, which may
    be *numbered* by a further word; of those that are *many*, all count.
    """

    leaf: str | None = None
    read: Callable[[str], Any] = str
    refers: str = ""
    many: bool = False
    numbered: bool = False
    usual: tuple[str, ...] = ()


OBJECTS: dict[str, dict[str, Attribute]] = {
    "channel": {
        "-dst-addr": Attribute("address"),
        "-dst-port": Attribute("port", number),
        "-local-addr": Attribute(usual=("0.0.0.0", "::")),
        "-local-port": Attribute(read=number, usual=("0",)),
        "-protocol": Attribute("protocol", one_of("tcp", "tls")),
    },
    "controller": {
        "-channel": Attribute("channel", refers="channel"),
        "-role": Attribute(read=one_of("master", "slave", "equal"), usual=("equal",)),
        "-connection-type": Attribute("connection", one_of("main", "auxiliary")),
    },
    "interface": {
        "-type": Attribute(
            "kind",
            one_of(
                ethernet_dpdk_phy="dpdk", ethernet_dpdk_vdev="dpdk", ethernet_rawsock="af_packet"
            ),
        ),
        "-device": Attribute("device"),
        "-port-number": Attribute(read=number),
        "-mtu": Attribute("mtu", number),
        "-ip-addr": Attribute(usual=("127.0.0.1",)),
    },
    "port": {
        "-interface": Attribute("interface", refers="interface"),
        "-queue": Attribute("queues", refers="queue", many=True),
    },
    "queue": {
        "-type": Attribute("type", one_of("single-rate", "two-rate")),
        "-id": Attribute("id", number),
        "-priority": Attribute("priority", number),
        "-committed-burst-size": Attribute("committed-burst", number),
        "-committed-information-rate": Attribute("committed-rate", number),
        "-excess-burst-size": Attribute("excess-burst", number),
        "-peak-burst-size": Attribute("peak-burst", number),
        "-peak-information-rate": Attribute("peak-rate", number),
    },
    "bridge": {
        "-controller": Attribute("controllers", refers="controller", many=True),
        "-port": Attribute("ports", refers="port", many=True, numbered=True),
        "-dpid": Attribute("datapath-id", datapath_id),
        "-fail-mode": Attribute("fail-mode", one_of("secure", "standalone")),
        "-max-flows": Attribute("max-flows", number),
        "-mactable-ageing-time": Attribute("mac-ageing", number),
        "-mactable-max-entries": Attribute("max-macs", number),
    },
}

#: The leaves of a queue by its type: the sum of what is given of these, times a factor.
#: The old rates are octets a second.
QUEUE_LEAVES: dict[str, dict[str, tuple[int, tuple[str, ...]]]] = {
    "single-rate": {
        "min-rate": (8, ("committed-rate",)),
        "max-rate": (8, ("committed-rate",)),
        "burst": (1, ("committed-burst", "excess-burst")),
        "priority": (1, ("priority",)),
    },
    "two-rate": {
        "min-rate": (8, ("committed-rate",)),
        "max-rate": (8, ("peak-rate",)),
        "burst": (1, ("peak-burst",)),
        "priority": (1, ("priority",)),
    },
}
