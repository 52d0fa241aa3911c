"""The sender of events: compiled, because each event of a busy source passes here."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import zmq

from .envelope import Message

class Publisher:
    """Send events to *endpoint*, where the bus listens; never wait for anybody."""

    source: str
    counters: Counter[str]

    def __init__(
        self,
        context: zmq.SyncContext,
        endpoint: str,
        source: str,
        *,
        clock: Callable[[], float] = ...,
    ) -> None: ...
    def publish(self, topic: str, body: Message | dict[str, Any]) -> int:
        """Send an event at the end of this turn of the loop; return its number."""

    def flush(self) -> None:
        """Send what waits."""

    def close(self) -> None:
        """Send what waits and close the socket, without waiting for it to leave."""
