"""The sequences of the design, from a trace of the running system's messages.

Datastore, bus, dataplane, agent and state sync run as processes and publish what is said at
their endpoints; that, and the other events, are the lines of the trace.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from struct import pack
from typing import Any

import msgspec
import pytest
import zmq

from raicho.control.component import holder
from raicho.control.message import (
    Api,
    BulkClient,
    CallError,
    Code,
    CommitSession,
    ControlClient,
    Edit,
    Event,
    Get,
    GetConfig,
    GetSample,
    ListRegistry,
    Lookup,
    Ping,
    Register,
    Set,
    Subscriber,
)
from raicho.control.message.routes import (
    ROUTE_API,
    Group,
    Hop,
    Kind,
    RouteClient,
    Source,
    error_text,
    pack_group,
    pack_route,
    prefix_text,
)
from raicho.control.message.trace import Traced

TRACED = ("datastore", "dataplane", "openflow", "statesync")
BR0 = "/raicho/bridge[name='br0']"
TOY = """module toy { yang-version 1.1; namespace "urn:toy"; prefix t;
  import raicho { prefix r; } revision 2026-01-01;
  augment "/r:raicho" { container toy { leaf speed { type uint8; } } } }"""


class Trace:
    """The events so far, told as lines in the order of their times."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def lines(self) -> list[str]:
        """Return lines such as `dataplane < Prepare tx` and `event config.committed tx`."""
        ordered = sorted(self.events, key=lambda event: event.time)
        asked: dict[tuple[str, str, int], str] = {}
        return [line for event in ordered if (line := _line(event, asked))]


def _line(event: Event, asked: dict[tuple[str, str, int], str]) -> str:
    match event.body:
        case Traced(sent=False, peer=peer, id=id_, message=[name, *fields]):
            asked[event.source, peer, id_] = _subject(name, fields)
            return f"{event.source} < {name} {asked[event.source, peer, id_]}"
        case Traced(peer=peer, id=id_, message=[name, *_]):
            return f"{event.source} > {name} {asked.get((event.source, peer, id_), '')}"
    body = event.body if isinstance(event.body, dict) else msgspec.structs.asdict(event.body)
    return f"event {event.topic} {body.get('txid', '')}"


def _subject(name: str, fields: list[Any]) -> str:
    """Return what a request is about: its transaction, or its first field."""
    if name == "CommitSession":
        return str(fields[-1])
    return str(fields[0]) if fields else ""


def in_order(lines: list[str], wanted: Iterable[str], after: str = "") -> None:
    """Assert that all *wanted* lines are there, one after the other."""
    at = lines.index(after) if after else 0
    for line in wanted:
        assert line in lines[at:], f"{line!r} is not in\n" + "\n".join(lines[at:])
        at = lines.index(line, at) + 1


def tracing(on: bool) -> list[Set]:
    """Return what switches tracing."""
    leaf = "/raicho/log/component[name='{}']/trace-messages"
    return [Set(leaf.format(name), on) for name in TRACED]


class Site:
    """The processes, a client, and the trace."""

    def __init__(self, context: zmq.SyncContext, processes: Any) -> None:
        self.processes, self.run_dir = processes, processes.run_dir
        self.trace = Trace()
        self.client = ControlClient(context, f"ipc://{self.run_dir}/datastore.control")
        self.subscriber = Subscriber(
            context, f"ipc://{self.run_dir}/bus.sub", [""], self.trace.events.append
        )

    async def commit(self, txid: str, *ops: Set) -> Any:
        await self.client.call(Edit(txid, list(ops)))
        return await self.client.call(CommitSession(txid, txid=txid), 20)

    async def until(self, line: str, times: int = 1) -> list[str]:
        async with asyncio.timeout(60):
            while sum(found.startswith(line) for found in self.trace.lines()) < times:
                await asyncio.sleep(0.02)
        return self.trace.lines()

    def pid(self, name: str) -> int:
        return int((self.run_dir / f"{name}.pid").read_text())


@asynccontextmanager
async def site(context: zmq.SyncContext, processes: Any) -> AsyncIterator[Site]:
    """Start bus and datastore, with tracing on; then dataplane and agent."""
    it = Site(context, processes)
    processes.start("raicho.control.bus")
    processes.start("raicho.control.datastore", "--data", it.run_dir / "config.db")
    await it.client.call(Ping(), 30)
    await it.commit("tracing", *tracing(True))
    async with asyncio.timeout(30):
        while not it.trace.events:  # until bus and subscriber have met
            await it.client.call(GetConfig("/raicho/log"), 30)
            await asyncio.sleep(0.05)
    processes.start("raicho.dataplane")
    await it.until("datastore > Registered dataplane")
    processes.start("raicho.control.openflow")
    await it.until("datastore > Registered openflow")
    try:
        yield it
    finally:
        it.client.close()
        it.subscriber.close()


