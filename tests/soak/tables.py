"""What the switch says of its tables, in the form that the model has."""

import struct
from collections import Counter
from typing import Any

from oracle.fields import FIELDS

from .engine import Engine, entries
from .model import ALL_TABLES, ANY, Model

FLOW, GROUP, GROUP_DESC, METER, METER_CONFIG = 1, 6, 7, 9, 10
NAMES = {(field.oxm_class, field.oxm): field.name for field in FIELDS.values()}
ALL_FLOWS = struct.pack("!B3xII4xQQHH4x", ALL_TABLES, ANY, ANY, 0, 0, 1, 4)


def unpack_match(data: bytes) -> tuple[tuple[tuple[str, tuple[int, int]], ...], int]:
    """Unpack a match; return its fields, sorted, and its size with padding."""
    (size,) = struct.unpack_from("!H", data, 2)
    fields, at = [], 4
    while at < size:
        oxm_class, number, length = struct.unpack_from("!HBB", data, at)
        body = data[at + 4 : at + 4 + length]
        name = NAMES[oxm_class, number >> 1]
        bits = length * 8 // (1 + (number & 1))
        value = int.from_bytes(body[: bits // 8], "big")
        full = (1 << FIELDS[name].bits) - 1
        mask = int.from_bytes(body[bits // 8 :], "big") if number & 1 else full
        fields.append((name, (value, mask)))
        at += 4 + length
    return tuple(sorted(fields)), (size + 7) // 8 * 8


def flow_of(entry: bytes) -> tuple[Any, ...]:
    """Unpack a struct ofp_flow_stats."""
    table, priority, flags, cookie = struct.unpack_from("!2xB9xH4xH4xQ", entry)
    match, size = unpack_match(entry[48:])
    return (table, priority, match), cookie, flags, entry[48 + size :]


def said(engine: Engine) -> dict[str, Any]:
    """Ask the switch for everything."""
    flows = [flow_of(entry) for entry in entries(engine.multipart(FLOW, ALL_FLOWS))]
    groups = list(entries(engine.multipart(GROUP_DESC)))
    every = struct.pack("!I4x", ANY)
    meters = list(entries(engine.multipart(METER_CONFIG, every)))
    all_groups = struct.pack("!I4x", 0xFFFFFFFC)
    group_refs = [
        struct.unpack_from("!4xII", e) for e in entries(engine.multipart(GROUP, all_groups))
    ]
    return {
        "flows": {key: rest for key, *rest in flows},
        "groups": {
            struct.unpack_from("!I", entry, 4)[0]: (entry[2], entry[8:]) for entry in groups
        },
        "meters": {
            number: (flags, entry[8:])
            for entry in meters
            for flags, number in [struct.unpack_from("!2xHI", entry)]
        },
        "group references": Counter({number: n for number, n in group_refs if n}),
        "meter references": Counter(_meter_references(engine.multipart(METER, every))),
    }


def _meter_references(data: bytes) -> dict[int, int]:
    """Unpack struct ofp_meter_stats: meter_id, len at 4, flow_count 12."""
    found = {}
    while data:
        number, size, count = struct.unpack_from("!IH6xI", data)
        if count:
            found[number] = count
        data = data[size:]
    return found


def expected(model: Model) -> dict[str, Any]:
    """Say the same of the model."""
    groups, meters = model.references()
    return {
        "flows": {
            key: [flow.cookie, flow.flags, flow.does.wire] for key, flow in model.flows.items()
        },
        "groups": {
            number: (group.kind, b"".join(bucket.wire for bucket in group.buckets))
            for number, group in model.groups.items()
        },
        "meters": {number: (meter.flags, meter.bands) for number, meter in model.meters.items()},
        "group references": groups,
        "meter references": meters,
    }


def differences(engine: Engine, model: Model) -> dict[str, Any]:
    """Return what the switch and the model do not agree on: name -> (said, expected)."""
    has, wants = said(engine), expected(model)
    wrong: dict[str, Any] = {}
    for name, values in has.items():
        for key in values.keys() | wants[name].keys():
            if values.get(key) != wants[name].get(key):
                wrong[f"{name} {key}"] = values.get(key), wants[name].get(key)
    return wrong
