"""OpenFlow 1.3 messages in bytes (7.3.4, 7.4.1): tables out, packet-ins in."""

import struct
from collections.abc import Iterable, Iterator

from . import actions as act
from .fields import FIELDS
from .groups import ANY_GROUP, ANY_PORT, GroupEntry
from .match import Apply, Clear, Entry, Goto, Instruction, Match, Meter, Write, WriteMetadata
from .pipeline import PacketIn
from .templates import Item, Template, Use

VERSION = 4
HELLO, ERROR, PACKET_IN, PACKET_OUT, FLOW_MOD, GROUP_MOD = 0, 1, 10, 13, 14, 15
ADD, MODIFY, DELETE = 0, 1, 3  # OFPFC_*; a group's delete is 2.
MODIFY_STRICT = 2
ALL_TABLES, ALL_GROUPS, NO_BUFFER = 0xFF, 0xFFFFFFFC, 0xFFFFFFFF
OXM_CLASS = 0x8000
EXPERIMENTER, NICIRA = 0xFFFF, 0x2320
EXPERIMENTER_MESSAGE, RAICHO, ALL_TEMPLATES = 4, 0x00524348, 0xFFFFFFFF


def message(kind: int, body: bytes, xid: int = 0) -> bytes:
    """Put a header before *body*."""
    return struct.pack("!BBHI", VERSION, kind, 8 + len(body), xid) + body


def padded(data: bytes) -> bytes:
    """Fill *data* with zeros up to a multiple of 8 bytes."""
    return data + bytes(-len(data) % 8)


def pack_field(name: str, value: int, mask: int | None = None) -> bytes:
    """Pack an OXM TLV; a mask of None or of all ones is left out."""
    field = FIELDS[name]
    masked = mask is not None and mask != (1 << field.bits) - 1
    body = value.to_bytes(field.size, "big")
    if masked and mask is not None:
        body += mask.to_bytes(field.size, "big")
    return struct.pack("!HBB", field.oxm_class, field.oxm << 1 | masked, len(body)) + body


def pack_match(match: Match) -> bytes:
    """Pack a match; fields in ascending order, so that prerequisites come first."""
    names = sorted(match, key=list(FIELDS).index)
    tlvs = b"".join(pack_field(name, *match[name]) for name in names)
    return padded(struct.pack("!HH", 1, 4 + len(tlvs)) + tlvs)


# Kind of action: OFPAT_* and what follows type and length.
_ACTIONS: dict[type[act.Action], tuple[int, str, tuple[str, ...]]] = {
    act.Output: (0, "IH6x", ("port", "max_len")),
    act.CopyTtlOut: (11, "4x", ()),
    act.CopyTtlIn: (12, "4x", ()),
    act.SetMplsTtl: (15, "B3x", ("ttl",)),
    act.DecMplsTtl: (16, "4x", ()),
    act.PushVlan: (17, "H2x", ("eth_type",)),
    act.PopVlan: (18, "4x", ()),
    act.PushMpls: (19, "H2x", ("eth_type",)),
    act.PopMpls: (20, "H2x", ("eth_type",)),
    act.SetQueue: (21, "I", ("queue_id",)),
    act.Group: (22, "I", ("group_id",)),
    act.SetNwTtl: (23, "B3x", ("ttl",)),
    act.DecNwTtl: (24, "4x", ()),
    act.PushPbb: (26, "H2x", ("eth_type",)),
    act.PopPbb: (27, "4x", ()),
}
_SET_FIELD = 25


def _header(name: str) -> int:
    """Return the header of a field without its value."""
    field = FIELDS[name]
    return field.oxm_class << 16 | field.oxm << 9 | field.size


def _nicira(subtype: int, form: str, *values: int) -> bytes:
    body = struct.pack("!IH" + form, NICIRA, subtype, *values)
    return struct.pack("!HH", EXPERIMENTER, 4 + len(body)) + body


def pack_action(action: act.Action) -> bytes:
    """Pack an action."""
    match action:
        case act.RegLoad(name, at, bits, value):
            return _nicira(7, "HIQ", at << 6 | bits - 1, _header(name), value)
        case act.RegMove(source, source_at, name, at, bits):
            return _nicira(6, "HHHII", bits, source_at, at, _header(source), _header(name))
        case act.Resubmit(table_id):
            return _nicira(14, "HB3x", 0xFFF8, table_id)
    if isinstance(action, act.SetField):
        tlv = pack_field(action.name, action.value)
        return (
            struct.pack("!HH", _SET_FIELD, len(padded(bytes(4) + tlv))) + padded(bytes(4) + tlv)[4:]
        )
    kind, form, names = _ACTIONS[type(action)]
    body = struct.pack("!" + form, *(getattr(action, name) for name in names))
    return struct.pack("!HH", kind, 4 + len(body)) + body


def pack_actions(actions: Iterable[act.Action]) -> bytes:
    """Pack a list of actions."""
    return b"".join(map(pack_action, actions))


def pack_instruction(instruction: Instruction) -> bytes:
    """Pack an instruction."""
    match instruction:
        case Goto(table_id):
            return struct.pack("!HHB3x", 1, 8, table_id)
        case WriteMetadata(value, mask):
            return struct.pack("!HH4xQQ", 2, 24, value, mask)
        case Write(actions):
            return _with_actions(3, actions)
        case Apply(actions):
            return _with_actions(4, actions)
        case Clear():
            return _with_actions(5, ())
        case Meter(meter_id):
            return struct.pack("!HHI", 6, 8, meter_id)


