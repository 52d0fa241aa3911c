"""Events: what is lost shows as a gap, and nobody waits for anybody."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from raicho.control.message import VERSION, Alert, Event, Gap, Publisher, Subscriber
from raicho.control.message.drain import Drain, open_socket
from raicho.control.message.events import Batch


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.001)


class Relay:
    """What the bus does, without the process; it can send anything itself."""

    def __init__(self, context: zmq.SyncContext, tmp_path: Path) -> None:
        self.pub, self.sub = f"ipc://{tmp_path}/pub", f"ipc://{tmp_path}/sub"
        self.subscriptions = 0
        front, back = open_socket(context, zmq.XSUB), open_socket(context, zmq.XPUB)
        front.bind(self.pub)
        back.bind(self.sub)
        self._front = Drain(front, lambda frames: self._back.send(frames))
        self._back = Drain(back, self._subscribe)

    def _subscribe(self, frames: list[bytes]) -> None:
        self.subscriptions += 1
        self._front.send(frames)

    def send(self, topic: str, batch: Batch) -> None:
        self._back.send([topic.encode(), msgspec.msgpack.encode(batch)])

    def close(self) -> None:
        self._front.close()
        self._back.close()


def events(
    first: int, count: int = 1, source: str = "a", incarnation: str = "i", body: Any = None
) -> Batch:
    return Batch(VERSION, source, incarnation, first, [(0.0, body or {})] * count)


async def test_events_arrive_in_order_with_their_numbers(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """C2, C6: the publisher is there before the bus and the subscriber."""
    got: list[Event] = []
    publisher = Publisher(context, f"ipc://{tmp_path}/pub", "me", clock=lambda: 5.0)
    relay = Relay(context, tmp_path)
    subscriber = Subscriber(context, relay.sub, ["alert.", "x"], got.append)
    await until(lambda: relay.subscriptions == 2)
    await asyncio.sleep(0.05)
    alert = Alert("bus", "ended", 7)
    publisher.publish("alert.bus", alert)
    for number in range(1000):
        publisher.publish("x", {"n": number})
        publisher.publish("unheard", {})
    await until(lambda: len(got) == 1001)
    assert (got[0].topic, got[0].body, got[0].time) == ("alert.bus", alert, 5.0)
    assert [item.sequence for item in got[1:]] == list(range(1, 1001))
    assert [item.body for item in got[1:]] == [{"n": number} for number in range(1000)]
    assert subscriber.counters["missed"] == 0
    for end in (publisher, subscriber, relay):
        end.close()


async def test_lost_events_show_as_a_gap(context: zmq.SyncContext, tmp_path: Path) -> None:
    """K15, C10."""
    gaps: list[Gap] = []
    relay = Relay(context, tmp_path)
    subscriber = Subscriber(context, relay.sub, [""], lambda event: None, on_gap=gaps.append)
    await until(lambda: relay.subscriptions == 1)
    relay.send("t", events(10, 2))  # joined late: no gap
    relay.send("t", events(14))
    relay.send("t", events(1, source="b"))
    relay.send("t", events(15))
    relay.send("u", events(3))
    relay.send("t", events(1, 2, incarnation="j"))  # started again
    relay.send("t", events(4, incarnation="k"))  # and again, its first three are lost
    await until(lambda: subscriber.counters["received"] == 9)
    assert gaps == [Gap("a", "t", 2), Gap("a", "t", 3)]
    subscriber.close()
    relay.close()


async def test_a_slow_handler_loses_events_and_sees_it(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """C2: the receiver goes on, and the queue is bounded."""
    gaps: list[Gap] = []
    hold = asyncio.Event()
    got: list[Event] = []

    async def slow(event: Event) -> None:
        await hold.wait()
        got.append(event)

    relay = Relay(context, tmp_path)
    subscriber = Subscriber(context, relay.sub, ["t"], slow, on_gap=gaps.append, backlog=10)
    await until(lambda: relay.subscriptions == 1)
    relay.send("t", events(1))
    await asyncio.sleep(0.05)
    relay.send("t", events(2, 98))
    await until(lambda: subscriber.counters["dropped"] > 0)
    hold.set()
    await until(lambda: len(got) == 11)
    relay.send("t", events(100))
    await until(lambda: len(got) == 12)
    assert subscriber.counters["dropped"] == 88
    assert gaps == [Gap("a", "t", 88)]
    subscriber.close()
    relay.close()


async def test_a_handler_that_fails_costs_its_event_only(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """C2."""
    got: list[int] = []

    def handler(event: Event) -> None:
        got.append(event.sequence)
        if event.sequence % 2:
            raise RuntimeError("odd")

    def bad_gap_handler(gap: Gap) -> None:
        raise RuntimeError("gap")

    relay = Relay(context, tmp_path)
    subscriber = Subscriber(context, relay.sub, ["t"], handler, on_gap=bad_gap_handler)
    await until(lambda: relay.subscriptions == 1)
    relay.send("t", events(1, 3))
    relay.send("t", events(7))
    await until(lambda: len(got) == 4)
    assert got == [1, 2, 3, 7]
    assert subscriber.counters["failed"] == 4  # three odd ones and the gap
    subscriber.close()
    relay.close()


async def test_events_of_another_version_or_with_unknown_bodies_are_counted(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    """C2: unknown events are ignored and counted."""
    got: list[Event] = []
    relay = Relay(context, tmp_path)
    subscriber = Subscriber(context, relay.sub, ["t"], got.append)
    await until(lambda: relay.subscriptions == 1)
    relay.send("t", msgspec.structs.replace(events(1), version=VERSION + 1))
    relay.send("t", events(2, body=["Teapot", 1]))
    relay.send("t", events(0))  # they are numbered from 1
    relay.send("t", events(3))
    await until(lambda: len(got) == 1)
    assert subscriber.counters["malformed"] == 3
    subscriber.close()
    relay.close()


async def test_a_body_that_cannot_be_written_is_the_caller_s_error_and_makes_no_gap(
    context: zmq.SyncContext, tmp_path: Path
) -> None:
    publisher = Publisher(context, f"ipc://{tmp_path}/pub", "me")
    with pytest.raises(TypeError):
        publisher.publish("t", {"bad": object()})
    assert publisher.publish("t", {"good": 1}) == 1
    publisher.close()
