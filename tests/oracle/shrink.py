"""Make a failing scenario small: leave out whatever it fails without."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from .actions import Action, Group
from .generate import Scenario
from .groups import GroupEntry
from .match import Apply, Entry, Instruction, Write

T = TypeVar("T")


def shrunk(scenario: Scenario, fails: Callable[[Scenario], bool]) -> Scenario:
    """Return a scenario that still fails, and would not without any one of its parts."""
    smaller: Scenario | None = scenario
    while smaller is not None:
        scenario = smaller
        smaller = next((each for each in _smaller(scenario) if _whole(each) and fails(each)), None)
    return scenario


def described(scenario: Scenario) -> str:
    """Write a scenario so that a person can read it, and paste it into a test."""
    entries = "".join(f"    {entry},\n" for entry in scenario.entries)
    groups = "".join(f"    {group},\n" for group in scenario.groups)
    packets = "".join(
        f"    ({port}, bytes.fromhex('{frame.hex()}')),\n" for port, frame in scenario.packets
    )
    return (
        f"entries = (\n{entries})\ngroups = (\n{groups})\n"
        f"ports = {scenario.ports}\npackets = (\n{packets})\n"
    )


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    packets = scenario.packets
    half = len(packets) // 2
    if half:
        yield replace(scenario, packets=packets[:half])
        yield replace(scenario, packets=packets[half:])
    for fewer in _without_one(packets):
        yield replace(scenario, packets=fewer)
    for entries in _without_one(scenario.entries):
        yield replace(scenario, entries=entries)
    for groups in _without_one(scenario.groups):
        yield replace(scenario, groups=groups)
    for entries in _with_one_smaller(scenario.entries, _smaller_entries):
        yield replace(scenario, entries=entries)
    for groups in _with_one_smaller(scenario.groups, _smaller_groups):
        yield replace(scenario, groups=groups)


def _without_one(items: tuple[T, ...]) -> Iterator[tuple[T, ...]]:
    for place in range(len(items)):
        yield items[:place] + items[place + 1 :]


def _with_one_smaller(
    items: tuple[T, ...], smaller: Callable[[T], Iterator[T]]
) -> Iterator[tuple[T, ...]]:
    for place, item in enumerate(items):
        for each in smaller(item):
            yield (*items[:place], each, *items[place + 1 :])


def _smaller_entries(entry: Entry) -> Iterator[Entry]:
    for rest in _without_one(entry.instructions):
        yield replace(entry, instructions=rest)
    for instructions in _with_one_smaller(entry.instructions, _smaller_instructions):
        yield replace(entry, instructions=instructions)
    if entry.cookie:
        yield replace(entry, cookie=0)


def _smaller_instructions(instruction: Instruction) -> Iterator[Instruction]:
    if isinstance(instruction, Apply | Write):
        for rest in _without_one(instruction.actions):
            yield replace(instruction, actions=rest)


def _smaller_groups(group: GroupEntry) -> Iterator[GroupEntry]:
    for rest in _without_one(group.buckets):
        if rest:
            yield replace(group, buckets=rest)
    for place, bucket in enumerate(group.buckets):
        for actions in _without_one(bucket.actions):
            smaller = replace(bucket, actions=actions)
            yield replace(
                group, buckets=(*group.buckets[:place], smaller, *group.buckets[place + 1 :])
            )


def _whole(scenario: Scenario) -> bool:
    """Tell if every group that is named is there."""
    there = {group.group_id for group in scenario.groups}
    watched = {bucket.watch_group for group in scenario.groups for bucket in group.buckets}
    named = {action.group_id for action in _actions(scenario) if isinstance(action, Group)}
    return named <= there and watched - {0xFFFFFFFF} <= there


def _actions(scenario: Scenario) -> Iterator[Action]:
    for entry in scenario.entries:
        for instruction in entry.instructions:
            if isinstance(instruction, Apply | Write):
                yield from instruction.actions
    for group in scenario.groups:
        for bucket in group.buckets:
            yield from bucket.actions
