"""Meters, their bands and counters (sections 7.3.4.4, 7.3.5.12 to 7.3.5.14)."""

import enum

from ..codec import many, record, rest
from .families import BAD_LEN, BANDS, Item


class MeterCommand(enum.IntEnum):
    ADD = 0
    MODIFY = 1
    DELETE = 2


class MeterId(enum.IntEnum):
    """The reserved meter numbers."""

    MAX = 0xFFFF0000
    SLOWPATH = 0xFFFFFFFD
    CONTROLLER = 0xFFFFFFFE
    ALL = 0xFFFFFFFF


class MeterFlag(enum.IntFlag):
    KBPS = 1 << 0
    PKTPS = 1 << 1
    BURST = 1 << 2
    STATS = 1 << 3


class Band(Item, frozen=True):
    """What happens above a rate."""


@BANDS.row(1, "II4x")
class DropBand(Band, frozen=True):
    """Drop what is above the rate."""

    rate: int
    burst_size: int = 0


@BANDS.row(2, "IIB3x")
class DscpRemarkBand(Band, frozen=True):
    """Raise the drop precedence of what is above the rate."""

    rate: int
    burst_size: int = 0
    prec_level: int = 1


@BANDS.row(0xFFFF, "III", rest())
class BandExperimenter(Band, frozen=True):
    """What *experimenter* has defined."""

    rate: int
    burst_size: int
    experimenter: int
    data: bytes = b""


@record("LHI", many(BANDS), bad_len=BAD_LEN)
class MeterConfig(Item, frozen=True):
    """What a meter is."""

    flags: int
    meter_id: int
    bands: tuple[Band, ...] = ()


@record("QQ", bad_len=BAD_LEN)
class BandStats(Item, frozen=True):
    """What a band has counted."""

    packet_band_count: int = 0
    byte_band_count: int = 0


@record("IL6xIQQII", many(BandStats), bad_len=BAD_LEN)
class MeterStats(Item, frozen=True):
    """What a meter has counted."""

    meter_id: int
    flow_count: int = 0
    packet_in_count: int = 0
    byte_in_count: int = 0
    duration_sec: int = 0
    duration_nsec: int = 0
    band_stats: tuple[BandStats, ...] = ()
