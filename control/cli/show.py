"""show: what the switch is doing.

Volatile state (flows, groups, counters) comes through the OpenFlow agent, which
asks the dataplane and knows how to write it; how the dataplane does its work from
itself; configuration from the datastore.
"""

from typing import Any

import click

from .output import emit, emit_rows, outline
from .place import placed
from .routes import neighbours, next_hops, routes, routing
from .statistics import statistics
from .vrrp import show_vrrp
from .workers import workers

GROUP_TYPES = ("all", "select", "indirect", "ff")


@click.group()
def show() -> None:
    """Show what the switch is doing."""


@show.command()
@placed
@click.argument("bridge", required=False)
def flows(bridge: str | None) -> None:
    """List the flows of BRIDGE, or of all bridges."""
    rows = view("flows", bridge)
    bridges = list(dict.fromkeys(row["bridge"] for row in rows))
    blocks = [
        "\n".join([f"{name}:", *(f"  {row['text']}" for row in rows if row["bridge"] == name)])
        for name in bridges
    ]
    emit(rows, "\n".join(blocks) or "no flows")


@show.command()
@placed
@click.argument("bridge", required=False)
def groups(bridge: str | None) -> None:
    """List the groups of BRIDGE, or of all bridges."""
    rows = view("groups", bridge)
    for row in rows:
        kind = row["type"]
        row["type"] = GROUP_TYPES[kind] if kind in range(len(GROUP_TYPES)) else kind
    emit_rows(rows, ("bridge", "group_id", "type", "buckets"), "no groups")


@show.command()
@placed
@click.argument("bridge", required=False)
def tables(bridge: str | None) -> None:
    """List the flow tables in use of BRIDGE, or of all, and the cycles that a lookup costs."""
    rows = [
        {"bridge": owner["name"], **table}
        for owner in _state("dataplane", "/bridge")
        if bridge in (None, owner["name"])
        for table in owner["tables"]
    ]
    columns = ("implementation", "flows", "masks", "memory", "lookups", "matches", "cycles")
    emit_rows(rows, ("bridge", "table", *columns), "no table is in use")


for command in (workers, statistics, routes, next_hops, neighbours, routing, show_vrrp):
    show.add_command(command)


@show.command()
@placed
@click.argument("bridge", required=False)
def controllers(bridge: str | None) -> None:
    """List the controllers of BRIDGE, or of all bridges, and whether they are connected."""
    rows = _of(bridge, view("controllers"))
    columns = ("bridge", "name", "peer", "connected", "role", "trouble")
    emit_rows(rows, columns, "no controller is connected or dialled")


@show.command()
@placed
@click.argument("bridge", required=False)
def ports(bridge: str | None) -> None:
    """List the ports, those of BRIDGE or all, with the packets they have seen."""
    from .ask import read

    places = {
        member["name"]: (owner["name"], member["number"])
        for owner in read("/raicho/bridge", defaults=True) or []
        for member in owner.get("port", [])
    }
    counters = _try_view("port-stats")
    configured = read("/raicho/port", defaults=True) or []
    modes = _xdp_modes() if any(port["kind"] == "af_xdp" for port in configured) else {}
    seen = {(row["bridge"], row["port_no"]): row for row in counters or []}
    rows = []
    for port in configured:
        place = places.get(port["name"], (None, None))
        counted = {k: v for k, v in seen.get(place, {}).items() if k not in ("bridge", "port_no")}
        if port["name"] in modes:
            counted["xdp-mode"] = modes[port["name"]]
        rows.append({**port, "bridge": place[0], "number": place[1], **counted})
    rows = [row for row in rows if bridge in (None, row["bridge"])]
    columns = ("name", "kind", "device", "enabled", "bridge", "number")
    packets = ("rx_packets", "tx_packets", "rx_dropped", "tx_dropped")
    emit_rows(rows, (*columns, *packets, *(["xdp-mode"] if modes else [])), "no ports")


@show.command()
@placed
def bridges() -> None:
    """List the bridges, their ports and their controllers."""
    from .ask import read

    connected = {
        (row["bridge"], row["name"]) for row in _try_view("controllers") or [] if row["connected"]
    }
    rows = [
        {**bridge, **_members(bridge, connected)}
        for bridge in read("/raicho/bridge", defaults=True) or []
    ]
    columns = ("name", "datapath-id", "fail-mode", "ports", "controllers")
    emit_rows(rows, columns, "no bridges")


