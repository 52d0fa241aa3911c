"""Flow-mods at a rate, while packets are counted."""

import time
from collections.abc import Callable, Sequence

RATE = 10_000  # flow-mods per second
TICK = 0.01  # seconds between two batches of them


class Churn:
    """Messages to write one after the other, again and again; without any it only sleeps."""

    def __init__(self, messages: Sequence[bytes], write: Callable[[bytes], None]) -> None:
        self._messages, self._write = messages, write
        self._next = 0

    def run(self, seconds: float) -> None:
        """Write for so long."""
        end = time.monotonic() + seconds
        if not self._messages:
            time.sleep(seconds)
        while self._messages and (now := time.monotonic()) < end:
            self._write(b"".join(self._take(round(RATE * TICK))))
            time.sleep(max(0.0, now + TICK - time.monotonic()))

    def _take(self, count: int) -> list[bytes]:
        chosen = [self._messages[(self._next + i) % len(self._messages)] for i in range(count)]
        self._next += count
        return chosen
