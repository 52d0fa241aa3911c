"""`flow BRIDGE add MATCH... INSTRUCTION...` as a flow of plain values.

Whether a name of a field is known, and a value right, is for the OpenFlow agent
to say; here the words of the old language get the names of the specification.
"""

from collections.abc import Callable
from typing import Any

from .objects import NotUnderstood, number

HAS_TAG = 0x1000  # OFPVID_PRESENT: set in vlan_vid where there is a tag

#: What the old language calls a field, where that is not its name.
FIELDS = {
    "dl_src": "eth_src",
    "dl_dst": "eth_dst",
    "dl_type": "eth_type",
    "dl_vlan": "vlan_vid",
    "dl_vlan_pcp": "vlan_pcp",
    "nw_src": "ipv4_src",
    "nw_dst": "ipv4_dst",
    "nw_proto": "ip_proto",
    "nw_ecn": "ip_ecn",
    "icmp_type": "icmpv4_type",
    "icmp_code": "icmpv4_code",
    "ipv6_label": "ipv6_flabel",
    "nd_target": "ipv6_nd_target",
    "nd_sll": "ipv6_nd_sll",
    "nd_tll": "ipv6_nd_tll",
    "tun_id": "tunnel_id",
}

#: Actions other than to set a field: the action, and the attribute after the colon.
ACTIONS: dict[str, tuple[str, str | None]] = {
    "output": ("output", "port"),
    "group": ("group", "group_id"),
    "set_queue": ("set_queue", "queue_id"),
    "push_vlan": ("push_vlan", "ethertype"),
    "strip_vlan": ("pop_vlan", None),
    "pop_vlan": ("pop_vlan", None),
    "push_mpls": ("push_mpls", "ethertype"),
    "pop_mpls": ("pop_mpls", "ethertype"),
    "push_pbb": ("push_pbb", "ethertype"),
    "pop_pbb": ("pop_pbb", None),
    "set_nw_ttl": ("set_nw_ttl", "ttl"),
    "dec_nw_ttl": ("dec_nw_ttl", None),
    "set_mpls_ttl": ("set_mpls_ttl", "ttl"),
    "dec_mpls_ttl": ("dec_mpls_ttl", None),
    "copy_ttl_out": ("copy_ttl_out", None),
    "copy_ttl_in": ("copy_ttl_in", None),
}

ABOUT = ("table", "priority", "cookie", "idle_timeout", "hard_timeout")  # the flow itself


def flow(words: list[str]) -> dict[str, Any]:
    """Return the flow that the words after `add` describe, or raise NotUnderstood."""
    found: dict[str, Any] = {"match": {}, "instructions": []}
    for name, values in _pairs(words):
        if name in INSTRUCTIONS:
            found["instructions"].append({name: INSTRUCTIONS[name](values)})
        elif name in ABOUT:
            found[name] = number(_single(name, values))
        else:
            field, value = _field(name, _single(name, values))
            found["match"][field] = value
    return found


def _pairs(words: list[str]) -> list[tuple[str, list[str]]]:
    """Return names with what follows them: `a=1,2 b=3` is a with 1 and 2, and b with 3."""
    pairs: list[tuple[str, list[str]]] = []
    for part in filter(None, ",".join(words).split(",")):
        name, equals, value = part.partition("=")
        if equals or name in INSTRUCTIONS:
            pairs.append((name, [value] if value else []))
        elif pairs:
            pairs[-1][1].append(part)
        else:
            raise NotUnderstood(f"{part!r} is no match; one reads like in_port=1")
    return pairs


def _single(name: str, values: list[str]) -> str:
    if len(values) != 1:
        raise NotUnderstood(f"{name} has one value, as in {name}=1")
    return values[0]


def _field(name: str, value: str) -> tuple[str, str | int]:
    """Name a field as the specification does; a VLAN number there says that there is a tag."""
    field = FIELDS.get(name, name)
    if field == "vlan_vid" and "/" not in value:
        return field, number(value) | HAS_TAG
    return field, value


def _action(word: str) -> dict[str, Any]:
    name, colon, value = word.partition(":")
    if name in ACTIONS:
        action, attribute = ACTIONS[name]
        if bool(colon) != bool(attribute):
            right = f"{name}:VALUE" if attribute else name
            raise NotUnderstood(f"{word!r} is no action; right is {right}")
        return {action: {attribute: value} if attribute else {}}
    if not colon:
        raise NotUnderstood(f"{word!r} is no action; there are {', '.join(ACTIONS)}, field:value")
    field, plain = _field(name, value)
    return {"set_field": {"field": {field: plain}}}


def _actions(words: list[str]) -> dict[str, Any]:
    return {"actions": [_action(word) for word in words]}


def _metadata(words: list[str]) -> dict[str, Any]:
    value, slash, mask = _single("write_metadata", words).partition("/")
    return {"metadata": value} | ({"mask": mask} if slash else {})


INSTRUCTIONS: dict[str, Callable[[list[str]], dict[str, Any]]] = {
    "apply_actions": _actions,
    "write_actions": _actions,
    "clear_actions": lambda words: {},
    "goto_table": lambda words: {"table_id": number(_single("goto_table", words))},
    "meter": lambda words: {"meter_id": number(_single("meter", words))},
    "write_metadata": _metadata,
}
