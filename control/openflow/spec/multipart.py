"""The bodies of multipart requests and replies (section 7.3.5)."""

import enum

from ..codec import many, rest
from .families import REPLIES, REQUESTS, Item
from .flows import FlowStats
from .groups import GroupDesc, GroupStats
from .match import MATCH, Match
from .meters import MeterConfig, MeterStats
from .ports import Port, PortStats
from .queues import QueueStats
from .tables import TableFeatures, TableStats


class MultipartType(enum.IntEnum):
    DESC = 0
    FLOW = 1
    AGGREGATE = 2
    TABLE = 3
    PORT_STATS = 4
    QUEUE = 5
    GROUP = 6
    GROUP_DESC = 7
    GROUP_FEATURES = 8
    METER = 9
    METER_CONFIG = 10
    METER_FEATURES = 11
    TABLE_FEATURES = 12
    PORT_DESC = 13
    EXPERIMENTER = 0xFFFF


MORE = 1  # flag: another part of the same request or reply follows


class Request(Item, frozen=True):
    """The body of a multipart request."""


class Reply(Item, frozen=True):
    """The body of a multipart reply."""


@REQUESTS.row(0)
class DescRequest(Request, frozen=True):
    """Who are you?"""


@REPLIES.row(0, "256s256s256s32s256s")
class DescReply(Reply, frozen=True):
    """Who the switch is, in words."""

    mfr_desc: str = ""
    hw_desc: str = ""
    sw_desc: str = ""
    serial_num: str = ""
    dp_desc: str = ""


@REQUESTS.row(1, "B3xII4xQQ", MATCH)
class FlowRequest(Request, frozen=True):
    """Which flow entries are there?"""

    table_id: int = 0xFF
    out_port: int = 0xFFFFFFFF
    out_group: int = 0xFFFFFFFF
    cookie: int = 0
    cookie_mask: int = 0
    match: Match = ()


@REPLIES.row(1, many(FlowStats))
class FlowReply(Reply, frozen=True):
    """Flow entries."""

    flows: tuple[FlowStats, ...] = ()


@REQUESTS.row(2, "B3xII4xQQ", MATCH)
class AggregateRequest(Request, frozen=True):
    """How much have these flow entries counted together?"""

    table_id: int = 0xFF
    out_port: int = 0xFFFFFFFF
    out_group: int = 0xFFFFFFFF
    cookie: int = 0
    cookie_mask: int = 0
    match: Match = ()


@REPLIES.row(2, "QQI4x")
class AggregateReply(Reply, frozen=True):
    """What flow entries have counted together."""

    packet_count: int = 0
    byte_count: int = 0
    flow_count: int = 0


@REQUESTS.row(3)
class TableRequest(Request, frozen=True):
    """What have the tables counted?"""


@REPLIES.row(3, many(TableStats))
class TableReply(Reply, frozen=True):
    """The counters of tables."""

    tables: tuple[TableStats, ...] = ()


@REQUESTS.row(4, "I4x")
class PortStatsRequest(Request, frozen=True):
    """What has this port, or have all, counted?"""

    port_no: int = 0xFFFFFFFF


@REPLIES.row(4, many(PortStats))
class PortStatsReply(Reply, frozen=True):
    """The counters of ports."""

    ports: tuple[PortStats, ...] = ()


@REQUESTS.row(5, "II")
class QueueStatsRequest(Request, frozen=True):
    """What has this queue, or have all, counted?"""

    port_no: int = 0xFFFFFFFF
    queue_id: int = 0xFFFFFFFF


@REPLIES.row(5, many(QueueStats))
class QueueStatsReply(Reply, frozen=True):
    """The counters of queues."""

    queues: tuple[QueueStats, ...] = ()


@REQUESTS.row(6, "I4x")
class GroupStatsRequest(Request, frozen=True):
    """What has this group, or have all, counted?"""

    group_id: int = 0xFFFFFFFC


@REPLIES.row(6, many(GroupStats))
class GroupStatsReply(Reply, frozen=True):
    """The counters of groups."""

    groups: tuple[GroupStats, ...] = ()


@REQUESTS.row(7)
class GroupDescRequest(Request, frozen=True):
    """Which groups are there?"""


@REPLIES.row(7, many(GroupDesc))
class GroupDescReply(Reply, frozen=True):
    """Groups."""

    groups: tuple[GroupDesc, ...] = ()


@REQUESTS.row(8)
class GroupFeaturesRequest(Request, frozen=True):
    """What can groups do?"""


@REPLIES.row(8, "IIIIIIIIII")
class GroupFeaturesReply(Reply, frozen=True):
    """What groups can do, by type: all, select, indirect, fast failover."""

    types: int = 0
    capabilities: int = 0
    max_groups_all: int = 0
    max_groups_select: int = 0
    max_groups_indirect: int = 0
    max_groups_ff: int = 0
    actions_all: int = 0
    actions_select: int = 0
    actions_indirect: int = 0
    actions_ff: int = 0


@REQUESTS.row(9, "I4x")
class MeterStatsRequest(Request, frozen=True):
    """What has this meter, or have all, counted?"""

    meter_id: int = 0xFFFFFFFF


@REPLIES.row(9, many(MeterStats))
class MeterStatsReply(Reply, frozen=True):
    """The counters of meters."""

    meters: tuple[MeterStats, ...] = ()


@REQUESTS.row(10, "I4x")
class MeterConfigRequest(Request, frozen=True):
    """What is this meter, or are all?"""

    meter_id: int = 0xFFFFFFFF


@REPLIES.row(10, many(MeterConfig))
class MeterConfigReply(Reply, frozen=True):
    """Meters."""

    meters: tuple[MeterConfig, ...] = ()


@REQUESTS.row(11)
class MeterFeaturesRequest(Request, frozen=True):
    """What can meters do?"""


@REPLIES.row(11, "IIIBB2x")
class MeterFeaturesReply(Reply, frozen=True):
    """What meters can do."""

    max_meter: int = 0
    band_types: int = 0
    capabilities: int = 0
    max_bands: int = 0
    max_color: int = 0


@REQUESTS.row(12, many(TableFeatures))
class TableFeaturesRequest(Request, frozen=True):
    """What can the tables do?  With *tables*: be like this."""

    tables: tuple[TableFeatures, ...] = ()


@REPLIES.row(12, many(TableFeatures))
class TableFeaturesReply(Reply, frozen=True):
    """What tables can do."""

    tables: tuple[TableFeatures, ...] = ()


@REQUESTS.row(13)
class PortDescRequest(Request, frozen=True):
    """Which ports are there?"""


@REPLIES.row(13, many(Port))
class PortDescReply(Reply, frozen=True):
    """Ports."""

    ports: tuple[Port, ...] = ()


@REQUESTS.row(0xFFFF, "II", rest())
class ExperimenterRequest(Request, frozen=True):
    """What *experimenter* has defined."""

    experimenter: int
    exp_type: int
    data: bytes = b""


@REPLIES.row(0xFFFF, "II", rest())
class ExperimenterReply(Reply, frozen=True):
    """What *experimenter* has defined."""

    experimenter: int
    exp_type: int
    data: bytes = b""
