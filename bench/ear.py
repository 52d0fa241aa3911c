"""The subscribers of bench.bus, a process of their own: `python -m bench.ear FOLDER TOPIC COUNT`.

What they hear is counted in a file that the benchmark maps too.
"""

import asyncio
import sys
import time
from mmap import mmap
from pathlib import Path
from typing import TypeAlias

import zmq

from raicho.control.message import Event, Gap, Subscriber

GOT, MISSED = 0, 1  # places in the file; behind them, in seconds, how long the last events took
HEAD, SAMPLES = 2, 100_000
TIMED = "timed"  # the topic of events whose way is timed

Heard: TypeAlias = "memoryview[float]"


def share(folder: Path, topic: str) -> Heard:
    """Map the file of a topic, which is made if it is not there."""
    with (folder / f"{topic}.ear").open("a+b") as file:
        file.truncate(8 * (HEAD + SAMPLES))
        return memoryview(mmap(file.fileno(), 0)).cast("d")


class Ear:
    """Counts events, and notes how long those of TIMED took."""

    def __init__(self, heard: Heard, topic: str) -> None:
        self._heard = heard
        self._count = 0
        self._tells_soon = False
        self._loop = asyncio.get_running_loop()
        self.hear = self._time if topic == TIMED else self._hear

    def _hear(self, event: Event) -> None:
        self._count += 1
        if not self._tells_soon:
            self._tells_soon = True
            self._loop.call_soon(self._tell)

    def _time(self, event: Event) -> None:
        self._heard[HEAD + self._count % SAMPLES] = time.monotonic() - event.time
        self._count += 1
        self._tell()

    def _tell(self) -> None:
        self._tells_soon = False
        self._heard[GOT] = self._count

    def miss(self, gap: Gap) -> None:
        self._heard[MISSED] += gap.missed


async def listen(folder: Path, topic: str, count: int) -> None:
    context = zmq.Context()
    ear = Ear(share(folder, topic), topic)
    endpoint = f"ipc://{folder}/bus.sub"
    ears = [Subscriber(context, endpoint, [topic], ear.hear, on_gap=ear.miss) for _ in range(count)]
    await asyncio.Event().wait()
    assert ears, "they are kept"


if __name__ == "__main__":
    asyncio.run(listen(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
