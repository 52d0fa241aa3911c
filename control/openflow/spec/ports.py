"""Ports, their numbers and counters (sections 7.2.1, 7.3.4.3, 7.3.5.6, 7.3.5.7)."""

import enum

from ..codec import record
from .families import BAD_LEN, Item


class PortNo(enum.IntEnum):
    """The reserved port numbers."""

    MAX = 0xFFFFFF00
    IN_PORT = 0xFFFFFFF8
    TABLE = 0xFFFFFFF9
    NORMAL = 0xFFFFFFFA
    FLOOD = 0xFFFFFFFB
    ALL = 0xFFFFFFFC
    CONTROLLER = 0xFFFFFFFD
    LOCAL = 0xFFFFFFFE
    ANY = 0xFFFFFFFF


class PortConfig(enum.IntFlag):
    PORT_DOWN = 1 << 0
    NO_RECV = 1 << 2
    NO_FWD = 1 << 5
    NO_PACKET_IN = 1 << 6


class PortState(enum.IntFlag):
    LINK_DOWN = 1 << 0
    BLOCKED = 1 << 1
    LIVE = 1 << 2


class PortReason(enum.IntEnum):
    ADD = 0
    DELETE = 1
    MODIFY = 2


@record("I4x6s2x16sIIIIIIII", bad_len=BAD_LEN)
class Port(Item, frozen=True):
    """What a port is."""

    port_no: int
    hw_addr: bytes
    name: str
    config: int = 0
    state: int = 0
    curr: int = 0
    advertised: int = 0
    supported: int = 0
    peer: int = 0
    curr_speed: int = 0
    max_speed: int = 0


@record("I4xQQQQQQQQQQQQII", bad_len=BAD_LEN)
class PortStats(Item, frozen=True):
    """What a port has counted."""

    port_no: int
    rx_packets: int = 0
    tx_packets: int = 0
    rx_bytes: int = 0
    tx_bytes: int = 0
    rx_dropped: int = 0
    tx_dropped: int = 0
    rx_errors: int = 0
    tx_errors: int = 0
    rx_frame_err: int = 0
    rx_over_err: int = 0
    rx_crc_err: int = 0
    collisions: int = 0
    duration_sec: int = 0
    duration_nsec: int = 0
