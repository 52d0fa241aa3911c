"""The connection: versions, echo, probes, and what it does with what is wrong."""

import struct

import pytest

from raicho.control.openflow.connection import (
    Connection,
    Down,
    Event,
    Message,
    Run,
    State,
    Up,
    bitmap,
    group,
    negotiate,
)
from raicho.control.openflow.errors import LocalError

HELLO, ERROR, ECHO_REQUEST, ECHO_REPLY = range(4)


def message(kind: int, body: bytes = b"", xid: int = 7, version: int = 4) -> bytes:
    return struct.pack("!BBHI", version, kind, 8 + len(body), xid) + body


def hello(*versions: int, version: int = 4) -> bytes:
    words = bitmap(versions)
    element = struct.pack("!HH", 1, 4 + len(words)) + words if versions else b""
    return message(HELLO, element + bytes(-len(element) % 8), version=version)


def error(kind: int, code: int, data: bytes, xid: int = 7) -> bytes:
    return message(ERROR, struct.pack("!HH", kind, code) + data, xid)


def ready(**kwargs: float) -> Connection:
    conn = Connection(0, groupable=group((13, 14)), **kwargs)  # type: ignore[arg-type]
    conn.to_send()
    assert conn.receive(hello(4), 0) == [Up(4)]
    return conn


def merged(events: list[Event]) -> list[Event]:
    """Put runs that follow one another together."""
    found: list[Event] = []
    for event in events:
        if found and isinstance(event, Run) and isinstance(last := found[-1], Run):
            found[-1] = Run(last.data + event.data, last.messages + event.messages)
        else:
            found.append(event)
    return found


def test_it_greets_with_its_versions() -> None:
    """F9: version 4 and a bitmap."""
    assert Connection(0).to_send() == bytes.fromhex("0400001000000001 0001000800000010")
    assert Connection(0, versions=(1, 4)).to_send()[-4:] == bytes.fromhex("00000012")


STREAM = (
    hello(4)
    + message(14, b"x" * 20)
    + message(13)
    + message(ECHO_REQUEST, b"abc", 9)
    + message(14)
    + message(20, b"", 11)
    + message(5, b"", version=1)
    + message(30)
)


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 64, len(STREAM)])
def test_pieces_of_any_size_give_the_same_events(size: int) -> None:
    whole, pieces = (
        Connection(0, groupable=group((13, 14))),
        Connection(0, groupable=group((13, 14))),
    )
    events = [
        event
        for at in range(0, len(STREAM), size)
        for event in pieces.receive(STREAM[at : at + size], 0)
    ]
    assert merged(events) == merged(whole.receive(STREAM, 0))
    assert pieces.to_send() == whole.to_send()


def test_runs_are_cut_by_other_messages() -> None:
    conn = ready()
    data = message(14) + message(13) + message(20) + message(14)
    assert conn.receive(data, 0) == [
        Run(data[:16], 2),
        Message(20, 7, data[16:24]),
        Run(data[24:], 1),
    ]


def test_an_echo_is_answered_at_once() -> None:
    conn = ready()
    assert conn.receive(message(ECHO_REQUEST, b"are you there", 99), 0) == []
    assert conn.to_send() == message(ECHO_REPLY, b"are you there", 99)


def test_a_silent_peer_is_probed_once_then_given_up() -> None:
    conn = ready()
    assert conn.tick(14.9) == []
    assert conn.to_send() == b""
    assert conn.tick(conn.deadline) == []
    assert conn.to_send() == message(ECHO_REQUEST, xid=2)
    assert conn.tick(conn.deadline) == [Down("the peer is silent")]
    assert conn.tick(1e9) == []


def test_an_answer_takes_the_probe_back() -> None:
    conn = ready()
    conn.tick(conn.deadline)
    conn.receive(message(ECHO_REPLY), 20)
    assert (conn.state, conn.deadline) == (State.READY, 35)


def test_without_probes_a_peer_may_be_silent_for_ever() -> None:
    conn = ready(probe=0)
    assert conn.tick(1e12) == []
    assert conn.to_send() == b""


