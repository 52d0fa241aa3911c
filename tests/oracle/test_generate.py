"""What is generated is valid, differs, and really uses what it is meant to try."""

from collections import Counter
from itertools import combinations, pairwise
from random import Random

from hypothesis import given, settings

from oracle import actions as act
from oracle import frames, generate, wire
from oracle.consistent import after, allowed, known
from oracle.drills import drills
from oracle.fields import FIELDS, OWN_FIELDS, extract
from oracle.headers import HEADER_ACTIONS, InvalidTtl
from oracle.match import Apply, Clear, Entry, Goto, Write, WriteMetadata, overlap
from oracle.pipeline import Pipeline

SEEDS = range(120)


def scenarios() -> list[generate.Scenario]:
    return [generate.scenario(Random(seed), 60) for seed in SEEDS]


def test_the_same_seed_makes_the_same_scenario() -> None:
    one, other = (generate.scenario(Random(7), 20) for _ in range(2))
    assert one == other
    assert one != generate.scenario(Random(8), 20)


def test_no_two_entries_of_a_table_overlap_at_one_priority() -> None:
    for made in scenarios():
        for one, other in combinations(made.entries, 2):
            if (one.table_id, one.priority) == (other.table_id, other.priority):
                assert not overlap(one.match, other.match)


def test_every_match_has_its_prerequisites() -> None:
    for made in scenarios():
        for entry in made.entries:
            for name in entry.match:
                for needed, values in FIELDS[name].needs:
                    assert needed in entry.match
                    assert not values or entry.match[needed][0] in values


def test_every_action_of_an_entry_is_allowed_where_it_stands() -> None:
    for made in scenarios():
        for entry in made.entries:
            now = known(entry.match)
            order = sorted(entry.instructions, key=lambda each: not isinstance(each, Apply))
            for instruction in order:
                if isinstance(instruction, Apply):
                    for action in instruction.actions:
                        assert allowed(action, now)
                        now = after(action, now)
                if isinstance(instruction, Write):
                    assert all(allowed(a, known(entry.match)) for a in instruction.actions)
                    assert all(allowed(a, now) for a in instruction.actions)
            gotos = [each.table_id for each in entry.instructions if isinstance(each, Goto)]
            assert all(table_id > entry.table_id for table_id in gotos)


def test_the_frames_fill_every_field() -> None:
    rng, filled = Random(4), Counter[str]()
    for _ in range(8_000):
        filled.update(name for name, value in extract(frames.frame(rng), 1).items() if value)
    assert {n for n in FIELDS if not filled[n]} == {"metadata", *OWN_FIELDS}


def test_every_action_changes_something_and_every_field_decides_something() -> None:
    seen: Counter[object] = Counter()
    for seed in range(400):
        made = generate.scenario(Random(seed), 40)
        pipeline = made.pipeline()
        for port, frame in made.packets:
            for visit in pipeline.run(frame, port).visits:
                if visit.entry is not None:
                    count(seen, visit.entry, visit.key.packet.frame)
    effective = {*act.SET_ORDER, *act.LIST_ONLY} - {act.SetQueue}
    assert {kind.__name__ for kind in effective if not seen[kind]} == set()
    assert {name for name in FIELDS if not seen["match", name]} == set()
    settable = {name for name in FIELDS if FIELDS[name].settable}
    assert {name for name in settable if not seen["set", name]} == set()
    assert all(seen[kind] for kind in (Apply, Clear, Write, WriteMetadata, Goto))


def count(seen: Counter[object], entry: Entry, frame: bytes) -> None:
    """Count what an entry tries, and each action of its list that has an effect on the frame."""
    seen.update(("match", name) for name in entry.match)
    for instruction in entry.instructions:
        seen[type(instruction)] += 1
        for action in getattr(instruction, "actions", ()):
            if type(action) in act.LIST_ONLY:
                seen[type(action)] += 1
                continue
            change = HEADER_ACTIONS.get(type(action))
            try:
                before = frame
                frame = change(frame, action) if change and action_is_on_frame(action) else b""
            except InvalidTtl:
                seen[type(action)] += 1
                frame = before
            if frame != before:
                seen[type(action)] += 1
                if isinstance(action, act.SetField):
                    seen["set", action.name] += 1
            frame = frame or before


def action_is_on_frame(action: act.Action) -> bool:
    return not (isinstance(action, act.SetField) and action.name in OWN_FIELDS)


def test_a_drill_changes_packets_with_every_action_and_every_field() -> None:
    for made in drills(Random(3)):
        hits, pipeline = 0, made.pipeline()
        for port, frame in made.packets:
            outcome = pipeline.run(frame, port)
            sent = [data for out, data in outcome.outputs if out == port]
            hits += sent != [frame] if sent else bool(outcome.packet_ins)
        assert hits > len(made.packets) / 2, made.entries[0]
        for one, other in combinations(made.entries, 2):
            if (one.table_id, one.priority) == (other.table_id, other.priority):
                assert not overlap(one.match, other.match)


def test_packets_really_hit_entries_and_come_out_changed() -> None:
    total = hits = changed = 0
    for made in scenarios():
        pipeline = made.pipeline()
        for port, frame in made.packets:
            outcome = pipeline.run(frame, port)
            total += 1
            hits += any(not entry.table_miss for entry in outcome.counted())
            changed += any(data != frame for _, data in outcome.outputs)
    assert hits > total / 2
    assert changed > total / 5


def test_a_scenario_without_a_feature_does_not_use_it() -> None:
    features = generate.Features(
        actions=frozenset({act.Output, act.PushVlan, act.SetField}),
        fields=frozenset({"eth_dst", "in_port", "vlan_vid"}),
        ports=(),
        list_actions=(),
    )
    for seed in range(30):
        made = generate.scenario(Random(seed), 20, features)
        assert made.groups == ()
        for entry in made.entries:
            assert entry.match.keys() <= features.fields
            for instruction in entry.instructions:
                for action in getattr(instruction, "actions", ()):
                    assert type(action) in features.actions
                    if isinstance(action, act.SetField):
                        assert action.name in features.fields


def test_frames_have_at_least_an_ethernet_header() -> None:
    rng = Random(9)
    assert all(14 <= len(frames.frame(rng)) < 1000 for _ in range(5_000))


@given(generate.packets())
@settings(max_examples=200)
def test_any_frame_can_be_read(frame: bytes) -> None:
    assert extract(frame)["eth_dst"] == int.from_bytes(frame[:6], "big")


@given(generate.scenarios(n_packets=5))
@settings(max_examples=30)
def test_any_scenario_can_be_run_and_sent(made: generate.Scenario) -> None:
    pipeline = made.pipeline()
    for port, frame in made.packets:
        first, *others = pipeline.outcomes(frame, port)
        assert pipeline.run(frame, port).same(first)
        assert all(each.visits[0].key.packet.frame == frame for each in others)
    sizes = [len(wire.flow_mod(entry)) for entry in made.entries]
    assert all(size % 8 == 0 for size in sizes)
    assert all(a <= b for a, b in pairwise(Pipeline(made.entries).tables))
