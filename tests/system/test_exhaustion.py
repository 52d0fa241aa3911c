"""A component that runs out of memory ends, with an alert that says so, and takes nobody along."""

import asyncio
import re
import resource
from collections.abc import Iterator

import pytest
import zmq

from bench.peers.raicho import ask
from raicho.control.message import CallError, ControlClient, Delete, Get, Set, Stats

from .conftest import ADDRESSES, Site, short_folder, standing
from .lab import wait_until
from .needs import needs
from .pinging import Pinging, wait_more
from .switch import Controller

pytestmark = needs("ping")

MIB = 1 << 20
LIMIT = 128  # MiB, the least that the schema takes
PEERS = 300  # each lets the component remember answers of 1 MiB
PATH = "/" + "x" * (MIB // 4)  # it is part of the answer, as there is no such state
CAUSE = re.compile(r"(ran out of memory|was killed by SIG(ABRT|SEGV)); its limit is \d+ MiB")


async def flood(site: Site, identity: str, peers: int = PEERS) -> None:
    """Ask so that the component must keep what it answered, until its process is gone."""
    pid = site.switch.pid(identity)
    context: zmq.SyncContext = zmq.Context()
    endpoint = f"ipc://{site.switch.run_dir}/{identity}.control"
    clients = []
    try:
        for _ in range(peers):
            if site.switch.pid(identity) != pid:
                break
            clients.append(ControlClient(context, endpoint))
            asked = (clients[-1].call(Get(PATH), 2) for _ in range(4))
            await asyncio.gather(*asked, return_exceptions=True)  # errors, all of them
    finally:
        for client in clients:
            client.close()
        context.destroy(linger=0)


def in_use(site: Site, identity: str) -> int:
    data = ask(site.switch.run_dir, identity, Stats(["process"])).data
    return int(data["process"]["memory"])


@pytest.fixture(scope="module")
def controlled() -> Iterator[tuple[Site, Controller]]:
    """One switch for all of these: what ends is there again afterwards."""
    with short_folder() as folder, standing(folder) as site:
        yield site, site.controlled()


@pytest.fixture
def site(controlled: tuple[Site, Controller]) -> Iterator[Site]:
    yield controlled[0]
    if "process" in controlled[0].switch.configuration():
        controlled[0].switch.commit(Delete("/raicho/process"))


@pytest.mark.parametrize("identity", ["bus", "datastore", "openflow", "routing", "statesync"])
@pytest.mark.parametrize("way", ["configured", "from outside"])
def test_what_exhausts_its_memory_ends_and_no_other_does(
    site: Site, controlled: tuple[Site, Controller], identity: str, way: str
) -> None:
    """C14, G7: the limit is that of the configuration, or one set from outside with prlimit(2)."""
    switch, controller = site.switch, controlled[1]
    if way == "configured":
        switch.commit(Set(f"/raicho/process[name='{identity}']/memory-limit", LIMIT))
    before = switch.pids()
    pid = before.pop(identity)
    assert pid is not None
    if way == "from outside":
        low = in_use(site, identity) + 16 * MIB
        resource.prlimit(pid, resource.RLIMIT_DATA, (low, resource.RLIM_INFINITY))
    connected = len(controller.events("switch"))
    with Pinging(site.hosts[0], ADDRESSES[1]) as pings:
        wait_more(pings)
        asyncio.run(flood(site, identity))
        wait_until(lambda: switch.pid(identity) not in (None, pid), f"a new {identity}")
        switch.wait_ready(identity)
        if identity == "openflow":
            controller.wait_for_switch(connected + 1)
        wait_more(pings)
    component, cause, ended = ask(switch.run_dir, "supervisor", Get("/alerts")).data[-1]
    assert (component, ended) == (identity, pid)
    assert CAUSE.fullmatch(cause), cause
    assert {name: switch.pid(name) for name in before} == before
    assert pings.counted.lost == 0
    if way == "configured":  # and the next one has it too
        wait_until(lambda: limit(site, identity) == LIMIT, "the limit to be set again")


def limit(site: Site, identity: str) -> int | None:
    found = ask(site.switch.run_dir, identity, Get("/process")).data["memory-limit"]
    return found if found is None else int(found)


def test_a_limit_is_taken_and_lifted_at_run_time(site: Site) -> None:
    """C14: by everyone, the datastore and the supervisor included, which hands it to no child."""
    switch = site.switch
    before = switch.pids()
    for identity in before:
        switch.commit(Set(f"/raicho/process[name='{identity}']/memory-limit", 4096))
    assert {identity: limit(site, identity) for identity in before} == dict.fromkeys(before, 4096)
    switch.commit(
        *(Delete(f"/raicho/process[name='{name}']") for name in before if name != "supervisor")
    )
    assert {identity: limit(site, identity) for identity in before} == {
        **dict.fromkeys(before, None),
        "supervisor": 4096,
    }
    assert switch.pids() == before
    killed = switch.kill("bus")
    wait_until(lambda: switch.pid("bus") not in (None, killed), "a new bus")
    switch.wait_ready("bus")
    assert limit(site, "bus") is None


@pytest.mark.parametrize("identity", ["openflow", "datastore"])
def test_a_limit_that_is_passed_hinders_no_other_change_and_stays(
    site: Site, identity: str
) -> None:
    """C14, G7: a commit that is about something else neither judges the limit nor lifts it."""
    switch = site.switch
    path = f"/raicho/process[name='{identity}']/memory-limit"
    switch.commit(Set(path, LIMIT))
    pid = switch.pid(identity)
    assert pid is not None
    outside = 2048  # MiB, so that it can have more than its limit
    resource.prlimit(pid, resource.RLIMIT_DATA, (outside * MIB, resource.RLIM_INFINITY))
    asyncio.run(flood(site, identity, LIMIT))
    assert in_use(site, identity) > LIMIT * MIB
    switch.commit(Set(f"/raicho/log/component[name='{identity}']/level", "warning"))
    assert limit(site, identity) == outside
    switch.commit(Delete("/raicho/log"))
    assert limit(site, identity) == outside
    switch.commit(Set(path, outside - 1))
    assert limit(site, identity) == outside - 1
    assert switch.pid(identity) == pid


def test_a_limit_below_what_is_in_use_is_refused(site: Site) -> None:
    """C14, F15: who would end at once says how much it has."""
    asyncio.run(flood(site, "openflow", LIMIT))
    with pytest.raises(CallError, match="128 MiB is less than it has in use") as caught:
        site.switch.commit(Set("/raicho/process[name='openflow']/memory-limit", LIMIT))
    assert caught.value.failure.participant == "openflow"
    assert limit(site, "openflow") is None
