"""What the dataplane is like, as rows with the names of the schema."""

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from . import trees
from .bridge import Bridge
from .bridging import BLOCKED, Member, Multicast
from .openflow import now_ms
from .queues import QueueConfig
from .routers import describe, describe_labels, describe_routes, describe_trees
from .switch import Switch
from .translation import describe as describe_nat
from .worker import DROP_REASONS, former_totals

Rows = list[dict[str, Any]]

ADDRESSES = {4: IPv4Address, 6: IPv6Address}

_PATH = re.compile(
    r"/?(?:raicho(?:/|$))?"
    r"(?:(?P<kind>[a-z]+)(?:\[(?:name|id)='(?P<key>[^']*)'\])?)?/?"
)


def read(switch: Switch, path: str) -> Any:
    """Return what is at a path, such as /port or /raicho/port[name='p1']; KeyError if nothing."""
    match = _PATH.fullmatch(path)
    if not match or match["kind"] not in (None, *VIEWS):
        raise KeyError(f"no such state; there is {', '.join(VIEWS)}")
    kind, key = match["kind"], match["key"]
    if kind is None:
        return {name: view(switch) for name, view in VIEWS.items()}
    rows = VIEWS[kind](switch)
    if key is None:
        return rows
    for row in rows:
        if str(row.get("name", row.get("id"))) == key:
            return row
    raise KeyError(f"there is no {kind} {key}")


def _ports(switch: Switch) -> Rows:
    return [_port(switch, name) for name in switch.config.ports]


def _port(switch: Switch, name: str) -> dict[str, Any]:
    config = switch.config.ports[name]
    row: dict[str, Any] = {
        "name": name,
        "kind": config.kind,
        "device": config.device,
        "enabled": config.enabled,
        "worker": config.worker,
        "device-queues": config.device_queues,
        "lane": [{"queue": i, "worker": worker} for i, worker in enumerate(config.workers)],
        "max-rate": config.max_rate or None,
        "queue": [_queue(queue) for queue in config.queues],
        "up": False,
    }
    try:
        port = switch.ports.open[name]
        link = port.link()
    except KeyError:
        return row | {"trouble": switch.ports.missing.get(name, "it is not open")}
    except OSError as error:
        return row | {"trouble": error.strerror}
    shown = {"up": link.up, "admin-up": link.admin_up, "mac": link.mac.hex(":")}
    if port.how:
        shown |= {"xdp-mode": config.xdp_mode, "how": port.how}
    return row | shown | {"mtu": link.mtu, "speed": link.speed}


def _queue(queue: QueueConfig) -> dict[str, Any]:
    return {
        "id": queue.id,
        "priority": queue.priority,
        "min-rate": queue.min_rate or None,
        "max-rate": queue.max_rate or None,
        "burst": queue.burst or None,
        "limit": queue.limit,
    }


def _workers(switch: Switch) -> Rows:
    return [
        {
            "id": ident,
            "cpu": runner.config.cpu,
            "mode": runner.worker.mode,
            "spin": runner.worker.spin,
            "port": [p.name for p in switch.config.ports.values() if ident in p.workers],
            "totals": runner.worker.totals(),
            "profile": runner.worker.profile(),
        }
        for ident, runner in sorted(switch.runners.items())
    ]


def _bridges(switch: Switch) -> Rows:
    return [
        {
            "name": name,
            "datapath-id": f"{bridge.datapath_id:016x}",
            "fail-mode": "standalone" if switch.config.bridges[name].standalone else "secure",
            "standalone": bridge.standalone,
            "pipeline": switch.config.bridges[name].pipeline,
            "max-flows": bridge.max_flows or None,
            "mac-ageing": switch.config.bridges[name].macs.ageing,
            "max-macs": switch.config.bridges[name].macs.most,
            "static-mac": [
                {"vlan": each.vlan, "mac": each.address, "port": each.port or None}
                for each in switch.config.bridges[name].macs.fixed
            ],
            "macs": bridge.macs(),
            "multicast": _multicast(switch.config.bridges[name].multicast) | bridge.multicast(),
            "port": [
                _member(port, member) | _attached(bridge, member.number)
                for port, member in switch.config.bridges[name].ports.items()
            ],
            "flows": bridge.n_flows,
            "tables": bridge.tables(),
        }
        for name, bridge in switch.bridges.items()
    ]


