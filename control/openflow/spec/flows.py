"""Flow entries, their commands and counters (sections 7.3.4.1, 7.3.5.2, 7.3.5.3)."""

import enum

from ..codec import many, record
from .families import BAD_LEN, INSTRUCTIONS, Item
from .instructions import Instruction
from .match import MATCH, Match


class FlowCommand(enum.IntEnum):
    ADD = 0
    MODIFY = 1
    MODIFY_STRICT = 2
    DELETE = 3
    DELETE_STRICT = 4


class FlowFlag(enum.IntFlag):
    SEND_FLOW_REM = 1 << 0
    CHECK_OVERLAP = 1 << 1
    RESET_COUNTS = 1 << 2
    NO_PKT_COUNTS = 1 << 3
    NO_BYT_COUNTS = 1 << 4


class RemovedReason(enum.IntEnum):
    IDLE_TIMEOUT = 0
    HARD_TIMEOUT = 1
    DELETE = 2
    GROUP_DELETE = 3


@record("LBxIIHHHH4xQQQ", MATCH, many(INSTRUCTIONS), bad_len=BAD_LEN)
class FlowStats(Item, frozen=True):
    """A flow entry and what it has counted."""

    table_id: int = 0
    duration_sec: int = 0
    duration_nsec: int = 0
    priority: int = 0x8000
    idle_timeout: int = 0
    hard_timeout: int = 0
    flags: int = 0
    cookie: int = 0
    packet_count: int = 0
    byte_count: int = 0
    match: Match = ()
    instructions: tuple[Instruction, ...] = ()
