"""When the routes of a source that has gone are withdrawn.  No I/O, no clock.

                 lost                    due
    present  ----------->  awaited  ----------->  withdrawn
       ^  ^                   |                       |
       |  |       came        v         came          |
       |  +---- due ----- resending <-----------------+

What it had said stays until it had time to come back, and then until it had time to say it again.
A new component awaits it: there may be routes of an earlier one.

Reference: RFC 4724, section 4 (the same two times in BGP)
"""

import enum


class Phase(enum.StrEnum):
    """Where a source is."""

    AWAITED = "awaited"  # not there; what it said is kept
    RESENDING = "resending"  # there; what it does not say again is still kept
    PRESENT = "present"
    WITHDRAWN = "withdrawn"  # not there, and nothing of it is left


class Restart:
    """Times are in seconds of any one clock."""

    def __init__(self, now: float, restart_time: float, stale_time: float) -> None:
        self.restart_time = restart_time
        self.stale_time = stale_time
        self.phase = Phase.AWAITED
        self.due: float | None = now + restart_time

    @property
    def is_complete(self) -> bool:
        """Whether what was not said is not wanted."""
        return self.due is None

    def came(self, now: float) -> None:
        """Note that the source is there."""
        self.phase, self.due = Phase.RESENDING, now + self.stale_time

    def lost(self, now: float) -> None:
        """Note that it has gone."""
        self.phase, self.due = Phase.AWAITED, now + self.restart_time

    def is_due(self, now: float) -> bool:
        """Return, once, whether what was not said again is to be withdrawn now."""
        if self.due is None or now < self.due:
            return False
        self.due = None
        self.phase = Phase.PRESENT if self.phase is Phase.RESENDING else Phase.WITHDRAWN
        return True
