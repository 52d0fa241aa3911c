"""Workers, bridges and what they share.

All of it belongs to one thread, the control thread, apart from Worker.run().
Times are milliseconds of the monotonic clock.
"""

from typing import Any

from .port import Port

DONE: int  # the result of a message that was carried out
DROP_REASONS: dict[str, str]  # name -> what people read

class OpenFlowError(Exception):
    """A request that the specification answers with an error, type << 16 | code."""

    code: int
    def __init__(self, code: int) -> None: ...

class Dataplane:
    """What all bridges and workers of a process share."""

    def tick(self, now_ms: int) -> None:
        """Expire flows and free what was retired; at least every 10 ms."""

    def barrier(self, timeout_ms: int = 1000) -> bool:
        """Wait until every worker uses what has been published; False if that takes too long."""

    def add_worker(self, id: int, *, packets: int = 0) -> Worker:
        """Make a worker with so many packets (0: a sensible number)."""

    def add_bridge(self, name: str, datapath_id: int, now_ms: int) -> Bridge:
        """Make a bridge without ports."""

class Worker:
    """A thread that forwards; run() is its body."""

    id: int
    polling: bool  # never sleep
    def __init__(self, dataplane: Dataplane, id: int, packets: int) -> None: ...
    def close(self) -> None:
        """Let go of its memory; run() must have returned and its ports be detached."""

    def run(self) -> None:
        """Forward until stop(); holds no GIL."""

    def stop(self) -> None:
        """Make run() return soon."""

    def round(self) -> int:
        """Do one round without a thread; return how many packets were received."""

    def rounds(self, packets: int) -> int:
        """Do rounds until so many packets were received; return how many."""

    def punt_fd(self) -> int:
        """Return the descriptor that becomes readable when there are punts."""

    def punts(self, limit: int = 256) -> dict[int, list[bytes]]:
        """Take packets for controllers, as PACKET_IN messages by the index of the bridge."""

    def totals(self) -> dict[str, Any]:
        """Read what it did with packets; "drops" is a dict by reason."""

class Bridge:
    """An OpenFlow datapath."""

    name: str
    index: int
    datapath_id: int
    max_flows: int  # 0: as memory allows
    frag_mode: int
    miss_send_len: int
    n_flows: int
    events_lost: int
    def __init__(
        self, dataplane: Dataplane, name: str, datapath_id: int, now_ms: int
    ) -> None: ...
    def close(self) -> None:
        """Detach the ports and forget everything."""

    def attach(self, port: Port, number: int, worker: int, now_ms: int) -> None:
        """Put a port in under a number; raise ValueError if that is not possible."""

    def detach(self, number: int) -> None:
        """Take a port out; when it returns no worker uses it any more."""

    def has_port(self, number: int) -> bool:
        """Return whether a port has that number."""

    def refresh_link(self, number: int) -> bool:
        """Ask a port for its link; return whether it changed."""

    def set_enabled(self, number: int, enabled: bool) -> None:
        """Let packets through a port, or not."""

    def port_state(self, number: int) -> dict[str, Any]:
        """Read the OpenFlow description of a port."""

    def apply(self, messages: bytes, now_ms: int) -> bytes:
        """Apply whole OpenFlow messages; return a native uint32 each: DONE or an error."""

    def multipart(self, kind: int, body: bytes, now_ms: int) -> list[bytes]:
        """Answer a multipart request by parts; raise OpenFlowError."""

    def events(self) -> list[tuple[str, bytes]]:
        """Take the messages for controllers, in order, as runs of one kind.

        Kinds are "flow_removed" and "port_status"; a run is whole messages.
        """

    def tables(self) -> list[dict[str, Any]]:
        """Describe the tables that hold entries."""
