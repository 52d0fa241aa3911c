"""What the datastore takes: to read, to tell of a change, to commit, to check.

Datastore and components are tasks of one process that talk over sockets, as in the tests; so
what each of them computes adds up, where on a host it is spread. All but `commits` lie in memory
(/dev/shm): the time that a disk takes to sync is the disk's. `--store ADDRESS` measures commits
to a store that runs somewhere; without it, to a file in the directory for temporary files.
"""

import asyncio
import tempfile
import time
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zmq

from raicho.control.bus import Bus
from raicho.control.component import Bootstrap, Component
from raicho.control.datastore import Datastore
from raicho.control.datastore.engines.opening import open_engine
from raicho.control.message import Change, ControlClient, Subscriber
from raicho.control.message.datastore import CommitSession, Edit, GetConfig, Set, Validate

from .harness import Goal, Row

MEMORY = Path("/dev/shm")
ROWS, INTERFACES, COMPONENTS = 100_000, 1_000, 3
MTU = "/raicho/port[name='p7']/mtu"
PATIENCE = 300.0  # seconds for a request


class Holder(Component):
    """Takes part, and agrees to everything."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        super().__init__(bootstrap)
        self.subscriptions = ["/raicho/port"]

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        pass

    async def commit(self, txid: str) -> None:
        pass


class Rig(NamedTuple):
    """A datastore with ports in it, who takes part, and a client."""

    client: ControlClient
    folder: Path

    async def edit(self, mtu: int) -> None:
        await self.client.call(Edit("s", [Set(MTU, mtu)]), PATIENCE)

    async def commit(self) -> None:
        await self.client.call(CommitSession("s"), PATIENCE)


@asynccontextmanager
async def running(ports: int, holders: int = 0, bus: bool = False) -> AsyncIterator[Rig]:
    """Run a datastore that holds so many ports, with so many participants."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rcb", dir=MEMORY)))
        endpoint = f"ipc://{folder}/datastore.control"
        options = {"data": str(folder / "config.db")}
        components: list[Component] = [
            Datastore(Bootstrap(folder, endpoint, "datastore", options=options))
        ]
        if bus:
            components.insert(0, Bus(Bootstrap(folder, endpoint, "bus")))
        components += [Holder(Bootstrap(folder, endpoint, f"holder{n}")) for n in range(holders)]
        for component in components:
            await component.start()
            stack.push_async_callback(component.stop)
        context = zmq.Context()
        stack.callback(context.term)
        client = ControlClient(context, endpoint)
        stack.callback(client.close)
        rig = Rig(client, folder)
        rows = [{"name": f"p{n}", "kind": "null"} for n in range(ports)]
        await client.call(Edit("s", [Set("/raicho/port", rows)]), PATIENCE)
        await rig.commit()
        async with asyncio.timeout(PATIENCE):
            while any(component.state_of_health != "ready" for component in components):
                await asyncio.sleep(0.05)
        yield rig


async def timed(work: Callable[[int], Awaitable[object]], times: int) -> np.ndarray:
    """Return how many milliseconds each call took."""
    took = []
    for n in range(times):
        begin = time.perf_counter()
        await work(n)
        took.append((time.perf_counter() - begin) * 1e3)
    return np.array(took)


async def get(options: Namespace) -> list[float]:
    async with running(options.rows) as rig:
        asked = [
            await timed(lambda n: rig.client.call(GetConfig(MTU)), options.times)
            for _ in range(options.runs)
        ]
    return [float(np.percentile(took, 99)) for took in asked]


async def told(options: Namespace) -> list[float]:
    """From before the commit until the event is there."""
    async with running(10, bus=True) as rig:
        context = zmq.Context()
        heard: asyncio.Queue[object] = asyncio.Queue()
        subscriber = Subscriber(
            context, f"ipc://{rig.folder}/bus.sub", ["config.committed"], heard.put_nowait
        )
        try:
            await asyncio.sleep(0.5)

            async def change(n: int) -> None:
                await asyncio.gather(rig.commit(), heard.get())

            found = []
            for run in range(options.runs):
                took = []
                for n in range(options.times):
                    await rig.edit(1000 + run * options.times + n)
                    took.append((await timed(change, 1))[0])
                found.append(float(np.percentile(took, 99)))
            return found
        finally:
            subscriber.close()
            context.term()


async def commit(options: Namespace) -> list[float]:
    async with running(10, COMPONENTS) as rig:
        found = []
        for run in range(options.runs):
            took = []
            for n in range(options.times):
                await rig.edit(1000 + run * options.times + n)
                took.append((await timed(lambda n: rig.commit(), 1))[0])
            found.append(float(np.percentile(took, 50)))
        return found


async def check(options: Namespace) -> list[float]:
    async with running(INTERFACES) as rig:
        await rig.edit(1400)
        asked = [
            await timed(lambda n: rig.client.call(Validate("s"), PATIENCE), 5)
            for _ in range(options.runs)
        ]
    return [float(np.median(took)) for took in asked]


class Line(NamedTuple):
    """One number: how it is measured, and what it is to be."""

    name: str
    measure: Callable[[Namespace], Awaitable[list[float]]]
    goal: float


LINES = (
    Line(f"get of a leaf, {ROWS} rows, 99 of 100", get, 1),
    Line("a change to its subscriber, 99 of 100", told, 50),
    Line(f"commit of a leaf, {COMPONENTS} components, median", commit, 10),
    Line(f"validation of {INTERFACES} interfaces", check, 50),
)


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--times", type=int, default=300, help="requests in a run (default 300)")
    parser.add_argument("--rows", type=int, default=ROWS, help=f"to get from (default {ROWS})")
    names = [line.name for line in LINES]
    parser.add_argument("--line", choices=names, action="append", help="only this one; repeatable")
    parser.add_argument("--store", action="append", help="address of a store; repeatable")


def rows(options: Namespace) -> Iterator[Row]:
    """Measure one line after the other."""
    for line in LINES:
        if not options.line or line.name in options.line:
            runs = asyncio.run(_measured(line, options))
            yield Row(line.name, "ms", runs, goal=Goal(value=line.goal), more_is_better=False)
    if not options.line:
        with tempfile.TemporaryDirectory() as folder:
            for address in options.store or [f"sqlite:{folder}/config.db"]:
                runs = [_commits(address, options.times) for _ in range(options.runs)]
                yield Row(f"durable commits, {address.partition(':')[0]}", "commits/s", runs)


async def _measured(line: Line, options: Namespace) -> list[float]:
    return await line.measure(options)


def _commits(address: str, times: int) -> float:
    """Return how many commits of five keys a second, one after the other."""
    engine = open_engine(address)
    try:
        begin = time.perf_counter()
        for n in range(times):
            engine.commit({}, {f"/bench/{key}": b"%0200d" % n for key in range(5)})
        return times / (time.perf_counter() - begin)
    finally:
        engine.close()
