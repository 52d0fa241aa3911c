"""One action at a time, on packets that it changes; then a table that looks at the result.

Random pipelines seldom meet a rare field twice; a drill gives each its turn.
"""

from collections.abc import Callable, Iterator
from random import Random

from . import actions as act
from . import frames
from .consistent import allowed, known
from .derive import derived_match, needs_of
from .fields import FIELDS, Key
from .generate import EVERYTHING, Features, Scenario, random_value, values_of
from .headers import HEADER_ACTIONS, InvalidTtl
from .match import Apply, Entry, Goto, Match
from .pipeline import Pipeline

TRIES = 4_000  # Frames to look at for one drill.


def drills(rng: Random, n_packets: int = 60, features: Features = EVERYTHING) -> Iterator[Scenario]:
    """Yield a scenario for every kind of action and every field that can be set."""
    ports = range(features.n_ports)
    for kind in act.SET_ORDER:
        if kind in HEADER_ACTIONS and kind in features.actions and kind is not act.SetField:
            yield _drill(rng, [_one(rng, kind) for _ in ports], n_packets, features)
    for name, field in FIELDS.items():
        if field.places and name in features.fields and act.SetField in features.actions:
            actions = [act.SetField(name, random_value(rng, name)) for _ in ports]
            yield _drill(rng, list[act.Action](actions), n_packets, features)


def _one(rng: Random, kind: Callable[..., act.Action]) -> act.Action:
    values = values_of(kind)
    return kind(rng.choice(values)) if values else kind()


def _drill(rng: Random, actions: list[act.Action], n_packets: int, features: Features) -> Scenario:
    """Give each port an action; send packets that it changes, and a few that it may not."""
    packets: list[tuple[int, bytes]] = []
    entries: list[Entry] = []
    for port, action in enumerate(actions, 1):
        n = n_packets // len(actions)
        changed = _changed_by(rng, action, n)
        packets += [(port, frame) for frame in changed]
        packets += [(port, frames.frame(rng)) for _ in range(n - len(changed) + 3)]
        for match in _matches(port, action, changed or [frames.frame(rng)]):
            entries.append(Entry(0, 10, match, (Apply((action, act.Output(act.IN_PORT))), Goto(1))))
    names = [name for name in FIELDS if name in features.fields]
    second = _looking(rng, entries, packets, names)
    return Scenario((*entries, *second), (), tuple(range(1, features.n_ports + 1)), tuple(packets))


def _changed_by(rng: Random, action: act.Action, n: int) -> list[bytes]:
    found: list[bytes] = []
    for _ in range(TRIES):
        frame = frames.frame(rng, rng.choice((None, *frames.THEMES)))
        try:
            changes = HEADER_ACTIONS[type(action)](frame, action) != frame
        except InvalidTtl:
            changes = True
        if changes:
            found.append(frame)
        if len(found) == n:
            break
    return found


def _matches(port: int, action: act.Action, changed: list[bytes]) -> list[Match]:
    """Return matches of the port and all that the action needs, one for each kind of packet."""
    name = action.name if isinstance(action, act.SetField) else "eth_dst"
    matches: list[Match] = []
    for frame in changed:
        match = {"in_port": (port, 0xFFFFFFFF), **needs_of(name, Key(frame))}
        if name == "vlan_vid":
            match["vlan_vid"] = (0x1000, 0x1000)
        if match not in matches and allowed(action, known(match)):
            matches.append(match)
    return matches


def _looking(
    rng: Random, first: list[Entry], packets: list[tuple[int, bytes]], names: list[str]
) -> Iterator[Entry]:
    """Yield entries of table 1 for what comes there, each at a priority of its own."""
    pipeline = Pipeline(first)
    visits = [v for port, frame in packets for v in pipeline.run(frame, port).visits]
    keys = [visit.key for visit in visits if visit.table_id == 1]
    for priority, key in enumerate(rng.sample(keys, min(len(keys), 25)), 1):
        match = derived_match(rng, key, names, rng.choice((1, 2, 4)))
        yield Entry(1, priority, match, (Apply((act.Output(rng.choice((2, 3))),)),), priority)
    yield Entry(1, 0, {}, (Apply((act.Output(4),)),))
