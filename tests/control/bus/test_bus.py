"""The bus as a process of its own."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zmq

from raicho.control.message import (
    CallError,
    ControlClient,
    Event,
    Gap,
    Get,
    Info,
    Ping,
    Publisher,
    Stats,
    Subscriber,
)
from raicho.control.message.drain import open_socket


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


class Ends:
    """A publisher, a subscriber and a client of a bus."""

    def __init__(self, context: zmq.SyncContext, run_dir: Path, topic: str = "t") -> None:
        self.got: list[Event] = []
        self.gaps: list[Gap] = []
        self.publisher = Publisher(context, f"ipc://{run_dir}/bus.pub", "me")
        self.subscriber = Subscriber(
            context, f"ipc://{run_dir}/bus.sub", [topic], self.got.append, on_gap=self.gaps.append
        )
        self.client = ControlClient(context, f"ipc://{run_dir}/bus.control")

    async def meet(self) -> None:
        """Publish until the subscription has made its way."""
        async with asyncio.timeout(20):
            while not self.got:
                self.publisher.publish("t", {})
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        self.got.clear()

    def close(self) -> None:
        for end in (self.publisher, self.subscriber, self.client):
            end.close()


async def test_events_pass_and_topics_are_known(context: zmq.SyncContext, processes: Any) -> None:
    """C6, K13: both ends are there before the bus."""
    ends = Ends(context, processes.run_dir)
    pid = processes.start("raicho.control.bus")
    await ends.meet()
    for number in range(500):
        ends.publisher.publish("t", {"n": number})
    await until(lambda: len(ends.got) == 500)
    assert [event.body for event in ends.got] == [{"n": number} for number in range(500)]
    assert ends.gaps == []
    (topic,) = (await ends.client.call(Get("/topics"))).data
    assert (topic["topic"], topic["publishers"], topic["subscribers"]) == ("t", ["me"], 1)
    stats = (await ends.client.call(Stats(["bus"]))).data["bus"]
    assert stats["messages"] == topic["messages"]
    with pytest.raises(CallError, match="the bus has /topics and /subscriptions"):
        await ends.client.call(Get("/nothing"))
    ends.close()
    os.kill(pid, signal.SIGTERM)
    assert processes.wait(pid) == 0


async def test_a_bus_that_was_killed_leaves_a_gap_and_nothing_worse(
    context: zmq.SyncContext, processes: Any
) -> None:
    """G7, K15: publishers and subscribers find the next one by themselves."""
    ends = Ends(context, processes.run_dir)
    pid = processes.start("raicho.control.bus")
    await ends.meet()
    processes.kill(pid)
    for _ in range(2000):  # more than ZeroMQ keeps for a bus that comes back
        ends.publisher.publish("t", {})
        await asyncio.sleep(0)
    assert ends.got == []
    processes.start("raicho.control.bus")
    async with asyncio.timeout(20):
        while not ends.gaps:  # the first that come may be those that were kept
            ends.publisher.publish("t", {})
            await asyncio.sleep(0.01)
    ends.got.clear()
    await ends.meet()
    ends.close()


async def test_a_subscriber_that_is_stopped_slows_nobody(
    context: zmq.SyncContext, processes: Any
) -> None:
    """C10, M15: and its share is bounded."""
    processes.start("raicho.control.bus")
    ends = Ends(context, processes.run_dir)
    deaf = open_socket(context, zmq.SUB, SUBSCRIBE=b"", RCVHWM=10)
    deaf.connect(f"ipc://{processes.run_dir}/bus.sub")
    await ends.meet()
    body = {"text": "x" * 1000}
    for number in range(20_000):
        ends.publisher.publish("t", body)
        if number % 64 == 63:
            await until(lambda: len(ends.got) >= number - 5000)  # noqa: B023 - awaited at once
    await until(lambda: len(ends.got) == 20_000)
    assert ends.gaps == []
    deaf.close()
    ends.close()


async def test_a_subscriber_process_that_is_stopped_for_ten_seconds_slows_nobody(
    context: zmq.SyncContext, processes: Any
) -> None:
    """C10, C2, M15: others get everything meanwhile; it sees the gap when it goes on."""
    processes.start("raicho.control.bus")
    ends = Ends(context, processes.run_dir)
    await ends.meet()
    command = (sys.executable, "-m", "faults.listener", f"ipc://{processes.run_dir}/bus.sub", "t")
    environment = processes.environment(path=str(Path(__file__).parents[2]))
    listener = await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert listener.stdout
    hello = asyncio.create_task(listener.stdout.readline())
    while not hello.done():
        ends.publisher.publish("t", {})
        await asyncio.sleep(0.01)
    assert await hello == b"listening\n"

    sent, waits = 0, list[float]()
    for stopped in (False, True):
        if stopped:
            listener.send_signal(signal.SIGSTOP)
        ends.got.clear()
        sent, longest = await publish_for(ends, 10 if stopped else 2)
        waits.append(longest)
        await until(lambda: len(ends.got) == sent)  # noqa: B023 - awaited at once
        assert ends.gaps == []
    print(
        f"{sent} events while it was stopped; the longest wait: {waits[0]:.3f} s, {waits[1]:.3f} s"
    )

    listener.send_signal(signal.SIGCONT)
    while listener.returncode is None:
        ends.publisher.publish("t", {"last": 1})
        await asyncio.sleep(0.05)
    found = json.loads(await listener.stdout.read())
    print(f"the one that was stopped: {found}")
    assert found["missed"] > 0
    ends.close()


async def publish_for(ends: Ends, seconds: float) -> tuple[int, float]:
    """Publish messages of 1 KB until there are many; return how many, and the longest wait."""
    began = time.monotonic()
    sent, longest = 0, 0.0
    while time.monotonic() < began + seconds or (seconds > 5 and sent < 30_000):
        before = time.monotonic()
        for _ in range(20):
            ends.publisher.publish("t", {"text": "x" * 1000})
            ends.publisher.flush()  # a message of its own
            sent += 1
        target = sent
        await until(lambda: len(ends.got) >= target - 2000)  # noqa: B023 - awaited at once
        longest = max(longest, time.monotonic() - before)
        await asyncio.sleep(0.005)
    return sent, longest


async def test_noise_at_any_socket_does_not_end_it(
    context: zmq.SyncContext, processes: Any
) -> None:
    """C14."""
    processes.start("raicho.control.bus")
    ends = Ends(context, processes.run_dir)
    await ends.meet()
    for name, kind in [("pub", zmq.PUB), ("sub", zmq.SUB), ("sub", zmq.XSUB), ("pub", zmq.XPUB)]:
        noise = open_socket(context, kind)
        noise.connect(f"ipc://{processes.run_dir}/bus.{name}")
        await asyncio.sleep(0.05)
        if kind == zmq.SUB:
            noise.setsockopt(zmq.SUBSCRIBE, os.urandom(40))
        else:
            for size in range(200):
                noise.send_multipart([b"t", os.urandom(size), b"third"][: 1 + size % 3])
        await asyncio.sleep(0.05)
        noise.close()
    await ends.client.call(Ping())
    ends.publisher.publish("t", {"last": 1})
    await until(lambda: bool(ends.got) and ends.got[-1].body == {"last": 1})
    print((await ends.client.call(Stats())).data, dict(ends.subscriber.counters))
    assert ends.subscriber.counters["malformed"] > 0
    assert (await ends.client.call(Info())).component == "bus"
    ends.close()
