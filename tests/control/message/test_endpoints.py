"""Each endpoint that a running switch declares, and what it makes of a client of each kind (G4).

The registry says what there is, and each component what it answers: what comes to be later is asked
here too, without a line of this file.  All of it by files, and all by a network (T8).
"""

import asyncio
import enum
import socket
import typing
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
import pytest
from loopback import OWN_HOST

from raicho.control.message import (
    DONE,
    BulkClient,
    BulkRequest,
    CallError,
    Code,
    ControlClient,
    Get,
    ListRegistry,
    Ping,
    Publisher,
    Request,
    Subscriber,
)
from raicho.control.message.catalogue import MESSAGES
from raicho.control.message.codes import BAD_REQUEST_EPERM
from raicho.control.message.keys import (
    BULK_READS,
    OPERATOR,
    READER,
    READS,
    allow,
    context_with,
    create,
    load,
    may_read,
)

PATIENCE, IMPATIENCE = 20.0, 0.5
COMPONENTS = {
    *("supervisor", "bus", "datastore", "dataplane"),
    *("openflow", "statesync", "routing"),
}
ALLOWED, OTHERS = ("switch", "operator", "reader"), ("stranger", "nobody")
MOUTHS = ("switch", "operator")  # who may publish
NO_RIGHT = f"role {READER} may not change anything"
REQUESTS = [message for message in MESSAGES if issubclass(message, Request)]
TABLE_FEATURES = bytes([0, 12, 0, 0])
KINDS = (".control", ".bulk", ".pub", ".sub")
TCP, TCP_LISTEN = Path("/proc/net/tcp"), "0A"
PORT = 7000


class Site:
    """A switch that runs with keys, contexts for clients of all kinds, and what is declared."""

    transport = "ipc"

    def __init__(self, processes: Any, folder: Path) -> None:
        self.run_dir: Path = processes.run_dir
        self.bootstrap = {
            "ipc": f"ipc://{self.run_dir}/datastore.control",
            "tcp": f"tcp://{OWN_HOST}:{PORT}",
        }
        create(folder / "switch")
        allow(folder / "switch", folder / "operator", "olga", OPERATOR)
        allow(folder / "switch", folder / "reader", "rita", READER)
        create(folder / "other")
        allow(folder / "other", folder / "stranger", "sam", OPERATOR)
        (folder / "stranger/switch.key").write_bytes((folder / "switch/switch.key").read_bytes())
        names = (*ALLOWED, "stranger")
        self.contexts = {name: context_with(load(folder / name)) for name in names}
        self.contexts["nobody"] = context_with(None)
        options = ("--data", self.run_dir / "config.db", "--listen", self.bootstrap["tcp"])
        processes.start("raicho.control.supervisor", "--keys", folder / "switch", *options)

    def control(self, who: str, endpoint: str) -> ControlClient:
        return ControlClient(self.contexts[who], endpoint)

    async def declared(self, kind: str = "") -> dict[str, str]:
        """Return the endpoints of APIs of a kind, once all components are there, as a reader."""
        client = self.control("reader", self.bootstrap[self.transport])
        async with asyncio.timeout(60):
            while True:
                entries = (await client.call(ListRegistry(), 60)).components
                if {entry.component for entry in entries if entry.alive} >= COMPONENTS:
                    break
                await asyncio.sleep(0.05)
        client.close()
        return {
            api.name: api.endpoint
            for entry in entries
            for api in entry.apis
            if api.name.endswith(kind) and api.endpoint.startswith(self.transport)
        }

    def sockets(self) -> set[str]:
        """Return what is listened at, as the kernel says."""
        if self.transport == "ipc":
            return {f"ipc://{path}" for path in self.run_dir.iterdir() if path.is_socket()}
        rows = [line.split() for line in TCP.read_text().splitlines()[1:]]
        places = [row[1].split(":") for row in rows if row[3] == TCP_LISTEN]
        own = socket.inet_aton(OWN_HOST)[::-1].hex().upper()  # as a machine with little ends has it
        return {f"tcp://{OWN_HOST}:{int(port, 16)}" for address, port in places if address == own}

    def close(self) -> None:
        for context in self.contexts.values():
            context.destroy(linger=0)


