"""Groups (5.6): which buckets of a group a packet goes through."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from .actions import Action

ALL, SELECT, INDIRECT, FAST_FAILOVER = range(4)  # OFPGT_*
ANY_PORT, ANY_GROUP = 0xFFFFFFFF, 0xFFFFFFFF


@dataclass(frozen=True)
class Bucket:
    """A set of actions; they are carried out in the order of an action set."""

    actions: tuple[Action, ...]
    weight: int = 0  # Of select groups.
    watch_port: int = ANY_PORT  # Of fast failover groups.
    watch_group: int = ANY_GROUP


@dataclass(frozen=True)
class GroupEntry:
    """A row of the group table."""

    group_id: int
    kind: int
    buckets: tuple[Bucket, ...]


def live(bucket: Bucket, groups: Mapping[int, GroupEntry], ports: Collection[int]) -> bool:
    """Tell if a bucket of a fast failover group is live (6.5).

    The port that it watches is up, or the group that it watches has a live bucket, or it
    watches nothing and so nothing is wrong with it.
    """
    if bucket.watch_port == ANY_PORT and bucket.watch_group == ANY_GROUP:
        return True
    if bucket.watch_port in ports:
        return True
    group = groups.get(bucket.watch_group)
    return group is not None and any(live(each, groups, ports) for each in group.buckets)


def chosen(
    group: GroupEntry,
    groups: Mapping[int, GroupEntry],
    ports: Collection[int],
    pick: Callable[[int], int],
) -> list[int]:
    """Return the numbers of the buckets that a packet goes through.

    How a select group selects is the switch's own affair: *pick* chooses one of so many.
    """
    numbers = list(range(len(group.buckets)))
    if group.kind == SELECT:
        numbers = [i for i in numbers if group.buckets[i].weight > 0]
        return [numbers[pick(len(numbers))]] if numbers else []
    if group.kind == FAST_FAILOVER:
        return [i for i in numbers if live(group.buckets[i], groups, ports)][:1]
    return numbers if group.kind == ALL else numbers[:1]
