"""What the bus carries: events a second to one subscriber, and how long one is on its way.

Publisher, bus and subscriber are three processes. A publisher never waits, so to find the rate
at which nothing is lost it has only so many events on their way, and reads what has come in
memory that it shares with the subscriber. At a fixed rate it does not look.
"""

import asyncio
import os
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zmq

from raicho.control.message import Publisher

from .ear import GOT, HEAD, MISSED, SAMPLES, TIMED, Heard, share
from .harness import Goal, Row
from .peers.processes import Processes, cpu_of
from .peers.raicho import TREE

TOPIC, OTHER = "bench", "idle"
BODY = {"n": 1, "text": "x" * 190}  # the event has 256 bytes
ONE_BY_ONE, BATCHED = 500, 8_000  # events on their way: for so many there is room everywhere
STEP = 256  # events in a turn
PAUSE = 0.0002  # seconds, when enough are on their way
IDLE = 15  # subscribers of another topic
STEADY, CALM = 100_000, 1_000  # events a second
TICK = 0.001  # seconds between bursts at a fixed rate
PATIENCE = 20.0  # seconds for what was sent to come

Work = Callable[[Publisher, Heard], Awaitable[float]]


class Rig:
    """A bus with one subscriber, and others that hear nothing."""

    def __init__(self, topic: str = TOPIC, idle: int = 0) -> None:
        self._topic = topic
        self._processes = Processes()
        self._folder = self._processes.folder
        self._pids: list[int] = []
        self._start("raicho.control.bus", "--run-dir", str(self._folder))
        self._start("bench.ear", str(self._folder), topic, "1")
        if idle:
            self._start("bench.ear", str(self._folder), OTHER, str(idle))
        self.heard = share(self._folder, topic)
        self._lost = 0

    def close(self) -> None:
        self._processes.close()

    def cpu(self) -> list[float]:
        """Return the seconds of CPU that publisher, bus and subscribers have used."""
        return [time.process_time(), *map(cpu_of, self._pids)]

    def lost(self) -> int:
        """Return how many events the subscriber missed so far."""
        return self._lost + int(self.heard[MISSED])

    def run(self, work: Work) -> float:
        """Let a publisher work, once the subscriber hears it."""
        return asyncio.run(self._run(work))

    async def _run(self, work: Work) -> float:
        context = zmq.Context()
        endpoint = f"ipc://{self._folder}/bus.pub"
        publisher = Publisher(context, endpoint, "bench", clock=time.monotonic)
        try:
            await self._meet(publisher)
            return await work(publisher, self.heard)
        finally:
            publisher.close()
            context.term()

    async def _meet(self, publisher: Publisher) -> None:
        before = [int(number) for number in self.heard[:HEAD]]
        async with asyncio.timeout(PATIENCE):
            while self.heard[GOT] == before[GOT]:
                publisher.publish(self._topic, BODY)
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)  # for the rest of them
        self._lost -= int(self.heard[MISSED]) - before[MISSED]  # those before it listened

    def _start(self, module: str, *arguments: str) -> None:
        paths = os.pathsep.join([str(TREE), str(Path(__file__).parents[1])])
        command = [sys.executable, "-m", module, *arguments]
        self._pids.append(self._processes.start(command, {"PYTHONPATH": paths}))


async def highest(
    publisher: Publisher, heard: Heard, *, seconds: float, on_their_way: int, batched: bool
) -> float:
    """Return how many events a second came, none of which was lost on its way."""
    first = int(heard[GOT])
    sent, begin = 0, time.perf_counter()
    end = begin + seconds
    while time.perf_counter() < end:
        for _ in range(STEP):
            publisher.publish(TOPIC, BODY)
            if not batched:
                publisher.flush()
        sent += STEP
        await asyncio.sleep(0)
        while sent - (heard[GOT] - first) > on_their_way - STEP and time.perf_counter() < end:
            await asyncio.sleep(PAUSE)
    rate = (heard[GOT] - first) / (time.perf_counter() - begin)
    await _all_came(heard, first + sent)
    return rate


