"""What the agent keeps of a bridge, against a dataplane that really holds it."""

import asyncio
import inspect
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from raicho.control.openflow import framing
from raicho.control.openflow.answers import AWAY, Answer, Ask
from raicho.control.openflow.giving import copy, give_back
from raicho.control.openflow.replica import MAX_JOURNAL, PERIOD, QUESTIONS, Replica
from raicho.control.openflow.spec import pack, pack_part, templates
from raicho.control.openflow.spec.actions import Group, Output
from raicho.control.openflow.spec.flows import FlowStats
from raicho.control.openflow.spec.groups import Bucket
from raicho.control.openflow.spec.instructions import ApplyActions, Meter
from raicho.control.openflow.spec.match import match
from raicho.control.openflow.spec.messages import FlowMod, GroupMod, MeterMod, PacketOut
from raicho.control.openflow.spec.meters import DropBand
from raicho.dataplane.config import read
from raicho.dataplane.openflow import Operations
from raicho.dataplane.switch import Switch

NOW = 1_000
CHECK_OVERLAP, SEND_FLOW_REM = 2, 1
PORTS = {
    "raicho": {
        "port": [{"name": "p1", "kind": "null"}],
        "bridge": [{"name": "br0", "port": [{"name": "p1", "number": 1}]}],
    }
}


class Dataplane:
    """The bulk operations of a switch without threads, as the agent asks for them."""

    def __init__(self) -> None:
        self.switch = Switch(NOW, threads=False)
        self.switch.commit(self.switch.prepare(read(PORTS)), NOW)
        self._operations = Operations(self.switch)

    async def ask(self, ask: Ask) -> Answer:
        answer = self._operations.run(ask.op, "br0", ask.payload)
        code, _, frames = await answer if inspect.isawaitable(answer) else answer
        return Answer(code, tuple(frames))

    async def apply(self, *messages: Any) -> None:
        answer = await self.ask(Ask("apply", b"".join(map(pack, messages))))
        assert set(memoryview(answer.frames[0]).cast("I")) == {framing.DONE}


@pytest.fixture
def pair() -> Iterator[tuple[Dataplane, Dataplane]]:
    """Give a dataplane, and the one that takes its place."""
    both = Dataplane(), Dataplane()
    yield both
    for each in both:
        each.switch.close()


async def mods(dataplane: Dataplane) -> list[list[bytes]]:
    """Return the messages that would set all that a dataplane holds, in a settled order."""
    replica = Replica()
    assert await copy(replica, dataplane.ask)
    assert replica.copy
    return [in_order(b"".join(step)) for step in replica.steps(replica.copy.time)]


def in_order(messages: bytes) -> list[bytes]:
    found, rest = framing.scan(messages, 4, bytes(256))
    assert rest == len(messages)
    return sorted(messages[start:end] for _, start, end, _ in found)


def flow(number: int, *instructions: Any, **settings: Any) -> FlowMod:
    fields = match(eth_type=0x0800, ipv4_dst=number)
    return FlowMod(match=fields, instructions=instructions, cookie=number, **settings)


async def test_all_that_was_set_is_set_again(pair: tuple[Dataplane, Dataplane]) -> None:
    """C13: meters, groups that need one another in any order, flows of several tables."""
    old, new = pair
    output = ApplyActions((Output(1),))
    await old.apply(
        MeterMod(0, meter_id=7, flags=1, bands=(DropBand(1000),)),
        GroupMod(0, 0, group_id=9, buckets=(Bucket(actions=(Output(1),)),)),
        GroupMod(0, 0, group_id=3, buckets=(Bucket(actions=(Group(9),)),)),
        flow(1, output, priority=5, idle_timeout=30, flags=SEND_FLOW_REM),
        flow(2, Meter(7), ApplyActions((Group(3),)), table_id=4),
        *(flow(number, output) for number in range(10, 3_000)),
    )
    replica = Replica()
    assert await copy(replica, old.ask)
    assert await give_back(replica, new.ask)
    assert await mods(new) == await mods(old)
    assert new.switch.bridges["br0"].n_flows == 2_992


async def test_what_was_asked_since_the_copy_is_asked_again_in_order(
    pair: tuple[Dataplane, Dataplane],
) -> None:
    old, new = pair
    replica = Replica()
    assert await copy(replica, old.ask)
    for message in (flow(1), flow(2), FlowMod(command=3, cookie=1, cookie_mask=~0 & (1 << 64) - 1)):
        ask = Ask("apply", pack(message) + pack(PacketOut()))
        replica.note(ask)
        await old.ask(ask)
    bundle = Ask("bundle", bytes(4) + pack(flow(5)))
    replica.note(bundle)
    await old.ask(bundle)
    assert await give_back(replica, new.ask)
    assert await mods(new) == await mods(old)
    assert new.switch.bridges["br0"].n_flows == 2


