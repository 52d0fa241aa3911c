"""Sockets read and written by libzmq's own calls, against pyzmq at the other end."""

import asyncio
from collections.abc import Callable, Iterator

import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from raicho.control.message.drain import Drain
from raicho.control.message.raw import RawSocket

Pair = tuple[zmq.SyncSocket, RawSocket]
MEGABYTE = 1 << 20
PATIENCE = 5000  # milliseconds


@pytest.fixture
def pair(context: zmq.SyncContext) -> Iterator[Callable[..., Pair]]:
    """Give a way to connect a socket of pyzmq with a raw one."""
    opened: list[zmq.SyncSocket] = []

    def connect(**options: int) -> Pair:
        there, here = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
        for socket in (there, here):
            socket.linger = 0
            opened.append(socket)
        for name, value in options.items():
            here.setsockopt(getattr(zmq, name), value)
        there.bind(f"inproc://{id(there)}")
        here.connect(f"inproc://{id(there)}")
        return there, RawSocket(here)

    yield connect
    for socket in opened:
        socket.close()


def arrived(raw: RawSocket, budget: int = 1000) -> list[list[bytes]]:
    assert raw.socket.poll(PATIENCE)
    return raw.receive(budget)


messages = st.lists(st.lists(st.binary(max_size=100), min_size=1, max_size=4), max_size=20)


@given(messages)
def test_what_goes_in_at_one_end_comes_out_at_the_other(sent: list[list[bytes]]) -> None:
    with zmq.Context() as context, context.socket(zmq.PAIR) as there, context.socket(zmq.PAIR) as s:
        there.bind("inproc://pair")
        s.connect("inproc://pair")
        here = RawSocket(s)
        for frames in sent:
            there.send_multipart(frames)
            here.send(frames)
        assert here.receive(1000) == sent
        assert [there.recv_multipart() for _ in sent] == sent


def test_a_call_takes_no_more_than_is_wanted(pair: Callable[..., Pair]) -> None:
    there, here = pair()
    for number in range(10):
        there.send(b"%d" % number)
    assert arrived(here, 4) == [[b"0"], [b"1"], [b"2"], [b"3"]]
    assert len(here.receive(100)) == 6
    assert here.receive(100) == []
    for _ in range(4):
        there.send(bytes(MEGABYTE))
    assert len(arrived(here)) == 1, "and not much more than 64 KiB of it"


def test_a_socket_says_whether_the_last_read_found_its_end(pair: Callable[..., Pair]) -> None:
    there, here = pair()
    for _ in range(3):
        there.send(b"x")
    assert len(arrived(here, 3)) == 3
    assert not here.dry, "nobody has looked for a fourth"
    assert here.receive(1) == [] and here.dry
    assert not here.waits()
    there.send(b"x")
    assert here.socket.poll(PATIENCE) and here.waits()
    assert len(here.receive(2)) == 1 and here.dry


async def test_a_message_that_makes_its_handler_fail_costs_no_other(
    pair: Callable[..., Pair],
) -> None:
    """C14: neither those that were read with it, nor those that wait behind them."""
    there, here = pair()
    got: list[int] = []

    def take(frames: list[bytes]) -> None:
        got.append(int(frames[0]))
        if got[-1] % 3 == 0:
            raise RuntimeError("boom")

    drain = Drain(here.socket, take, budget=4)
    for number in range(20):
        there.send(b"%d" % number)
    async with asyncio.timeout(20):
        while len(got) < 20:
            await asyncio.sleep(0.001)
    assert got == list(range(20))
    drain.close()


def test_no_room_and_no_socket_are_told_apart(pair: Callable[..., Pair]) -> None:
    _, here = pair(SNDHWM=1)
    with pytest.raises(zmq.Again):
        for _ in range(10_000):
            here.send([b"x"])
    here.socket.close()
    for use in (lambda: here.send([b"x"]), lambda: here.receive(1), here.waits):
        with pytest.raises(zmq.ZMQError) as told:
            use()
        assert told.value.errno == zmq.ENOTSOCK


def test_what_is_no_bytes_is_refused_and_nothing_of_it_is_sent(pair: Callable[..., Pair]) -> None:
    there, here = pair()
    for wrong in (["text"], [b"half", "text"], [b"half", None]):
        with pytest.raises(TypeError, match="a frame is bytes"):
            here.send(wrong)  # type: ignore[arg-type]  # that is the point
    here.send([b"after"])
    assert there.recv_multipart() == [b"after"]


@pytest.fixture
def relay(pair: Callable[..., Pair]) -> tuple[zmq.SyncSocket, RawSocket, Pair]:
    front, source = pair()
    return front, source, pair()


def test_messages_of_two_frames_are_forwarded_and_counted(
    relay: tuple[zmq.SyncSocket, RawSocket, Pair],
) -> None:
    """C6, C14: others are dropped; every so many are looked at."""
    front, source, (back, target) = relay
    sent = [[b"a", b"1"], [b"a"], [b"b", b"22"], [b"a", b"333", b"x"], [b"a", b"4"], [b"a", b"5"]]
    for frames in sent:
        front.send_multipart(frames)
    counts: dict[bytes, int] = {}
    looked: list[tuple[bytes, bytes]] = []

    def look(name: bytes, batch: bytes) -> None:
        looked.append((name, batch))
        if name == b"a":
            counts.setdefault(name, 0)

    assert source.socket.poll(PATIENCE)
    assert source.forward(target, counts, look, 2, 1000) == (4, 5, 2)
    assert source.forward(target, counts, look, 2, 1000) == (0, 0, 0)
    came = [back.recv_multipart() for _ in range(4)]
    assert came == [frames for frames in sent if len(frames) == 2]
    assert counts == {b"a": 3}
    assert looked == [(b"a", b"1"), (b"b", b"22"), (b"a", b"5")]


def test_a_look_that_fails_leaves_the_sockets_usable(
    relay: tuple[zmq.SyncSocket, RawSocket, Pair],
) -> None:
    front, source, (back, target) = relay

    def look(name: bytes, batch: bytes) -> None:
        raise RuntimeError("it fails")

    front.send_multipart([b"a", b"1"])
    front.send_multipart([b"a", b"2"])
    assert source.socket.poll(PATIENCE)
    with pytest.raises(RuntimeError):
        source.forward(target, {}, look, 64, 1000)
    assert source.forward(target, {b"a": 1}, look, 64, 1000) == (1, 1, 0)
    assert back.recv_multipart() == [b"a", b"2"]
