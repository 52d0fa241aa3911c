"""Who follows the registry on the bus hears of everybody who comes and goes."""

import asyncio
from typing import Any

import zmq

from raicho.control.datastore.presence import PresenceWatch
from raicho.control.datastore.registry import Registry
from raicho.control.datastore.scope import Scope
from raicho.control.message import (
    Api,
    ControlClient,
    Event,
    GetHistory,
    Register,
    Subscriber,
    Unregister,
)
from raicho.control.message.datastore import Presence

APIS = [Api("toy.bulk", "ipc:///toy")]


def toy(ttl: float = 10.0) -> Register:
    return Register("toy", "7", [], APIS, ttl=ttl)


def test_each_change_is_told_once() -> None:
    """T8: came, came anew, stayed, expired."""
    told: list[tuple[str, bool]] = []
    watch = PresenceWatch(lambda topic, event: told.append((topic, event.alive)))  # type: ignore[attr-defined]  # a Presence
    registry = Registry()
    for now in (0.0, 1.0):
        registry.register(toy(), Scope(()), frozenset(), now)
        watch.look(registry, now)
        watch.look(registry, now)
    watch.look(registry, 11.5)
    watch.look(registry, 12.5)
    assert told == [("registry.toy", True)] * 2 + [("registry.toy", False)]


async def test_those_who_come_go_and_die_are_events(
    processes: Any, context: zmq.SyncContext
) -> None:
    """T8: with where their APIs are; over the bus that runs."""
    heard: list[Presence] = []

    def hear(event: Event) -> None:
        assert isinstance(event.body, Presence)
        if event.body.component == "toy":
            heard.append(event.body)

    async def hears(count: int) -> None:
        async with asyncio.timeout(20):
            while len(heard) < count:
                await asyncio.sleep(0.01)

    run_dir = processes.run_dir
    subscriber = Subscriber(context, f"ipc://{run_dir}/bus.sub", ["registry."], hear)
    processes.start("raicho.control.bus")
    processes.start("raicho.control.datastore", "--data", run_dir / "config.db")
    store = ControlClient(context, f"ipc://{run_dir}/datastore.control")
    await store.call(GetHistory(), 20)
    while not heard:  # until the subscription has made its way
        lease = (await store.call(toy())).lease
        await asyncio.sleep(0.1)
    heard.clear()
    await store.call(Unregister("toy", lease))
    await hears(1)
    await store.call(toy(ttl=0.2))
    await hears(3)
    assert [presence.alive for presence in heard] == [False, True, False]
    assert {presence.version for presence in heard} == {"7"}
    assert all(presence.apis == APIS for presence in heard)
    subscriber.close()
    store.close()
