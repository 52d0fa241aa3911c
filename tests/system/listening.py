"""A host that may join a multicast group: python -m system.listening DEVICE GROUP.

Prints a line for each datagram to the group that arrives at the device, joined or not. `join` and
`leave` on standard input do what they say.
"""

import socket
import struct
import sys
import threading

ETH_P_IP = 0x0800
UDP = 17


def obey(device: str, group: str) -> None:
    """Join and leave as told."""
    member = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    request = socket.inet_aton(group) + struct.pack("=4si", bytes(4), socket.if_nametoindex(device))
    options = {"join": socket.IP_ADD_MEMBERSHIP, "leave": socket.IP_DROP_MEMBERSHIP}
    for line in sys.stdin:
        member.setsockopt(socket.IPPROTO_IP, options[line.strip()], request)


def main(device: str, group: str) -> None:
    heard = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_IP))
    heard.bind((device, 0))
    threading.Thread(target=obey, args=(device, group), daemon=True).start()
    print("ready", flush=True)
    while True:
        frame, sender = heard.recvfrom(65536)
        mine = sender[2] != socket.PACKET_OUTGOING
        if mine and frame[23] == UDP and frame[30:34] == socket.inet_aton(group):
            print("heard", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
