"""One suite for every engine, each with its real server."""

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback import HOST, free_port
from stores.servers import KINDS, PATIENCE, Server, Store

from raicho.control.datastore.engines import (
    Commit,
    Conflict,
    Engine,
    EngineError,
    Gap,
    Unreadable,
    Value,
)
from raicho.control.datastore.engines.opening import open_engine

SHARED = [kind for kind in KINDS if kind != "sqlite"]
_numbers = itertools.count()

Begin = Callable[[str], Store]


@pytest.fixture(scope="module")
def begin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Begin]:
    """Give a function that makes an empty store of a kind; each has one server for all tests."""
    servers: dict[str, Server] = {}

    def make(kind: str) -> Store:
        if kind == "sqlite":
            return Store(f"sqlite:{tmp_path_factory.mktemp('sqlite')}/config.db", None)
        if kind not in servers:
            servers[kind] = Server(kind, tmp_path_factory.mktemp(kind))
        return Store(servers[kind].address(f"test{next(_numbers)}"), servers[kind])

    yield make
    for server in servers.values():
        server.kill()


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, begin: Begin) -> Iterator[Store]:
    store = begin(request.param)
    yield store
    store.close()


@pytest.fixture(params=SHARED)
def shared(request: pytest.FixtureRequest, begin: Begin) -> Iterator[Store]:
    store = begin(request.param)
    yield store
    store.close()


def test_a_commit_is_there_for_who_opens_the_store_next(store: Store) -> None:
    engine = store.open()
    assert engine.below("/") == (0, {})
    assert engine.commit({}, {"/a": b"1", "/b": b"\x00\xff"}) == 1
    assert engine.commit({"/a": 1, "/c": 0}, {"/b": None, "/c": b""}) == 2
    assert engine.get(["/a", "/b", "/c"]) == {"/a": Value(b"1", 1), "/c": Value(b"", 2)}
    engine.close()
    assert store.open().below("/") == (2, {"/a": Value(b"1", 1), "/c": Value(b"", 2)})


def test_below_takes_what_begins_alike_in_order(store: Store) -> None:
    engine = store.open()
    engine.commit({}, {"/ab": b"", "/a/c": b"", "/a[k='ü']": b"", "/b": b"", "/a": b""})
    assert list(engine.below("/a")[1]) == ["/a", "/a/c", "/a[k='ü']", "/ab"]
    assert list(engine.below("/a/")[1]) == ["/a/c"]
    assert engine.get([]) == {}


def test_a_key_that_was_written_since_is_a_conflict_and_nothing_is_written(store: Store) -> None:
    """K4."""
    engine = store.open()
    engine.commit({}, {"/a": b"1"})
    engine.commit({"/a": 1}, {"/a": b"2"})
    assert engine.commit({"/a": 1}, {"/b": b"1"}) == Conflict("/a", 2)
    assert engine.commit({"/a": 0}, {"/b": b"1"}) == Conflict("/a", 2)
    assert engine.commit({"/x": 1}, {"/b": b"1"}) == Conflict("/x", 0)
    assert engine.below("/") == (2, {"/a": Value(b"2", 2)})


keys = st.sampled_from([f"/{letter}" for letter in "abc"])
step = st.tuples(
    st.sets(keys),
    st.dictionaries(keys, st.none() | st.binary(max_size=3)),
    st.booleans(),  # whether what it reads is what is there
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(step, max_size=8))
def test_it_does_what_a_dict_does(
    begin: Begin, kind: str, steps: list[tuple[set[str], dict[str, bytes | None], bool]]
) -> None:
    """And a watch from the beginning tells all of it."""
    store = begin(kind)
    engine, model, commits = store.open(), dict[str, Value](), list[Commit]()
    for read, writes, right in steps:
        reads = {key: model[key].revision if key in model else 0 for key in read}
        if read and not right:
            reads[min(read)] += 1
            assert isinstance(engine.commit(reads, writes), Conflict)
            continue
        commits.append(Commit(len(commits) + 1, writes))
        assert engine.commit(reads, writes) == len(commits)
        for key, data in writes.items():
            model.pop(key, None)
            if data is not None:
                model[key] = Value(data, len(commits))
    assert engine.below("/") == (len(commits), dict(sorted(model.items())))
    assert engine.watch("/", 0, 0.0) == commits
    store.close()


def test_many_keys_and_large_values_are_one_commit(store: Store) -> None:
    """More than etcd takes in a transaction, and more than ZooKeeper takes in a node."""
    engine = store.open()
    writes = {f"/k/{n:05}": b"%d" % n for n in range(10_000)} | {"/large": bytes(3_000_000)}
    assert engine.commit({}, writes) == 1
    revision, found = engine.below("/")
    assert revision == 1
    assert {key: value.data for key, value in found.items()} == writes
    assert len(engine.get(writes)) == len(writes)
    assert engine.watch("/", 0, 0.0) == [Commit(1, writes)]
    engine.close()
    assert store.open().get(["/large"])["/large"].data == bytes(3_000_000)


def test_nobody_sees_a_commit_in_part(store: Store) -> None:
    """Atomic and isolated: whoever reads meanwhile finds all keys of one commit."""
    writer = store.open()
    reader = store.open() if writer.shared else writer
    keys = [f"/k/{n}" for n in range(300)]
    writer.commit({}, dict.fromkeys(keys, b"0"))
    done = threading.Event()

    def write() -> None:
        for n in range(1, 30):
            writer.commit({}, dict.fromkeys(keys, b"%d" % n))
        done.set()

    with ThreadPoolExecutor() as pool:
        writing = pool.submit(write)
        while not writing.done():
            assert len({value.data for value in reader.below("/k/")[1].values()}) == 1
            assert len({value.data for value in reader.get(keys).values()}) == 1
        writing.result()
    assert done.is_set()


