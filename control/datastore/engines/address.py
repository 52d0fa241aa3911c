"""The address of a store that is somewhere else: KIND://HOST:PORT/NAME."""

from typing import NamedTuple
from urllib.parse import urlsplit

from . import EngineError

PORTS = {"redis": 6379, "etcd": 2379, "zookeeper": 2181}


class Address(NamedTuple):
    text: str
    host: str
    port: int
    name: str  # what all keys begin with


def parse_address(text: str) -> Address:
    """Take an address apart; raise EngineError if it is none."""
    try:
        url = urlsplit(text)
        host, port = url.hostname or "localhost", url.port or PORTS[url.scheme]
    except (ValueError, KeyError) as error:
        raise EngineError(f"bad address {text}: right is KIND://HOST:PORT/NAME") from error
    return Address(text, host, port, url.path.strip("/") or "raicho")
