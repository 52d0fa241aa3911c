"""Being known to the datastore, through its absences and restarts."""

import asyncio
import logging
from collections.abc import Callable

from ..message import CallError, Code, ControlClient, Heartbeat, Register, Registered, Unregister

TTL = 10.0  # seconds without a heartbeat until the datastore gives a component up
HEARTBEAT = 1.0  # seconds between heartbeats
FIRST_PAUSE, LAST_PAUSE = 0.1, 2.0  # seconds between attempts to register
REGISTER_TIMEOUT = 15.0  # registering ends with the configuration taken over

log = logging.getLogger(__name__)


class Registration:
    """Keep a component registered; *changed* hears whether it is."""

    def __init__(
        self, datastore: ControlClient, register: Register, changed: Callable[[bool], None]
    ) -> None:
        self._datastore = datastore
        self._register = register
        self._changed = changed
        self._lease = ""
        self._trouble = ""

    async def keep(self) -> None:
        """Register, stay registered, and do so again when it was lost; never return."""
        pause = FIRST_PAUSE
        while True:
            try:
                registered = await self._datastore.call(self._register, REGISTER_TIMEOUT)
            except CallError as error:
                self._complain(error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LAST_PAUSE)
                continue
            pause = FIRST_PAUSE
            self._accept(registered)
            await self._stay()

    async def leave(self) -> None:
        """Tell the datastore, if it is there, that the component goes."""
        if not self._lease:
            return
        goodbye = Unregister(self._register.component, self._lease)
        try:
            await self._datastore.call(goodbye, 0.5)
        except CallError as error:
            log.info("left without a goodbye: %s", error)

    def _accept(self, registered: Registered) -> None:
        self._lease, self._trouble = registered.lease, ""
        log.info("registered at revision %d", registered.revision)
        self._changed(True)

    async def _stay(self) -> None:
        """Send heartbeats until the datastore does not know the lease."""
        heartbeat = Heartbeat(self._register.component, self._lease)
        while True:
            await asyncio.sleep(HEARTBEAT)
            try:
                await self._datastore.call(heartbeat, TTL / 3)
            except CallError as error:
                self._complain(error)
                if error.failure.code not in (Code.TIMEOUT, Code.UNAVAILABLE):
                    return
            else:
                self._changed(True)

    def _complain(self, error: CallError) -> None:
        if str(error) != self._trouble:  # once, not at every attempt
            log.warning("not registered: %s", error)
        self._trouble = str(error)
        self._changed(False)
