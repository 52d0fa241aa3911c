"""The order of things in the pipeline, by hand from the specification."""

import pytest

from oracle import actions as act
from oracle import groups
from oracle.actions import Output, SetField
from oracle.groups import Bucket, GroupEntry
from oracle.match import (
    Apply,
    Clear,
    Entry,
    Goto,
    Instruction,
    Match,
    Write,
    WriteMetadata,
    overlap,
)
from oracle.pipeline import ACTION, INVALID_TTL, NO_COOKIE, NO_MATCH, PacketIn, Pipeline

FRAME = bytes.fromhex("020000000002 020000000001 88cc") + b"data"
ANY: Match = {}


def to(dst: int) -> bytes:
    """Return the frame with another destination."""
    return dst.to_bytes(6, "big") + FRAME[6:]


def set_dst(dst: int) -> SetField:
    return SetField("eth_dst", dst)


def outputs(*entries: Entry, groups: tuple[GroupEntry, ...] = ()) -> list[tuple[int, bytes]]:
    """Return what leaves a switch with these entries when port 1 receives the frame."""
    return Pipeline(entries, groups).run(FRAME, 1).outputs


def entry(*instructions: Instruction, table: int = 0, priority: int = 1) -> Entry:
    return Entry(table, priority, ANY, instructions)


def test_a_packet_that_matches_nothing_is_dropped() -> None:
    assert outputs() == []
    lost = Entry(1, 1, {"in_port": (9, 0xFFFFFFFF)})
    assert outputs(entry(Write((Output(2),)), Goto(1)), lost) == []


def test_the_highest_priority_that_matches_wins() -> None:
    by_port = Entry(0, 5, {"in_port": (1, 0xFFFFFFFF)}, (Apply((Output(2),)),))
    other = Entry(0, 9, {"in_port": (2, 0xFFFFFFFF)}, (Apply((Output(3),)),))
    assert outputs(entry(Apply((Output(4),))), by_port, other) == [(2, FRAME)]


def test_masked_bits_alone_are_compared() -> None:
    group_bit = Entry(0, 1, {"eth_dst": (0x010000000000, 0x010000000000)}, (Apply((Output(2),)),))
    assert outputs(group_bit) == []
    assert Pipeline([group_bit]).run(b"\x01" + FRAME[1:], 1).outputs != []
    assert overlap({"eth_dst": (1, 1)}, {"eth_dst": (2, 2)})
    assert not overlap({"eth_dst": (1, 3)}, {"eth_dst": (2, 2)})


def test_apply_actions_send_the_packet_as_it_is_at_that_point() -> None:
    assert outputs(entry(Apply((Output(2), set_dst(7), Output(3))))) == [(2, FRAME), (3, to(7))]


def test_instructions_have_an_order_of_their_own() -> None:
    """5.9: meter, apply, clear, write, metadata, goto; 5.10: one action of a kind."""
    first = entry(Write((Output(2),)), Goto(1))
    second = entry(Write((Output(3),)), Clear(), Apply((set_dst(5),)), table=1)
    assert outputs(first, second) == [(3, to(5))]


def test_write_actions_overwrite_their_own_kind_and_field() -> None:
    first = entry(Write((set_dst(5), SetField("eth_src", 6), Output(2))), Goto(1))
    second = entry(Write((set_dst(7), Output(3))), table=1)
    assert outputs(first, second) == [(3, to(7)[:6] + (6).to_bytes(6, "big") + FRAME[12:])]


def test_an_action_set_is_carried_out_in_the_order_of_the_specification() -> None:
    actions = (Output(2), SetField("vlan_vid", 0x1005), act.PushVlan(0x8100), act.PopVlan())
    assert outputs(entry(Write(actions))) == [(2, FRAME[:12] + b"\x81\0\0\x05" + FRAME[12:])]


def test_a_group_in_an_action_set_makes_its_output_void() -> None:
    group = GroupEntry(1, groups.ALL, (Bucket((Output(3),)),))
    assert outputs(entry(Write((Output(2), act.Group(1)))), groups=(group,)) == [(3, FRAME)]


def test_a_later_table_sees_what_the_earlier_one_made() -> None:
    first = entry(Apply((set_dst(7),)), WriteMetadata(0xAB, 0x0F), Goto(3))
    match = {"eth_dst": (7, (1 << 48) - 1), "metadata": (0x0B, (1 << 64) - 1)}
    assert outputs(first, Entry(3, 1, match, (Apply((Output(2),)),))) == [(2, to(7))]


def test_metadata_keeps_the_bits_outside_the_mask() -> None:
    first = entry(WriteMetadata(0xFF, 0xFF), Goto(1))
    second = entry(WriteMetadata(0x100, 0x10F), Goto(2), table=1)
    third = Entry(2, 1, {"metadata": (0x1F0, (1 << 64) - 1)}, (Apply((Output(2),)),))
    assert outputs(first, second, third) == [(2, FRAME)]


@pytest.mark.parametrize(
    ("port", "reached"),
    [(1, []), (2, [2]), (9, []), (act.IN_PORT, [1]), (act.ALL, [2, 3, 4]), (act.FLOOD, [2, 3, 4])],
)
def test_output_reaches(port: int, reached: list[int]) -> None:
    assert [port for port, _ in outputs(entry(Apply((Output(port),))))] == reached


