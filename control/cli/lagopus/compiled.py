"""Objects of the old language as edits of raicho's configuration.

Objects refer to one another by name, and become ports and bridges when the
whole file has been read: an interface and its queues are part of a raicho port,
a channel is part of a controller.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from ...message.path import Path, Step, format_path
from .objects import QUEUE_LEAVES
from .things import Bad, Place, Script, Thing

_RAICHO: Path = (Step("raicho"),)
#: What is said of a bridge in the same words here.
LEAVES = ("datapath-id", "fail-mode", "max-flows", "mac-ageing", "max-macs")


def _named(kind: str, name: str, key: str = "name") -> Step:
    return Step(kind, ((key, name),))


def _edit(script: Script, path: Path, value: Any, line: int) -> None:
    script.edits.append(Place(format_path(path), value, line))


def _leaves(script: Script, path: Path, thing: Thing, names: tuple[str, ...]) -> None:
    """Set the leaves that something was said about."""
    for name in names:
        if said := thing.get(name):
            _edit(script, (*path, Step(name)), said.value, said.line)


def _compile_port(script: Script, port: Thing) -> None:
    path = (*_RAICHO, _named("port", port.name))
    _edit(script, path, {}, port.line)
    if interface := _referred(script, port, "interface"):
        _leaves(script, path, interface, ("kind", "device", "mtu"))
    if not (port.enabled or _is_in_enabled_bridge(script, port)):
        _edit(script, (*path, Step("enabled")), False, port.line)
    for said in port.all("queues"):
        _compile_queue(script, path, script.things["queue", said.value])


def _is_in_enabled_bridge(script: Script, port: Thing) -> bool:
    """Tell whether a bridge brings the port up: in the old switch all begin disabled."""
    return any(
        bridge.enabled and any(said.value == port.name for said in bridge.all("ports"))
        for bridge in script.of_kind("bridge")
    )


def _compile_queue(script: Script, port: Path, queue: Thing) -> None:
    ident, kind = queue.get("id"), queue.get("type")
    if ident is None or kind is None:
        script.bad.append(Bad(queue.line, f"queue {queue.name} needs -id and -type"))
        return
    path = (*port, _named("queue", str(ident.value), "id"))
    _edit(script, path, {}, queue.line)
    for leaf, (factor, names) in QUEUE_LEAVES[kind.value].items():
        given = [said for name in names if (said := queue.get(name))]
        if given:
            value = factor * sum(said.value for said in given)
            _edit(script, (*path, Step(leaf)), value, given[-1].line)


def _compile_bridge(script: Script, bridge: Thing) -> None:
    path = (*_RAICHO, _named("bridge", bridge.name))
    _edit(script, path, {}, bridge.line)
    _leaves(script, path, bridge, LEAVES)
    for said in bridge.all("ports"):
        member = (*path, _named("port", said.value))
        _edit(script, member, {"number": said.further}, said.line)
    _compile_controllers(script, path, bridge)


def _compile_controllers(script: Script, bridge: Path, of: Thing) -> None:
    """Write the main connections, each with the number of auxiliary ones to the same place."""
    controllers = [script.things["controller", said.value] for said in of.all("controllers")]
    auxiliary = [it for it in controllers if _is_auxiliary(it)]
    count = Counter(_reach(script, it) for it in auxiliary)
    for it in controllers:
        if it not in auxiliary:
            _compile_controller(script, bridge, it, count.pop(_reach(script, it), 0))
    for it in auxiliary:
        if _reach(script, it) in count:
            reason = f"controller {it.name} is auxiliary, and {of.name} has no main one there"
            script.bad.append(Bad(it.line, reason))


def _compile_controller(script: Script, bridge: Path, it: Thing, auxiliary: int) -> None:
    path = (*bridge, _named("controller", it.name))
    _edit(script, path, {}, it.line)
    if channel := _referred(script, it, "channel"):
        _leaves(script, path, channel, ("address", "port", "protocol"))
    if auxiliary:
        _edit(script, (*path, Step("auxiliary-connections")), auxiliary, it.line)


def _is_auxiliary(controller: Thing) -> bool:
    said = controller.get("connection")
    return said is not None and said.value == "auxiliary"


def _reach(script: Script, controller: Thing) -> tuple[Any, ...]:
    """Return where a controller is."""
    channel = _referred(script, controller, "channel")
    leaves = map(channel.get, ("address", "port", "protocol")) if channel else ()
    return tuple(said and said.value for said in leaves)


def _referred(script: Script, thing: Thing, kind: str) -> Thing | None:
    """Return the one object of a kind that a thing refers to."""
    said = thing.get(kind)
    return script.things[kind, said.value] if said else None


COMPILE: dict[str, Callable[[Script, Thing], None]] = {
    "port": _compile_port,
    "bridge": _compile_bridge,
}
