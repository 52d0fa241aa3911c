"""The host's side of a router's interface: a tap in a network namespace.

It has the name, the addresses and the link of the interface.  What is for the router goes there,
and what the host sends goes out by the interface; so a routing daemon takes part as if the
interface were the host's own.
"""

import contextlib
import ctypes
import errno
import fcntl
import ipaddress
import os
import socket
import struct
import threading
from collections.abc import Callable
from typing import TypeVar

NAMESPACES = "/run/netns"
TUNSETIFF, TUNSETCARRIER = 0x400454CA, 0x400454E2
IFF_TAP, IFF_NO_PI, IFF_UP = 2, 0x1000, 1
SIOCGIFFLAGS, SIOCSIFFLAGS, SIOCSIFMTU, SIOCSIFHWADDR = 0x8913, 0x8914, 0x8922, 0x8924
ARPHRD_ETHER = 1
CLONE_NEWNET = 0x40000000
# rtnetlink(7)
RTM_NEWADDR, RTM_DELADDR = 20, 21
NLM_REQUEST, NLM_ACK, NLM_CREATE, NLM_REPLACE = 1, 4, 0x400, 0x100
IFA_ADDRESS, IFA_LOCAL = 1, 2
IFA_F_NODAD = 2

T = TypeVar("T")
_IFREQ = struct.Struct("16s24x")


class HostSide:
    """A tap that is there as long as this is open."""

    def __init__(self, name: str, namespace: str, mac: int, mtu: int) -> None:
        self.name, self.namespace = name, namespace
        self._addresses: set[str] = set()
        self.descriptor = in_namespace(namespace, lambda: _open_tap(name))
        try:
            in_namespace(namespace, lambda: _set_up(name, mac, mtu))
        except OSError:
            self.close()
            raise

    def set_addresses(self, wanted: set[str]) -> None:
        """Let it have these addresses, and none that it had of us before."""
        gone, fresh = self._addresses - wanted, wanted - self._addresses

        def change() -> None:
            index = socket.if_nametoindex(self.name)
            for text in gone:
                with contextlib.suppress(OSError):  # somebody else took it away
                    _change_address(index, text, RTM_DELADDR)
            for text in fresh:
                _change_address(index, text, RTM_NEWADDR)

        in_namespace(self.namespace, change)
        self._addresses = set(wanted)

    def set_mtu(self, mtu: int) -> None:
        """Let it have another MTU."""
        in_namespace(self.namespace, lambda: _set_mtu(self.name, mtu))

    def set_carrier(self, up: bool) -> None:
        """Let its link be as that of the interface."""
        fcntl.ioctl(self.descriptor, TUNSETCARRIER, struct.pack("i", up))

    def close(self) -> None:
        """Let it vanish."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def in_namespace(namespace: str, action: Callable[[], T]) -> T:
    """Do something in a network namespace of ip-netns(8); "" is that of the process."""
    if not namespace:
        return action()
    outcome: list[T] = []
    failure: list[BaseException] = []

    def enter() -> None:  # in a thread of its own, which does not come back
        try:
            with open(os.path.join(NAMESPACES, namespace)) as file:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(file.fileno(), CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, f"namespace {namespace}: {os.strerror(number)}")
            outcome.append(action())
        except BaseException as error:  # it is raised where it was asked for
            failure.append(error)

    thread = threading.Thread(target=enter, name=f"netns {namespace}")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]
    return outcome[0]


def exists(namespace: str) -> bool:
    """Return whether there is such a namespace."""
    return not namespace or os.path.exists(os.path.join(NAMESPACES, namespace))


def _open_tap(name: str) -> int:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        flags = struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI)
        fcntl.ioctl(descriptor, TUNSETIFF, flags)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _set_up(name: str, mac: int, mtu: int) -> None:
    encoded = name.encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        address = struct.pack("16sH6s16x", encoded, ARPHRD_ETHER, mac.to_bytes(6, "big"))
        fcntl.ioctl(sock, SIOCSIFHWADDR, address)
        fcntl.ioctl(sock, SIOCSIFMTU, struct.pack("16si20x", encoded, mtu))
        got = fcntl.ioctl(sock, SIOCGIFFLAGS, _IFREQ.pack(encoded))
        (flags,) = struct.unpack_from("H", got, 16)
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH22x", encoded, flags | IFF_UP))


def _set_mtu(name: str, mtu: int) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFMTU, struct.pack("16si20x", name.encode(), mtu))


def _change_address(index: int, text: str, kind: int) -> None:
    address = ipaddress.ip_interface(text)
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    flags = IFA_F_NODAD if address.version == 6 else 0
    body = struct.pack("BBBBi", family, address.network.prefixlen, flags, 0, index)
    for attribute in (IFA_LOCAL, IFA_ADDRESS):
        packed = address.ip.packed
        body += struct.pack("HH", 4 + len(packed), attribute) + packed
    how = NLM_REQUEST | NLM_ACK | (NLM_CREATE | NLM_REPLACE if kind == RTM_NEWADDR else 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.send(struct.pack("IHHII", 16 + len(body), kind, how, 1, 0) + body)
        (error,) = struct.unpack_from("i", sock.recv(4096), 16)
    if error and -error != errno.EEXIST:
        raise OSError(-error, f"address {text}: {os.strerror(-error)}")
