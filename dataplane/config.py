"""The configuration of the dataplane, as values that can be compared.

A tree as the datastore sends it (nested dicts and lists with the names of
raicho-dataplane.yang) becomes a Config.  What the schema can check has been
checked; what remains is between objects, and is checked here.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .bridging import (
    OPENFLOW,
    MacConfig,
    Member,
    Multicast,
    read_macs,
    read_member,
    read_multicast,
    wrong_macs,
    wrong_members,
)
from .datapath import MAX_BRIDGES
from .queues import QueueConfig, broken_promises, read_queues
from .router_config import RouterConfig, read_router, wrong_routers
from .worker import SPIN_US

TAP = "tap"  # the kind whose interface comes with it, if it is not there
INTERFACES = ("af_packet", "af_xdp", TAP)  # the kinds of port whose device is a network interface
PATCH = "patch"  # the kind whose device is another port, its peer
DPDK = "dpdk"  # the one whose device is what DPDK calls devargs
WITHOUT_DEVICE = ("memory", "null")
WITH_MTU = (*INTERFACES, DPDK)
ONE_QUEUE = ("pcap", PATCH)

Tree = Mapping[str, Any]


class BadConfig(Exception):
    """A configuration that cannot be; *path* is where."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path}: {reason}")
        self.path = path
        self.reason = reason


@dataclass(frozen=True, slots=True)
class PortConfig:
    """A port: what to open, and which worker serves it."""

    name: str
    kind: str
    device: str = ""
    mtu: int = 0  # 0: what the device has
    enabled: bool = True
    worker: int = 0
    max_rate: int = 0  # bit/s; 0: what the link has
    queues: tuple[QueueConfig, ...] = ()
    device_queues: int = 1
    lanes: Mapping[int, int] = field(default_factory=dict)  # queue of the device -> worker
    xdp_mode: str = "auto"  # how af_xdp gets at its frames

    @property
    def path(self) -> str:
        return f"/raicho/port[name='{self.name}']"

    def same_device(self, other: "PortConfig | None") -> bool:
        """Return whether the port stays open from one to the other."""
        return other is not None and self._opened_as == other._opened_as

    @property
    def _opened_as(self) -> tuple[str, str, int, int, str]:
        """Return what it is opened with: many devices of DPDK have to stop for another MTU."""
        mtu = self.mtu if self.kind == DPDK else 0
        return self.kind, self.device, self.device_queues, mtu, self.xdp_mode

    @property
    def claim(self) -> str | None:
        """Return what no other port may have."""
        if self.kind in INTERFACES:
            return self.device
        return self.device.partition(",")[0] if self.kind == DPDK else None

    @property
    def workers(self) -> tuple[int, ...]:
        """Return the worker of each queue of the device."""
        return tuple(self.lanes.get(queue, self.worker) for queue in range(self.device_queues))


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """A worker: where it runs, and when it sleeps."""

    id: int
    cpu: int | None = None
    mode: str = "adaptive"
    spin: int = SPIN_US  # microseconds

    @property
    def path(self) -> str:
        return f"/raicho/worker[id='{self.id}']"


@dataclass(frozen=True, slots=True)
class PluginConfig:
    """A shared object with instructions."""

    name: str
    file: str

    @property
    def path(self) -> str:
        return f"/raicho/plugin[name='{self.name}']"


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """A bridge: its attributes, and its ports by name."""

    name: str
    datapath_id: int
    max_flows: int = 0  # 0: as memory allows
    ports: Mapping[str, Member] = field(default_factory=dict)
    standalone: bool = False  # without a controller, a learning bridge
    macs: MacConfig = field(default_factory=MacConfig)
    pipeline: str = OPENFLOW
    multicast: Multicast = field(default_factory=Multicast)

    @property
    def path(self) -> str:
        return f"/raicho/bridge[name='{self.name}']"


@dataclass(frozen=True, slots=True)
class Config:
    """Everything, by name; worker 0 is always there."""

    ports: Mapping[str, PortConfig] = field(default_factory=dict)
    workers: Mapping[int, WorkerConfig] = field(default_factory=lambda: {0: WorkerConfig(0)})
    bridges: Mapping[str, BridgeConfig] = field(default_factory=dict)
    routers: Mapping[str, RouterConfig] = field(default_factory=dict)
    plugins: Mapping[str, PluginConfig] = field(default_factory=dict)


def default_datapath_id(name: str) -> int:
    """Derive a datapath id from the name of a bridge: stable, and locally administered."""
    digest = hashlib.sha256(name.encode()).digest()
    return int.from_bytes(b"\0\0" + bytes([digest[0] & 0xFC | 2]) + digest[1:6], "big")


def read(tree: Tree) -> Config:
    """Turn the tree into a Config; raise BadConfig where objects contradict each other."""
    raicho: Tree = tree.get("raicho", tree)
    ports = {row["name"]: _port(row) for row in raicho.get("port", ())}
    workers = {0: WorkerConfig(0)} | {row["id"]: _worker(row) for row in raicho.get("worker", ())}
    bridges = {row["name"]: _bridge(row) for row in raicho.get("bridge", ())}
    routers = {row["name"]: read_router(row) for row in raicho.get("router", ())}
    plugins = {
        row["name"]: PluginConfig(row["name"], row["file"]) for row in raicho.get("plugin", ())
    }
    config = Config(ports, workers, bridges, routers, plugins)
    for path, reason in _contradictions(config):
        raise BadConfig(path, reason)
    return config


