"""The judge finds a switch that errs, and shows the smallest case."""

import struct
from random import Random

import pytest

from oracle import actions as act
from oracle import generate, wire
from oracle.judge import disagreements
from oracle.match import Apply, Entry
from oracle.pipeline import PacketIn, Pipeline
from oracle.shrink import described, shrunk


def pack_packet_in(message: PacketIn) -> bytes:
    """Pack a packet-in as a switch does."""
    names = [n for n in ("in_port", "metadata", "tunnel_id") if getattr(message, n)]
    tlvs = b"".join(wire.pack_field(name, getattr(message, name)) for name in names)
    head = (wire.NO_BUFFER, len(message.data), message.reason, message.table_id, message.cookie)
    match = wire.padded(struct.pack("!HH", 1, 4 + len(tlvs)) + tlvs)
    body = struct.pack("!IHBBQ", *head) + match + b"\0\0" + message.data
    return wire.message(wire.PACKET_IN, body)


class Mirror:
    """The oracle, dressed up as a switch that may misread its entries."""

    def __init__(self, misread: type[act.Action] | None = None) -> None:
        self.misread = misread
        self.pipeline = Pipeline(())

    def judge(self, scenario: generate.Scenario) -> list[str]:
        """Return on what the mirror and the oracle differ."""
        entries = tuple(self._misread(entry) for entry in scenario.entries)
        self.pipeline = Pipeline(entries, scenario.groups, scenario.ports)
        return list(disagreements(self, scenario))

    def _misread(self, entry: Entry) -> Entry:
        instructions = []
        for each in entry.instructions:
            if isinstance(each, Apply):
                each = Apply(tuple(a for a in each.actions if type(a) is not self.misread))
            instructions.append(each)
        return Entry(entry.table_id, entry.priority, entry.match, tuple(instructions), entry.cookie)

    def apply(self, messages: bytes) -> list[int]:
        return [0xFFFFFFFF for _ in wire.split(messages)]

    def send(self, port: int, frame: bytes) -> tuple[list[tuple[int, bytes]], list[bytes]]:
        outcome = self.pipeline.outcomes(frame, port)[-1]
        packet_ins = [pack_packet_in(each) for each in outcome.packet_ins]
        return list(reversed(outcome.outputs)), [b"".join(packet_ins)]


def test_a_switch_that_does_right_is_found_right_whatever_its_groups_select() -> None:
    rng, mirror = Random(1), Mirror()
    for _ in range(60):
        assert mirror.judge(generate.scenario(rng, 40)) == []


@pytest.mark.parametrize("misread", [act.PopVlan, act.DecNwTtl, act.CopyTtlIn, act.PushPbb])
def test_a_switch_that_forgets_an_action_is_found_and_the_case_made_small(
    misread: type[act.Action],
) -> None:
    rng, mirror = Random(2), Mirror(misread)
    wrong = next(s for s in (generate.scenario(rng, 40) for _ in range(400)) if mirror.judge(s))
    smallest = shrunk(wrong, lambda each: bool(mirror.judge(each)))
    assert len(smallest.packets) == 1
    assert len(smallest.entries) <= 4
    assert misread.__name__ in described(smallest)
    assert "switch:" in mirror.judge(smallest)[0]


def test_a_refused_message_is_shown() -> None:
    class Refuses(Mirror):
        def apply(self, messages: bytes) -> list[int]:
            return [0x00050001 for _ in wire.split(messages)]

    with pytest.raises(AssertionError, match="0x00050001 for 040e"):
        Refuses().judge(generate.scenario(Random(0), 1))
