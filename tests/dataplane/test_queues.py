"""Queues of ports: configured while packets wait, told and counted in OpenFlow (F6, M14)."""

from typing import Any

import pytest

from raicho.control.openflow.spec.actions import Output, SetQueue
from raicho.control.openflow.spec.multipart import QueueStatsRequest
from raicho.dataplane.bridge import OpenFlowError
from raicho.dataplane.config import BadConfig, read
from raicho.dataplane.datapath import DONE
from raicho.dataplane.openflow import CAPABILITIES, Operations
from raicho.dataplane.operation import BAD_LEN

from .conftest import FRAME, Rig, answer_of

QUEUE = 5  # of multipart types
ANY = 0xFFFFFFFF
BAD_PORT, BAD_QUEUE = 9 << 16, 9 << 16 | 1
SLOW = {"max-rate": 1}  # nothing leaves while a test lasts, or a single packet
QUEUE_STATS = 64  # of capabilities


def _queues(*queues: dict[str, Any], **leaves: Any) -> dict[str, Any]:
    """Write the ports a and b down; b has the queues."""
    return {"a": "memory", "b": {"kind": "memory", "queue": list(queues), **leaves}}


def _configure(rig: Rig, *queues: dict[str, Any], **leaves: Any) -> None:
    rig.configure(_queues(*queues, **leaves), br0={"a": 1, "b": 2})


def _stats(rig: Rig, port: int = 2) -> dict[int, Any]:
    return {q.queue_id: q for q in rig.ask(QUEUE, QueueStatsRequest(port, ANY)).queues}


def _refusal(tree: Any, *queues: dict[str, Any], **leaves: Any) -> BadConfig:
    with pytest.raises(BadConfig) as refused:
        read(tree(_queues(*queues, **leaves)))
    return refused.value


def test_a_packet_leaves_by_the_queue_that_its_flow_sets(rig: Rig) -> None:
    _configure(rig, {"id": 1}, {"id": 2, "max-rate": 10**9})
    rig.act(SetQueue(2), Output(2))
    rig.put("a")
    rig.turn()
    assert rig.take("b") == [FRAME]
    counted = {number: (q.tx_packets, q.tx_bytes) for number, q in _stats(rig).items()}
    assert counted == {1: (0, 0), 2: (1, len(FRAME))}


def test_a_queue_that_is_not_there_is_no_error_and_means_queue_0(rig: Rig) -> None:
    _configure(rig, {"id": 0, "priority": 3}, {"id": 1})
    rig.act(SetQueue(77), Output(2))
    rig.put("a")
    rig.turn()
    assert rig.take("b") == [FRAME]
    assert _stats(rig)[0].tx_packets == 1


def test_a_change_leaves_what_waits_in_other_queues_alone(rig: Rig) -> None:
    """F6: nothing is lost but what waits in a queue that goes."""
    _configure(rig, {"id": 1, **SLOW}, {"id": 2, **SLOW})
    for queue in (1, 2):
        rig.act(SetQueue(queue), Output(2))
        for _ in range(20):
            rig.put("a")
        rig.turn()
    left = len(rig.take("b"))
    assert left <= 2
    _configure(rig, {"id": 1, "priority": 9}, {"id": 3})
    rig.turn()
    stats = _stats(rig)
    assert set(stats) == {1, 3}
    assert (stats[1].tx_packets, stats[1].tx_errors) == (20, 0)
    totals = rig.totals()
    assert 19 <= totals["dropped"] <= 20
    assert totals["received"] == 40 == totals["sent"] + totals["dropped"]


def test_packets_that_find_no_room_are_counted(rig: Rig) -> None:
    _configure(rig, {"id": 1, "limit": 5 * len(FRAME), **SLOW})
    rig.act(SetQueue(1), Output(2))
    for _ in range(20):
        rig.put("a")
    rig.turn()
    stats = _stats(rig)[1]
    assert 14 <= stats.tx_errors <= 15
    drops = rig.switch.stats()["workers"]["0"]["drops"]
    assert drops["queue"] == stats.tx_errors
    _configure(rig)
    rig.turn()
    totals = rig.totals()
    assert totals["received"] == 20 == totals["sent"] + totals["dropped"]


def test_the_same_configuration_again_changes_nothing(rig: Rig) -> None:
    _configure(rig, {"id": 1})
    rig.now += 5000
    _configure(rig, {"id": 1})
    assert _stats(rig)[1].duration_sec == 5


def test_a_port_can_have_a_rate_without_queues(rig: Rig) -> None:
    _configure(rig, **SLOW)
    rig.flow(2)
    for _ in range(20):
        rig.put("a")
    rig.turn()
    assert len(rig.take("b")) <= 1
    assert _stats(rig) == {}
    _configure(rig)
    rig.flow(2)
    rig.put("a")
    rig.turn()
    assert len(rig.take("b")) == 1


def test_the_agent_is_told_the_queues_of_a_port(rig: Rig) -> None:
    """M14: in tenths of a percent of the link, which is 10 Gbit/s here."""
    _configure(rig, {"id": 7, "min-rate": 10**9, "max-rate": 5 * 10**9}, {"id": 8})
    operations = Operations(rig.switch)

    def told(payload: bytes) -> Any:
        return answer_of(operations, "queue_config", payload)

    code, frames = told(bytes([0, 0, 0, 2, 0, 0, 0, 0]))
    assert code == DONE
    [body] = frames
    assert len(body) == 2 * 48
    assert [body[i : i + 4].hex() for i in (0, 4, 48)] == ["00000007", "00000002", "00000008"]
    rates = [int.from_bytes(body[i : i + 2], "big") for i in (24, 40, 72, 88)]
    assert rates == [100, 500, 0xFFFF, 0xFFFF]
    assert told(b"\xff\xff\xff\xff\0\0\0\0") == (code, frames)
    assert told(bytes([0, 0, 0, 1, 0, 0, 0, 0])) == (DONE, [b""])
    assert told(bytes([0, 0, 0, 9, 0, 0, 0, 0]))[0] == BAD_PORT
    assert told(b"")[0] == BAD_LEN
    assert CAPABILITIES & QUEUE_STATS


@pytest.mark.parametrize(
    ("port", "queue", "code"), [(9, ANY, BAD_PORT), (2, 9, BAD_QUEUE), (ANY, 9, BAD_QUEUE)]
)
def test_statistics_of_what_is_not_there_are_refused(
    rig: Rig, port: int, queue: int, code: int
) -> None:
    _configure(rig, {"id": 1})
    with pytest.raises(OpenFlowError) as refused:
        rig.ask(QUEUE, QueueStatsRequest(port, queue))
    assert refused.value.code == code


def test_more_than_a_port_has_cannot_be_promised(make_tree: Any) -> None:
    """F6: the sum of the guarantees is within the rate of the port, if that is configured."""
    half = 500_000
    queues: list[dict[str, Any]] = [{"id": i, "min-rate": half} for i in (1, 2, 3)]
    refused = _refusal(make_tree, *queues, **{"max-rate": 2 * half})
    assert refused.path == "/raicho/port[name='b']/queue[id='3']/min-rate"
    assert "1500000" in refused.reason
    read(make_tree(_queues(*queues)))
