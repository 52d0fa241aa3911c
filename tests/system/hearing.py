"""A subscriber of a running switch's bus, for tests that are not async themselves."""

import asyncio
import threading
import time
from pathlib import Path
from typing import Self

import zmq

from bench.peers.raicho import ask
from raicho.control.message import Event, Gap, Get, Subscriber

from .lab import wait_until


class Hearing:
    """Hear events of *topics* in a thread of its own until the block is left."""

    def __init__(self, run_dir: Path, *topics: str) -> None:
        self.heard: list[tuple[float, Event]] = []  # when each came, and what it was
        self.gaps: list[Gap] = []
        self._run_dir, self._topics = run_dir, topics
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run)

    def of(self, topic: str) -> list[tuple[float, Event]]:
        """Return what came of a topic so far."""
        return [each for each in self.heard if each[1].topic == topic]

    def wait(self, topic: str, count: int = 1) -> tuple[float, Event]:
        """Wait until so many events of a topic have come; return the last, and when it came."""
        wait_until(lambda: len(self.of(topic)) >= count, f"{count} events {topic}")
        return self.of(topic)[count - 1]

    def _run(self) -> None:
        self._loop.run_until_complete(self._listen())

    async def _listen(self) -> None:
        self._over = asyncio.Event()
        context: zmq.SyncContext = zmq.Context()
        endpoint = f"ipc://{self._run_dir}/bus.sub"
        subscriber = Subscriber(
            context, endpoint, self._topics, self._hear, on_gap=self.gaps.append
        )
        self._begun.set()
        await self._over.wait()
        subscriber.close()
        context.term()

    def _hear(self, event: Event) -> None:
        self.heard.append((time.time(), event))

    def __enter__(self) -> Self:
        self._begun = threading.Event()
        self._thread.start()
        self._begun.wait()
        wait_until(self._is_known, f"a subscription of {self._topics}")
        return self

    def _is_known(self) -> bool:
        """Tell whether the bus has the subscriptions, and so passes them on to who publishes."""
        rows = ask(self._run_dir, "bus", Get("/subscriptions")).data
        return {row["prefix"] for row in rows} >= set(self._topics)

    def __exit__(self, *exc: object) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()
        self._loop.close()