async def test_the_messages_between_components_are_those_of_the_sequences(
    context: zmq.SyncContext, processes: Any
) -> None:
    """Q1 to Q15, C0: recorded at the control endpoints and on the bus."""
    async with site(context, processes) as s:
        lines = s.trace.lines()
        # Q1, Q3, Q4: modules, APIs and subscriptions come first, then the configuration.
        for name in ("dataplane", "openflow"):
            came = f"datastore < Register {name}"
            in_order(lines, [came, f"datastore > Registered {name}"])
            register = registered(s.trace, name)
            assert register[2] and register[3] and register[4]
        entries = {e.component: e for e in (await s.client.call(ListRegistry())).components}
        assert "/raicho/bridge" in entries["dataplane"].subscriptions
        found = await s.client.call(Lookup("dataplane.bulk"))
        assert found.endpoint == f"ipc://{s.run_dir}/dataplane.bulk"

        # Q2, Q5, Q6: a client brings a module, an API and a subscription.
        mine = Register("me", "1", [TOY], [Api("me.toy", "ipc:///me")], ["/raicho/bridge"])
        assert (await s.client.call(mine)).modules == {"toy": "accepted"}
        with pytest.raises(CallError) as caught:
            await s.client.call(Register("you", "1", [TOY.replace("uint8", "string")]))
        assert (caught.value.failure.code, caught.value.failure.path) == (
            Code.CONFLICT,
            "/raicho/toy/speed",
        )
        entries = {e.component: e for e in (await s.client.call(ListRegistry())).components}
        assert entries["me"].subscriptions == ["/raicho/bridge"]
        assert (await s.client.call(Lookup("me.toy"))).endpoint == "ipc:///me"

        # Q9, Q10: it asks where bridges are configured, and sets.
        where = await s.client.call(Lookup("bridge.config"))
        assert (where.endpoint, where.version) == (s.client.endpoint, "1")
        result = await s.commit("t1", Set(f"{BR0}/datapath-id", "0x1"))
        assert result.participants == ["dataplane", "openflow"]
        assert (await s.client.call(GetConfig(f"{BR0}/datapath-id"))).data.endswith("1")

        await s.until("event config.committed t1")
        lines = await s.until("datastore > CommitResult t1")
        in_order(
            lines,
            [
                "datastore < Register me",
                "datastore > Registered me",
                "datastore < Register you",
                "datastore > Failure you",
                "datastore < Lookup bridge.config",
                "datastore > Endpoint bridge.config",
                "datastore < Edit t1",
                "datastore > Changes t1",
                "datastore < CommitSession t1",
            ],
        )
        # Q11, Q12: everybody has prepared before anybody commits.
        for name in ("dataplane", "openflow"):
            both = [f"{name} < Prepare t1", f"{name} > Prepared t1", "dataplane < Commit t1"]
            in_order(lines, both, "datastore < CommitSession t1")
        # Q7, Q8, Q13 to Q15: dataplane, agent, then all who listen, with one txid.
        in_order(
            lines,
            [
                "dataplane < Commit t1",
                "dataplane > Done t1",
                "openflow < Commit t1",
                "openflow > Done t1",
                "event config.committed t1",
                "datastore > CommitResult t1",
            ],
        )
        bridge = ControlClient(context, f"ipc://{s.run_dir}/dataplane.control")
        (row,) = (await bridge.call(Get("/bridge"))).data
        assert int(row["datapath-id"], 16) == 1
        bridge.close()


async def test_a_refusal_is_heard_by_all_and_nothing_is_current(
    context: zmq.SyncContext, processes: Any
) -> None:
    """Q15, F15: the client hears of a failure; there is no commit and no event of one."""
    async with site(context, processes) as s:
        port = {"kind": "af_packet", "device": "nowhere0"}
        inside = Set(f"{BR0}/port[name='p1']/number", 1)
        with pytest.raises(CallError, match="nowhere0") as caught:
            await s.commit("bad", Set("/raicho/port[name='p1']", port), inside)
        assert caught.value.failure.participant == "dataplane"
        assert (await s.client.call(GetConfig("/raicho/bridge"))).data in (None, [])

        await s.until("datastore > Failure bad")
        lines = await s.until("dataplane < Abort bad")
        refusal = ["datastore < CommitSession bad", "dataplane < Prepare bad"]
        for told in ("dataplane < Abort bad", "datastore > Failure bad"):
            in_order(lines, [*refusal, "dataplane > Failure bad", told])
        lines = await s.until("openflow < Abort bad")
        in_order(lines, ["openflow < Prepare bad", "openflow < Abort bad"])
        assert not [line for line in lines if line.endswith(" bad") and "ommit " in line]


