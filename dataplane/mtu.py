"""The MTU of a network interface: what it may be, what it is, and setting it.

Reference: rtnetlink(7), netdevice(7).
"""

import fcntl
import os
import socket
import struct
from collections.abc import Iterator

RTM_NEWLINK, RTM_GETLINK = 16, 18
NLM_F_REQUEST = 1
IFLA_MIN_MTU, IFLA_MAX_MTU = 50, 51
SIOCGIFMTU, SIOCSIFMTU = 0x8921, 0x8922
MOST = 65535

_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_INTERFACE = struct.Struct("=BxHiII")  # struct ifinfomsg
_ATTRIBUTE = struct.Struct("=HH")  # struct rtattr
_REQUEST = struct.Struct("16si12x")  # struct ifreq


def limits(device: str) -> tuple[int, int]:
    """Return the smallest and the largest MTU that an interface takes."""
    body = _INTERFACE.pack(socket.AF_UNSPEC, 0, socket.if_nametoindex(device), 0, 0)
    request = _HEADER.pack(_HEADER.size + len(body), RTM_GETLINK, NLM_F_REQUEST, 0, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(request)
        answer = kernel.recv(65536)
    if _HEADER.unpack_from(answer)[1] != RTM_NEWLINK:
        raise OSError(f"the kernel does not describe {device}")
    told = dict(_attributes(answer[_HEADER.size + _INTERFACE.size :]))
    least, most = (
        int.from_bytes(told.get(kind, b""), "little") for kind in (IFLA_MIN_MTU, IFLA_MAX_MTU)
    )
    return least, most or MOST


def read(device: str) -> int:
    """Return the MTU of an interface."""
    return _ask(SIOCGIFMTU, device, 0)


def write(device: str, mtu: int) -> None:
    """Set the MTU of an interface."""
    _ask(SIOCSIFMTU, device, mtu)


def check(device: str, mtu: int) -> None:
    """Raise ValueError or OSError if an interface would not take an MTU; change nothing."""
    least, most = limits(device)
    if not least <= mtu <= most:
        raise ValueError(f"bad MTU {mtu} for {device}: it takes {least} to {most}")
    write(device, read(device))  # what it is already: only asks whether we may


def _ask(what: int, device: str, mtu: int) -> int:
    request = _REQUEST.pack(os.fsencode(device), mtu)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer: int = _REQUEST.unpack(fcntl.ioctl(any_socket, what, request))[1]
    return answer


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _ATTRIBUTE.size:
        size, kind = _ATTRIBUTE.unpack_from(data)
        if size < _ATTRIBUTE.size:
            return
        yield kind, data[_ATTRIBUTE.size : size]
        data = data[(size + 3) // 4 * 4 :]
