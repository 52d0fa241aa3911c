"""Flow entries and what is in them, as people write them and as programs read them.

``format_flow`` writes an entry as ``ovs-ofctl dump-flows`` does, because that
is what people know; ``flow_dict`` gives the same as plain values for JSON.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from .spec import actions as act
from .spec import instructions as ins
from .spec import own
from .spec.families import Item
from .spec.flows import FlowFlag, FlowStats
from .spec.match import FIELD, VLAN_PRESENT, AnyOxm, Match, Oxm, RawOxm
from .spec.ports import PortNo

# How the value of a field is written, by the form of its row.


def _mac(value: int) -> str:
    return value.to_bytes(6, "big").hex(":")


def _port(value: int) -> str:
    try:
        return PortNo(value).name
    except ValueError:
        return str(value)


def _ipv4(value: int) -> str:
    return str(ipaddress.IPv4Address(value))


def _ipv6(value: int) -> str:
    return str(ipaddress.IPv6Address(value))


FORMS: dict[str, Callable[[int], str]] = {
    "number": str,
    "hex": hex,
    "port": _port,
    "mac": _mac,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
}

#: What ovs-ofctl calls a field in a match, where that is not its name.
MATCH_NAMES = {
    "metadata": "metadata",
    "eth_dst": "dl_dst",
    "eth_src": "dl_src",
    "eth_type": "dl_type",
    "vlan_pcp": "dl_vlan_pcp",
    "ip_ecn": "nw_ecn",
    "ip_proto": "nw_proto",
    "ipv4_src": "nw_src",
    "ipv4_dst": "nw_dst",
    "tcp_src": "tp_src",
    "tcp_dst": "tp_dst",
    "udp_src": "tp_src",
    "udp_dst": "tp_dst",
    "sctp_src": "tp_src",
    "sctp_dst": "tp_dst",
    "icmpv4_type": "icmp_type",
    "icmpv4_code": "icmp_code",
    "icmpv6_type": "icmp_type",
    "icmpv6_code": "icmp_code",
    "ipv6_flabel": "ipv6_label",
    "ipv6_nd_target": "nd_target",
    "ipv6_nd_sll": "nd_sll",
    "ipv6_nd_tll": "nd_tll",
    "tunnel_id": "tun_id",
}
#: The same in set_field, where it differs from the name.
SET_NAMES = {
    "ipv4_src": "ip_src",
    "ipv4_dst": "ip_dst",
    "ip_ecn": "nw_ecn",
    "ip_proto": "nw_proto",
    "icmpv4_type": "icmp_type",
    "icmpv4_code": "icmp_code",
    "ipv6_flabel": "ipv6_label",
    "ipv6_nd_target": "nd_target",
    "ipv6_nd_sll": "nd_sll",
    "ipv6_nd_tll": "nd_tll",
    "tunnel_id": "tun_id",
}
#: One word for an eth_type, or an eth_type and an ip_proto.
PROTOCOLS = {
    (0x0800, None): "ip",
    (0x0800, 1): "icmp",
    (0x0800, 6): "tcp",
    (0x0800, 17): "udp",
    (0x0800, 132): "sctp",
    (0x86DD, None): "ipv6",
    (0x86DD, 6): "tcp6",
    (0x86DD, 17): "udp6",
    (0x86DD, 58): "icmp6",
    (0x86DD, 132): "sctp6",
    (0x0806, None): "arp",
    (0x8035, None): "rarp",
    (0x8847, None): "mpls",
    (0x8848, None): "mplsm",
}


def format_flow(entry: FlowStats) -> str:
    """Write a flow entry as a line of ``ovs-ofctl dump-flows``."""
    head = [
        f"cookie={entry.cookie:#x}",
        f"duration={entry.duration_sec}.{entry.duration_nsec // 1_000_000:03}s",
        f"table={entry.table_id}",
        f"n_packets={entry.packet_count}",
        f"n_bytes={entry.byte_count}",
    ]
    if entry.idle_timeout:
        head.append(f"idle_timeout={entry.idle_timeout}")
    if entry.hard_timeout:
        head.append(f"hard_timeout={entry.hard_timeout}")
    flags = "".join(f"{flag} " for flag in _flags(entry.flags))
    match = ",".join([f"priority={entry.priority}", *_match_words(entry.match)])
    return f"{', '.join(head)}, {flags}{match} actions={format_instructions(entry.instructions)}"


def format_match(match: Match) -> str:
    """Write a match; what matches everything is an empty text."""
    return ",".join(_match_words(match))


def format_instructions(instructions: Iterable[ins.Instruction]) -> str:
    """Write what an entry does; nothing is ``drop``."""
    words = [word for each in instructions for word in _instruction_words(each)]
    return ",".join(words) or "drop"


def format_actions(actions: Iterable[act.Action]) -> str:
    """Write a list of actions."""
    return ",".join(ACTION_WORDS[type(each)](each) for each in actions)


def flow_dict(entry: FlowStats) -> dict[str, Any]:
    """Return a flow entry as plain values."""
    return {
        "table": entry.table_id,
        "priority": entry.priority,
        "cookie": entry.cookie,
        "duration": round(entry.duration_sec + entry.duration_nsec / 1e9, 3),
        "packets": entry.packet_count,
        "bytes": entry.byte_count,
        "idle_timeout": entry.idle_timeout,
        "hard_timeout": entry.hard_timeout,
        "flags": _flags(entry.flags),
        "match": match_dict(entry.match),
        "instructions": [item_dict(each) for each in entry.instructions],
    }


def match_dict(match: Match) -> dict[str, Any]:
    """Return a match as plain values, by the names of the specification."""
    return dict(_field_pair(field) for field in match)


def item_dict(item: Item) -> dict[str, Any]:
    """Return any part of the specification as plain values: ``{"output": {"port": 1, ...}}``."""
    return {snake(type(item).__name__): values(item)}


def values(item: Item) -> dict[str, Any]:
    """Return the attributes of an item as plain values."""
    return {name: _plain(getattr(item, name)) for name in item.__struct_fields__}


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex(":") if len(value) == 6 else value.hex()
    if isinstance(value, str):
        return value.encode(errors="surrogateescape").decode(errors="replace")
    if isinstance(value, Oxm | RawOxm):
        return dict((_field_pair(value),))
    if isinstance(value, tuple):
        return [
            item_dict(own.told(each)) if isinstance(each, act.Action) else _plain(each)
            for each in value
        ]
    if isinstance(value, Item):
        return values(value)
    return msgspec.to_builtins(value)


def _field_pair(field: AnyOxm) -> tuple[str, Any]:
    if isinstance(field, RawOxm):
        return _raw_name(field), _raw_value(field)
    if field.mask is None and FIELD[field.name].form == "number":
        return field.name, field.value
    return field.name, _value(field)


def snake(name: str) -> str:
    """Return the name of a class as people write it."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _flags(flags: int) -> list[str]:
    return [str(flag.name).lower() for flag in FlowFlag if flags & flag]


