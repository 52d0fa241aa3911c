"""What NATs tell of their mappings: events for the bus, lines for the log.

That is what RFC 6888, section 4, wants to be kept, and no destination (REQ-12): so that somebody
can say later which host was behind an address and port at a time.
"""

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

from .nat import Event, Nat

MAPPING, LOST = "nat.mapping", "nat.lost"  # topics
AT_ONCE = 512  # events of a NAT in a turn, so that a flood of sessions leaves time for the rest

Nats = Iterable[tuple[str, Nat]]  # with the names of their routers

log = logging.getLogger(__name__)


class MappingLog:
    """Takes the events out of NATs, some at a time; what a NAT has no room for it counts."""

    def __init__(self, publish: Callable[[str, dict[str, Any]], object]) -> None:
        self._publish = publish
        self._lost: dict[Nat, int] = {}  # told so far

    def tell(self, nats: Nats, now_ms: int) -> None:
        """Publish what has happened; to be called often."""
        began = time.time() - now_ms / 1000
        for router, nat in nats:
            for event in nat.events(AT_ONCE):
                body = _body(router, event, began)
                self._publish(MAPPING, body)
                log.debug("%s", _Line(body))

    def tell_lost(self, nats: Nats) -> None:
        """Publish how many events have been lost since the last call; to be called now and then."""
        counted = {nat: (router, nat.counts()["events_lost"]) for router, nat in nats}
        for nat, (router, lost) in counted.items():
            if missed := lost - self._lost.get(nat, 0):
                self._publish(LOST, {"router": router, "events": missed, "time": time.time()})
                log.warning("router %s: %d mappings came or went untold", router, missed)
        self._lost = {nat: lost for nat, (_, lost) in counted.items()}


class _Line:
    """An event as a line, made only if it is written."""

    def __init__(self, body: dict[str, Any]) -> None:
        self._body = body

    def __str__(self) -> str:
        return (
            "router {router}: {protocol} {inside} port {inside-port} is {outside} port"
            " {outside-port}: {event} at {time:.3f}".format_map(self._body)
        )


def _body(router: str, event: Event, began: float) -> dict[str, Any]:
    """Return an event as it is published; *began* is when the clock of the events was 0."""
    return {
        "router": router,
        "event": "begin" if event.created else "end",
        "time": began + event.at_ms / 1000,
        "protocol": event.protocol,
        "inside": str(event.inside),
        "inside-port": event.inside_port,
        "outside": str(event.outside),
        "outside-port": event.outside_port,
    }
