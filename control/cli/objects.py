"""port and bridge: short ways to write what `config set` can say as well.

Each command is a list of edits, committed in one transaction.
"""

from typing import Any

import click

from .commits import dry_run_option
from .config import apply, session_option
from .place import placed


def entry(parent: str, key: str) -> str:
    """Return the path of the entry named *key* in the list *parent*."""
    quote = '"' if "'" in key else "'"
    return f"{parent}[name={quote}{key}{quote}]"


def _given(**leaves: Any) -> dict[str, Any]:
    """Return the leaves that were given, by their names in the schema."""
    named = {name.replace("_", "-"): value for name, value in leaves.items()}
    return {name: value for name, value in named.items() if value is not None}


@click.group()
def port() -> None:
    """Add and remove ports."""


@port.command(name="add")
@placed
@click.argument("name")
@click.option("--device", metavar="DEV", help="What to open, e.g. the interface eth1.")
@click.option("--kind", default="af_packet", show_default=True, help="The driver.")
@click.option("--mtu", metavar="OCTETS", help="The largest packet; what the device has if absent.")
@click.option("--worker", metavar="ID", help="Which worker serves it.")
@click.option("--disabled", is_flag=True, help="No packets go through it until it is enabled.")
@session_option
@dry_run_option
def add_port(
    name: str,
    device: str | None,
    kind: str,
    mtu: str | None,
    worker: str | None,
    disabled: bool,
    session: str | None,
    dry_run: bool,
) -> None:
    """Add the port NAME."""
    from ..message import Set

    enabled = False if disabled else None
    value = _given(kind=kind, device=device, mtu=mtu, worker=worker, enabled=enabled)
    apply([Set(entry("/raicho/port", name), value)], session, dry_run)


@port.command(name="remove")
@placed
@click.argument("name")
@session_option
@dry_run_option
def remove_port(name: str, session: str | None, dry_run: bool) -> None:
    """Remove the port NAME."""
    _delete(entry("/raicho/port", name), session, dry_run)


@click.group()
def bridge() -> None:
    """Add and remove bridges, their ports and their controllers."""


@bridge.command(name="add")
@placed
@click.argument("name")
@click.option("--datapath-id", metavar="HEX", help="What controllers know it by.")
@click.option("--fail-mode", metavar="secure|standalone", help="What it does alone.")
@session_option
@dry_run_option
def add_bridge(
    name: str, datapath_id: str | None, fail_mode: str | None, session: str | None, dry_run: bool
) -> None:
    """Add the bridge NAME."""
    from ..message import Set

    value = _given(datapath_id=datapath_id, fail_mode=fail_mode)
    apply([Set(entry("/raicho/bridge", name), value)], session, dry_run)


@bridge.command(name="remove")
@placed
@click.argument("name")
@session_option
@dry_run_option
def remove_bridge(name: str, session: str | None, dry_run: bool) -> None:
    """Remove the bridge NAME; its ports stay, outside it."""
    _delete(entry("/raicho/bridge", name), session, dry_run)


@bridge.command(name="add-port")
@placed
@click.argument("bridge")
@click.argument("port")
@click.argument("number")
@session_option
@dry_run_option
def add_bridge_port(
    bridge: str, port: str, number: str, session: str | None, dry_run: bool
) -> None:
    """Make PORT a port of BRIDGE, with this OpenFlow NUMBER."""
    _set_in_bridge(bridge, "port", port, {"number": number}, session, dry_run)


@bridge.command(name="remove-port")
@placed
@click.argument("bridge")
@click.argument("port")
@session_option
@dry_run_option
def remove_bridge_port(bridge: str, port: str, session: str | None, dry_run: bool) -> None:
    """Take PORT out of BRIDGE."""
    _delete(entry(f"{entry('/raicho/bridge', bridge)}/port", port), session, dry_run)


@bridge.command(name="add-controller")
@placed
@click.argument("bridge")
@click.argument("address")
@click.option("--port", metavar="N", default="6653", show_default=True, help="Its TCP port.")
@click.option("--name", help="What to call it.  [default: tcp:ADDRESS:PORT]")
@session_option
@dry_run_option
def add_controller(
    bridge: str, address: str, port: str, name: str | None, session: str | None, dry_run: bool
) -> None:
    """Let BRIDGE connect to the controller at ADDRESS."""
    leaves = {"address": address, "port": port}
    name = name or f"tcp:{address}:{port}"
    _set_in_bridge(bridge, "controller", name, leaves, session, dry_run)


@bridge.command(name="remove-controller")
@placed
@click.argument("bridge")
@click.argument("name")
@session_option
@dry_run_option
def remove_controller(bridge: str, name: str, session: str | None, dry_run: bool) -> None:
    """Let BRIDGE forget the controller NAME."""
    _delete(entry(f"{entry('/raicho/bridge', bridge)}/controller", name), session, dry_run)


def _set_in_bridge(
    bridge: str, what: str, name: str, leaves: dict[str, Any], session: str | None, dry_run: bool
) -> None:
    """Set an entry of a bridge that must exist: a mistyped name makes no bridge."""
    from ..message import CallError, Code, Failure, Set
    from .ask import read

    parent = entry("/raicho/bridge", bridge)
    if not read(parent, session or ""):
        hint = f"no such bridge; `raicho bridge add {bridge}` makes it"
        raise CallError(Failure(Code.NOT_FOUND, hint, parent))
    apply([Set(entry(f"{parent}/{what}", name), leaves)], session, dry_run)


def _delete(path: str, session: str | None, dry_run: bool) -> None:
    from ..message import Delete

    apply([Delete(path)], session, dry_run)