def _members(bridge: dict[str, Any], connected: set[tuple[str, str]]) -> dict[str, list[str]]:
    """Return ports with their numbers, and controllers with a mark if they are connected."""
    name = bridge["name"]
    return {
        "ports": [f"{port['number']}:{port['name']}" for port in bridge.get("port", [])],
        "controllers": [
            f"{row['name']} (up)" if (name, row["name"]) in connected else row["name"]
            for row in bridge.get("controller", [])
        ],
    }


@show.command()
@placed
@click.argument("bridge", required=False)
def fdb(bridge: str | None) -> None:
    """List the addresses that BRIDGE, or all bridges, know, and where."""
    rows = _of(bridge, _state("dataplane", "/fdb"))
    emit_rows(
        rows, ("bridge", "vlan", "mac", "port", "number", "age", "static"), "no address is known"
    )


@show.command()
@placed
@click.argument("bridge", required=False)
def multicast(bridge: str | None) -> None:
    """List who has joined which multicast groups on BRIDGE, or on all bridges that listen."""
    rows = _of(bridge, _state("dataplane", "/multicast"))
    emit_rows(rows, ("bridge", "vlan", "group", "port", "seconds"), "nobody has joined a group")


@show.command()
@placed
@click.argument("router", required=False)
def trees(router: str | None) -> None:
    """List by which interfaces ROUTER, or any router, sends what goes to multicast groups."""
    rows = [row for row in _state("dataplane", "/tree") if router in (None, row["router"])]
    for row in rows:
        row["in"] = row["incoming-interface"] or "by route"
        row["out"] = row["outgoing-interface"] + ["host"] * row["local"]
    columns = ("router", "group", "source", "in", "out", "packets", "bytes", "strayed")
    emit_rows(rows, columns, "no router has a tree")


@show.command()
@placed
def components() -> None:
    """List the components that the datastore knows, and how to reach them."""
    import msgspec

    from ..message import ListRegistry
    from .ask import ask

    entries = ask("datastore", ListRegistry()).components
    listed = [msgspec.structs.asdict(entry) for entry in entries]
    for row in listed:
        row["apis"] = [msgspec.structs.asdict(api) for api in row["apis"]]
    shown = ("component", "version", "alive", "synchronised", "subscriptions", "trouble")
    emit_rows(listed, shown, "no component is registered")


@show.command()
@placed
def topics() -> None:
    """List the topics of events: who publishes, how many subscribe."""
    rows = _state("bus", "/topics")
    emit_rows(rows, ("topic", "publishers", "subscribers", "messages"), "no event so far")


@show.command()
@placed
def alerts() -> None:
    """List the last alerts of the supervisor."""
    names = ("component", "cause", "pid")
    rows = [dict(zip(names, row, strict=True)) for row in _state("supervisor", "/alerts")]
    emit_rows(rows, names, "no alerts")


@show.command()
@placed
@click.argument("component")
@click.argument("names", nargs=-1)
def stats(component: str, names: tuple[str, ...]) -> None:
    """Show the counters of COMPONENT, all or those with NAMES."""
    from ..message import Stats
    from .ask import ask

    sample = ask(component, Stats(list(names)))
    emit({"time": sample.time, "data": sample.data}, outline(sample.data))


def _of(bridge: str | None, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of a bridge, which must exist, or all of them."""
    from ..message.path import quote
    from .ask import read

    if bridge is None:
        return rows
    found = [row for row in rows if row["bridge"] == bridge]
    if not found and read(f"/raicho/bridge[name={quote(bridge)}]") is None:
        raise click.ClickException(f"there is no bridge {bridge!r}; `raicho show bridges` has them")
    return found


def _state(component: str, path: str) -> Any:
    from ..message import Get
    from .ask import ask

    return ask(component, Get(path)).data


def view(name: str, bridge: str | None = None) -> list[dict[str, Any]]:
    """Return the rows of a view of the OpenFlow agent."""
    rows: list[dict[str, Any]] = _state("openflow", f"/{name}/{bridge}" if bridge else f"/{name}")
    return rows


def _try_view(name: str) -> list[dict[str, Any]] | None:
    """Return the rows of a view; say so and go on where they cannot be had."""
    return _try_state("openflow", f"/{name}")


def _xdp_modes() -> dict[str, str]:
    """Return how the ports of kind af_xdp get at their frames, those that do."""
    rows = _try_state("dataplane", "/port") or []
    return {row["name"]: row["how"] for row in rows if "how" in row}


def _try_state(component: str, path: str) -> list[dict[str, Any]] | None:
    from ..message import CallError

    try:
        rows: list[dict[str, Any]] = _state(component, path)
    except CallError as error:
        click.echo(f"warning: without {path.removeprefix('/')}: {error}", err=True)
        return None
    return rows
