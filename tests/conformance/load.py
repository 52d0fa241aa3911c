"""A paced sender: python load.py DEVICE RATE SECONDS, with frames on standard input.

Frames are given one after the other, each behind its length in two bytes, and are sent in turn
until the time is over. What was due is sent a millisecond at a time, so that a rate of 20 000 a
second is kept on average without a busy loop; what was missed while the machine was busy is made
up for. Prints how many frames went out, in how many seconds, and how many the device refused.
"""

import itertools
import json
import socket
import sys
import time
from collections.abc import Iterable, Iterator

TICK = 0.001  # seconds between bursts


def pack(frames: Iterable[bytes]) -> bytes:
    """Return frames as the sender reads them."""
    return b"".join(len(frame).to_bytes(2) + frame for frame in frames)


def unpack(data: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2])
        yield data[at + 2 : end]
        at = end


def due(elapsed: float, rate: float, total: int) -> int:
    """Return how many of 'total' frames must have been sent by now."""
    return min(int(elapsed * rate), total)


def send(device: str, frames: Iterator[bytes], rate: float, seconds: float) -> dict[str, float]:
    """Send at 'rate' frames a second for so long, and say what became of it."""
    sent, refused, total = 0, 0, round(rate * seconds)
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as out:
        out.bind((device, 0))
        start = time.monotonic()
        while sent < total:
            burst = due(time.monotonic() - start, rate, total) - sent
            refused += sum(not _sent(out, frame) for frame in itertools.islice(frames, burst))
            sent += burst
            time.sleep(TICK)
        elapsed = time.monotonic() - start
    return {"sent": sent, "refused": refused, "seconds": round(max(elapsed, seconds), 3)}


def _sent(out: socket.socket, frame: bytes) -> bool:
    try:
        out.send(frame)
    except OSError:  # the queue of the device is full
        return False
    return True


def main() -> None:
    device, rate, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    frames = itertools.cycle(unpack(sys.stdin.buffer.read()))
    print(json.dumps(send(device, frames, rate, seconds)), flush=True)


if __name__ == "__main__":
    main()
