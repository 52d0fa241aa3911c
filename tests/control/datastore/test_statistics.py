"""Samples in the datastore: whole ones, with their age."""

import msgspec
import pytest

from raicho.control.datastore.statistics import MAX_SOURCES, Statistics
from raicho.control.message import CallError, Code, PutSample

ROW = msgspec.Raw(msgspec.msgpack.encode({"rx_packets": 3}))


def put(statistics: Statistics, now: float, source: str = "dataplane", **sets: object) -> None:
    statistics.put(PutSample(source, "one", 0.5, sets or {"port": {"p1": ROW}}), now)  # type: ignore[arg-type]  # any rows


def test_a_sample_is_as_old_as_its_counters() -> None:
    """Q22."""
    statistics = Statistics()
    put(statistics, 10.0)
    assert statistics.get("dataplane", [], 12.0).age == pytest.approx(2.5)


def test_a_sample_takes_the_place_of_the_whole_last_one() -> None:
    """Q25, Q26: nothing of the old one is left."""
    statistics = Statistics()
    put(statistics, 1.0, port={"p1": ROW, "p2": ROW}, table={})
    put(statistics, 2.0, port={"p1": ROW})
    sampled = statistics.get("dataplane", [], 2.0)
    assert (sampled.number, sampled.sets) == (2, {"port": {"p1": ROW}})


def test_sets_that_were_not_asked_for_are_left_out() -> None:
    statistics = Statistics()
    put(statistics, 1.0, port={"p1": ROW}, table={})
    assert statistics.get("dataplane", ["port", "none"], 1.0).sets == {"port": {"p1": ROW}}


def test_a_stale_sample_is_readable_and_the_next_one_is_fresh() -> None:
    """P8."""
    statistics = Statistics()
    put(statistics, 1.0)
    statistics.mark_stale("dataplane")
    statistics.mark_stale("never heard of")
    stale = statistics.get("dataplane", [], 1.0)
    assert stale.stale and stale.sets
    put(statistics, 2.0)
    assert not statistics.get("dataplane", [], 2.0).stale


def test_without_a_sample_the_answer_is_an_error_and_names_what_there_is() -> None:
    """M21: no empty list with a good conscience."""
    statistics = Statistics()
    put(statistics, 1.0)
    with pytest.raises(CallError, match="no sample of 'x'; there are samples of dataplane") as told:
        statistics.get("x", [], 1.0)
    assert told.value.failure.code is Code.NOT_FOUND


def test_sources_are_bounded() -> None:
    statistics = Statistics()
    for i in range(MAX_SOURCES):
        put(statistics, 1.0, f"s{i}")
    put(statistics, 2.0, "s0")
    with pytest.raises(CallError, match=f"samples of {MAX_SOURCES} sources"):
        put(statistics, 2.0, "one too many")
