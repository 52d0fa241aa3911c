"""Cables of a benchmark that has a network of its own: a port at one end, a socket at the other."""

import socket
import subprocess
from contextlib import ExitStack

ETH_P_ALL = 3


def lay(name: str, closing: ExitStack) -> socket.socket:
    """Lay a cable whose near end is a device of this name; return its far end, NAME-x."""
    subprocess.run(["ip", "link", "add", name, "type", "veth", "peer", f"{name}-x"], check=True)
    closing.callback(subprocess.run, ["ip", "link", "delete", name], check=True)
    for end in (name, f"{name}-x"):
        subprocess.run(["ip", "link", "set", end, "up"], check=True)
    far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    closing.callback(far.close)
    far.bind((f"{name}-x", ETH_P_ALL))
    far.setblocking(False)
    return far
