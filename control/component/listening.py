"""Where a network hears a component: one address, and a port for each of its sockets."""

import ipaddress
import re

ENDPOINT = re.compile(r"tcp://([0-9.]+):([0-9]+)")
LAST_PORT = 65535


def nth(listen: str, number: int) -> str:
    """Return the endpoint so many ports behind *listen*; raise OSError if that is none.

    It is told to others by the registry, so it must name an address by which they reach it.
    """
    found = ENDPOINT.fullmatch(listen)
    try:
        address = ipaddress.IPv4Address(found[1]) if found else None
    except ValueError:
        address = None
    if found is None or address is None or address.is_unspecified:
        wanted = "tcp://ADDRESS:PORT, with an IPv4 address that others reach"
        raise OSError(f"to listen at {listen!r}: {wanted}, is right")
    port = int(found[2]) + number
    if not 1 <= port <= LAST_PORT:
        raise OSError(f"to listen at {listen!r}: there is no port {port}")
    return f"tcp://{address}:{port}"
