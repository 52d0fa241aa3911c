"""The receiver of events: compiled, because each event of a busy topic passes here."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable

import zmq

from .events import Body, Gap

class Event:
    """An event as a subscriber gets it."""

    @property
    def source(self) -> str: ...
    @property
    def incarnation(self) -> str:
        """Which start of the source counted it."""

    @property
    def sequence(self) -> int: ...
    @property
    def time(self) -> float:
        """Unix seconds."""

    @property
    def topic(self) -> str: ...
    @property
    def body(self) -> Body: ...

class Subscriber:
    """Receive the events of *topics* (prefixes) and hand them on, one at a time.

    The handler may be a coroutine function.  A slow one delays nobody else:
    events wait in a bounded queue, and those beyond it are dropped, counted
    and seen as a gap.  An exception of a handler is logged and counted.
    """

    counters: Counter[str]

    def __init__(
        self,
        context: zmq.SyncContext,
        endpoint: str,
        topics: Iterable[str],
        handler: Callable[[Event], Awaitable[None] | None],
        *,
        on_gap: Callable[[Gap], None] | None = None,
        backlog: int = ...,
    ) -> None: ...
    def close(self) -> None:
        """Stop receiving; events that wait are forgotten."""