def test_a_peer_that_never_greets_is_given_up() -> None:
    conn = Connection(0)
    conn.receive(b"\x04\x00\x00", 14)
    assert conn.tick(15) == [Down("no hello from the peer")]


@pytest.mark.parametrize(
    ("theirs", "agreed"),
    [
        (hello(4), 4),
        (hello(1, 4, 5, 6, version=6), 4),
        (hello(version=4), 4),
        (hello(version=6), 4),  # no bitmap: the lower of both
        (message(HELLO, b"\x00\x02\x00\x04\x00\x00\x00\x00"), 4),  # an unknown element
        (message(HELLO, b"\x00\x01\x00\x02\x00\x00\x00\x00"), 4),  # a malformed one
        (hello(1), None),
        (hello(5, 6, version=6), None),
        (hello(version=1), None),
        (hello(version=0), None),
    ],
)
def test_versions_are_settled_by_bitmap(theirs: bytes, agreed: int | None) -> None:
    """F9: the highest version in both bitmaps; HELLO_FAILED and the end if there is none."""
    conn = Connection(0)
    conn.to_send()
    events = conn.receive(theirs, 0)
    if agreed:
        assert events == [Up(agreed)]
        assert conn.to_send() == b""
        return
    assert [type(event) for event in events] == [Down]
    answer = conn.to_send()
    assert answer[:2] == bytes((4, ERROR))
    assert answer[8:12] == bytes(4)  # HELLO_FAILED/INCOMPATIBLE
    assert b"does not include 4" in answer[12:]


def test_an_older_version_can_be_a_parameter() -> None:
    assert negotiate(frozenset({1, 4}), 1, None) == 1
    assert negotiate(frozenset({1, 4}), 6, frozenset({1, 2})) == 1
    assert negotiate(frozenset({1, 4}), 3, None) is None


def test_a_peer_that_refuses_us_is_heard() -> None:
    conn = Connection(0)
    conn.to_send()
    assert conn.receive(error(0, 0, b"no"), 0) == [Down("the peer refused the connection")]
    assert conn.to_send() == b""


def test_anything_before_hello_ends_the_connection() -> None:
    conn = Connection(0)
    conn.to_send()
    assert conn.receive(b"GET / HTTP/1.1\r\n\r\n", 0) == [Down("message 69 before hello")]
    assert conn.to_send()[8:12] == bytes(4)


def test_another_version_later_gets_an_error_and_the_next_message_is_heard() -> None:
    conn = ready()
    wrong = message(5, b"", 3, version=1)
    assert conn.receive(wrong + message(20), 0) == [Message(20, 7, message(20))]
    assert conn.to_send() == error(1, 0, wrong, 3)


def test_errors_show_sixty_four_bytes_of_the_offender() -> None:
    conn = ready()
    wrong = message(5, bytes(range(200)), 3, version=1)
    conn.receive(wrong, 0)
    assert conn.to_send() == error(1, 0, wrong[:64], 3)


def test_errors_are_not_answered() -> None:
    conn = ready()
    conn.receive(message(ERROR, bytes(4), version=1), 0)
    assert conn.to_send() == b""


def test_a_length_below_the_header_ends_the_connection() -> None:
    """Where the next message begins cannot be known."""
    conn = ready()
    wrong = struct.pack("!BBHI", 4, 20, 7, 5)
    events = conn.receive(message(20) + wrong + message(20), 0)
    assert events == [Down("message shorter than its header")]
    assert conn.to_send() == error(1, 6, wrong, 5)
    assert conn.receive(message(20), 0) == []


def test_it_says_no_to_sending_before_the_greeting() -> None:
    with pytest.raises(LocalError, match="HELLO"):
        Connection(0).send(message(20))


def test_a_second_hello_means_nothing() -> None:
    conn = ready()
    assert conn.receive(hello(4) + hello(version=1), 0) == []
    assert conn.to_send() == b""
