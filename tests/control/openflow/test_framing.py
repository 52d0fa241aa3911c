"""Whole buffers at once, against the loop that anybody would write."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raicho.control.openflow import framing

GROUPABLE = bytes(1 if kind in (13, 14) else 0 for kind in range(256))
HEADERS = st.tuples(
    st.sampled_from([4, 4, 4, 4, 1]),
    st.sampled_from([2, 13, 14, 20]),
    st.sampled_from([8, 8, 12, 16, 70, 3]),
    st.integers(0, 0xFFFFFFFF),
)
Found = list[tuple[int, int, int, int]]


def message(version: int, kind: int, size: int, xid: int) -> bytes:
    return struct.pack("!BBHI", version, kind, size, xid) + bytes(max(0, size - 8))


def slow_scan(data: bytes) -> tuple[Found, int]:
    """Do what scan() does, a message at a time."""
    found: Found = []
    at = 0
    while len(data) - at >= 8:
        version, kind, size, _ = struct.unpack_from("!BBHI", data, at)
        if size < 8:
            return [*found, (framing.BAD_SIZE, at, at, 0)], at
        if at + size > len(data):
            break
        if version == 4 and kind in (13, 14):
            if found and found[-1][0] == framing.RUN:
                _, start, _, count = found.pop()
                found.append((framing.RUN, start, at + size, count + 1))
            else:
                found.append((framing.RUN, at, at + size, 1))
        else:
            found.append((kind if version == 4 else framing.BAD_VERSION, at, at + size, 1))
        at += size
    return found, at


@given(st.lists(HEADERS, max_size=12), st.integers(0, 20))
def test_scan_agrees_with_the_slow_way(headers: list[tuple[int, int, int, int]], cut: int) -> None:
    data = b"".join(message(*header) for header in headers)
    data = data[: len(data) - cut]
    assert framing.scan(data, 4, GROUPABLE) == slow_scan(data)


@given(st.binary(max_size=200))
def test_scan_of_anything_agrees_with_the_slow_way(data: bytes) -> None:
    assert framing.scan(data, 4, GROUPABLE) == slow_scan(data)


def test_nothing_is_no_messages() -> None:
    assert framing.scan(b"", 4, GROUPABLE) == ([], 0)
    assert framing.failures(b"", b"", 0) == b""
    assert framing.select(b"", 10, 14, 1) == (b"", 0)
    assert framing.count(b"") == 0


def test_a_hundred_thousand_messages_are_one_run() -> None:
    data = message(4, 14, 80, 1) * 100_000
    assert framing.scan(data, 4, GROUPABLE) == ([(framing.RUN, 0, len(data), 100_000)], len(data))


def test_failures_are_errors_about_the_messages_that_failed() -> None:
    run = message(4, 14, 80, 1) + message(4, 13, 24, 2) + message(4, 14, 8, 3)
    results = struct.pack("<III", 5 << 16 | 3, framing.DONE, 1 << 16 | 6)
    assert framing.failures(run, results, framing.DONE) == (
        struct.pack("!BBHIHH", 4, 1, 76, 1, 5, 3)
        + run[:64]
        + struct.pack("!BBHIHH", 4, 1, 20, 3, 1, 6)
        + run[-8:]
    )


def test_a_result_that_is_missing_is_a_failure_too() -> None:
    run = message(4, 14, 8, 1) * 2
    errors = framing.failures(run, struct.pack("<I", framing.DONE), 1 << 16 | 5)
    assert errors == struct.pack("!BBHIHH", 4, 1, 20, 1, 1, 5) + run[:8]


@pytest.mark.parametrize("run", [bytes(7), message(4, 14, 3, 0), message(4, 14, 16, 0)[:12]])
def test_failures_of_half_a_message_are_refused(run: bytes) -> None:
    with pytest.raises(ValueError, match="not a sequence"):
        framing.failures(run, b"", 0)


def test_select_keeps_the_reasons_that_are_wanted() -> None:
    def packet_in(why: int) -> bytes:
        return struct.pack("!BBHIIHB", 4, 10, 20, 0, 0, 0, why) + bytes(5)

    data = b"".join(map(packet_in, (0, 1, 2, 0, 200)))
    assert framing.count(data) == 5
    assert framing.select(data, 10, 14, 0b001) == (packet_in(0) * 2, 2)
    assert framing.select(data, 10, 14, 0) == (b"", 0)
    assert framing.select(data, 11, 14, 7) == (b"", 0)
