"""A bridge that learns (OFPP_NORMAL), as plainly as can be: ports in, frames by port out.

Written from IEEE 802.1Q-2018, 8.6, and ovs-vswitchd.conf.db(5), "VLAN Configuration".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from . import frames
from .packet import VLAN_TYPES, number

MODES = ("trunk", "access", "native-tagged", "native-untagged")
ALL = frozenset(range(4096))
POOL = (0, 1, 10, 20, 4094)  # VLANs that tell ports apart


@dataclass(frozen=True)
class Port:
    """How a port takes part."""

    mode: str = "trunk"
    vlan: int = 0
    vlans: frozenset[int] = ALL
    isolated: bool = False

    def vlan_of(self, tagged: int) -> int | None:
        """Return the VLAN of a frame that comes in with this VLAN in its tag, or none."""
        if self.mode == "access":
            found = None if tagged else self.vlan
        else:
            found = tagged if tagged or self.mode == "trunk" else self.vlan
        return found if found in self.vlans else None

    def leaves(self, frame: bytes, vlan: int) -> bytes:
        """Return a frame of a VLAN as it goes out."""
        if vlan == 0:
            return frame
        if self.mode == "access" or (self.mode == "native-untagged" and vlan == self.vlan):
            return frame[:12] + frame[16:] if has_tag(frame) else frame
        if has_tag(frame):
            control = number(frame, 14, 2) & 0xF000 | vlan
            return frame[:14] + control.to_bytes(2) + frame[16:]
        return frame[:12] + b"\x81\x00" + vlan.to_bytes(2) + frame[12:]


def has_tag(frame: bytes) -> bool:
    """Tell if there is a whole VLAN tag."""
    return len(frame) >= 18 and number(frame, 12, 2) in VLAN_TYPES


Fixed = Mapping[tuple[int, bytes], int | None]  # by VLAN and address; None: dropped


class Learning:
    """The bridge; it never forgets but what is behind a port that changes."""

    def __init__(self, ports: Mapping[int, Port], fixed: Fixed) -> None:
        self.ports, self.fixed = dict(ports), fixed
        self.known: dict[tuple[int, bytes], int] = {}

    def change(self, where: int, port: Port) -> None:
        """Let a port take part in another way."""
        if self.ports[where] != port:
            self.known = {key: at for key, at in self.known.items() if at != where}
        self.ports[where] = port

    def receive(self, where: int, frame: bytes) -> list[tuple[int, bytes]]:
        """Return what leaves, as port and frame."""
        came = self.ports[where]
        vlan = came.vlan_of(number(frame, 14, 2) & 0xFFF if has_tag(frame) else 0)
        if vlan is None or (frame[:5] == bytes.fromhex("0180c20000") and frame[5] < 16):
            return []
        to, source = (vlan, frame[:6]), (vlan, frame[6:12])
        if source not in self.fixed and not frame[6] & 1:
            self.known[source] = where
        if None in (self.fixed.get(to, 0), self.fixed.get(source, 0)):
            return []
        target = self.fixed.get(to, self.known.get(to))
        return [
            (place, port.leaves(frame, vlan))
            for place, port in self.ports.items()
            if place != where
            and target in (None, place)
            and vlan in port.vlans
            and not (came.isolated and port.isolated)
        ]


# Cases.


def port(rng: Random) -> Port:
    """Make up how a port takes part."""
    mode, vlan = rng.choice(MODES), rng.choice(POOL[1:])
    if mode == "access":
        return Port(mode, vlan, frozenset((vlan,)), rng.random() < 0.2)
    vlans = ALL if rng.random() < 0.3 else frozenset(rng.sample(POOL, rng.randrange(1, 5)))
    native = frozenset((vlan,)) if mode != "trunk" else frozenset()
    return Port(mode, vlan if native else 0, vlans | native, rng.random() < 0.2)


def fixed(rng: Random, n_ports: int) -> dict[tuple[int, bytes], int | None]:
    """Make up fixed addresses."""
    places = (None, *range(1, n_ports + 1))
    macs = [mac for mac in frames.MACS if not mac[0] & 1]
    return {
        (rng.choice(POOL), rng.choice(macs)): rng.choice(places) for _ in range(rng.choice((0, 2)))
    }


def frame(rng: Random) -> bytes:
    """Make a frame of any protocol, with any number of tags, whose VLANs matter."""
    whole = frames.frame(rng)
    for _ in range(rng.choice((0, 0, 1, 1, 1, 2))):
        control = rng.randrange(8) << 13 | rng.choice(POOL)
        kind = rng.choice((0x8100, *VLAN_TYPES))
        whole = whole[:12] + kind.to_bytes(2) + control.to_bytes(2) + whole[12:]
    return whole
