"""What bridges and workers share.

One thread uses it, and the bridges and workers: the control thread.  Only
Worker.run() and Dataplane.barrier() may be called by others.  Times are
milliseconds of the monotonic clock.
"""

from .bridge import Bridge
from .router import Router
from .worker import Worker

DONE: int  # the result of a message that was carried out
MAX_BRIDGES: int
MAX_WORKERS: int  # also one more than the highest id

class Dataplane:
    """The tables' memory, programs and counters of a process."""

    def tick(self, now_ms: int) -> None:
        """Expire flows and free what was retired; expiry is as precise as this is frequent."""

    def neighbours(self) -> dict[str, int]:
        """Count the neighbours of all routers, and packets that wait for them; and what has been.

        Questions sent and not sent (solicits, suppressed), packets that gave way (dropped),
        neighbours that found no room, gave way or did not answer (refused, evicted, failed),
        messages that are none (ignored) or told of an address of ours (conflicts).
        """

    def escalated(self) -> list[tuple[int, int, str, int, bytes]]:
        """Take the copies that routers made for subscriptions.

        Each is the id, the reason (one of router.REASONS), the interface by which it came, how
        many were dropped so far, and the frame, without a VLAN tag.
        """

    def barrier(self, timeout_ms: int = 1000) -> bool:
        """Wait until every worker uses what has been published; False if that takes too long."""

    def add_worker(self, id: int, *, packets: int = 0) -> Worker:
        """Make a worker with so many packets (0: a sensible number)."""

    def add_router(self, name: str) -> Router:
        """Make a router without interfaces."""

    def add_bridge(self, name: str, datapath_id: int, now_ms: int) -> Bridge:
        """Make a bridge without ports."""

class Plugin:
    """A shared object with instructions, open but in no use until it is taken."""

    path: str
    instructions: tuple[tuple[str, int, int], ...]  # name, subtype, bytes of arguments

    def __init__(self, within: Dataplane, path: str) -> None:
        """Open and check it; raise ValueError with what is wrong."""

    def take(self) -> None:
        """Let actions use its instructions, as long as the process lives."""

    def close(self) -> None:
        """Close it, if it was not taken."""
