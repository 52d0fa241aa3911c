"""The oracle's OpenFlow encoder, read back by os-ken's decoder."""

import struct
from random import Random
from typing import Any

import pytest
from os_ken.ofproto import ofproto_parser, ofproto_v1_3, ofproto_v1_3_parser

from oracle import actions as act
from oracle import wire
from oracle.fields import FIELDS
from oracle.generate import scenario
from oracle.groups import Bucket, GroupEntry
from oracle.match import Apply, Clear, Entry, Goto, Meter, Write, WriteMetadata
from oracle.pipeline import PacketIn


class Datapath:
    """What os-ken's decoder wants to know of a connection."""

    ofproto = ofproto_v1_3
    ofproto_parser = ofproto_v1_3_parser


def decoded(message: bytes) -> Any:
    """Decode a message with os-ken."""
    version, kind, size, xid = ofproto_parser.header(message)
    assert size == len(message)
    return ofproto_parser.msg(Datapath(), version, kind, size, xid, message)


def fields_of(match: Any) -> dict[str, tuple[int, int | None]]:
    """Return the fields of a match of os-ken, as numbers."""
    found = {}
    for tlv in match.to_jsondict()["OFPMatch"]["oxm_fields"]:
        name, value, mask = (tlv["OXMTlv"][key] for key in ("field", "value", "mask"))
        found[name] = (value, mask)
    return found


ENTRY = Entry(
    table_id=3,
    priority=77,
    match={"in_port": (2, 0xFFFFFFFF), "metadata": (5, 7), "eth_type": (0x0800, 0xFFFF)},
    instructions=(
        Goto(4),
        Meter(9),
        Clear(),
        WriteMetadata(1, 3),
        Write((act.PushVlan(0x88A8), act.SetField("vlan_vid", 0x1005), act.Output(7, 128))),
        Apply((act.SetNwTtl(9), act.DecMplsTtl(), act.Group(6), act.SetQueue(8), act.PopPbb())),
    ),
    cookie=0x1122334455667788,
)


def test_os_ken_reads_a_flow_mod_as_it_was_meant() -> None:
    read = decoded(wire.flow_mod(ENTRY))
    assert (read.table_id, read.priority, read.cookie) == (3, 77, 0x1122334455667788)
    assert (read.command, read.buffer_id, read.flags) == (0, 0xFFFFFFFF, 0)
    assert fields_of(read.match) == {
        "in_port": (2, None),
        "metadata": (5, 7),
        "eth_type": (0x0800, None),
    }
    goto, meter, clear, metadata, write, apply = read.instructions
    assert (goto.table_id, meter.meter_id, clear.type) == (4, 9, 5)
    assert (metadata.metadata, metadata.metadata_mask, write.type, apply.type) == (1, 3, 3, 4)
    push, vid, output = write.actions
    assert (push.ethertype, vid.key, vid.value) == (0x88A8, "vlan_vid", 0x1005)
    assert (output.port, output.max_len) == (7, 128)
    assert [each.type for each in apply.actions] == [23, 16, 22, 21, 27]
    assert (apply.actions[0].nw_ttl, apply.actions[2].group_id) == (9, 6)
    assert apply.actions[3].queue_id == 8


def packed(message: Any) -> bytes:
    """Let os-ken pack a message."""
    message.xid = 0
    message.serialize()
    return bytes(message.buf)


def test_a_group_mod_is_what_os_ken_sends() -> None:
    buckets = (Bucket((act.Output(2), act.PopVlan()), weight=5), Bucket((), 0, 3, 4))
    of = ofproto_v1_3_parser
    actions = [of.OFPActionOutput(2, 0xFFFF), of.OFPActionPopVlan()]
    theirs = [
        of.OFPBucket(5, 0xFFFFFFFF, 0xFFFFFFFF, actions),
        of.OFPBucket(0, 3, 4, []),
    ]
    message = of.OFPGroupMod(Datapath(), 0, 1, 12, theirs)
    assert wire.group_mod(GroupEntry(12, 1, buckets)) == packed(message)


def test_emptying_the_tables_is_what_os_ken_sends() -> None:
    of, ofp = ofproto_v1_3_parser, ofproto_v1_3
    flows = of.OFPFlowMod(
        Datapath(),
        table_id=ofp.OFPTT_ALL,
        command=ofp.OFPFC_DELETE,
        priority=0,
        buffer_id=ofp.OFP_NO_BUFFER,
        out_port=ofp.OFPP_ANY,
        out_group=ofp.OFPG_ANY,
    )
    groups = of.OFPGroupMod(Datapath(), ofp.OFPGC_DELETE, 0, ofp.OFPG_ALL, [])
    assert wire.delete_all() == [packed(flows), packed(groups)]


def test_os_ken_reads_whatever_is_generated() -> None:
    rng = Random(2)
    for _ in range(40):
        made = scenario(rng, 30)
        for entry in made.entries:
            read = decoded(wire.flow_mod(entry))
            assert len(fields_of(read.match)) == len(entry.match)
            assert len(read.instructions) == len(entry.instructions)


def test_a_packet_out_is_what_os_ken_sends() -> None:
    of = ofproto_v1_3_parser
    actions = [of.OFPActionOutput(act.TABLE, 0xFFFF), of.OFPActionSetQueue(1)]
    message = of.OFPPacketOut(Datapath(), 0xFFFFFFFF, 3, actions, b"frame")
    ours = wire.packet_out(b"frame", 3, (act.Output(act.TABLE), act.SetQueue(1)))
    assert ours == packed(message)


def test_every_field_is_as_wide_as_os_ken_has_it() -> None:
    theirs = {kind.num: kind for kind in ofproto_v1_3.oxm_types if not hasattr(kind, "exp_type")}
    for name, field in FIELDS.items():
        if name != "pbb_uca" and field.oxm_class == 0x8000:  # The one is of OpenFlow 1.4.
            assert theirs[field.oxm | 0x8000 << 7].type.size == field.size, name


def packet_in(match: bytes, data: bytes, total: int) -> bytes:
    body = struct.pack("!IHBBQ", wire.NO_BUFFER, total, 1, 2, 3)
    head = wire.padded(struct.pack("!HH", 1, 4 + len(match)) + match)
    return wire.message(wire.PACKET_IN, body + head + b"\0\0" + data)


def test_a_packet_in_is_read() -> None:
    match = wire.pack_field("in_port", 5) + wire.pack_field("metadata", 6)
    read = wire.unpack_packet_in(packet_in(match, b"data", 4))
    assert read == PacketIn(1, 2, 3, 5, 6, 0, b"data")
    theirs = decoded(packet_in(match, b"data", 4))
    assert (theirs.reason, theirs.table_id, theirs.cookie, theirs.data) == (1, 2, 3, b"data")


@pytest.mark.parametrize(
    "match",
    [
        wire.pack_field("metadata", 0),
        wire.pack_field("in_phy_port", 5),
        wire.pack_field("eth_type", 5),
    ],
)
def test_a_packet_in_with_fields_that_do_not_belong_is_refused(match: bytes) -> None:
    with pytest.raises(ValueError, match="packet-in"):
        wire.unpack_packet_in(packet_in(match, b"", 0))


def test_concatenated_messages_are_cut_apart() -> None:
    messages = [wire.message(0, b""), wire.message(2, b"abc"), wire.flow_mod(ENTRY)]
    assert list(wire.split(b"".join(messages))) == messages
    with pytest.raises(ValueError, match="bad message length"):
        list(wire.split(messages[1][:-1]))
