"""Pull all counters by one request, write them by another, and do so again after a while.

Whoever wants to know how much was counted asks the datastore, so the dataplane
is asked once a period however many want to know, and never by them.
"""

import asyncio
import logging
import time
from collections import Counter
from contextlib import suppress
from importlib.resources import files
from typing import Any

import msgspec

from ..component import BulkPeer, Component
from ..message import (
    DONE,
    BulkRequest,
    CallError,
    Change,
    Code,
    Failure,
    MarkStale,
    PutSample,
)
from ..message.statistics import Sets
from .entries import cut
from .settings import Settings, settings_of

SOURCE, API = "dataplane", "dataplane.bulk"
PULL_TIMEOUT = 5.0  # seconds; the link tells sooner when the dataplane dies
PUT_TIMEOUT = 5.0
RETRY = 1.0  # seconds until what failed is tried again, unless the period is shorter

log = logging.getLogger(__name__)


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """What the dataplane answers: which process counted, and the rows."""

    instance: str
    sets: Sets


_readings = msgspec.msgpack.Decoder(Reading)


class StateSync(Component):
    """Keep the datastore's sample of the dataplane fresh."""

    name = "statesync"

    async def open(self) -> None:
        """Begin to look for the dataplane."""
        self.yang = [(files(__package__) / "schema/raicho-statesync.yang").read_text("utf-8")]
        self.subscriptions = ["/raicho/statistics"]
        self.counters: Counter[str] = Counter(samples=0, failed=0)
        self._settings = Settings()
        self._next = Settings()
        self._trouble = ""
        # Read once: rows would differ by the noise between two readings of two clocks.
        self._epoch = round((time.time() - time.monotonic()) * 1000)
        self._wake = asyncio.Event()
        self._dataplane = BulkPeer(self.context, self.datastore, API, on_link=self._link)
        self.spawn(self._collect())

    async def close(self) -> None:
        """Close the way to the dataplane."""
        self._dataplane.close()

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        """Read the settings, which the schema has checked."""
        self._next = settings_of(config)

    async def commit(self, txid: str) -> None:
        """Begin a new period with the new settings."""
        self._settings = self._next
        self._wake.set()

    def state(self, path: str) -> Any:
        """Return the settings that are in use, at /statistics."""
        if path.strip("/").removeprefix("raicho/") == "statistics":
            return {"period": self._settings.period, "set": list(self._settings.sets)}
        return super().state(path)

    def stats(self, names: list[str]) -> dict[str, Any]:
        """Return how many samples were taken, and how many were not."""
        return {"statesync": {**self.counters, "dataplane": int(self._dataplane.up)}}

    async def _collect(self) -> None:
        while True:
            began = time.monotonic()
            self._wake.clear()
            taken = await self._take_one()
            period = self._settings.seconds
            due = began + (period if taken else min(period, RETRY))
            with suppress(TimeoutError):
                async with asyncio.timeout(due - time.monotonic()):
                    await self._wake.wait()

    async def _take_one(self) -> bool:
        """Take a sample; without a dataplane, say that the last one is stale."""
        try:
            if await self._dataplane.find():
                return await self._copy()
            await self.datastore.call(MarkStale(SOURCE), PUT_TIMEOUT)
            self._complain(f"nobody serves {API}")
        except CallError as error:
            self._complain(str(error))
        return False

    async def _copy(self) -> bool:
        began = time.monotonic()
        names = msgspec.msgpack.encode(self._settings.sets)
        reply, frames = await self._dataplane.request(BulkRequest("sample"), names, PULL_TIMEOUT)
        if reply.code != DONE:
            reason = f"the dataplane gives no sample: {reply.text or hex(reply.code)}"
            raise CallError(Failure(Code.REFUSED, reason))
        reading = _readings.decode(frames[0])
        sets = await asyncio.to_thread(cut, reading.sets, self._clock)  # seconds, of many flows
        age = time.monotonic() - began
        await self.datastore.call(PutSample(SOURCE, reading.instance, age, sets), PUT_TIMEOUT)
        self.counters["samples"] += 1
        self._trouble = ""
        return True

    def _clock(self, monotonic_ms: int) -> int:
        return self._epoch + monotonic_ms

    def _complain(self, trouble: str) -> None:
        self.counters["failed"] += 1
        if trouble != self._trouble:  # once, not every period
            log.warning("no sample: %s", trouble)
        self._trouble = trouble

    def _link(self, up: bool) -> None:
        log.info("the dataplane is %s", "there" if up else "away")
        self._wake.set()