async def test_statistics_are_collected_by_one_and_read_by_another(
    context: zmq.SyncContext, processes: Any
) -> None:
    """Q20 to Q26, C0: bulk, whose payload is none of the trace's business, included."""
    async with site(context, processes) as s:
        processes.start("raicho.control.statesync")
        lines = await s.until("datastore < PutSample dataplane", 2)
        # B1 to B4: found in the registry, pulled in bulk, written as a whole, without transaction.
        in_order(
            lines,
            [
                "datastore < Lookup dataplane.bulk",
                "datastore > Endpoint dataplane.bulk",
                "dataplane < BulkRequest sample",
                "dataplane > BulkReply sample",
                "datastore < PutSample dataplane",
                "datastore > Done dataplane",
            ],
        )
        assert "datastore < Register statesync" in lines
        pulls = [line for line in lines if line == "dataplane < BulkRequest sample"]
        puts = [line for line in lines if line == "datastore < PutSample dataplane"]
        assert len(pulls) - len(puts) in (0, 1), "one request for each sample"
        first = await s.client.call(GetSample())
        assert first.number >= len(puts) - 1

        # A1 to A3: a client looks it up and asks; the dataplane is stopped, and is not needed.
        os.kill(s.pid("dataplane"), signal.SIGSTOP)
        try:
            where = await s.client.call(Lookup("datastore.statistics"))
            assert where.endpoint == s.client.endpoint
            sampled = await s.client.call(GetSample(limit=1))
            assert (sampled.instance, sampled.stale) == (first.instance, False)
            assert sampled.number >= first.number
            lines = await s.until("datastore > Sampled dataplane", 2)
        finally:
            os.kill(s.pid("dataplane"), signal.SIGCONT)
        asked = "datastore < Lookup datastore.statistics"
        in_order(
            lines,
            [
                "datastore > Endpoint datastore.statistics",
                "datastore < GetSample dataplane",
                "datastore > Sampled dataplane",
            ],
            after=asked,
        )
        assert not [line for line in lines[lines.index(asked) :] if line.startswith("dataplane >")]


async def test_a_route_goes_straight_to_the_dataplane(
    context: zmq.SyncContext, processes: Any
) -> None:
    """Q16 to Q19: the datastore says where, and is not on the way: it may as well be dead."""
    async with site(context, processes) as s:
        await s.commit("t3", Set("/raicho/router[name='r']", {}))
        found = await s.client.call(Lookup(ROUTE_API))
        lines = await s.until(f"datastore > Endpoint {ROUTE_API}")
        in_order(lines, [f"datastore < Lookup {ROUTE_API}", f"datastore > Endpoint {ROUTE_API}"])
        bulk = BulkClient(context, found.endpoint)
        client = RouteClient(bulk.request, "r")
        group = pack_group(Group(Source.OPERATOR, 7, (Hop(Kind.BLACKHOLE),)))
        assert list(await client.next_hops_mod([group])) == [0]
        good = pack_route("192.0.2.0/24", 7, Source.OPERATOR)
        bad = pack_route("198.51.100.0/24", 8, Source.OPERATOR)
        results = [error_text(int(code)) for code in await client.routes_mod(good + bad)]
        assert results == ["done", "there is no such group of next hops"]
        later = (await s.until("dataplane > BulkReply route_mod"))[len(lines) :]
        asked = [line for line in later if line.endswith("_mod")]
        assert [line.split()[0] for line in asked] == ["dataplane"] * 4

        pid = holder(s.run_dir, "datastore")
        assert pid
        os.kill(pid, signal.SIGKILL)
        assert list(await client.routes_mod(bad.replace(pack("!I", 8), pack("!I", 7)))) == [0]
        told = [prefix_text(row) for row in await client.routes(Source.OPERATOR)]
        assert sorted(told) == ["192.0.2.0/24", "198.51.100.0/24"]
        bulk.close()


async def test_tracing_is_switched_at_run_time(context: zmq.SyncContext, processes: Any) -> None:
    """C0, F11: what is not traced says nothing."""
    async with site(context, processes) as s:
        await s.commit("off", *tracing(False))
        await s.until("event config.committed off")
        before = len(s.trace.events)
        await s.client.call(GetConfig("/raicho/log"))
        await s.commit("t2", Set(f"{BR0}/datapath-id", "0x2"))
        await s.until("event config.committed t2")
        later = [line for line in s.trace.lines()[before:] if not line.startswith("event")]
        assert not [line for line in later if "t2" in line]


def registered(trace: Trace, name: str) -> list[Any]:
    """Return the fields of a component's Register."""
    for event in trace.events:
        if isinstance(event.body, Traced) and event.body.message[:2] == ["Register", name]:
            return event.body.message[1:]
    raise AssertionError(f"{name} has not registered")
