"""Actions that add, remove and count in headers, by hand from 5.11 and 5.12."""

from random import Random

import pytest

from oracle import actions as act
from oracle import frames
from oracle.checksum import checksum
from oracle.headers import HEADER_ACTIONS, InvalidTtl

DST, SRC = bytes.fromhex("020000000002"), bytes.fromhex("020000000001")
MACS = DST + SRC


def done(frame: bytes, *actions: act.Action) -> bytes:
    """Carry out actions on a frame."""
    for action in actions:
        frame = HEADER_ACTIONS[type(action)](frame, action)
    return frame


def ipv4(ttl: int = 64) -> bytes:
    head = bytes([0x45, 0, 0, 20, 0, 0, 0, 0, ttl, 253, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2])
    return head[:10] + checksum(head).to_bytes(2, "big") + head[12:]


def ipv6(ttl: int = 64) -> bytes:
    return bytes([0x60, 0, 0, 0, 0, 0, 59, ttl]) + bytes(32)


def shim(label: int, traffic: int, bottom: int, ttl: int) -> bytes:
    return (label << 12 | traffic << 9 | bottom << 8 | ttl).to_bytes(4, "big")


IPV4_FRAME = MACS + b"\x08\0" + ipv4()
OTHER = MACS + b"\x88\xcc" + b"data"


def test_a_pushed_tag_copies_vid_and_pcp_but_not_the_drop_bit() -> None:
    once = done(OTHER, act.PushVlan(0x8100))
    assert once == MACS + b"\x81\x00\0\0" + OTHER[12:]
    tagged = MACS + b"\x81\x00\xb0\x05" + OTHER[12:]  # PCP 5, DEI 1, VID 5.
    assert done(tagged, act.PushVlan(0x88A8)) == MACS + b"\x88\xa8\xa0\x05" + tagged[12:]


def test_pop_takes_the_outermost_tag() -> None:
    tagged = MACS + b"\x88\xa8\0\x01\x81\x00\0\x02" + OTHER[12:]
    assert done(tagged, act.PopVlan()) == MACS + b"\x81\x00\0\x02" + OTHER[12:]
    assert done(tagged, act.PopVlan(), act.PopVlan()) == OTHER
    assert done(OTHER, act.PopVlan()) == OTHER
    for cut in (14, 15, 16, 17):
        assert done(tagged[:cut], act.PopVlan()) == tagged[:cut]


def test_a_pushed_label_goes_behind_the_tags_and_copies_the_ip_ttl() -> None:
    tag = b"\x81\x00\0\x01"
    frame = MACS + tag + b"\x08\0" + ipv4(33)
    pushed = MACS + tag + b"\x88\x47" + shim(0, 0, 1, 33) + ipv4(33)
    assert done(frame, act.PushMpls(0x8847)) == pushed
    assert done(pushed, act.PopMpls(0x0800)) == frame


@pytest.mark.parametrize(
    ("payload", "ttl"), [(b"\x86\xdd" + ipv6(7), 7), (b"\x88\xcc", 0), (b"\x08\0" + ipv4()[:19], 0)]
)
def test_a_pushed_label_copies_a_ttl_only_where_there_is_one(payload: bytes, ttl: int) -> None:
    pushed = done(MACS + payload, act.PushMpls(0x8848))
    assert pushed == MACS + b"\x88\x48" + shim(0, 0, 1, ttl) + payload[2:]


def test_a_second_label_copies_the_first() -> None:
    one = MACS + b"\x88\x47" + shim(77, 5, 1, 9) + ipv4()
    two = MACS + b"\x88\x48" + shim(77, 5, 0, 9) + shim(77, 5, 1, 9) + ipv4()
    assert done(one, act.PushMpls(0x8848)) == two
    assert done(two, act.PopMpls(0x8847)) == one


def test_a_backbone_header_carries_the_whole_frame_and_gives_it_back() -> None:
    tagged = MACS + b"\x81\x00\x60\x05" + OTHER[12:]
    pushed = MACS + b"\x88\xe7\x60\0\0\0" + tagged
    assert done(tagged, act.PushPbb(0x88E7)) == pushed
    assert done(pushed, act.PopPbb()) == tagged
    again = done(done(pushed, act.SetField("pbb_isid", 0x123456)), act.PushPbb(0x88E7))
    assert again[14:18] == b"\0\x12\x34\x56"