# Matches.


def _match_words(match: Match) -> list[str]:
    known = {field.name: field for field in match if isinstance(field, Oxm)}
    words, told = _protocol(known)
    words += [_field_word(f) for name, f in known.items() if name not in told]
    words += [f"{_raw_name(f)}={_raw_value(f)}" for f in match if isinstance(f, RawOxm)]
    return words


def _protocol(known: dict[str, Oxm]) -> tuple[list[str], set[str]]:
    """Return the word for the protocol, and the fields that it tells."""
    if "eth_type" not in known:
        return [], set()
    kind = known["eth_type"].value
    if "ip_proto" in known and (word := PROTOCOLS.get((kind, known["ip_proto"].value))):
        return [word], {"eth_type", "ip_proto"}
    word = PROTOCOLS.get((kind, None))
    return ([word], {"eth_type"}) if word else ([], set())


def _field_word(field: Oxm) -> str:
    special = SPECIAL.get(field.name)
    if special:
        return special(field)
    return f"{MATCH_NAMES.get(field.name, field.name)}={_value(field)}"


def _vlan(field: Oxm) -> str:
    if field.mask is None and field.value & VLAN_PRESENT:
        return f"dl_vlan={field.value & ~VLAN_PRESENT}"
    mask = 0x1FFF if field.mask is None else field.mask
    return f"vlan_tci={field.value:#06x}/{mask:#06x}"


def _dscp(field: Oxm) -> str:
    return f"nw_tos={field.value << 2}"


SPECIAL: dict[str, Callable[[Oxm], str]] = {"vlan_vid": _vlan, "ip_dscp": _dscp}


