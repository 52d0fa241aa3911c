"""What `raicho top` and `show workers` make of the counters of the dataplane."""

from typing import Any

from raicho.control.cli.workers import Reading, difference, page, rates, summary


def worker(packets: int, **profile: Any) -> dict[str, Any]:
    totals = {"received": packets, "sent": packets - 2, "drops": {"meter": 2, "ttl": 0}}
    told = {
        "packets": packets // 2,
        "cycles": {"receive": 10 * packets, "lookup": 40 * packets},
        "batches": {"1": 0, "2": packets // 4},
        "cache": {"hits": packets // 4, "misses": 3 * packets // 4, "inserts": 1},
        "handovers": 0,
        "sleeps": packets // 10,
        "asleep_ns": packets * 1_000_000,
    }
    return {"id": 0, "mode": "poll", "totals": totals, "profile": told | profile}


def reading(time: int, packets: int) -> Reading:
    ports = {"p1": {"rx_packets": packets, "tx_packets": 0, "rx_dropped": 0, "tx_dropped": 0}}
    return Reading(time, [worker(packets)], ports, {"meter": packets // 100, "ttl": 0})


def test_a_worker_is_summed_up_since_it_began() -> None:
    row = summary(worker(400))
    assert (row["received"], row["sent"], row["dropped"]) == (400, 398, 2)
    assert (row["cycles"], row["batch"], row["cache"]) == (100, 4, 25)


def test_what_has_done_nothing_has_no_cost() -> None:
    row = summary(worker(0))
    assert (row["cycles"], row["batch"], row["cache"]) == (None, None, None)


def test_rates_are_of_the_time_between_two_readings() -> None:
    told = rates(reading(3_000_000_000, 600), reading(1_000_000_000, 200))
    (row,) = told["workers"]
    assert told["seconds"] == 2
    assert (row["received"], row["sent"], row["dropped"]) == (200, 200, 0)
    assert row["cycles"] == {"receive": 20, "lookup": 80}
    assert (row["cycles_sum"], row["batch"], row["cache"]) == (100, 4, 25)
    assert (row["sleeps"], row["asleep"]) == (20, 20)
    assert told["ports"] == [
        {"name": "p1", "rx_packets": 200, "tx_packets": 0, "rx_dropped": 0, "tx_dropped": 0}
    ]
    assert told["drops"] == {"meter": 2}


def test_what_came_meanwhile_counts_from_its_beginning() -> None:
    old = Reading(0, [], {}, {})
    assert rates(reading(1_000_000_000, 200), old)["workers"][0]["received"] == 200
    assert difference({"a": 1, "b": "x"}, None) == {"a": 1, "b": "x"}


def test_a_page_has_a_row_for_each_worker_and_port() -> None:
    text = page(rates(reading(2_000_000_000, 4000), reading(1_000_000_000, 0)))
    assert [line.split() for line in text.splitlines() if "poll" in line] == [
        ["0", "poll", "4,000", "4,000", "0", "4.0", "25.0", "400.0"]
    ]
    assert "p1" in text
    assert "meter" in text


def test_a_page_of_nothing_is_empty() -> None:
    assert page(rates(Reading(1_000_000_000, [], {}, {}), Reading(0, [], {}, {}))) == ""
