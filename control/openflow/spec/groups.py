"""Groups, their buckets and counters (sections 7.3.4.2, 7.3.5.9 to 7.3.5.11)."""

import enum

from ..codec import many, record
from .actions import Action
from .errors import GroupModFailed, reason
from .families import ACTIONS, BAD_LEN, Item


class GroupType(enum.IntEnum):
    ALL = 0
    SELECT = 1
    INDIRECT = 2
    FAST_FAILOVER = 3


class GroupCommand(enum.IntEnum):
    ADD = 0
    MODIFY = 1
    DELETE = 2


class GroupId(enum.IntEnum):
    """The reserved group numbers."""

    MAX = 0xFFFFFF00
    ALL = 0xFFFFFFFC
    ANY = 0xFFFFFFFF


@record("LHII4x", many(ACTIONS), bad_len=reason(GroupModFailed.BAD_BUCKET))
class Bucket(Item, frozen=True):
    """One of the ways a group can treat a packet."""

    weight: int = 0
    watch_port: int = 0xFFFFFFFF
    watch_group: int = 0xFFFFFFFF
    actions: tuple[Action, ...] = ()


@record("LBxI", many(Bucket), bad_len=BAD_LEN)
class GroupDesc(Item, frozen=True):
    """What a group is."""

    type: int
    group_id: int
    buckets: tuple[Bucket, ...] = ()


@record("QQ", bad_len=BAD_LEN)
class BucketCounter(Item, frozen=True):
    """What a bucket has counted."""

    packet_count: int = 0
    byte_count: int = 0


@record("L2xII4xQQII", many(BucketCounter), bad_len=BAD_LEN)
class GroupStats(Item, frozen=True):
    """What a group has counted."""

    group_id: int
    ref_count: int = 0
    packet_count: int = 0
    byte_count: int = 0
    duration_sec: int = 0
    duration_nsec: int = 0
    bucket_stats: tuple[BucketCounter, ...] = ()
