"""Put a scenario to a switch and to the oracle, and compare what they say."""

from collections.abc import Iterator
from typing import Protocol

from . import wire
from .generate import Scenario
from .pipeline import Outcome
from .templates import Templated

DONE = 0xFFFFFFFF


class Switch(Protocol):
    """What subject.Subject is."""

    def apply(self, messages: bytes) -> list[int]: ...
    def send(self, port: int, frame: bytes) -> tuple[list[tuple[int, bytes]], list[bytes]]: ...


def load(switch: Switch, scenario: Scenario) -> None:
    """Empty the tables of the switch and fill them from the scenario."""
    messages = wire.delete_all()
    messages += [wire.group_mod(group) for group in scenario.groups]
    messages += [wire.flow_mod(entry) for entry in scenario.entries]
    do(switch, messages)


def load_templated(switch: Switch, each: Templated) -> None:
    """Do the same where entries refer to templates."""
    load(switch, each.scenario)
    templates = [wire.delete_templates()]
    templates += [wire.template_mod(template) for template in each.templates.values()]
    do(switch, templates + [wire.use_mod(use) for use in each.uses])


def change(switch: Switch, before: Templated, after: Templated) -> None:
    """Change the templates of a switch that are others afterwards."""
    others = [new for n, new in after.templates.items() if new != before.templates[n]]
    do(switch, [wire.template_mod(new, wire.MODIFY) for new in others])


def change_entries(switch: Switch, after: Templated) -> None:
    """Do the same to a switch that knows of no templates."""
    entries = after.expanded().entries
    do(switch, [wire.flow_mod(entry, wire.MODIFY_STRICT) for entry in entries])


def do(switch: Switch, messages: list[bytes]) -> None:
    """Apply messages, none of which may be refused."""
    codes = switch.apply(b"".join(messages))
    refused = [
        f"{code:#010x} for {message.hex()}"
        for message, code in zip(messages, codes, strict=True)
        if code != DONE
    ]
    assert not refused, "\n".join(refused)


def sent(switch: Switch, port: int, frame: bytes) -> Outcome:
    """Send a packet through the switch; return what came out."""
    outputs, messages = switch.send(port, frame)
    packet_ins = [wire.unpack_packet_in(each) for data in messages for each in wire.split(data)]
    return Outcome(outputs, packet_ins)


def disagreements(switch: Switch, scenario: Scenario) -> Iterator[str]:
    """Yield a text for every packet on which the switch and the oracle differ."""
    load(switch, scenario)
    pipeline = scenario.pipeline()
    for port, frame in scenario.packets:
        allowed = pipeline.outcomes(frame, port)
        outcome = sent(switch, port, frame)
        if not any(outcome.same(each) for each in allowed):
            yield explained(port, frame, allowed, outcome)


def explained(port: int, frame: bytes, allowed: list[Outcome], outcome: Outcome) -> str:
    """Write what was sent, what had to come and what came."""
    lines = [f"port {port} received {frame.hex()}"]
    for each in allowed:
        way = ", ".join(f"table {v.table_id}: {v.entry}" for v in each.visits)
        lines += [f"oracle ({way}):", *_written(each)]
    return "\n".join([*lines, "switch:", *_written(outcome)])


def _written(outcome: Outcome) -> list[str]:
    lines = [f"    port {port} sends {frame.hex()}" for port, frame in sorted(outcome.outputs)]
    lines += [f"    {message}" for message in sorted(outcome.packet_ins)]
    return lines or ["    nothing"]
