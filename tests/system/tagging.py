"""A host on a trunk where the kernel has no VLAN devices: python -m system.tagging TRUNK TAP VLAN.

Makes TAP; what leaves by it gets the tag and goes out of TRUNK, what comes from TRUNK with the
tag comes out of TAP without it.
"""

import fcntl
import os
import select
import socket
import struct
import sys

TUN_SET_IFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
ETH_P_ALL = 3
SOL_PACKET, PACKET_AUXDATA = 263, 8
VLAN_VALID = 0x10  # in tp_status: the kernel took the tag out and tells it in the auxiliary data
AUXILIARY = struct.Struct("=IIIHHHH")
TAG = struct.Struct("!HH")


def tap(name: str) -> int:
    """Make a TAP device that lives as long as the descriptor."""
    device = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(device, TUN_SET_IFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return device


def trunk(name: str) -> socket.socket:
    """Open a device for whole frames, with their tags."""
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    opened.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    opened.bind((name, 0))
    return opened


def receive(opened: socket.socket, vlan: int) -> bytes | None:
    """Receive a frame and take its tag off; None if it has another one, or is our own."""
    frame, auxiliary, _, sender = opened.recvmsg(65536, 256)
    if sender[2] == socket.PACKET_OUTGOING:
        return None
    for level, kind, data in auxiliary:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, *_, tci, _ = AUXILIARY.unpack(data)
            if status & VLAN_VALID:
                return frame if tci & 0xFFF == vlan else None
    kind, tci = TAG.unpack_from(frame, 12)
    return frame[:12] + frame[16:] if (kind, tci & 0xFFF) == (0x8100, vlan) else None


def main(trunk_name: str, tap_name: str, vlan: int) -> None:
    outside, inside = trunk(trunk_name), tap(tap_name)
    both: list[socket.socket | int] = [outside, inside]
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select(both, [], [])
        if outside in readable and (frame := receive(outside, vlan)):
            os.write(inside, frame)
        if inside in readable:
            frame = os.read(inside, 65536)
            outside.send(frame[:12] + TAG.pack(0x8100, vlan) + frame[12:])


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