async def steady(
    publisher: Publisher, heard: Heard, *, seconds: float, rate: int, topic: str = TOPIC
) -> float:
    """Send so many a second, whether they come or not; return how many did not."""
    first, sent, begin = int(heard[GOT]), 0, time.perf_counter()
    while (now := time.perf_counter()) < begin + seconds:
        for _ in range(sent, int((now - begin) * rate)):
            publisher.publish(topic, BODY)
            sent += 1
        await asyncio.sleep(TICK)
    await _all_came(heard, first + sent)
    return first + sent - int(heard[GOT])


async def way(
    publisher: Publisher, heard: Heard, *, seconds: float, rate: int, percentile: float
) -> float:
    """Return how many microseconds an event is on its way, that much of them at most."""
    first = int(heard[GOT])
    await steady(publisher, heard, seconds=seconds, rate=rate, topic=TIMED)
    places = HEAD + np.arange(first, int(heard[GOT])) % SAMPLES
    return float(np.percentile(np.frombuffer(heard.cast("B"))[places], percentile)) * 1e6


async def _all_came(heard: Heard, count: int) -> None:
    """Wait until so many were heard, or no more come."""
    before = -1
    while before < int(heard[GOT]) < count:
        before = int(heard[GOT])
        await asyncio.sleep(0.25)


class Line(NamedTuple):
    """One number: how it is measured, and what it is to be."""

    name: str
    unit: str
    measure: Callable[..., Awaitable[float]]
    goal: float
    more_is_better: bool = False
    topic: str = TOPIC


one_by_one = partial(highest, on_their_way=ONE_BY_ONE, batched=False)
in_batches = partial(highest, on_their_way=BATCHED, batched=True)
half, most = (partial(way, rate=CALM, percentile=percentile) for percentile in (50, 99))
LINES = (
    Line("events, each a message", "events/s", one_by_one, 100e3, more_is_better=True),
    Line("events in batches", "events/s", in_batches, 1e6, more_is_better=True),
    Line("lost at 100k events/s", "events", partial(steady, rate=STEADY), 0),
    Line("on the way at 1k events/s, median", "us", half, 100, topic=TIMED),
    Line("on the way at 1k events/s, 99 of 100", "us", most, 1e3, topic=TIMED),
)
IDLE_LINE = f"events in batches beside {IDLE} idle ones"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=2.0, help="of one run (default 2)")
    names = [*(line.name for line in LINES), IDLE_LINE]
    parser.add_argument("--line", choices=names, action="append", help="only this one; repeatable")


def rows(options: Namespace) -> Iterator[Row]:
    """Measure one line after the other."""
    for line in LINES:
        if not options.line or line.name in options.line:
            yield _row(line, options)
    if not options.line or IDLE_LINE in options.line:
        yield _beside_idle_ones(options)


def _row(line: Line, options: Namespace) -> Row:
    with ExitStack() as closing:
        rig = Rig(line.topic)
        closing.callback(rig.close)
        work = partial(line.measure, seconds=options.seconds)
        before, heard = rig.cpu(), int(rig.heard[GOT])
        runs = [rig.run(work) for _ in range(options.runs + 1)][1:]
        spent = max(now - then for now, then in zip(rig.cpu(), before, strict=True))
        possible = (int(rig.heard[GOT]) - heard) / spent
        return Row(
            line.name,
            line.unit,
            runs,
            goal=Goal(value=line.goal),
            more_is_better=line.more_is_better,
            note=f"{possible:,.0f} a second of CPU of the busiest" if line.more_is_better else None,
            fault=_fault(rig),
        )


def _beside_idle_ones(options: Namespace) -> Row:
    with ExitStack() as closing:
        alone, beside = Rig(), Rig(idle=IDLE)
        for rig in (alone, beside):
            closing.callback(rig.close)
        work = partial(in_batches, seconds=options.seconds)
        pairs = [(beside.run(work), alone.run(work)) for _ in range(options.runs + 1)][1:]
        own, peer = zip(*pairs, strict=True)
        return Row(
            IDLE_LINE,
            "events/s",
            own,
            peer="no idle ones",
            peer_runs=peer,
            goal=Goal(0.7),
            fault=_fault(beside),
        )


def _fault(rig: Rig) -> str | None:
    return f"{rig.lost()} events were lost" if rig.lost() else None
