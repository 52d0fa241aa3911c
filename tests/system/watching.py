"""Frames that a device receives, in hexadecimal digits: python -m system.watching DEVICE TYPE."""

import socket
import sys


def main(device: str, ethertype: int) -> None:
    opened = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ethertype))
    opened.bind((device, ethertype))
    print("ready", flush=True)
    while True:
        print(opened.recv(65536).hex(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2], 0))
