"""What flow tables count and can do (sections 7.3.5.4, 7.3.5.5)."""

from ..codec import many, oxm_ids, record, rest
from .errors import TableFeaturesFailed, reason
from .families import ACTION_IDS, BAD_LEN, INSTRUCTION_IDS, TABLE_PROPERTIES, Item
from .match import OxmId

TABLE_MAX = 0xFE
TABLE_ALL = 0xFF


@record("B3xIQQ", bad_len=BAD_LEN)
class TableStats(Item, frozen=True):
    """What a flow table has counted."""

    table_id: int
    active_count: int = 0
    lookup_count: int = 0
    matched_count: int = 0


@ACTION_IDS.row(None, rest())
class ActionId(Item, frozen=True):
    """The header of an action; *data* only where an experimenter's id follows."""

    type: int
    data: bytes = b""


@INSTRUCTION_IDS.row(None, rest())
class InstructionId(Item, frozen=True):
    """The header of an instruction; *data* only where an experimenter's id follows."""

    type: int
    data: bytes = b""


class TableProperty(Item, frozen=True):
    """Something that a table can do; *type* says what, and if it is for its miss entry."""

    type: int


@TABLE_PROPERTIES.row((0, 1), many(INSTRUCTION_IDS))
class TableInstructions(TableProperty, frozen=True):
    """Instructions that entries may have."""

    ids: tuple[InstructionId, ...] = ()


@TABLE_PROPERTIES.row((2, 3), rest())
class NextTables(TableProperty, frozen=True):
    """Tables that goto-table may name, one byte each."""

    table_ids: bytes = b""


@TABLE_PROPERTIES.row((4, 5, 6, 7), many(ACTION_IDS))
class TableActions(TableProperty, frozen=True):
    """Actions for write-actions (4, 5) and apply-actions (6, 7)."""

    ids: tuple[ActionId, ...] = ()


@TABLE_PROPERTIES.row((8, 10, 12, 13, 14, 15), oxm_ids(OxmId))
class TableOxms(TableProperty, frozen=True):
    """Fields to match (8), to leave out (10), to write in write- (12, 13) and apply-actions."""

    ids: tuple[OxmId, ...] = ()


@TABLE_PROPERTIES.row((0xFFFE, 0xFFFF), "II", rest())
class TableExperimenter(TableProperty, frozen=True):
    """What *experimenter* has defined."""

    experimenter: int
    exp_type: int
    data: bytes = b""


@record(
    "LB5x32sQQII",
    many(TABLE_PROPERTIES),
    bad_len=reason(TableFeaturesFailed.BAD_LEN),
)
class TableFeatures(Item, frozen=True):
    """What a flow table can do."""

    table_id: int
    name: str = ""
    metadata_match: int = 0
    metadata_write: int = 0
    config: int = 0
    max_entries: int = 0
    properties: tuple[TableProperty, ...] = ()