def test_a_backbone_tag_outlives_the_backbone_header() -> None:
    """The B-TAG is for pop_vlan (5.12)."""
    pushed = done(OTHER, act.PushPbb(0x88E7), act.SetField("eth_dst", 9), act.PushVlan(0x88A8))
    assert done(pushed, act.PopPbb()) == MACS + b"\x88\xa8\0\0" + OTHER[12:]
    assert done(pushed, act.PopVlan(), act.PopPbb()) == OTHER


@pytest.mark.parametrize("size", range(14, 31))
def test_a_backbone_frame_without_a_whole_frame_inside_stays(size: int) -> None:
    frame = (MACS + b"\x88\xe7\0\0\0\0" + OTHER)[:size]
    assert done(frame, act.PopPbb()) == frame


def test_ttls_are_set_and_counted_and_the_ipv4_checksum_follows() -> None:
    frame = MACS + b"\x08\0" + ipv4(64)
    assert done(frame, act.DecNwTtl()) == MACS + b"\x08\0" + ipv4(63)
    assert done(frame, act.SetNwTtl(0)) == MACS + b"\x08\0" + ipv4(0)
    frame = MACS + b"\x86\xdd" + ipv6(2)
    assert done(frame, act.DecNwTtl()) == MACS + b"\x86\xdd" + ipv6(1)
    frame = MACS + b"\x88\x47" + shim(1, 1, 0, 5) + shim(2, 2, 1, 6)
    assert done(frame, act.DecMplsTtl())[17] == 4
    assert done(frame, act.SetMplsTtl(255))[17] == 255
    assert done(frame, act.DecNwTtl()) == frame


@pytest.mark.parametrize("ttl", [0, 1])
def test_a_ttl_that_runs_out_stops_the_packet(ttl: int) -> None:
    for frame in (MACS + b"\x08\0" + ipv4(ttl), MACS + b"\x86\xdd" + ipv6(ttl)):
        with pytest.raises(InvalidTtl):
            done(frame, act.DecNwTtl())
    with pytest.raises(InvalidTtl):
        done(MACS + b"\x88\x47" + shim(1, 1, 1, ttl) + ipv4(), act.DecMplsTtl())


def test_ttls_are_copied_between_labels_and_to_and_from_ip() -> None:
    def stack(outer: int, inner: int) -> bytes:
        return MACS + b"\x88\x47" + shim(1, 0, 0, outer) + shim(2, 0, 1, inner) + ipv4()

    assert done(stack(5, 6), act.CopyTtlOut()) == stack(6, 6)
    assert done(stack(5, 6), act.CopyTtlIn()) == stack(5, 5)
    for ip in (ipv4, ipv6):
        label = MACS + b"\x88\x47" + shim(1, 0, 1, 5)
        assert done(label + ip(6), act.CopyTtlOut()) == label[:-1] + b"\x06" + ip(6)
        assert done(label + ip(6), act.CopyTtlIn()) == label + ip(5)
    odd = MACS + b"\x88\x47" + shim(1, 0, 1, 5) + b"neither"
    assert done(odd, act.CopyTtlOut(), act.CopyTtlIn()) == odd


def test_the_type_of_a_snap_frame_is_the_one_inside() -> None:
    frame = MACS + b"\0\x1c\xaa\xaa\x03\0\0\0\x08\0" + ipv4(9)
    pushed = MACS + b"\0\x1c\xaa\xaa\x03\0\0\0\x88\x47" + shim(0, 0, 1, 9) + ipv4(9)
    assert done(frame, act.PushMpls(0x8847)) == pushed
    assert done(pushed, act.PopMpls(0x0800)) == frame


def test_a_push_is_undone_by_a_pop_on_any_frame() -> None:
    rng = Random(8)
    for _ in range(2_000):
        frame = frames.frame(rng)
        assert done(frame, act.PushVlan(0x8100), act.PopVlan()) == frame
        assert done(frame, act.PushPbb(0x88E7), act.PopPbb()) == frame
