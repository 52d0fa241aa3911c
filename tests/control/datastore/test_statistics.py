"""Samples in the datastore: whole ones, with their age."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from raicho.control.datastore.statistics import (
    KEPT_FOR,
    MAX_GONE,
    MAX_KEPT,
    MAX_SOURCES,
    Statistics,
)
from raicho.control.message import CallError, Code, GetSample, PutSample, Sampled

ROW = msgspec.Raw(msgspec.msgpack.encode({"rx_packets": 3}))


def put(statistics: Statistics, now: float, source: str = "dataplane", **sets: object) -> None:
    statistics.put(PutSample(source, "one", 0.5, sets or {"port": {"p1": ROW}}), now)  # type: ignore[arg-type]  # any rows


def get(statistics: Statistics, now: float, **request: object) -> Sampled:
    return statistics.get(GetSample(**request), now)  # type: ignore[arg-type]  # any fields


def row(value: int) -> msgspec.Raw:
    return msgspec.Raw(msgspec.msgpack.encode(value))


def test_a_sample_is_as_old_as_its_counters() -> None:
    """Q22."""
    statistics = Statistics()
    put(statistics, 10.0)
    assert get(statistics, 12.0).age == pytest.approx(2.5)


def test_a_sample_takes_the_place_of_the_whole_last_one() -> None:
    """Q25, Q26: nothing of the old one is left."""
    statistics = Statistics()
    put(statistics, 1.0, port={"p1": ROW, "p2": ROW}, table={})
    put(statistics, 2.0, port={"p1": ROW})
    sampled = get(statistics, 2.0)
    assert (sampled.number, sampled.sets) == (2, {"port": {"p1": ROW}})


def test_sets_that_were_not_asked_for_are_left_out() -> None:
    statistics = Statistics()
    put(statistics, 1.0, port={"p1": ROW}, table={})
    assert get(statistics, 1.0, sets=["port", "none"]).sets == {"port": {"p1": ROW}}


def test_a_stale_sample_is_readable_and_the_next_one_is_fresh() -> None:
    """P8."""
    statistics = Statistics()
    put(statistics, 1.0)
    statistics.mark_stale("dataplane")
    statistics.mark_stale("never heard of")
    stale = get(statistics, 1.0)
    assert stale.stale and stale.sets
    put(statistics, 2.0)
    assert not get(statistics, 2.0).stale


def test_without_a_sample_the_answer_is_an_error_and_names_what_there_is() -> None:
    """M21: no empty list with a good conscience."""
    statistics = Statistics()
    put(statistics, 1.0)
    with pytest.raises(CallError, match="no sample of 'x'; there are samples of dataplane") as told:
        get(statistics, 1.0, source="x")
    assert told.value.failure.code is Code.NOT_FOUND


def test_sources_are_bounded() -> None:
    statistics = Statistics()
    for i in range(MAX_SOURCES):
        put(statistics, 1.0, f"s{i}")
    put(statistics, 2.0, "s0")
    with pytest.raises(CallError, match=f"samples of {MAX_SOURCES} sources"):
        put(statistics, 2.0, "one too many")


class Reader:
    """Keeps a copy by what has changed, in pages of a few rows, as a remote reader would."""

    def __init__(self, statistics: Statistics, limit: int = 0) -> None:
        self.copy: dict[str, dict[str, msgspec.Raw]] = {}
        self.mark = ""
        self.n_rows = self.n_pages = 0
        self._statistics = statistics
        self._limit = limit

    def read(self, now: float, page: str = "") -> Sampled:
        """Take in one page; return it."""
        asked = {"since": self.mark, "limit": self._limit, "page": page}
        sampled = get(self._statistics, now, **asked)
        if sampled.whole and not page:
            self.copy = {}
        for name, keys in sampled.gone.items():
            for key in keys:
                self.copy.get(name, {}).pop(key, None)
        for name, rows in sampled.sets.items():
            self.copy.setdefault(name, {}).update(rows)
            self.n_rows += len(rows)
        self.n_pages += 1
        if not sampled.page:
            self.mark = sampled.mark
        return sampled

    def follow(self, now: float) -> None:
        """Read all pages."""
        page = self.read(now).page
        while page:
            page = self.read(now, page).page

    def holds(self, sets: dict[str, dict[str, msgspec.Raw]]) -> bool:
        return {name: rows for name, rows in self.copy.items() if rows} == {
            name: rows for name, rows in sets.items() if rows
        }


Content = dict[str, dict[str, int]]
contents = st.dictionaries(
    st.sampled_from(["port", "table", "fdb"]),
    st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 2), max_size=8),
)


@given(
    st.lists(contents, min_size=1, max_size=8),
    st.integers(0, 5),
    st.lists(st.booleans(), min_size=8, max_size=8),
)
def test_who_follows_what_changes_holds_the_whole(
    samples: list[Content], limit: int, turns: list[bool]
) -> None:
    """K21: by pages of any size, after any number of samples, whatever came, changed and went."""
    statistics = Statistics()
    reader = Reader(statistics, limit)
    for now, (content, turn) in enumerate(zip(samples, turns, strict=False), 1):
        sets = {name: {key: row(n) for key, n in rows.items()} for name, rows in content.items()}
        statistics.put(PutSample("dataplane", "one", 0.0, sets), now)
        if turn or now == len(samples):
            reader.follow(now)
            assert reader.holds(sets)


def test_rows_that_did_not_change_are_not_sent_again() -> None:
    """K21."""
    statistics = Statistics()
    reader = Reader(statistics)
    put(statistics, 1.0, port={"p1": row(1), "p2": row(1)}, table={"t": row(1)})
    reader.follow(1.0)
    put(statistics, 2.0, port={"p1": row(1), "p2": row(2)}, table={"t": row(1)})
    sampled = reader.read(2.0)
    assert not sampled.whole
    assert sampled.sets == {"port": {"p2": row(2)}, "table": {}}
    assert reader.read(3.0).sets == {"port": {}, "table": {}}


def test_pages_are_of_one_sample_although_another_has_come() -> None:
    """K21, Q26."""
    statistics = Statistics()
    reader = Reader(statistics, limit=1)
    first = {"port": {"p1": row(1), "p2": row(1)}, "table": {"t": row(1)}}
    put(statistics, 1.0, **first)
    page = reader.read(1.0)
    put(statistics, 2.0, port={"p3": row(2)})
    while page.page:
        assert sum(map(len, page.sets.values())) == 1
        page = reader.read(2.0, page.page)
        assert page.number == 1
    assert reader.holds(first)
    assert reader.n_pages == 3
    reader.follow(2.0)
    assert reader.holds({"port": {"p3": row(2)}})


def test_a_sample_is_not_kept_for_ever_for_its_readers() -> None:
    """K21: neither long nor many; the reader is told to begin anew."""
    statistics = Statistics()
    rows = {"p1": ROW, "p2": ROW}
    pages = []
    for _ in range(MAX_KEPT + 1):
        put(statistics, 1.0, port=rows)
        pages.append(get(statistics, 1.0, limit=1).page)
    put(statistics, 1.0, port=rows)
    assert get(statistics, 1.0, limit=1, page=pages[1]).sets["port"] == {"p2": ROW}
    with pytest.raises(CallError, match="sample 1 of dataplane is not kept any more") as told:
        get(statistics, 1.0, limit=1, page=pages[0])
    assert told.value.failure.code is Code.CONFLICT
    put(statistics, 1.0 + 2 * KEPT_FOR, port=rows)
    with pytest.raises(CallError, match="not kept any more"):
        get(statistics, 1.0 + 2 * KEPT_FOR, limit=1, page=pages[-1])


def test_a_mark_that_says_too_little_is_answered_with_all() -> None:
    """K21: of another life of the datastore, of nobody, or from before what was forgotten."""
    statistics, other = Statistics(), Statistics()
    for each in (statistics, other):
        put(each, 1.0)
    mark = get(statistics, 1.0).mark
    number = mark.partition(".")[2]
    for strange in (get(other, 1.0).mark, "", "x", f"{mark}9", f".{number}"):
        sampled = get(statistics, 1.0, since=strange)
        assert sampled.whole and sampled.sets == {"port": {"p1": ROW}}
    many = {f"p{n}": ROW for n in range(MAX_GONE + 1)}
    put(statistics, 2.0, port=many)
    before = get(statistics, 2.0).mark
    put(statistics, 3.0, port={})
    assert get(statistics, 3.0, since=before).whole
    assert not get(statistics, 3.0, since=get(statistics, 3.0).mark).whole


@pytest.mark.parametrize(
    "asked", [{"page": "x"}, {"page": "1.2"}, {"page": "1.-1.0"}, {"limit": -1}]
)
def test_what_is_no_page_is_refused(asked: dict[str, object]) -> None:
    """K21."""
    statistics = Statistics()
    put(statistics, 1.0)
    with pytest.raises(CallError) as told:
        get(statistics, 1.0, **asked)
    assert told.value.failure.code is Code.INVALID
