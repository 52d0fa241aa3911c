"""The families of the specification, and what to answer where one is malformed."""

from typing import ClassVar

import msgspec

from ..codec import Family, Layout
from .errors import (
    BadAction,
    BadInstruction,
    BadRequest,
    MeterModFailed,
    TableFeaturesFailed,
    reason,
)

BAD_LEN = reason(BadRequest.BAD_LEN)
BAD_TYPE = reason(BadRequest.BAD_TYPE)


class Item(msgspec.Struct, frozen=True):
    """Anything that the specification gives a layout."""

    layout: ClassVar[Layout]


MESSAGES = Family("message", bad_type=BAD_TYPE, bad_len=BAD_LEN, bare=True)
REQUESTS = Family(
    "multipart request", bad_type=reason(BadRequest.BAD_MULTIPART), bad_len=BAD_LEN, bare=True
)
REPLIES = Family(
    "multipart reply", bad_type=reason(BadRequest.BAD_MULTIPART), bad_len=BAD_LEN, bare=True
)
ACTIONS = Family(
    "action", bad_type=reason(BadAction.BAD_TYPE), bad_len=reason(BadAction.BAD_LEN), align=8
)
INSTRUCTIONS = Family(
    "instruction",
    bad_type=reason(BadInstruction.UNKNOWN_INST),
    bad_len=reason(BadInstruction.BAD_LEN),
    align=8,
)
BANDS = Family("meter band", bad_type=reason(MeterModFailed.BAD_BAND), bad_len=BAD_LEN, align=8)
HELLO_ELEMENTS = Family("hello element", bad_type=BAD_TYPE, bad_len=BAD_LEN, pad=8)
QUEUE_PROPERTIES = Family("queue property", bad_type=BAD_TYPE, bad_len=BAD_LEN)
TABLE_PROPERTIES = Family(
    "table feature",
    bad_type=reason(TableFeaturesFailed.BAD_TYPE),
    bad_len=reason(TableFeaturesFailed.BAD_LEN),
    pad=8,
)
# The lists of actions and instructions that a table can do: headers without what follows.
ACTION_IDS = Family(
    "action id", bad_type=TABLE_PROPERTIES.bad_type, bad_len=TABLE_PROPERTIES.bad_len
)
INSTRUCTION_IDS = Family(
    "instruction id", bad_type=TABLE_PROPERTIES.bad_type, bad_len=TABLE_PROPERTIES.bad_len
)

FAMILIES = (
    MESSAGES,
    REQUESTS,
    REPLIES,
    ACTIONS,
    INSTRUCTIONS,
    BANDS,
    HELLO_ELEMENTS,
    QUEUE_PROPERTIES,
    TABLE_PROPERTIES,
    ACTION_IDS,
    INSTRUCTION_IDS,
)
