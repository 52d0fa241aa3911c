"""A switch that runs with 100 000 flows: one more of them, and statistics of all.

Everything runs as an operator has it: bus, datastore, dataplane, agent and state sync, with a
controller that is connected. The worker has a core of its own. What it carries goes round: two
ports are the ends of one cable, so that what is sent by one comes in at the other. With state
sync and without it take turns, many short ones in a run; without, its process stands still.
"""

import asyncio
import os
import signal
import socket
import subprocess
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zmq

from raicho.control.message import (
    DONE,
    BulkClient,
    BulkRequest,
    CallError,
    ControlClient,
    GetSample,
    Sampled,
    Set,
)

from . import cores
from .controller import Controller
from .datastore import timed
from .goals import RUNNING
from .harness import Goal, Row, short
from .peers.processes import awake, enter_own_network
from .peers.raicho import Raicho
from .peers.threads import cpu_seconds
from .standing import Standing
from .wires import Delivered
from .workload import IN_PORT, OUT_PORT, exact_rules, frames_of, random_flows

FLOWS = 100_000
ENDS = {"rb-go0": IN_PORT, "rb-go1": OUT_PORT}  # of the cable
CIRCLING = 256  # frames
PATIENCE = 20.0  # seconds for an answer
SETTLE = 0.2  # seconds before a rate counts


class Switch(Raicho):
    """raicho with state sync."""

    MODULES = (*Raicho.MODULES, "control.statesync")

    def wait_for_sample(self) -> None:
        """Wait until the datastore can answer what was counted."""
        self._processes.wait(self._is_sampled, "sample")

    def _is_sampled(self) -> bool:
        try:
            self._ask("datastore", GetSample())
        except CallError:
            return False
        return True