def _attached(bridge: Bridge, number: int) -> dict[str, Any]:
    """Tell whether a port is there, and whether it waits for the template of its program."""
    there = bridge.has_port(number)
    return {"attached": there, "closed": there and bridge.port_state(number)["closed"]}


def _member(name: str, member: Member) -> dict[str, Any]:
    how = member.bridging
    return {
        "name": name,
        "number": member.number,
        "pipeline": member.pipeline,
        "vlan-mode": how.mode,
        "vlan": how.vlan or None,
        "trunk": [str(low) if low == high else f"{low}..{high}" for low, high in member.trunk],
        "isolated": how.isolated,
        "max-macs": how.max_macs or None,
        "multicast-router": how.router,
        "fast-leave": how.leaves_at_once,
    }


def _multicast(wanted: Multicast) -> dict[str, Any]:
    return {
        "snooping": wanted.snoops,
        "querier": wanted.querier,
        "unknown": wanted.unknown,
        "max-groups": wanted.max_groups,
    }


def _groups(switch: Switch) -> Rows:
    now, rows = now_ms(), []
    for name, bridge in switch.bridges.items():
        ports = {m.number: port for port, m in switch.config.bridges[name].ports.items()}
        for vlan, version, address, members in sorted(bridge.groups()):
            group = str(ADDRESSES[version](address)) if version else "routers"
            told = sorted(
                (ports.get(n, str(n)), max(until - now, 0) // 1000) for n, until in members
            )
            row = {"bridge": name, "vlan": vlan, "group": group}
            rows.append(row | {"port": [p for p, _ in told], "seconds": [s for _, s in told]})
    return rows


def _fdb(switch: Switch) -> Rows:
    rows = []
    for name, bridge in switch.bridges.items():
        ports = {m.number: port for port, m in switch.config.bridges[name].ports.items()}
        for vlan, address, number, age_ms, fixed in sorted(bridge.fdb(now_ms())):
            row = {"bridge": name, "vlan": vlan, "mac": address.hex(":")}
            place = {"number": None if number == BLOCKED else number, "port": ports.get(number)}
            rows.append(row | place | {"age": age_ms // 1000, "static": fixed})
    return rows


def _drops(switch: Switch) -> Rows:
    totals = [runner.worker.totals() for runner in switch.runners.values()]
    totals.append(former_totals(switch.dataplane))
    return [
        {"name": name, "text": text, "packets": sum(each["drops"][name] for each in totals)}
        for name, text in DROP_REASONS.items()
    ]


def _routers(switch: Switch) -> Rows:
    return [
        {
            "name": name,
            "host-namespace": switch.config.routers[name].host_namespace or None,
            "interface": describe(there),
            "route": describe_routes(there),
            "tree": describe_trees(switch.config.routers[name]),
            "label": describe_labels(there),
            "label-ttl": switch.config.routers[name].label_ttl,
            "nat": describe_nat(
                switch.config.routers[name].nat,
                there.translation.counts() if there.translation else {},
            ),
            **{key.replace("_", "-"): value for key, value in there.router.counts().items()},
            "subscription": switch.escalations.rows(name),
        }
        for name, there in switch.routers.open.items()
    ]


def _trees(switch: Switch) -> Rows:
    return [
        {"router": name, **row}
        for name, there in switch.routers.open.items()
        for row in trees.rows(
            there.router, {each.index: name for name, each in there.interfaces.items()}
        )
    ]


def _plugins(switch: Switch) -> Rows:
    loaded = switch.plugins.loaded
    return [
        {
            "name": config.name,
            "file": config.file,
            "instruction": [
                {"name": name, "subtype": subtype, "args-size": size}
                for name, subtype, size in (loaded[config].instructions if config in loaded else ())
            ],
        }
        for config in switch.config.plugins.values()
    ]


VIEWS: dict[str, Callable[[Switch], Rows]] = {
    "plugin": _plugins,
    "port": _ports,
    "worker": _workers,
    "bridge": _bridges,
    "fdb": _fdb,
    "router": _routers,
    "tree": _trees,
    "multicast": _groups,
    "drops": _drops,
}
