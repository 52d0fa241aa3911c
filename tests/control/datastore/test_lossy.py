"""Transactions over control channels that lose and double a fifth of all messages each."""

import asyncio
import random
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import zmq
from faults.participants import Holder, relayed
from faults.relay import Fate, Passing, Relay

from raicho.control.component import Bootstrap
from raicho.control.datastore import Datastore
from raicho.control.datastore.coordinator import Timeouts
from raicho.control.message import Change, ControlClient
from raicho.control.message.datastore import CommitSession, Edit, GetHistory, Set

TRANSACTIONS, CLIENTS = 1000, 20
SOON = 0.002  # seconds until a message is sent again
PATIENT = Timeouts(prepare=60, abort=60, commit=60, undo=60)


class Recorder(Holder):
    """Counts what it commits, and keeps each change."""

    def __init__(self, bootstrap: Bootstrap) -> None:
        super().__init__(bootstrap)
        self.subscriptions = ["/raicho/port"]
        self.prepared: Counter[str] = Counter()
        self.committed: Counter[str] = Counter()
        self.values: dict[str, list[Any]] = {}

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        self.prepared[txid] += 1
        await super().prepare(txid, changes, config)

    async def commit(self, txid: str) -> None:
        self.committed[txid] += 1
        for change in self._changes:
            self.values.setdefault(change.path, []).append(change.new)
        await super().commit(txid)


class Lossy:
    """A rule: of all messages a fifth is lost and a fifth doubled, in both directions."""

    def __init__(self, seed: int) -> None:
        self.counts: Counter[int] = Counter()
        self._rng = random.Random(seed)

    def __call__(self, passing: Passing) -> Fate:
        (copies,) = self._rng.choices((0, 1, 2), (20, 60, 20))
        self.counts[copies] += 1
        return copies


async def test_each_of_a_thousand_transactions_is_applied_exactly_once(
    tmp_path: Path, context: zmq.SyncContext
) -> None:
    """T2: from the clients to the datastore, and from there to two participants."""
    real, near = f"ipc://{tmp_path}/datastore.control", f"ipc://{tmp_path}/near"
    store = Datastore(Bootstrap(tmp_path, real, "datastore", options={"data": f"{tmp_path}/db"}))
    store.timeouts, store.retry = PATIENT, SOON
    kind = relayed(Recorder, "soft")
    recorders = [kind(Bootstrap(tmp_path, real, name)) for name in ("one", "two")]
    async with AsyncExitStack() as stack:
        relays = [Relay(context, "datastore", near, real)]
        for name in ("one", "two"):
            ends = f"ipc://{tmp_path}/{name}.relay", f"ipc://{tmp_path}/{name}.control"
            relays.append(Relay(context, name, *ends))
        for relay in relays:
            relay.rule = Lossy(1)
            stack.callback(relay.close)
        for component in (store, *recorders):
            await component.start()
            stack.push_async_callback(component.stop)
        async with asyncio.timeout(30):
            while any(recorder.state_of_health != "ready" for recorder in recorders):
                await asyncio.sleep(0.01)

        clients = [ControlClient(context, near, retry=SOON) for _ in range(CLIENTS)]
        for client in clients:
            stack.callback(client.close)
        each = TRANSACTIONS // CLIENTS
        work = (write(client, f"p{n}", each) for n, client in enumerate(clients))
        txids = [txid for some in await asyncio.gather(*work) for txid in some]

        assert len(set(txids)) == TRANSACTIONS
        for recorder in recorders:
            own = {t: n for t, n in recorder.committed.items() if not t.startswith("sync-")}
            assert own == dict.fromkeys(txids, 1)
            assert set(recorder.prepared.values()) == {1}
            for n in range(CLIENTS):
                path = f"/raicho/port[name='p{n}']/mtu"
                assert recorder.values[path] == list(range(1000, 1000 + each))
        history = (await clients[0].call(GetHistory(2 * TRANSACTIONS), 60)).revisions
        assert sorted(revision.txid for revision in history) == sorted(txids)
        for relay in relays:
            print(f"copies of each message: {dict(relay.rule.counts)}")
            assert relay.rule.counts[0] > 500 and relay.rule.counts[2] > 500


async def write(client: ControlClient, port: str, count: int) -> list[str]:
    """Set a leaf to ever new values, each in a transaction; return their names."""
    txids = []
    for number in range(count):
        value = {"kind": "null", "mtu": 1000 + number}
        session = f"{port} {number}"
        await client.call(Edit(session, [Set(f"/raicho/port[name='{port}']", value)]), 60)
        txids.append((await client.call(CommitSession(session), 120)).txid)
    return txids