class Site(Standing):
    """A switch with flows, and frames for them that go round."""

    def __init__(self, flows: int, seed: int) -> None:
        super().__init__()
        self._rng = np.random.default_rng(seed)
        self._flows = random_flows(self._rng, flows)
        self._controller = self._closing.enter_context(Controller())
        self.switch = Switch()
        self._closing.callback(self.switch.close)
        self.context = zmq.Context()
        self._closing.callback(self.context.term)

    def _set_up(self) -> None:
        near, far = ENDS
        _ip("link", "add", near, "type", "veth", "peer", "name", far)
        self._closing.callback(_ip, "link", "delete", near)
        for end in ENDS:
            _ip("link", "set", end, "up")
        self.switch.start(self._controller.port)
        self._controller.accept()
        self._configure()
        self._controller.write(exact_rules(self._flows))
        self.switch.wait_for_sample()

    def _configure(self) -> None:
        ops = [Set("/raicho/worker[id='1']", {"cpu": cores.measured()})]
        for end, number in ENDS.items():
            port = {"kind": "af_packet", "device": end, "worker": 1}
            ops.append(Set(f"/raicho/port[name='{end}']", port))
            ops.append(Set(f"/raicho/bridge[name='bench']/port[name='{end}']/number", number))
        self.switch.commit(*ops)

    def more(self, count: int) -> list[bytes]:
        """Return flow-mods of so many flows that are not there yet."""
        messages = exact_rules(random_flows(self._rng, count))
        size = len(messages) // count
        return [messages[at : at + size] for at in range(0, len(messages), size)]

    def write(self, flow_mod: bytes) -> None:
        """Let the controller write a flow-mod and wait for the barrier behind it."""
        self._controller.write(flow_mod)

    def send_round(self) -> None:
        """Begin with frames of different flows; the cable and the flows do the rest."""
        frames = frames_of(self._flows)
        step = max(1, len(frames) // CIRCLING)
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as end:
            end.bind((next(reversed(ENDS)), 0))
            for frame in frames[::step]:
                end.send(frame.tobytes())

    def carried(self, worker: Path, seconds: float) -> Delivered:
        """Return how many packets go round, in a second and for a second of CPU of the worker."""
        time.sleep(SETTLE)
        begin, spent, before = time.perf_counter(), cpu_seconds(worker), _received()
        time.sleep(seconds)
        count = _received() - before
        if not count:
            raise RuntimeError("no packet goes round")
        spent = cpu_seconds(worker) - spent
        return Delivered(count / (time.perf_counter() - begin), count / spent)


@contextmanager
def _left_alone(core: int, pids: list[int]) -> Iterator[Path]:
    """Leave a core to the thread that has it, which is told; all others, and we, share the rest."""
    before, rest = os.sched_getaffinity(0), cores.others()
    worker: Path | None = None
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            if os.sched_getaffinity(int(task.name)) == {core}:
                worker = task
            else:
                os.sched_setaffinity(int(task.name), rest)
    assert worker is not None, "no thread has a core of its own"
    os.sched_setaffinity(0, rest)
    try:
        yield worker
    finally:
        os.sched_setaffinity(0, before)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _received() -> int:
    """Return how many packets came out of the cable, as the kernel counts them."""
    for line in Path("/proc/self/net/dev").read_text().splitlines():
        name, _, counters = line.partition(":")
        if name.strip() in ENDS and ENDS[name.strip()] == IN_PORT:
            return int(counters.split()[1])
    raise RuntimeError(f"no device of {', '.join(ENDS)}")


Found = tuple[list[float], str | None]  # milliseconds of 99 of 100, run by run, and a note


def added_by_bulk(site: Site, options: Namespace) -> Found:
    """As any component adds a flow: one request to the dataplane."""
    return [asyncio.run(_add_by_bulk(site, options.times)) for _ in range(options.runs)], None


async def _add_by_bulk(site: Site, times: int) -> float:
    client = BulkClient(site.context, f"ipc://{site.switch.folder}/dataplane.bulk")
    messages = site.more(times)

    async def add(n: int) -> None:
        request = BulkRequest("apply", "bench")
        reply, [result] = await client.request(request, messages[n], timeout=PATIENCE)
        if reply.code != DONE or memoryview(result).cast("I")[0] != DONE:
            raise RuntimeError(f"a flow was refused: {reply.text}")

    try:
        async with asyncio.timeout(PATIENCE):
            while not client.up:
                await asyncio.sleep(0.01)
        return _worst(await timed(add, times))
    finally:
        client.close()


def added_by_controller(site: Site, options: Namespace) -> Found:
    """As a controller adds a flow: a flow-mod and a barrier, over TCP and through the agent."""
    runs = []
    for _ in range(options.runs):
        took = []
        for message in site.more(options.times):
            begin = time.perf_counter()
            site.write(message)
            took.append((time.perf_counter() - begin) * 1e3)
        runs.append(_worst(np.array(took)))
    return runs, None


def asked_while_it_stands(site: Site, options: Namespace) -> Found:
    """Read statistics from the datastore while the dataplane is stopped."""
    pid = site.switch.pid("dataplane")
    os.kill(pid, signal.SIGSTOP)
    try:
        runs, ages = zip(
            *(asyncio.run(_ask(site, options.times)) for _ in range(options.runs)), strict=True
        )
    finally:
        os.kill(pid, signal.SIGCONT)
    return list(runs), f"the last {short(ages[-1]):g} s old"


async def _ask(site: Site, times: int) -> tuple[float, float]:
    client = ControlClient(site.context, f"ipc://{site.switch.folder}/datastore.control")
    sampled: Sampled | None = None

    async def ask(n: int) -> None:
        nonlocal sampled
        sampled = await client.call(GetSample(), PATIENCE)

    try:
        await ask(0)  # which also waits for the connection
        took = await timed(ask, times)
    finally:
        client.close()
    assert sampled is not None
    return _worst(took), sampled.age


def _worst(took: "np.ndarray") -> float:
    return float(np.percentile(took, 99))


class Line(NamedTuple):
    """A time, of which 99 of 100 are no longer, how it is measured, and what it is to be."""

    name: str
    measure: Callable[[Site, Namespace], Found]
    goal: Goal | None = None


LINES = (
    Line("one flow more, by the volatile API", added_by_bulk, RUNNING["ms"]),
    Line("one flow more, by a controller", added_by_controller),
    Line("statistics of a dataplane that is stopped", asked_while_it_stands, RUNNING["ms"]),
)


BESIDE = "forwarding beside state sync"


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--flows", type=int, default=FLOWS, help=f"there (default {FLOWS})")
    parser.add_argument("--times", type=int, default=1000, help="requests in a run (default 1000)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a turn (default 2)")
    names = [*(line.name for line in LINES), BESIDE]
    parser.add_argument("--line", choices=names, action="append", help="only this one; repeatable")
    parser.add_argument("--turns", type=int, default=6, help="of each in a run (default 6)")


def rows(options: Namespace) -> Iterator[Row]:
    """Measure one line after the other, and then let packets go round."""
    enter_own_network()
    with cores.first(), Site(options.flows, options.seed) as site:
        for line in LINES:
            if not options.line or line.name in options.line:
                runs, note = line.measure(site, options)
                name = f"{line.name}, 99 of 100"
                yield Row(name, "ms", runs, goal=line.goal, more_is_better=False, note=note)
        if not options.line or BESIDE in options.line:
            yield from beside_state_sync(site, options)


def beside_state_sync(site: Site, options: Namespace) -> Iterator[Row]:
    """Let packets go round while state sync reads all counters every second, and while not."""
    pid = site.switch.pid("statesync")
    with ExitStack() as closing:
        worker = closing.enter_context(_left_alone(cores.measured(), site.switch.pids()))
        closing.callback(os.kill, pid, signal.SIGCONT)
        os.kill(pid, signal.SIGSTOP)
        site.send_round()
        pairs = [_turns(site, worker, pid, options) for _ in range(options.runs)]
    for field, how in (("rate", ""), ("efficiency", " by CPU time")):
        own, peer = ([getattr(each, field) for each in side] for side in zip(*pairs, strict=True))
        name = f"{BESIDE}{how}, {options.flows:,} flows"
        yield Row(name, "packets/s", own, "without it", peer, RUNNING["beside"])


def _turns(site: Site, worker: Path, pid: int, options: Namespace) -> tuple[Delivered, Delivered]:
    """Return what is carried with state sync and without, each the mean of its turns."""
    found: dict[bool, list[Delivered]] = {True: [], False: []}
    for turn in range(options.turns):
        for is_beside in (True, False) if turn % 2 else (False, True):
            with awake(pid) if is_beside else nullcontext():
                found[is_beside].append(site.carried(worker, options.seconds))
    with_it, without = (np.mean(found[which], axis=0) for which in (True, False))
    return Delivered(*with_it), Delivered(*without)