def _with_actions(kind: int, actions: Iterable[act.Action]) -> bytes:
    body = pack_actions(actions)
    return struct.pack("!HH4x", kind, 8 + len(body)) + body


def flow_mod(entry: Entry, command: int = ADD) -> bytes:
    """Pack a flow-mod."""
    return _flow_mod(entry, command, b"".join(map(pack_instruction, entry.instructions)))


def use_mod(use: Use) -> bytes:
    """Pack a flow-mod that adds an entry of a template."""
    arguments = b"".join(map(pack_item, use.arguments))
    head = (EXPERIMENTER, 16 + len(arguments), RAICHO, 1, use.template_id)
    return _flow_mod(use.entry, ADD, struct.pack("!HHIH2xI", *head) + arguments)


def template_mod(template: Template, command: int = ADD) -> bytes:
    """Pack a message that defines or changes a template."""
    head = _template_head(command, template.template_id, template.parameters)
    return message(EXPERIMENTER_MESSAGE, head + b"".join(map(pack_instruction, template.examples)))


def _template_head(command: int, template_id: int, parameters: int = 0) -> bytes:
    name = f"number {template_id}".encode()
    return struct.pack("!IIH2xIQ32s", RAICHO, 1, command, template_id, parameters, name)


def pack_item(item: Item) -> bytes:
    """Pack an argument."""
    if isinstance(item, Instruction):
        return pack_instruction(item)
    return pack_action(item)


def _flow_mod(entry: Entry, command: int, instructions: bytes) -> bytes:
    body = struct.pack(
        "!QQBBHHHIIIH2x",
        entry.cookie,
        0,  # cookie_mask
        entry.table_id,
        command,
        0,  # idle_timeout
        0,  # hard_timeout
        entry.priority,
        NO_BUFFER,
        ANY_PORT,
        ANY_GROUP,
        0,  # flags
    )
    return message(FLOW_MOD, body + pack_match(entry.match) + instructions)


def group_mod(group: GroupEntry, command: int = ADD) -> bytes:
    """Pack a group-mod."""
    body = struct.pack("!HBxI", command, group.kind, group.group_id)
    for bucket in group.buckets:
        actions = pack_actions(bucket.actions)
        watch = (bucket.weight, bucket.watch_port, bucket.watch_group)
        body += struct.pack("!HHII4x", 16 + len(actions), *watch) + actions
    return message(GROUP_MOD, body)


def delete_all() -> list[bytes]:
    """Pack what empties all tables and the group table."""
    flows = flow_mod(Entry(ALL_TABLES, 0), DELETE)
    return [flows, message(GROUP_MOD, struct.pack("!HBxI", 2, 0, ALL_GROUPS))]


def delete_templates() -> bytes:
    """Pack what removes all templates."""
    return message(EXPERIMENTER_MESSAGE, _template_head(2, ALL_TEMPLATES))


def packet_out(frame: bytes, in_port: int, actions: Iterable[act.Action]) -> bytes:
    """Pack a packet-out."""
    packed = pack_actions(actions)
    head = struct.pack("!IIH6x", NO_BUFFER, in_port, len(packed))
    return message(PACKET_OUT, head + packed + frame)


def split(data: bytes) -> Iterator[bytes]:
    """Cut concatenated messages apart."""
    while data:
        size = int.from_bytes(data[2:4], "big")
        if size < 8 or size > len(data):
            raise ValueError(f"bad message length {size} in {data[:8].hex()}")
        yield data[:size]
        data = data[size:]


def unpack_packet_in(data: bytes) -> PacketIn:
    """Unpack a packet-in; check what must hold for all of them."""
    kind, buffer_id, total = data[1], *struct.unpack_from("!IH", data, 8)
    reason, table_id, cookie, match_type, match_size = struct.unpack_from("!BBQHH", data, 14)
    if (data[0], kind, buffer_id, match_type) != (VERSION, PACKET_IN, NO_BUFFER, 1):
        raise ValueError(f"bad packet-in {data[:32].hex()}")
    context = _context(data[28 : 24 + match_size])
    frame = data[24 + (match_size + 7) // 8 * 8 + 2 :]
    if len(frame) > total:
        raise ValueError(f"bad total_len {total} of a packet-in with {len(frame)} bytes")
    if context["in_phy_port"]:
        raise ValueError("bad packet-in: in_phy_port is left out where it equals in_port")
    in_port, metadata, tunnel_id = (context[n] for n in ("in_port", "metadata", "tunnel_id"))
    return PacketIn(reason, table_id, cookie, in_port, metadata, tunnel_id, frame)


def _context(tlvs: bytes) -> dict[str, int]:
    """Unpack the OXM TLVs of a packet-in; fields that are left out are 0."""
    names = {field.oxm: field.name for field in FIELDS.values() if field.oxm_class == OXM_CLASS}
    values = dict.fromkeys(("in_port", "in_phy_port", "metadata", "tunnel_id"), 0)
    while tlvs:
        oxm_class, field, size = struct.unpack_from("!HBB", tlvs)
        name = names.get(field >> 1, "")
        if oxm_class != OXM_CLASS or field & 1 or name not in values:
            raise ValueError(f"bad field {tlvs[:4].hex()} in a packet-in")
        values[name] = int.from_bytes(tlvs[4 : 4 + size], "big")
        if values[name] == 0:
            raise ValueError(f"bad packet-in: {name} is left out where it is 0")
        tlvs = tlvs[4 + size :]
    return values
