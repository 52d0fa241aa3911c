"""Who reads much is in nobody's way, and reads one revision: against a datastore that runs."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import zmq

from raicho.control.datastore.snapshots import KEPT_FOR, MAX_KEPT, Snapshots
from raicho.control.message import (
    CallError,
    Change,
    Code,
    CommitSession,
    ControlClient,
    Edit,
    GetConfig,
    GetSnapshot,
    Op,
    Ping,
    Register,
    Set,
    Snapshot,
    read_snapshot,
)

MODULE = """module field { yang-version 1.1; namespace "urn:field"; prefix f; revision 2026-01-01;
  list row { key n; leaf n { type uint32; } leaf seen { type uint32; } } }"""
SEEN = "/row[n='{}']/seen"
PATIENCE = 300.0

Dial = Callable[[], ControlClient]


@asynccontextmanager
async def dialled(run_dir: Path) -> AsyncIterator[Dial]:
    """Give a way to make clients, which are closed at the end."""
    context = zmq.Context()
    clients: list[ControlClient] = []

    def dial() -> ControlClient:
        clients.append(ControlClient(context, f"ipc://{run_dir}/datastore.control"))
        return clients[-1]

    try:
        yield dial
    finally:
        for client in clients:
            client.close()
        context.term()


async def commit(client: ControlClient, rows: int, n: int) -> int:
    """Write to the first row and to the last; return the revision once it is acknowledged."""
    ops: list[Op] = [Set(SEEN.format(row), n) for row in (0, rows - 1)]
    await client.call(Edit("w", ops), PATIENCE)
    return (await client.call(CommitSession("w"), PATIENCE)).revision


class Field(NamedTuple):
    """Where the datastore runs, and how many rows it holds."""

    run_dir: Path
    rows: int

    def check(self, found: Snapshot) -> int:
        """Check that a snapshot is of one revision; return what was written by that."""
        cells = {change.path: change.new for change in found.changes or ()}
        assert len(cells) == self.rows + 2
        first, last = cells[SEEN.format(0)], cells[SEEN.format(self.rows - 1)]
        assert first == last
        return int(first)


@pytest.fixture(
    scope="module", params=[10_000, pytest.param(100_000, marks=pytest.mark.soak)], ids=str
)
def field(request: pytest.FixtureRequest, lasting_processes: Any) -> Iterator[Field]:
    """Run a datastore, as a process, that holds many rows."""
    run_dir, n_rows = lasting_processes.run_dir, request.param
    data = run_dir.parent / f"{n_rows}.db"

    async def fill() -> None:
        async with dialled(run_dir) as dial:
            client = dial()
            await client.call(Ping(), PATIENCE)
            await client.call(Register("field", "1", modules=[MODULE]), PATIENCE)
            rows = [{"n": n} for n in range(n_rows)]
            await client.call(Edit("w", [Set("/row", rows)]), PATIENCE)
            await commit(client, n_rows, 0)

    pid = lasting_processes.start("raicho.control.datastore", "--data", data)
    asyncio.run(fill())
    yield Field(run_dir, n_rows)
    lasting_processes.kill(pid)


async def test_commits_are_acknowledged_while_a_snapshot_is_half_delivered(field: Field) -> None:
    """K1: what is delivered after them is of the revision that it was begun at."""
    async with dialled(field.run_dir) as dial:
        reader, writer = dial(), dial()
        page = begun = await reader.call(GetSnapshot("/row"), PATIENCE)
        changes, pages = [*(begun.changes or ())], 1
        assert begun.page
        for n in (1, 2, 3):
            assert await commit(writer, field.rows, n) == begun.revision + n
        while page.page:
            page = await reader.call(GetSnapshot(page=page.page), PATIENCE)
            assert (page.revision, page.txid) == (begun.revision, begun.txid)
            changes, pages = changes + (page.changes or []), pages + 1
        assert pages > field.rows / 1000
        assert field.check(Snapshot(begun.revision, "", changes)) == 0
        assert field.check(await read_snapshot(reader, timeout=PATIENCE)) == 3
        known = await reader.call(GetSnapshot(known=begun.txid), PATIENCE)
        assert known.changes is not None
        assert (await reader.call(GetSnapshot(known=known.txid), PATIENCE)).changes is None


async def test_a_snapshot_of_little_has_one_page_beside_much(field: Field) -> None:
    async with dialled(field.run_dir) as dial:
        client = dial()
        for row, changes in ((field.rows - 2, 1), (field.rows - 1, 2), (field.rows, 0)):
            page = await client.call(GetSnapshot(f"/row[n='{row}']"), PATIENCE)
            assert (len(page.changes or ()), page.page) == (changes, "")


async def test_commits_go_on_while_many_read_all_the_time(field: Field) -> None:
    """K1: snapshots and configurations as a whole, each as it was after some commit."""
    async with dialled(field.run_dir) as dial:
        acknowledged, is_over, spanned = 0, False, 0
        base = field.check(await read_snapshot(dial(), timeout=PATIENCE))

        async def read(whole: Callable[[ControlClient], Any]) -> None:
            nonlocal spanned
            client, reads = dial(), 0
            while not is_over or not reads:
                before = acknowledged
                value = await whole(client)
                assert base + before <= value <= base + acknowledged + 1
                spanned += acknowledged > before
                reads += 1

        async def snapshot(client: ControlClient) -> int:
            return field.check(await read_snapshot(client, "/row", timeout=PATIENCE))

        async def config(client: ControlClient) -> int:
            rows = (await client.call(GetConfig("/row"), PATIENCE)).data
            assert len(rows) == field.rows
            assert rows[0]["seen"] == rows[-1]["seen"]
            value: int = rows[0]["seen"]
            return value

        async def write() -> None:
            nonlocal acknowledged, is_over
            client = dial()
            for n in range(1, 5):
                await commit(client, field.rows, base + n)
                acknowledged = n
            is_over = True

        await asyncio.gather(write(), *map(read, (snapshot, snapshot, config)))
        assert spanned, "commits were acknowledged between the beginning and the end of reads"


def pages(n: int) -> Iterator[tuple[list[Change], bool]]:
    for number in range(n):
        yield [Change(f"/l[k='{number}']", None, {"k": number})], number + 1 < n


def refused(snapshots: Snapshots, page: str, now: float = 0.0) -> Code:
    with pytest.raises(CallError, match="begin anew") as error:
        snapshots.follow(page, now)
    return error.value.failure.code


def test_a_page_is_there_once_in_order_and_for_a_while() -> None:
    """A reader that was too slow, or asks another life of the datastore, hears of it."""
    snapshots = Snapshots()
    first = snapshots.begin(7, "x", pages(3), 0.0)
    second = snapshots.follow(first.page, 1.0)
    assert refused(snapshots, first.page) is Code.CONFLICT
    assert refused(Snapshots(), second.page) is Code.CONFLICT
    assert refused(snapshots, "nonsense") is Code.CONFLICT
    third = snapshots.follow(second.page, 1.0 + KEPT_FOR)
    assert [each.changes for each in (first, second, third)] == [page for page, _ in pages(3)]
    assert {(each.revision, each.txid) for each in (first, second, third)} == {(7, "x")}
    assert third.page == ""
    late = snapshots.begin(7, "x", pages(2), 100.0)
    snapshots.begin(7, "x", pages(1), 101.0 + KEPT_FOR)
    assert refused(snapshots, late.page) is Code.CONFLICT


def test_so_many_readers_are_kept_and_the_one_that_waited_longest_goes() -> None:
    snapshots = Snapshots()
    begun = [snapshots.begin(1, "x", pages(3), 0.0) for _ in range(MAX_KEPT)]
    second = snapshots.follow(begun[0].page, 0.0)
    snapshots.begin(1, "x", pages(3), 0.0)
    assert refused(snapshots, begun[1].page) is Code.CONFLICT
    for page in (second.page, begun[2].page):
        snapshots.follow(page, 0.0)
