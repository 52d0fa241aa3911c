"""Good messages with some bytes changed, cut or repeated, and bytes that never were one."""

import random

import msgspec

from raicho.control.message import VERSION, Alert, BulkRequest, Done, Get, Kind, Ping, Prepare
from raicho.control.message.envelope import pack
from raicho.control.message.events import Batch

SEEDS = [
    pack(Kind.REQUEST, 1, Ping()),
    pack(Kind.REQUEST, 2, Prepare("t", 3, [], {"a": {"b": [1]}}), 1 << 40),
    pack(Kind.REPLY, 3, Done()),
    pack(Kind.REQUEST, 4, Get("/raicho")),
    msgspec.msgpack.encode(BulkRequest("apply", "br0")),
    msgspec.msgpack.encode(Batch(VERSION, "me", "x", 1, [(0.0, Alert("bus", "ended"))] * 2)),
    b"\x91" * 5000,
]


def mutated(rng: random.Random) -> bytes:
    """Return one frame of noise."""
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(4):
            case 0:
                data[at:] = b""
            case 1:
                data[at:at] = rng.randbytes(rng.randrange(9))
            case 2 if at < len(data):
                data[at] = rng.randrange(256)
            case _:
                data = bytearray(rng.randbytes(rng.randrange(60)))
    return bytes(data)


def noise(rng: random.Random) -> list[bytes]:
    """Return a message of one to three frames."""
    return [mutated(rng) for _ in range(rng.choice((1, 1, 1, 2, 3)))]
