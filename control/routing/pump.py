"""Carry what a memory has to the dataplane, in batches, and all of it to a new dataplane."""

import asyncio
import logging
from collections import Counter

from ..message import CallError
from ..message.routes import REMOVE, ROUTE, Records, RouteClient, error_text, pack_group
from .memory import Memory, Resolve

RETRY = 1.0  # seconds until what failed as a whole is tried again
NOT_FOUND = 6  # right where something is to be removed

log = logging.getLogger(__name__)


class Pump:
    """The way of one source into one router.  `wake` when there is something to carry."""

    def __init__(self, memory: Memory, client: RouteClient, resolve: Resolve) -> None:
        self.memory = memory
        self.counters: Counter[str] = Counter()
        self.is_complete = False  # whether what the memory does not have may be swept
        self.trouble = ""
        self._client = client
        self._resolve = resolve
        self._is_held = True  # until the dataplane is there
        self._is_new = True  # the dataplane, or what it has is not known
        self._owes_sweep = False
        self._refused: set[bytes] = set()
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Carry what there is."""
        self._wake.set()

    def hold(self) -> None:
        """Carry nothing, until `begin_anew`."""
        self._is_held = True

    def begin_anew(self) -> None:
        """Tell all again: the dataplane may be another."""
        self._is_held, self._is_new = False, True
        self._wake.set()

    def resolve_again(self) -> None:
        """Tell what depends on interfaces, which have changed."""
        self.memory.resolve_again()
        for key in self._refused:
            self.memory.tell_again(key)
        self._refused.clear()
        self._wake.set()

    @property
    def is_idle(self) -> bool:
        """Whether the dataplane has been told all."""
        return not (self._is_new or self._owes_sweep or self.memory.waits)

    async def run(self) -> None:
        """Carry for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._is_held:
                continue
            try:
                await self._carry()
            except CallError as error:
                if str(error) != self.trouble:
                    log.warning("%s", error)
                self.trouble = str(error)
                self._is_new = True
                asyncio.get_running_loop().call_later(RETRY, self.wake)

    async def _carry(self) -> None:
        self.trouble = ""
        if self._is_new:
            await self._client.begin(self.memory.source)
            self.memory.forget_sent()
            self._refused.clear()
            self._is_new, self._owes_sweep = False, True
        while self.memory.waits:
            await self._tell()
        if self._owes_sweep and self.is_complete:
            await self._sweep()
            self._owes_sweep = False

    async def _sweep(self) -> None:
        """Remove what an earlier component has told, and its groups."""
        source = self.memory.source
        self.counters["swept"] += await self._client.sweep(source)
        groups = await self._client.next_hops(source)
        idle = [each for each in groups if not self.memory.has_told(each.id)]
        await self._client.next_hops_mod([pack_group(each, REMOVE) for each in idle])

    async def _tell(self) -> None:
        batch = self.memory.batch(self._resolve)
        self._note("groups", await self._client.next_hops_mod(batch.groups))
        codes = await self._client.routes_mod(batch.routes)
        self._note("routes", codes)
        if codes.any():
            self._keep_refused(batch.routes, codes)
        self._note("groups", await self._client.next_hops_mod(batch.gone))

    def _note(self, what: str, codes: Records) -> None:
        self.counters[what] += len(codes)

    def _keep_refused(self, records: bytes, codes: Records) -> None:
        """Remember routes that were not taken, to try them again when interfaces change."""
        for at in codes.nonzero()[0]:
            record = records[at * ROUTE.itemsize : (at + 1) * ROUTE.itemsize]
            code = int(codes[at])
            if record[0] == REMOVE and code == NOT_FOUND:
                continue
            self.counters["refused"] += 1
            self._refused.add(record[1:3] + record[16:])
            self.trouble = f"a route was refused: {error_text(code)}"