def _port(row: Tree) -> PortConfig:
    return PortConfig(
        row["name"],
        row["kind"],
        row.get("device", ""),
        row.get("mtu", 0),
        row.get("enabled", True),
        row.get("worker", 0),
        row.get("max-rate", 0),
        read_queues(row.get("queue", ())),
        row.get("device-queues", 1),
        {lane["queue"]: lane["worker"] for lane in row.get("lane", ())},
        row.get("xdp-mode", "auto"),
    )


def _worker(row: Tree) -> WorkerConfig:
    return WorkerConfig(
        row["id"], row.get("cpu"), row.get("mode", "adaptive"), row.get("spin", SPIN_US)
    )


def _bridge(row: Tree) -> BridgeConfig:
    datapath_id = row.get("datapath-id")
    pipeline = row.get("pipeline", OPENFLOW)
    return BridgeConfig(
        row["name"],
        int(datapath_id, 16) if datapath_id else default_datapath_id(row["name"]),
        row.get("max-flows", 0),
        {port["name"]: read_member(port, pipeline) for port in row.get("port", ())},
        row.get("fail-mode", "secure") == "standalone",
        read_macs(row),
        pipeline,
        read_multicast(row.get("multicast", {})),
    )


def _contradictions(config: Config) -> Iterator[tuple[str, str]]:
    yield from _wrong_ports(config)
    yield from _wrong_bridges(config)
    yield from wrong_routers(config.routers, config.ports, config.bridges)
    owner: dict[str, str] = {}
    for bridge in config.bridges.values():
        yield from wrong_members(bridge.path, bridge.ports)
        yield from wrong_macs(bridge.path, bridge.macs, bridge.ports)
        for name in bridge.ports:
            path = f"{bridge.path}/port[name='{name}']"
            if name not in config.ports:
                yield path, f"there is no port {name}"
            if name in owner:
                yield path, f"port {name} is in bridge {owner[name]} already; a port is in one"
            owner[name] = bridge.name


def _wrong_ports(config: Config) -> Iterator[tuple[str, str]]:
    users: dict[str, str] = {}
    for port in config.ports.values():
        yield from _wrong_lanes(port, config)
        yield from broken_promises(port.path, port.queues, port.max_rate)
        if port.device and port.kind in WITHOUT_DEVICE:
            yield f"{port.path}/device", f"a port of kind {port.kind} has no device"
        if port.mtu and port.kind not in WITH_MTU:
            yield f"{port.path}/mtu", f"the MTU of a port of kind {port.kind} cannot be set"
        if (claim := port.claim) and (user := users.setdefault(claim, port.name)) != port.name:
            yield f"{port.path}/device", f"{claim} is the device of port {user} already"
        if port.kind == PATCH:
            yield from _wrong_peer(port, config.ports.get(port.device))


def _wrong_peer(port: PortConfig, peer: PortConfig | None) -> Iterator[tuple[str, str]]:
    path = f"{port.path}/device"
    if peer is None:
        yield path, f"there is no port {port.device} to be the peer of {port.name}"
    elif peer is port:
        yield path, f"port {port.name} cannot be its own peer"
    elif peer.kind != PATCH:
        yield path, f"port {peer.name} is of kind {peer.kind}, a peer is of kind {PATCH}"
    elif peer.device != port.name:
        yield path, f"the peer of port {peer.name} is {peer.device}, not {port.name}"


def _wrong_lanes(port: PortConfig, config: Config) -> Iterator[tuple[str, str]]:
    named = {f"{port.path}/worker": port.worker} | {
        f"{port.path}/lane[queue='{queue}']/worker": worker for queue, worker in port.lanes.items()
    }
    workers = ", ".join(map(str, sorted(config.workers)))
    for path, worker in named.items():
        if worker not in config.workers:
            yield path, f"there is no worker {worker}, only {workers}"
    for queue in port.lanes:
        if queue >= port.device_queues:
            reason = f"there is no queue {queue}, only {port.device_queues} from 0 on"
            yield f"{port.path}/lane[queue='{queue}']/queue", reason
    if port.device_queues > 1 and port.kind in ONE_QUEUE:
        yield f"{port.path}/device-queues", f"a port of kind {port.kind} has one queue"


def _wrong_bridges(config: Config) -> Iterator[tuple[str, str]]:
    if len(config.bridges) > MAX_BRIDGES:
        last = list(config.bridges.values())[-1]
        yield last.path, f"more than {MAX_BRIDGES} bridges"
    users: dict[int, str] = {}
    for bridge in config.bridges.values():
        if (user := users.setdefault(bridge.datapath_id, bridge.name)) != bridge.name:
            yield f"{bridge.path}/datapath-id", f"bridge {user} has the same datapath id"