@pytest.fixture(scope="module")
def switch(lasting_processes: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(lasting_processes, tmp_path_factory.mktemp("keys"))
    yield site
    site.close()


@pytest.fixture(params=["ipc", "tcp"])
def site(switch: Site, request: pytest.FixtureRequest) -> Site:
    switch.transport = request.param
    return switch


async def test_every_socket_of_the_switch_is_declared_and_of_a_known_kind(site: Site) -> None:
    """G4: so that nothing listens that is not asked below."""
    known = [await site.declared(kind) for kind in KINDS]
    assert site.sockets() == set((await site.declared()).values())
    assert site.sockets() == {endpoint for found in known for endpoint in found.values()}
    assert {name.removesuffix(".control") for name in known[0]} == COMPONENTS


async def test_who_is_not_allowed_is_not_heard_at_any_control_endpoint(site: Site) -> None:
    """G4: the same endpoint answers who is."""
    for endpoint in (await site.declared(".control")).values():
        allowed = [site.control(who, endpoint) for who in ALLOWED]
        for client in allowed:
            await client.call(Ping(), PATIENCE)
        others = [site.control(who, endpoint) for who in OTHERS]
        for client in others:
            with pytest.raises(CallError) as caught:
                await client.call(Ping(), IMPATIENCE)
            assert caught.value.failure.code is Code.TIMEOUT, endpoint
        for client in (*allowed, *others):
            client.close()


async def test_a_reader_changes_nothing_at_any_control_endpoint(site: Site) -> None:
    """G4: each request of the catalogue, at each endpoint."""
    for endpoint in (await site.declared(".control")).values():
        reader = site.control("reader", endpoint)
        for kind in REQUESTS:
            failure = await answer(reader, made(kind))
            refused = failure is not None and failure.reason == NO_RIGHT
            assert refused == (kind not in READS), (endpoint, kind)
            assert not refused or failure.code is Code.REFUSED
        reader.close()


async def answer(client: ControlClient, request: Request[Any]) -> Any:
    try:
        await client.call(request, PATIENCE)
    except CallError as error:
        return error.failure
    return None


def made(kind: Any) -> Any:
    """Return something of a type, with the least in it."""
    origin = get_origin(kind) or kind
    if origin is typing.Literal:
        return get_args(kind)[0]
    if origin in (Union, UnionType):
        return None if NoneType in get_args(kind) else made(get_args(kind)[0])
    if origin is Any:
        return None
    if issubclass(origin, enum.Enum):
        return next(iter(origin))
    if issubclass(origin, msgspec.Struct):
        fields = msgspec.structs.fields(origin)
        return origin(**{field.name: made(field.type) for field in fields if field.required})
    return origin()


async def bulk_operations(site: Site) -> AsyncIterator[tuple[str, str, bool]]:
    """Yield endpoint, name, and whether it only reads, of all that bulk endpoints answer."""
    controls = await site.declared(".control")
    for name, endpoint in (await site.declared(".bulk")).items():
        component = site.control("reader", controls[name.replace(".bulk", ".control")])
        rows = (await component.call(Get("/api"), PATIENCE)).data
        component.close()
        yield endpoint, "sample", True
        for row in rows:
            if row["by"] == "bulk":
                yield endpoint, row["operation"], not {"get", "stat"}.isdisjoint(row["verbs"])


async def test_a_reader_changes_nothing_at_any_bulk_endpoint(site: Site) -> None:
    """G4: EPERM for each operation that is not one of reading, and for no other."""
    reads = set()
    async for endpoint, op, is_read in bulk_operations(site):
        reader = BulkClient(site.contexts["reader"], endpoint)
        reply, _ = await reader.request(BulkRequest(op, "br0"), b"", timeout=PATIENCE)
        assert (reply.code == BAD_REQUEST_EPERM) == (not is_read), op
        assert is_read or reply.text == NO_RIGHT
        reader.close()
        if is_read:
            reads.add(op)
    assert reads == BULK_READS, "nothing is allowed that is not there"


async def test_a_reader_may_list_the_features_of_tables_and_not_set_them(site: Site) -> None:
    """G4: OpenFlow has a request that reads without a body and writes with one."""
    [endpoint] = (await site.declared(".bulk")).values()
    codes = {}
    for who in ("reader", "operator"):
        client = BulkClient(site.contexts[who], endpoint)
        for body in (b"", bytes(64)):
            request = BulkRequest("multipart", "br0"), TABLE_FEATURES + body
            codes[who, len(body)] = (await client.request(*request, timeout=PATIENCE))[0].code
        client.close()
    assert [key for key, code in codes.items() if code == BAD_REQUEST_EPERM] == [("reader", 64)]
    assert not may_read("apply", TABLE_FEATURES)


async def test_who_is_not_allowed_is_not_heard_at_any_bulk_endpoint(site: Site) -> None:
    """G4."""
    for endpoint in (await site.declared(".bulk")).values():
        for who in (*ALLOWED, *OTHERS):
            client = BulkClient(site.contexts[who], endpoint)
            sample = client.request(
                BulkRequest("sample"), b"\x90", timeout=PATIENCE if who in ALLOWED else IMPATIENCE
            )
            if who in ALLOWED:
                assert (await sample)[0].code == DONE
            else:
                with pytest.raises(CallError):
                    await sample
            client.close()


async def test_readers_hear_events_and_only_others_publish_them(site: Site) -> None:
    """G4: both ends of the bus."""
    [pub] = (await site.declared(".pub")).values()
    [sub] = (await site.declared(".sub")).values()
    heard: dict[str, list[str]] = {}

    def listen(who: str) -> Subscriber:
        heard[who] = []
        return Subscriber(
            site.contexts[who], sub, ["test."], lambda event: heard[who].append(event.source)
        )

    ears = [listen(who) for who in (*ALLOWED, *OTHERS)]
    mouths = [Publisher(site.contexts[who], pub, who) for who in (*ALLOWED, *OTHERS)]
    async with asyncio.timeout(PATIENCE):
        while any(heard[who].count(mouth) < 20 for who in ALLOWED for mouth in MOUTHS):
            for mouth in mouths:
                mouth.publish("test.topic", {})
            await asyncio.sleep(0.02)
    for who in ALLOWED:
        assert set(heard[who]) == set(MOUTHS)
    assert [heard[who] for who in OTHERS] == [[], []]
    for end in (*ears, *mouths):
        end.close()


def test_what_a_reader_may_ask_are_requests() -> None:
    """A request that is not in the table is taken for one that changes something."""
    assert set(READS) <= set(REQUESTS)
    writes = {message.__name__ for message in set(REQUESTS) - set(READS)}
    assert {"Edit", "CommitSession", "Prepare", "Commit", "Abort", "Register"} <= writes