def test_a_packet_in_says_who_sent_it_and_why() -> None:
    to_controller = Apply((Output(act.CONTROLLER, 64),))
    miss = Entry(2, 0, ANY, (to_controller,), cookie=5)
    first = entry(Apply((SetField("tunnel_id", 6),)), WriteMetadata(7, 7), Goto(2))
    assert Pipeline([first, miss]).run(FRAME, 3).packet_ins == [
        PacketIn(NO_MATCH, 2, 5, 3, 7, 6, FRAME)
    ]
    hit = Entry(0, 0, {"in_port": (3, 0xFFFFFFFF)}, (to_controller,), cookie=8)
    assert Pipeline([hit]).run(FRAME, 3).packet_ins == [PacketIn(ACTION, 0, 8, 3, 0, 0, FRAME)]


TTL_1 = FRAME[:12] + bytes.fromhex("884700001101") + b"data"


def test_a_ttl_that_runs_out_ends_the_walk_and_is_reported() -> None:
    first = Entry(0, 1, ANY, (Apply((set_dst(7), act.DecMplsTtl(), Output(2))), Goto(1)), cookie=4)
    outcome = Pipeline([first, entry(Apply((Output(3),)), table=1)]).run(TTL_1, 1)
    assert outcome.outputs == []
    changed = to(7)[:12] + TTL_1[12:]
    assert outcome.packet_ins == [PacketIn(INVALID_TTL, 0, 4, 1, 0, 0, changed)]


def test_each_bucket_has_its_own_copy_and_the_list_goes_on_with_the_original() -> None:
    group = GroupEntry(1, groups.ALL, (Bucket((Output(2), set_dst(5))), Bucket((Output(3),))))
    flow = entry(Apply((set_dst(9), act.Group(1), Output(4))))
    assert outputs(flow, groups=(group,)) == [(2, to(5)), (3, to(9)), (4, to(9))]


def test_a_ttl_that_runs_out_in_a_bucket_ends_that_copy_only() -> None:
    group = GroupEntry(1, groups.ALL, (Bucket((act.DecMplsTtl(), Output(2))), Bucket((Output(3),))))
    outcome = Pipeline([entry(Apply((act.Group(1), Output(4))))], [group]).run(TTL_1, 1)
    assert outcome.outputs == [(3, TTL_1), (4, TTL_1)]
    assert [each.reason for each in outcome.packet_ins] == [INVALID_TTL]


def test_a_select_group_may_choose_any_bucket_that_has_weight() -> None:
    buckets = tuple(Bucket((Output(port),), weight) for port, weight in ((2, 1), (3, 0), (4, 9)))
    group = GroupEntry(1, groups.SELECT, buckets)
    flow = entry(Apply((act.Group(1), act.Group(1))))
    outcomes = Pipeline([flow], [group]).outcomes(FRAME, 1)
    chosen = [[port for port, _ in each.outputs] for each in outcomes]
    assert chosen == [[2, 2], [2, 4], [4, 2], [4, 4]]


def test_fast_failover_takes_the_first_bucket_that_lives() -> None:
    dead = GroupEntry(1, groups.ALL, (Bucket((Output(2),), watch_port=9),))  # Not there.
    buckets = (
        Bucket((Output(2),), watch_group=1),
        Bucket((Output(3),), watch_port=4),
        Bucket((Output(4),), watch_port=4),
    )
    group = GroupEntry(2, groups.FAST_FAILOVER, buckets)
    flow = entry(Apply((act.Group(2),)))
    assert outputs(flow, groups=(dead, group)) == [(3, FRAME)]
    assert outputs(flow, groups=(dead, GroupEntry(2, 3, buckets[:1]))) == []


def test_groups_go_on_to_groups() -> None:
    last = GroupEntry(1, groups.INDIRECT, (Bucket((set_dst(5), Output(3))),))
    first = GroupEntry(2, groups.INDIRECT, (Bucket((act.Group(1), SetField("eth_src", 6))),))
    outcome = Pipeline([entry(Write((act.Group(2),)))], [last, first]).run(FRAME, 1)
    assert outcome.outputs == [(3, to(5)[:6] + (6).to_bytes(6, "big") + FRAME[12:])]
    assert outcome.buckets == [(2, 0), (1, 0)]


def test_every_entry_that_matches_counts_the_packet() -> None:
    one, two, other = entry(Goto(1)), entry(table=1), entry(table=2)
    assert Pipeline([one, two, other]).run(FRAME, 1).counted() == [one, two]


def test_a_packet_out_goes_to_ports_or_through_the_tables() -> None:
    switch = Pipeline([entry(Apply((Output(2), Output(1), Output(act.CONTROLLER))))])
    outcome = switch.packet_out(FRAME, 1, (Output(3), set_dst(5), Output(act.TABLE)))
    assert outcome.outputs == [(3, FRAME), (2, to(5))]
    plain = switch.packet_out(FRAME, act.CONTROLLER, (Output(act.ALL), Output(act.CONTROLLER)))
    assert [port for port, _ in plain.outputs] == [1, 2, 3, 4]
    assert [each.cookie for each in plain.packet_ins] == [NO_COOKIE]
