"""Telling systemd how a service does: readiness and watchdog (sd_notify(3)).

What systemd says in the environment is taken out of it, so that a process that
we start does not speak in our name.
"""

import asyncio
import os
import socket
from collections.abc import MutableMapping

NAMES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """Speaks to whoever started us; without systemd, to nobody."""

    def __init__(self, environment: MutableMapping[str, str] = os.environ) -> None:
        where, watchdog, pid = (environment.pop(name, "") for name in NAMES)
        ours = pid in ("", str(os.getpid()))
        self.period = int(watchdog) / 2e6 if watchdog.isdigit() and ours else 0.0
        self._address = "\0" + where[1:] if where.startswith("@") else where

    def tell(self, *words: str) -> None:
        """Send assignments, such as READY=1."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.connect(self._address)
            sender.send("\n".join(words).encode())

    async def keep_alive(self) -> None:
        """Show twice in each watchdog's time that the event loop turns; never return."""
        while self.period:
            self.tell("WATCHDOG=1")
            await asyncio.sleep(self.period)
