"""Queues, their properties and counters (sections 7.2.2, 7.3.5.8)."""

from ..codec import many, record, rest
from .families import BAD_LEN, QUEUE_PROPERTIES, Item

QUEUE_ALL = 0xFFFFFFFF


class QueueProperty(Item, frozen=True):
    """Something that a queue promises."""


@QUEUE_PROPERTIES.row(1, "4xH6x")
class MinRate(QueueProperty, frozen=True):
    """At least this much, in tenths of a percent; above 1000: no promise."""

    rate: int


@QUEUE_PROPERTIES.row(2, "4xH6x")
class MaxRate(QueueProperty, frozen=True):
    """At most this much, in tenths of a percent; above 1000: no limit."""

    rate: int


@QUEUE_PROPERTIES.row(0xFFFF, "4xI4x", rest())
class QueueExperimenter(QueueProperty, frozen=True):
    """What *experimenter* has defined."""

    experimenter: int
    data: bytes = b""


@record("IIL6x", many(QUEUE_PROPERTIES), bad_len=BAD_LEN)
class Queue(Item, frozen=True):
    """A queue of a port."""

    queue_id: int
    port: int
    properties: tuple[QueueProperty, ...] = ()


@record("IIQQQII", bad_len=BAD_LEN)
class QueueStats(Item, frozen=True):
    """What a queue has counted."""

    port_no: int
    queue_id: int
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    duration_sec: int = 0
    duration_nsec: int = 0