def test_of_two_that_write_what_both_have_read_one_gets_a_conflict(shared: Store) -> None:
    """Counters of four writers: what was acknowledged is all there, and nothing more."""
    COUNT = 10
    opened = [shared.open() for _ in range(4)]

    def count(engine: Engine) -> int:
        done = conflicts = 0
        while done < COUNT:
            found = engine.get(["/n"]).get("/n", Value(b"0", 0))
            data = b"%d" % (int(found.data) + 1)
            if isinstance(engine.commit({"/n": found.revision}, {"/n": data}), Conflict):
                conflicts += 1
            else:
                done += 1
        return conflicts

    with ThreadPoolExecutor() as pool:
        conflicts = sum(pool.map(count, opened))
    assert opened[0].get(["/n"])["/n"].data == b"%d" % (COUNT * len(opened))
    assert conflicts > 0


def test_a_watch_waits_for_the_first_and_tells_only_what_was_asked_for(store: Store) -> None:
    engine = store.open()
    engine.commit({}, {"/a/1": b"1"})
    assert engine.watch("/a", 1, 0.05) == []
    with ThreadPoolExecutor() as pool:
        watching = pool.submit(engine.watch, "/a", 1, 20.0)
        engine.commit({}, {"/a/2": b"2", "/b": b"3", "/a/1": None})
        while not (told := watching.result()):
            watching = pool.submit(engine.watch, "/a", 1, 20.0)
    assert told == [Commit(2, {"/a/2": b"2", "/a/1": None})]
    engine.commit({}, {"/b": b"4"})
    assert engine.watch("/a", 2, 0.0) == [Commit(3, {})]


def test_what_is_not_kept_any_more_is_a_gap_and_not_silence(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, newest = 50, 330
    for module in ("sqlite", "redis", "log"):
        monkeypatch.setattr(f"raicho.control.datastore.engines.{module}.KEPT", kept)
    engine = store.open()
    for n in range(newest):
        assert engine.commit({}, {f"/k/{n % 10}": b"%d" % n}) == n + 1
    for since in (0, 50, newest + 1):
        with pytest.raises(Gap):
            engine.watch("/", since, 0.0)
    told = [commit.revision for commit in engine.watch("/", newest - kept, 0.0)]
    assert told == list(range(newest - kept + 1, newest + 1))
    engine.close()
    revision, found = store.open().below("/")
    assert revision == newest
    assert sorted(int(value.data) for value in found.values()) == list(range(newest - 10, newest))


def test_a_server_that_is_killed_keeps_what_it_acknowledged(shared: Store) -> None:
    """K2: and a watch goes on behind what it was told last, with nothing left out."""
    engine, watcher = shared.open(), shared.open()
    told: list[Commit] = []
    acknowledged: dict[int, bytes] = {}
    for round_ in range(3):
        for n in range(round_ * 10, round_ * 10 + 10):
            done = engine.commit({}, {"/n": b"%d" % n})
            assert isinstance(done, int)
            acknowledged[done] = b"%d" % n
        if round_ == 1:
            told += watcher.watch("/", told[-1].revision if told else 0, 1.0)
        shared.crash()
        _until_it_answers(engine)
        _until_it_answers(watcher)
    told += watcher.watch("/", told[-1].revision, 1.0)
    assert {commit.revision: commit.writes["/n"] for commit in told} == acknowledged
    assert [commit.revision for commit in told] == list(range(1, len(acknowledged) + 1))
    assert engine.get(["/n"])["/n"].data == b"29"


def _until_it_answers(engine: Engine) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            engine.get(["/n"])
            return
        except EngineError:
            time.sleep(0.1)
    raise AssertionError("it does not answer again")


def test_a_server_that_is_gone_is_an_error_that_says_so(shared: Store) -> None:
    """M21: no empty answer."""
    engine = shared.open()
    engine.commit({}, {"/a": b"1"})
    assert shared.server
    shared.server.kill()
    try:
        for ask in (
            lambda: engine.get(["/a"]),
            lambda: engine.below("/"),
            lambda: engine.commit({}, {"/a": b"2"}),
            lambda: engine.watch("/", 1, 0.1),
        ):
            with pytest.raises(EngineError, match=f"the store {shared.address} does not answer"):
                ask()
    finally:
        shared.server.start()
    _until_it_answers(engine)
    assert engine.get(["/a"])["/a"].data == b"1"


def test_a_commit_that_redis_did_not_answer_in_time_is_done_once_at_the_most(begin: Begin) -> None:
    """Its client would try again, and a commit that has read nothing be done over and over."""
    store = begin("redis")
    engine = store.open()
    assert engine.commit({}, {"/n": b"1"}) == 1
    assert store.server
    store.server.pause()
    try:
        with pytest.raises(EngineError, match="does not answer"):
            engine.commit({}, {"/n": b"2"})
    finally:
        store.server.resume()
    _until_it_answers(engine)
    assert engine.below("/")[0] in (1, 2)
    store.close()


@pytest.mark.parametrize("kind", SHARED)
def test_a_store_that_is_not_there_cannot_be_opened(kind: str) -> None:
    with pytest.raises(EngineError, match="does not answer"):
        open_engine(f"{kind}://{HOST}:{free_port()}/none")


@pytest.mark.parametrize("address", ["mongo://localhost/x", "redis://localhost:port/x"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(EngineError, match="right is"):
        open_engine(address)


def test_a_file_can_only_be_opened_once(begin: Begin) -> None:
    store = begin("sqlite")
    store.open()
    with pytest.raises(Unreadable, match="used by another process"):
        store.open()
    store.close()
