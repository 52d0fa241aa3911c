"""Keys and roles: the folder, and what each endpoint of running components makes of a client."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from raicho.control.component import Bootstrap, Component
from raicho.control.message import (
    DONE,
    BulkClient,
    BulkRequest,
    CallError,
    Code,
    ControlClient,
    Edit,
    Get,
    Ping,
    Publisher,
    Set,
    Subscriber,
)
from raicho.control.message.catalogue import MESSAGES
from raicho.control.message.envelope import Request
from raicho.control.message.keys import (
    OPERATOR,
    READER,
    READS,
    BadKeys,
    allow,
    context_with,
    create,
    load,
)

EPERM = 1 << 16 | 5
COMPONENTS = ("bus", "datastore", "dataplane", "openflow", "statesync", "routing")
MODULES = {name: f"raicho.control.{name}" for name in COMPONENTS} | {
    "dataplane": "raicho.dataplane"
}
PATIENCE, IMPATIENCE = 20.0, 0.5


class Site:
    """Components that run with keys, and contexts for clients of all kinds."""

    def __init__(self, processes: Any, folder: Path) -> None:
        self.run_dir: Path = processes.run_dir
        create(folder / "switch")
        allow(folder / "switch", folder / "operator", "olga", OPERATOR)
        allow(folder / "switch", folder / "reader", "rita", READER)
        create(folder / "other")
        allow(folder / "other", folder / "stranger", "sam", OPERATOR)
        (folder / "stranger/switch.key").write_bytes((folder / "switch/switch.key").read_bytes())
        names = ("operator", "reader", "stranger", "switch")
        self.contexts = {name: context_with(load(folder / name)) for name in names}
        self.contexts["nobody"] = context_with(None)
        for name in COMPONENTS:
            data = ["--data", self.run_dir / "config.db"] if name == "datastore" else []
            processes.start(MODULES[name], "--keys", folder / "switch", *data)

    def at(self, socket: str) -> str:
        return f"ipc://{self.run_dir}/{socket}"

    def control(self, who: str, component: str) -> ControlClient:
        return ControlClient(self.contexts[who], self.at(f"{component}.control"))

    def close(self) -> None:
        for context in self.contexts.values():
            context.destroy(linger=0)


@pytest.fixture(scope="module")
def site(lasting_processes: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(lasting_processes, tmp_path_factory.mktemp("keys"))
    yield site
    site.close()


@pytest.mark.parametrize("component", COMPONENTS)
async def test_who_is_not_allowed_is_not_heard_at_any_control_endpoint(
    site: Site, component: str
) -> None:
    """G4: the same endpoint answers who is."""
    allowed = [site.control(who, component) for who in ("switch", "operator", "reader")]
    for client in allowed:
        await client.call(Ping(), PATIENCE)
    others = [site.control(who, component) for who in ("stranger", "nobody")]
    for client in others:
        with pytest.raises(CallError) as caught:
            await client.call(Ping(), IMPATIENCE)
        assert caught.value.failure.code is Code.TIMEOUT
    for client in (*allowed, *others):
        client.close()


async def test_a_reader_asks_and_changes_nothing(site: Site) -> None:
    """G4."""
    reader, operator = site.control("reader", "datastore"), site.control("operator", "datastore")
    port = Set("/raicho/port[name='p1']", {"kind": "null"})
    await reader.call(Get("/"), PATIENCE)
    with pytest.raises(CallError, match="role read-only may not change anything") as caught:
        await reader.call(Edit("r", [port]), PATIENCE)
    assert caught.value.failure.code is Code.REFUSED
    assert (await operator.call(Edit("o", [port]), PATIENCE)).changes
    reader.close()
    operator.close()


async def test_the_bulk_endpoint_asks_too(site: Site) -> None:
    """G4: EPERM for a reader that writes; the bridge is not there, which only others hear."""
    reader, operator, stranger = (
        BulkClient(site.contexts[who], site.at("dataplane.bulk"))
        for who in ("reader", "operator", "stranger")
    )
    reply, _ = await reader.request(BulkRequest("sample"), b"\x90", timeout=PATIENCE)
    assert reply.code == DONE
    reply, _ = await reader.request(BulkRequest("apply", "br0"), b"", timeout=PATIENCE)
    assert reply.code == EPERM
    reply, _ = await operator.request(BulkRequest("apply", "br0"), b"", timeout=PATIENCE)
    assert "no bridge" in reply.text
    with pytest.raises(CallError):
        await stranger.request(BulkRequest("sample"), b"\x90", timeout=IMPATIENCE)
    for client in (reader, operator, stranger):
        client.close()


async def test_readers_hear_events_and_only_others_publish_them(site: Site) -> None:
    """G4: both ends of the bus."""
    heard: dict[str, list[str]] = {}

    def listen(who: str) -> Subscriber:
        heard[who] = []
        return Subscriber(
            site.contexts[who],
            site.at("bus.sub"),
            ["test."],
            lambda event: heard[who].append(event.source),
        )

    ears = [listen(who) for who in ("reader", "stranger", "nobody")]
    mouths = [
        Publisher(site.contexts[who], site.at("bus.pub"), who)
        for who in ("reader", "stranger", "nobody", "operator")
    ]
    async with asyncio.timeout(PATIENCE):
        while len(heard["reader"]) < 20:
            for mouth in mouths:
                mouth.publish("test.topic", {})
            await asyncio.sleep(0.02)
    assert set(heard["reader"]) == {"operator"}
    assert heard["stranger"] == heard["nobody"] == []
    for end in (*ears, *mouths):
        end.close()


class Lamp(Component):
    name = "lamp"
    registers = False


async def test_a_network_is_listened_to_with_keys_only(tmp_path: Path) -> None:
    """G4: ipc by default; tcp asks for keys, and is encrypted."""
    store = f"ipc://{tmp_path}/none"
    plain = Bootstrap(tmp_path / "run", store, "lamp", listen="tcp://127.0.0.1:*")
    with pytest.raises(OSError, match="takes keys"):
        await Lamp(plain).start()
    create(tmp_path / "keys")
    with zmq.Context() as context, context.socket(zmq.ROUTER) as probe:
        port = probe.bind_to_random_port("tcp://127.0.0.1")
    where = f"tcp://127.0.0.1:{port}"
    lamp = Lamp(Bootstrap(tmp_path / "run", store, "lamp", keys=tmp_path / "keys", listen=where))
    await lamp.start()
    client = ControlClient(lamp.context, where)
    assert (await client.call(Ping(), PATIENCE)).instance == lamp.instance
    client.close()
    await lamp.stop()


async def test_a_change_of_who_is_allowed_holds_for_whoever_comes_next(tmp_path: Path) -> None:
    """G4: without a restart; a list that is wrong changes nothing."""
    keys = tmp_path / "keys"
    create(keys)
    lamp = Lamp(Bootstrap(tmp_path / "run", f"ipc://{tmp_path}/none", "lamp", keys=keys))
    await lamp.start()

    async def is_heard(name: str) -> bool:
        context = context_with(load(tmp_path / name))
        client = ControlClient(context, lamp.endpoint)
        try:
            return bool((await client.call(Ping(), 3)).instance)
        except CallError:
            return False
        finally:
            client.close()
            context.destroy(linger=0)

    allow(keys, tmp_path / "ann", "ann", OPERATOR)
    assert await is_heard("ann")
    allowed = keys / "allowed"
    good = allowed.read_text()
    allowed.write_text("nonsense\n")
    assert await is_heard("ann")
    allowed.write_text("")
    assert not await is_heard("ann")
    allowed.write_text(good)
    assert await is_heard("ann")
    await lamp.stop()


def test_without_keys_nothing_is_bound_but_files(tmp_path: Path) -> None:
    """G4: the default."""
    bootstrap = Bootstrap(tmp_path, "ipc://none", "lamp")
    assert bootstrap.endpoint("x").startswith("ipc://")
    assert (bootstrap.listen, bootstrap.keys) == ("", None)
    with context_with(load(None)) as context:
        assert context.keys is None


def test_secrets_that_others_may_read_are_refused(tmp_path: Path) -> None:
    create(tmp_path)
    (tmp_path / "switch.key_secret").chmod(0o640)
    with pytest.raises(BadKeys, match="may be read by others"):
        load(tmp_path)


def test_an_allow_list_that_others_may_write_is_refused(tmp_path: Path) -> None:
    create(tmp_path)
    (tmp_path / "allowed").chmod(0o666)
    with pytest.raises(BadKeys, match="may be written by others"):
        load(tmp_path)


@pytest.mark.parametrize("line", ["x read-only bob", f"{'a' * 40} god bob", f"{'a' * 40}"])
def test_a_line_that_is_none_is_told_with_its_place(tmp_path: Path, line: str) -> None:
    create(tmp_path)
    (tmp_path / "allowed").write_text(f"# who\n\n{line}\n")
    with pytest.raises(BadKeys, match=r"allowed:3: .* is not a public key"):
        load(tmp_path)


def test_keys_with_the_sign_of_comments_are_keys(tmp_path: Path) -> None:
    create(tmp_path)
    (tmp_path / "allowed").write_text(f"{'#' * 40} read-only bob\n")
    keys = load(tmp_path)
    assert keys and keys.allowed == {b"#" * 40: READER}


@pytest.mark.parametrize("missing", ["switch.key", "switch.key_secret"])
def test_a_folder_that_lacks_something_is_refused(tmp_path: Path, missing: str) -> None:
    create(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(BadKeys, match=r"is no certificate|has neither"):
        load(tmp_path)


def test_keys_are_not_overwritten(tmp_path: Path) -> None:
    create(tmp_path / "a")
    with pytest.raises(BadKeys, match="has the keys of a switch already"):
        create(tmp_path / "a")
    allow(tmp_path / "a", tmp_path / "b", "bob", READER)
    with pytest.raises(BadKeys, match="has the keys of a client already"):
        allow(tmp_path / "a", tmp_path / "b", "bob", READER)


def test_what_a_reader_may_ask_are_requests() -> None:
    """A request that is not in the table is taken for one that changes something."""
    requests = {message for message in MESSAGES if issubclass(message, Request)}
    assert set(READS) <= requests
    writes = {message.__name__ for message in requests - set(READS)}
    assert {"Edit", "CommitSession", "Prepare", "Commit", "Abort", "Register"} <= writes
