"""Workers: what polls ports and takes packets through the tables."""

from typing import Any

from .datapath import Dataplane

DROP_REASONS: dict[str, str]  # name -> what people read
STAGES: dict[str, str]  # of the profile: name -> what people read
SPIN_US: int
MODES: dict[str, int]  # when a worker sleeps: name -> number in C
CACHING: dict[str, int]  # when a worker uses its result cache: name -> number in C

class Worker:
    """A thread that forwards; run() is its body.  Dataplane.add_worker() makes one."""

    id: int
    mode: str  # "adaptive", "poll" or "interrupt": when it sleeps
    spin: int  # microseconds that it polls at most before it sleeps, if adaptive
    measuring: bool  # one round of eight, for profile()
    caching: str  # use of the result cache: "measured" (while it pays), "always" or "never"
    def __init__(self, dataplane: Dataplane, id: int, packets: int = 0) -> None: ...
    def close(self) -> None:
        """Let go of its memory; RuntimeError while run() runs or it has ports.  Idempotent."""

    def run(self) -> None:
        """Forward until stop(); holds no GIL."""

    def stop(self) -> None:
        """Make run() return soon; if it does not run, as soon as it is called."""

    def round(self) -> int:
        """Do one round without a thread; return how many packets were received."""

    def rounds(self, packets: int, *, at_most: int = 0) -> int:
        """Do rounds until so many packets were received, or so many rounds; return how many."""

    def cache(self) -> dict[str, int]:
        """Read the result cache's "hits", "misses" and "inserts"."""

    def punt_fd(self) -> int:
        """Return the descriptor that is readable while there are punts."""

    def punts(self, limit: int = 256) -> dict[int, list[bytes]]:
        """Take packets for controllers, as PACKET_IN messages by the index of the bridge."""

    def profile(self) -> dict[str, Any]:
        """Read where its time went.

        "packets" are those of the measured rounds, which "cycles" by stage are of; "batches" is
        how many there were by their least size.
        """

    def totals(self) -> dict[str, Any]:
        """Read what it did with packets; "drops" is a dict by reason."""

def former_totals(dataplane: Dataplane) -> dict[str, Any]:
    """Read what workers that are gone did with packets."""