def _value(field: Oxm) -> str:
    row = FIELD[field.name]
    write = FORMS[row.form]
    try:
        text = write(field.value)
        if field.mask is None:
            return text
        if row.form in ("ipv4", "ipv6"):
            return f"{text}/{_prefix(field.mask, row.bits) or write(field.mask)}"
        return f"{text}/{write(field.mask) if row.form == 'mac' else hex(field.mask)}"
    except (OverflowError, ValueError):  # bits that the field does not have
        return f"{field.value:#x}" + ("" if field.mask is None else f"/{field.mask:#x}")


def _prefix(mask: int, bits: int) -> str | None:
    """Return the length of a mask that is a prefix."""
    ones = mask.bit_count()
    return str(ones) if mask == ((1 << ones) - 1) << (bits - ones) else None


def _raw_name(field: RawOxm) -> str:
    owner = "" if field.experimenter is None else f"{field.experimenter:x}."
    return f"oxm.{field.oxm_class:x}.{owner}{field.field}"


def _raw_value(field: RawOxm) -> str:
    return field.value.hex() + ("" if field.mask is None else f"/{field.mask.hex()}")


# Instructions and actions.


def _instruction_words(each: ins.Instruction) -> list[str]:
    if isinstance(each, ins.ApplyActions):
        return [format_actions(each.actions)] if each.actions else []
    return [INSTRUCTION_WORDS[type(each)](each)]


def _set_field(each: act.SetField) -> str:
    field = each.field
    if isinstance(field, RawOxm):
        return f"set_field:{_raw_value(field)}->{_raw_name(field)}"
    return f"set_field:{_value(field)}->{SET_NAMES.get(field.name, field.name)}"


def _output(each: act.Output) -> str:
    if each.port == PortNo.CONTROLLER:
        return f"CONTROLLER:{each.max_len}"
    name = _port(each.port)
    return f"output:{name}" if name.isdecimal() else name


def _experimenter(each: act.ActionExperimenter) -> str:
    ours = own.told(each)
    if isinstance(ours, own.OwnAction):
        return OWN_WORDS[type(ours)](ours)
    return f"experimenter({each.experimenter:#x},{each.data.hex()})"


INSTRUCTION_WORDS: dict[type[Item], Callable[[Any], str]] = {
    ins.GotoTable: lambda i: f"goto_table:{i.table_id}",
    ins.WriteMetadata: lambda i: f"write_metadata:{i.metadata:#x}/{i.mask:#x}",
    ins.WriteActions: lambda i: f"write_actions({format_actions(i.actions)})",
    ins.ClearActions: lambda i: "clear_actions",
    ins.Meter: lambda i: f"meter:{i.meter_id}",
    ins.InstructionExperimenter: lambda i: f"experimenter({i.experimenter:#x},{i.data.hex()})",
}
ACTION_WORDS: dict[type[Item], Callable[[Any], str]] = {
    act.Output: _output,
    act.CopyTtlOut: lambda a: "copy_ttl_out",
    act.CopyTtlIn: lambda a: "copy_ttl_in",
    act.SetMplsTtl: lambda a: f"set_mpls_ttl({a.ttl})",
    act.DecMplsTtl: lambda a: "dec_mpls_ttl",
    act.PushVlan: lambda a: f"push_vlan:{a.ethertype:#06x}",
    act.PopVlan: lambda a: "pop_vlan",
    act.PushMpls: lambda a: f"push_mpls:{a.ethertype:#06x}",
    act.PopMpls: lambda a: f"pop_mpls:{a.ethertype:#06x}",
    act.SetQueue: lambda a: f"set_queue:{a.queue_id}",
    act.Group: lambda a: f"group:{a.group_id}",
    act.SetNwTtl: lambda a: f"mod_nw_ttl:{a.ttl}",
    act.DecNwTtl: lambda a: "dec_ttl",
    act.SetField: _set_field,
    act.PushPbb: lambda a: f"push_pbb:{a.ethertype:#06x}",
    act.PopPbb: lambda a: "pop_pbb",
    act.ActionExperimenter: _experimenter,
}
OWN_WORDS: dict[type[Item], Callable[[Any], str]] = {
    own.Nat: lambda a: f"nat:{'in' if a.direction else 'out'}:{a.nat}",
    own.Route: lambda a: f"route:{a.interface}",
}
