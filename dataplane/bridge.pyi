"""Bridges: OpenFlow datapaths, their ports under numbers, and the messages they take."""

from collections.abc import Iterable, Sequence
from typing import Any

from .bridging import Bridging, Multicast
from .datapath import Dataplane
from .port import Port
from .queues import QueueConfig

class OpenFlowError(Exception):
    """A request that the specification answers with an error, type << 16 | code."""

    code: int
    def __init__(self, code: int) -> None: ...

class Bridge:
    """An OpenFlow datapath.  Dataplane.add_bridge() makes one.

    Unless it is said otherwise, a number under which there is no port is a KeyError,
    and everything but close() a ValueError once it is closed.
    """

    name: str
    index: int
    datapath_id: int
    max_flows: int  # 0: as memory allows
    frag_mode: int
    miss_send_len: int
    @property
    def n_flows(self) -> int: ...
    @property
    def flows_refused(self) -> int: ...  # flow-mods that found no room
    @property
    def events_lost(self) -> int: ...
    @property
    def controllers(self) -> int:
        """How many controllers are connected, as far as anybody has said."""
    @property
    def standalone(self) -> bool:
        """Whether packets are forwarded as by a learning bridge, past the tables."""
    def set_fail_mode(self, standalone: bool) -> None:
        """Say what it is to be without controllers."""
    def set_controllers(self, controllers: int) -> None:
        """Say how many controllers are connected."""
    def __init__(self, dataplane: Dataplane, name: str, datapath_id: int, now_ms: int) -> None: ...
    def close(self) -> None:
        """Detach the ports and forget everything.  Idempotent."""

    def attach(
        self,
        port: Port,
        number: int,
        workers: int | Sequence[int],
        now_ms: int,
        *,
        enabled: bool = True,
        pipeline: str = "openflow",
        how: Bridging = ...,
    ) -> None:
        """Put a port in under a number; raise ValueError if that is not possible.

        *pipeline* is what its packets start in, *how* it takes part in a bridge that learns.

        *workers* is the one that serves the port, or one for each of its queues.
        Raises OSError, with what was wrong, if the device cannot be used after all.
        """

    def move(self, number: int, workers: int | Sequence[int]) -> None:
        """Let other workers serve a port, while packets go on; what waits goes on waiting."""

    def detach(self, number: int) -> None:
        """Take a port out; when it returns no worker uses it any more."""

    def has_port(self, number: int) -> bool:
        """Return whether a port has that number."""

    def refresh_link(self, number: int, up: bool | None = None) -> bool:
        """Note what the link of a port is like; return whether the description changed.

        *up* is what the kernel told, which may already be the past.
        """

    def set_enabled(self, number: int, enabled: bool) -> None:
        """Let packets through a port, or not."""

    def set_pipeline(self, number: int, name: str) -> None:
        """Let packets start in another program, each as a whole: "bridge", or "template:7"."""

    def set_bridging(self, number: int, how: Bridging) -> None:
        """Let a port take part in a bridge that learns in another way."""

    def set_queues(
        self, number: int, queues: Iterable[QueueConfig], rate: int, now_ms: int
    ) -> None:
        """Give a port queues in place of those it has, and the rate in bit/s that they share.

        0 is the speed of its link.  Queues that stay keep their packets and counters; without
        queues and rate, nothing is held back.
        """

    def port_state(self, number: int) -> dict[str, Any]:
        """Read the OpenFlow description of a port."""

    def apply(self, messages: bytes, now_ms: int) -> bytes:
        """Apply whole OpenFlow messages; return a native uint32 each: DONE or an error."""

    def apply_bundle(self, messages: bytes, atomic: bool, now_ms: int) -> tuple[int, int]:
        """Apply consecutive OpenFlow messages, all or none; atomic also for packets.

        Return the number of the one that failed, and its error; or DONE for it.
        """

    def multipart(self, kind: int, body: bytes, now_ms: int) -> list[bytes]:
        """Answer a multipart request by parts; raise OpenFlowError."""

    def describe_queues(self, number: int) -> bytes:
        """Describe the queues of a port (OFPP_ANY: all) as OpenFlow does; raise OpenFlowError."""

    def events(self) -> list[tuple[str, bytes]]:
        """Take the messages for controllers, in order, as runs of one kind.

        Kinds are "flow_removed" and "port_status"; a run is whole messages.
        """

    def fdb(self, now_ms: int) -> list[tuple[int, bytes, int, int, bool]]:
        """List the addresses: VLAN, address, port number, age in ms, whether it is fixed."""

    def flush_fdb(self, number: int, now_ms: int, vlan: int | None = None) -> int:
        """Forget what was learned behind a port, 0 for all, in a VLAN; return how many it was."""

    def set_macs(
        self, most: int, ageing_ms: int, fixed: Sequence[tuple[int, bytes, int]], now_ms: int
    ) -> None:
        """Say how many addresses to remember for how long, and which never to forget.

        Of those: VLAN, address, port number.
        """

    def macs(self) -> dict[str, int]:
        """Count what was learned, what has moved, and what a limit kept from being learned."""

    def set_multicast(self, how: Multicast) -> None:
        """Say what to do with multicast groups."""

    def groups(self) -> list[tuple[int, int, int, list[tuple[int, int]]]]:
        """List who wants which groups: VLAN, IP version, address, (port number, until when in ms).

        IP version and address 0 are the routers of a VLAN.
        """

    def multicast(self) -> dict[str, int]:
        """Count groups, reports without room, and messages that say nothing for sure."""

    def tables(self) -> list[dict[str, Any]]:
        """Describe the tables that hold entries."""
