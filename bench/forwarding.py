"""A router between two memory ports, and a plain C program that does the same: for `route`.

Both get the prefixes and the addresses that bench/route.c draws. Packets come from anywhere, and go
to a neighbour that the longest prefix of their destination leads to.
"""

import ctypes
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from raicho.control.message import routes as records
from raicho.dataplane.routers import Settings

from .compiler import HERE
from .floor import Floor
from .openflow import Bytes
from .rig import Rig
from .workload import IN_PORT, OUT_PORT, ROUTER, Flows, Workload, frames_of

PREFIX = np.dtype(
    {
        "names": ["high", "low", "len", "value"],
        "formats": ["u8", "u8", "u1", "u2"],
        "offsets": [0, 8, 16, 18],
        "itemsize": 24,
    }
)
ADDRESS = np.dtype([("high", "u8"), ("low", "u8")])
NEIGHBOURS = 200  # to which values lead
FRAMES = 1 << 20
SOURCE = records.Source.STATIC
BATCH = 8192  # records written at once
LINKS = {4: (bytes([10, 255, 0, 1]), 16), 6: (bytes([0xFD]) + bytes(14) + b"\1", 64)}
IPV6_HEADER = 40


@dataclass(frozen=True)
class Routes:
    """Prefixes of a family with their values, and frames to addresses of them."""

    family: int
    prefixes: np.ndarray[Any, np.dtype[Any]]
    frames: Bytes


def draw(program: Path, family: int, count: int, seed: int) -> Routes:
    """Let bench/route.c, compiled, draw prefixes and addresses."""
    command = [str(program), str(family), str(count), str(seed), "draw"]
    drawn = subprocess.run(command, capture_output=True, check=True).stdout
    at = count * PREFIX.itemsize
    addresses = np.frombuffer(drawn, ADDRESS, offset=at)[:FRAMES]
    frames = _ipv4(addresses, seed) if family == 4 else _ipv6(addresses)
    return Routes(family, np.frombuffer(drawn[:at], PREFIX), frames)


def _ipv4(addresses: np.ndarray[Any, np.dtype[Any]], seed: int) -> Bytes:
    """Frames to those addresses that a router forwards to, apart from the link that it is on."""
    to = addresses["high"] >> np.uint64(32)
    network = to >> np.uint64(24)
    to = to[(network != 127) & (network < 224) & (network > 0) & (to >> np.uint64(16) != 0x0AFF)]
    rng = np.random.default_rng(seed)
    hosts = rng.integers(0, 1 << 16, len(to), dtype=np.uint64)
    return frames_of(Flows(np.uint64(0xC6120000) + hosts, to, hosts, hosts))


def _ipv6(addresses: np.ndarray[Any, np.dtype[Any]]) -> Bytes:
    """UDP in IPv6: 62 bytes."""
    head = bytes.fromhex("020000000001 020000000002 86dd 60000000 0008 11 40")
    source = bytes.fromhex("20010db8 0000 0000 0000 0000 0000 0001")
    frame = head + source + bytes(16) + bytes.fromhex("1234 5678 0008 0001")
    frames = np.tile(np.frombuffer(frame, np.uint8), (len(addresses), 1))
    for part, name in enumerate(ADDRESS.names or ()):
        at = 14 + IPV6_HEADER - 16 + 8 * part
        frames[:, at : at + 8] = addresses[name].astype(">u8").view(np.uint8).reshape(-1, 8)
    return frames


class RouterRig(Rig):
    """raicho: one worker, a router with these routes."""

    def __init__(self, routes: Routes, core: int | None = None) -> None:
        super().__init__(Workload("routes", b"", 0, routes.frames), core)
        self._router = self._dataplane.add_router("bench")
        self._bridge.set_pipeline(IN_PORT, "route")
        address, length = LINKS[routes.family]
        indexes = []
        for port, mac in ((IN_PORT, ROUTER), (OUT_PORT, ROUTER + 2)):
            settings = Settings(0, mac, 1500, reverse_path="off", proxy_arp=False, up=True)
            indexes.append(self._router.add_interface(f"p{port}", self._bridge, port, settings))
        self._router.add_address(indexes[1], address, length)
        self._lead_somewhere(address, indexes[1])
        self._fill(routes)

    def __exit__(self, *exc: object) -> None:
        self._router.close()
        super().__exit__(*exc)

    def _lead_somewhere(self, link: bytes, interface: int) -> None:
        """Make the neighbours, and a group of next hops for each."""
        neighbours, groups = b"", b""
        for i in range(1, NEIGHBOURS + 1):
            host = link[:-2] + (256 + i).to_bytes(2)
            neighbours += records.pack_neighbour(host, interface, (ROUTER + 2 + i).to_bytes(6))
            hop = records.Hop(records.Kind.GATEWAY, interface, host)
            groups += records.pack_group(records.Group(SOURCE, i, (hop,)))
        self._done(self._router.neighbour_mod(neighbours, 1))
        self._done(self._router.next_hop_mod(groups))

    def _fill(self, routes: Routes) -> None:
        made = np.zeros(len(routes.prefixes), records.ROUTE)
        made["op"], made["family"], made["source"] = records.PUT, routes.family, SOURCE
        made["length"], made["via"] = routes.prefixes["len"], routes.prefixes["value"]
        made["distance"] = 1
        words = np.stack([routes.prefixes["high"], routes.prefixes["low"]], axis=1)
        made["prefix"] = np.ascontiguousarray(words.astype(">u8")).view("V16").reshape(-1)
        for at in range(0, len(made), BATCH):
            self._done(self._router.route_mod(made[at : at + BATCH].tobytes()))

    @staticmethod
    def _done(results: bytes) -> None:
        if any(results):
            raise RuntimeError("the router refused a record")


class RouteFloor(Floor):
    """The floor: the same frames by DIR-24-8, in bench/route_forward.c."""

    source = "route_forward.c"
    parts = (str(HERE / "route_floor.c"),)

    def __init__(self, routes: Routes, core: int | None = None) -> None:
        super().__init__(routes.frames, core)
        n = len(routes.prefixes)
        n_long = int((routes.prefixes["len"] > 24).sum())
        opened = self._library.routes_open(
            ctypes.c_uint(routes.family), ctypes.c_size_t(n), ctypes.c_size_t(n_long)
        )
        if not opened & 1:
            raise RuntimeError(f"no floor for IPv{routes.family}")
        self._closing.callback(self._library.routes_close)
        prefixes = np.ascontiguousarray(routes.prefixes)
        self._library.routes_put(prefixes.ctypes.data_as(ctypes.c_void_p), ctypes.c_size_t(n))
        self._library.route_rate.restype = ctypes.c_double
        self._rate = self._library.route_rate