async def test_entries_of_templates_do_what_they_did_and_are_not_all_there_was(
    pair: tuple[Dataplane, Dataplane],
) -> None:
    old, new = pair
    define = templates.TemplateMod(0, 1, 1, "t", (ApplyActions((Output(1),)),))
    await old.apply(templates.message(define), flow(1, templates.use(1, Output(1))))
    replica = Replica()
    assert await copy(replica, old.ask)
    assert not await give_back(replica, new.ask)
    assert new.switch.bridges["br0"].n_flows == 1


async def test_without_a_copy_nothing_is_given_back(pair: tuple[Dataplane, Dataplane]) -> None:
    assert not await give_back(Replica(), pair[1].ask)

    async def away(ask: Ask) -> Answer:
        return Answer(AWAY)

    assert not await copy(Replica(), away)


def done(*frames: bytes) -> list[Answer]:
    return [Answer(framing.DONE, frames) for _ in QUESTIONS]


def noted(replica: Replica) -> list[bytes]:
    return [ask.payload for ask in replica.journal()]


def apply(cookie: int) -> Ask:
    return Ask("apply", pack(FlowMod(cookie=cookie)))


def test_a_copy_takes_the_place_of_what_was_asked_before_it() -> None:
    replica = Replica()
    first, second = apply(1), apply(2)
    replica.note(first)
    mark = replica.mark()
    replica.note(second)
    assert replica.take(mark, done(), 0.0, 0.1)
    assert noted(replica) == [second.payload]
    assert replica.sizes()["journal"] == len(second.payload)


def test_what_was_not_carried_out_is_forgotten() -> None:
    replica = Replica()
    number = replica.note(apply(1))
    kept = apply(2)
    replica.note(kept)
    replica.note(Ask("multipart", b"reads only"))
    replica.forget(number)
    assert noted(replica) == [kept.payload]


def test_copies_are_worth_it_while_there_are_changes() -> None:
    replica = Replica()
    assert replica.is_worn(0.0)
    assert replica.take(replica.mark(), done(), 0.0, 0.0)
    assert not replica.is_worn(PERIOD)
    replica.note(apply(1))
    assert not replica.is_worn(PERIOD - 0.1)
    assert replica.is_worn(PERIOD)


def test_a_slow_copy_is_made_less_often() -> None:
    replica = Replica()
    assert replica.take(replica.mark(), done(), 0.0, 1.0)
    replica.note(apply(1))
    assert not replica.is_worn(1.0 + 2 * PERIOD)


def test_a_journal_that_is_too_long_is_given_up_and_so_is_a_copy_under_way() -> None:
    """Bounded: the next copy makes it good again."""
    replica = Replica()
    assert replica.take(replica.mark(), done(), 0.0, 0.0)
    mark = replica.mark()
    many = Ask("apply", pack(FlowMod()) * (MAX_JOURNAL // 4 // len(pack(FlowMod()))))
    for _ in range(5):
        replica.note(many)
    assert replica.copy is None
    assert not replica.take(mark, done(), 0.0, 0.0)
    assert replica.take(replica.mark(), done(), 0.0, 0.0)
    assert noted(replica) == []


@pytest.mark.parametrize(
    ("hard", "age", "left"), [(0, 50, 0), (60, 50, 7), (60, 57, None), (60, 90, None)]
)
def test_hard_timeouts_go_on(hard: int, age: int, left: int | None) -> None:
    """Those three seconds after the copy; what has timed out is left out."""
    stats = FlowStats(duration_sec=age, hard_timeout=hard, flags=CHECK_OVERLAP | SEND_FLOW_REM)
    made = framing.flow_mods(pack_part(stats), 3)
    if left is None:
        assert made == b""
    else:
        assert made == pack(FlowMod(hard_timeout=left, flags=SEND_FLOW_REM))


@pytest.mark.parametrize("size", [0, 40, 200])
def test_statistics_of_nonsense_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="flow statistics of"):
        framing.flow_mods(struct.pack("!H", size) + bytes(60), 0)


def test_packet_outs_are_not_kept() -> None:
    one, two = pack(FlowMod(cookie=1)), pack(FlowMod(cookie=2))
    assert framing.lasting(one + pack(PacketOut()) + two) == one + two
    assert framing.lasting(one + two) == one + two
    assert framing.lasting(pack(PacketOut())) == b""


async def test_the_questions_of_a_copy_are_asked_without_anything_between() -> None:
    """Else a copy would not be of one moment."""
    asked: list[str] = []

    async def ask(ask: Ask) -> Answer:
        asked.append(ask.op)
        await asyncio.sleep(0)
        return Answer(framing.DONE)

    async def other() -> None:
        await asyncio.sleep(0)
        asked.append("other")

    disturbing = [asyncio.create_task(other()) for _ in range(3)]
    assert await copy(Replica(), ask)
    await asyncio.gather(*disturbing)
    at = asked.index("multipart")
    assert asked[at : at + len(QUESTIONS)] == [question.op for question in QUESTIONS]
