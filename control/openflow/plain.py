"""Flows from plain values, as flow_dict() in text.py writes them.

    {"table": 0, "priority": 10, "match": {"in_port": 1, "ipv4_dst": "10.0.0.0/8"},
     "instructions": [{"apply_actions": {"actions": [{"output": {"port": 2}}]}}]}

The names are those of the specification's tables, so that a new field or action
can be read at once.  What an entry has counted is passed over.
"""

import difflib
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .codec import Family
from .spec import own, pack
from .spec.actions import Action
from .spec.families import ACTIONS, INSTRUCTIONS, Item
from .spec.flows import FlowFlag
from .spec.match import FIELD, AnyOxm, Oxm
from .spec.messages import FlowMod
from .spec.ports import PortNo
from .text import snake

COUNTED = ("duration", "packets", "bytes", "text", "bridge")


class BadFlow(ValueError):
    """A flow that cannot be read; the text says what, and what would be right."""


def packed_flow(row: Mapping[str, Any]) -> bytes:
    """Return the flow-mod that adds a flow as it goes on the wire, or raise BadFlow."""
    try:
        return pack(flow_mod(row))
    except (OverflowError, ValueError) as error:  # of the codec: what does not fit
        raise BadFlow(str(error)) from None


def flow_mod(row: Mapping[str, Any]) -> FlowMod:
    """Return the flow-mod that adds a flow, or raise BadFlow."""
    given = {name: value for name, value in row.items() if name not in COUNTED}
    read = {
        _READ_FLOW[name][0]: _READ_FLOW[name][1](value)
        for name, value in given.items()
        if _known(name, _READ_FLOW, "part of a flow")
    }
    return FlowMod(**read)


def _known(name: str, names: Iterable[str], what: str) -> bool:
    """Return True, or raise BadFlow and name the nearest."""
    if name in names:
        return True
    close = difflib.get_close_matches(str(name), names, n=1)
    raise BadFlow(f"no {what} is called {name}{f'; did you mean {close[0]}?' if close else ''}")


def _number(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return int(value, 0)
    except (TypeError, ValueError):
        raise BadFlow(f"{value!r} is no number") from None


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise BadFlow(f"{value!r} is no list")
    return value


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadFlow(f"{value!r} is no object with names")
    return value


def _bytes(value: Any) -> bytes:
    try:
        return bytes.fromhex(value.replace(":", ""))
    except (AttributeError, ValueError):
        raise BadFlow(f"{value!r} are no bytes in hexadecimal") from None


def _flags(names: Any) -> int:
    flags = FlowFlag(0)
    for name in _list(names):
        if _known(str(name).upper(), FlowFlag.__members__, "flag"):
            flags |= FlowFlag[str(name).upper()]
    return int(flags)


# Match fields, by the form in which people write them.


def _mac(text: str) -> int:
    if not re.fullmatch(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}", text):
        raise BadFlow(f"{text!r} is no MAC address; one reads like 00:00:5e:00:53:01")
    return int.from_bytes(bytes(int(part, 16) for part in text.split(":")))


def _port(text: str) -> int:
    try:
        return PortNo[text.upper()]
    except KeyError:
        return _number(text)


def _ipv4(text: str) -> int:
    return int(_address(ipaddress.IPv4Address, text))


def _ipv6(text: str) -> int:
    return int(_address(ipaddress.IPv6Address, text))


def _address(kind: Callable[[str], Any], text: str) -> Any:
    try:
        return kind(text)
    except ValueError as error:
        raise BadFlow(str(error)) from None


_READ_FORM: dict[str, Callable[[str], int]] = {
    "number": _number,
    "hex": _number,
    "port": _port,
    "mac": _mac,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
}


def _match(fields: Any) -> tuple[Oxm, ...]:
    return tuple(_field(name, value) for name, value in _object(fields).items())


def _field(name: str, value: Any) -> Oxm:
    """Read a field, with a mask after a slash where it has one."""
    _known(name, FIELD, "match field")
    row = FIELD[name]
    if isinstance(value, int) and not isinstance(value, bool):
        return Oxm(name, value)
    text, slash, mask = str(value).partition("/")
    read = _READ_FORM[row.form]
    if not slash:
        return Oxm(name, read(text))
    if not row.maskable:
        raise BadFlow(f"{name} takes no mask")
    if row.form in ("ipv4", "ipv6") and mask.isdecimal():
        return Oxm(name, read(text), _prefix(int(mask), row.bits))
    return Oxm(name, read(text), (read if row.form in ("ipv4", "ipv6", "mac") else _number)(mask))


def _prefix(length: int, bits: int) -> int:
    if length > bits:
        raise BadFlow(f"/{length} is longer than {bits} bits")
    return ((1 << length) - 1) << (bits - length)


# Instructions and actions.


def _by_name(classes: Iterable[type[Item]]) -> dict[str, type[Item]]:
    return {snake(each.__name__): each for each in classes}


def _classes(family: Family) -> list[type[Item]]:
    return [layout.cls for layout in family.codes.values()]


_INSTRUCTIONS = _by_name(_classes(INSTRUCTIONS))
_ACTIONS = _by_name([*_classes(ACTIONS), *own.SUBTYPES.values()])


def _instructions(items: Any) -> tuple[Any, ...]:
    return tuple(_item(item, _INSTRUCTIONS, "instruction") for item in _list(items))


def _actions(items: Any) -> tuple[Any, ...]:
    found = (_item(item, _ACTIONS, "action") for item in _list(items))
    return tuple(own.sent(each) if isinstance(each, own.OwnAction) else each for each in found)


def _item(item: Any, classes: Mapping[str, type[Item]], what: str) -> Item:
    if not isinstance(item, Mapping) or len(item) != 1:
        raise BadFlow(f"{item!r} is no {what}; one reads like {{'output': {{'port': 2}}}}")
    ((name, values),) = item.items()
    _known(name, classes, what)
    fields = classes[name].__annotations__
    read = {
        field: _READ_ATTRIBUTE[fields[field]](value)
        for field, value in _object(values).items()
        if _known(field, fields, f"attribute of {name}")
    }
    try:
        return classes[name](**read)
    except TypeError as error:
        raise BadFlow(f"{name}: {error}") from None


def _only_field(value: Any) -> Oxm:
    if len(_object(value)) != 1:
        raise BadFlow("set_field sets one field")
    ((name, text),) = value.items()
    return _field(name, text)


#: How an attribute of an instruction or action is read, by its type.
_READ_ATTRIBUTE: dict[Any, Callable[[Any], Any]] = {
    int: lambda value: _port(value) if isinstance(value, str) else _number(value),
    bytes: _bytes,
    AnyOxm: _only_field,
    tuple[Action, ...]: _actions,
}

#: How a part of a flow is called in a flow-mod, and how it is read.
_READ_FLOW: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "table": ("table_id", _number),
    "priority": ("priority", _number),
    "cookie": ("cookie", _number),
    "idle_timeout": ("idle_timeout", _number),
    "hard_timeout": ("hard_timeout", _number),
    "flags": ("flags", _flags),
    "match": ("match", _match),
    "instructions": ("instructions", _instructions),
}
