"""The configuration of what a bridge does by itself: VLANs of its ports, addresses, programs."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Tree = Mapping[str, Any]
Wrong = Iterator[tuple[str, str]]  # paths, and what is wrong there

TRUNK, ACCESS = "trunk", "access"
NATIVE = ("native-tagged", "native-untagged")
VLANS = 4096
OPENFLOW = "openflow"  # the pipeline that ports start in unless told
TEMPLATE, MAX_TEMPLATE = "template:", 0xFFFFFFFE  # in front of its number
AGEING, MAX_MACS = 300, 8192
LEARNED = "learned"  # how it is known whether a port has a multicast router
FLOOD, MAX_GROUPS = "flood", 1024
BLOCKED = 0xFFFFFFFF  # in the place of a port: what comes from there or goes there is dropped
RANGE = re.compile(r"(\d+)(?:\.\.(\d+))?")

Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Bridging:
    """How a port takes part in a bridge that learns; what is in *vlans* includes its own."""

    mode: str = TRUNK
    vlan: int = 0  # of access, or the native one
    vlans: Ranges = ((0, VLANS - 1),)
    isolated: bool = False
    max_macs: int = 0  # 0: as the bridge has room
    router: str = LEARNED
    leaves_at_once: bool = False


PLAIN = Bridging()  # in all VLANs, as if nothing was set


@dataclass(frozen=True, slots=True)
class Member:
    """A port of a bridge."""

    number: int
    bridging: Bridging = PLAIN
    pipeline: str = OPENFLOW
    trunk: Ranges = ()  # as it was written


@dataclass(frozen=True, slots=True)
class FixedMac:
    """An address that is known from the start, behind a port or behind none."""

    vlan: int
    address: str
    port: str = ""  # by name; empty: blocked

    @property
    def key(self) -> str:
        return f"static-mac[vlan='{self.vlan}'][mac='{self.address}']"


@dataclass(frozen=True, slots=True)
class MacConfig:
    """What a bridge remembers of addresses."""

    ageing: int = AGEING  # seconds
    most: int = MAX_MACS
    fixed: tuple[FixedMac, ...] = ()


@dataclass(frozen=True, slots=True)
class Multicast:
    """What a bridge does with multicast groups."""

    snoops: bool = False
    querier: bool = False
    unknown: str = FLOOD
    max_groups: int = MAX_GROUPS

    @property
    def floods_unknown(self) -> bool:
        return self.unknown == FLOOD


def read_multicast(row: Tree) -> Multicast:
    """Turn what a bridge does with multicast groups into a value."""
    return Multicast(
        row.get("snooping", False),
        row.get("querier", False),
        row.get("unknown", FLOOD),
        row.get("max-groups", MAX_GROUPS),
    )


def read_member(row: Tree, pipeline: str) -> Member:
    """Turn a port of a bridge into a value; *pipeline* is the bridge's."""
    vlan = row.get("vlan", 0)
    mode = row.get("vlan-mode") or (ACCESS if vlan else TRUNK)
    trunk = tuple(map(_range, row.get("trunk", ())))
    vlans = ((vlan, vlan),) if mode == ACCESS else trunk or PLAIN.vlans
    if mode in NATIVE:
        vlans = (*vlans, (vlan, vlan))
    bridging = Bridging(
        mode,
        vlan,
        vlans,
        row.get("isolated", False),
        row.get("max-macs", 0),
        row.get("multicast-router", LEARNED),
        row.get("fast-leave", False),
    )
    return Member(row["number"], bridging, row.get("pipeline", pipeline), trunk)


def _range(text: str) -> tuple[int, int]:
    match = RANGE.fullmatch(text)
    assert match, "the schema has the pattern"
    return int(match[1]), int(match[2] or match[1])


def read_macs(row: Tree) -> MacConfig:
    """Turn what a bridge remembers of addresses into a value."""
    fixed = (
        (FixedMac(each["vlan"], each["mac"], each.get("port", "")) for each in row["static-mac"])
        if "static-mac" in row
        else ()
    )
    return MacConfig(row.get("mac-ageing", AGEING), row.get("max-macs", MAX_MACS), tuple(fixed))


def wrong_members(path: str, members: Mapping[str, Member]) -> Wrong:
    """Yield where the VLANs and programs of ports cannot be."""
    for name, member in members.items():
        number = member.pipeline.removeprefix(TEMPLATE)
        if number != member.pipeline and int(number) > MAX_TEMPLATE:
            reason = f"{number} is no number of a template: they are 0..{MAX_TEMPLATE}"
            yield f"{path}/port[name='{name}']/pipeline", reason
        for low, high in member.bridging.vlans:
            if not low <= high < VLANS:
                text = f"{low}..{high}" if low != high else str(low)
                reason = (
                    f"{text} is no range of VLANs: they are 0..{VLANS - 1}, the lower one first"
                )
                yield f"{path}/port[name='{name}']/trunk", reason


def wrong_macs(path: str, macs: MacConfig, members: Mapping[str, Member]) -> Wrong:
    """Yield where fixed addresses cannot be."""
    for fixed in macs.fixed:
        where = f"{path}/{fixed.key}"
        if fixed.port and fixed.port not in members:
            yield f"{where}/port", f"port {fixed.port} is not in the bridge"
        elif fixed.port and not covers(members[fixed.port].bridging.vlans, fixed.vlan):
            yield f"{where}/port", f"port {fixed.port} is not in VLAN {fixed.vlan}"


def covers(ranges: Iterable[tuple[int, int]], vlan: int) -> bool:
    """Return whether a VLAN is in one of the ranges."""
    return any(low <= vlan <= high for low, high in ranges)
