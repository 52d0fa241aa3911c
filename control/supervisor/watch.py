"""When a component is started, given up and started again.  No I/O, no clock.

    wait --due--> starting --heard--> up
     ^               |                |
     +---- ended ----+---- ended -----+

The pause before a restart doubles with each one, up to a cap, and begins anew
once the component was up for a while.
"""

import enum

import msgspec


class State(enum.StrEnum):
    """Where a component is in its life."""

    WAIT = "waiting"  # not running; to be started when due
    STARTING = "starting"  # runs, has not answered yet
    UP = "up"


class Policy(msgspec.Struct, frozen=True):
    """Times, in seconds."""

    heartbeat: float = 1.0
    misses: int = 3  # heartbeats without an answer that mean it hangs
    start_timeout: float = 15.0  # until a new process must have answered
    busy_timeout: float = 30.0  # for either, of one that works all the time
    first_pause: float = 0.1
    last_pause: float = 10.0
    settled: float = 60.0  # up for so long, and its past is forgotten


class Watch:
    """The life of one component."""

    def __init__(self, policy: Policy, now: float) -> None:
        self.state = State.WAIT
        self.due = now  # when it may be started
        self.since = now  # when it entered the state
        self.starts = 0
        self._policy = policy
        self._pause = policy.first_pause
        self._heard = now

    @property
    def restarts(self) -> int:
        """Count the starts but the first."""
        return max(0, self.starts - 1)

    def started(self, now: float) -> None:
        """Note that a process was started."""
        self.starts += 1
        self._enter(State.STARTING, now)

    def adopted(self, now: float) -> None:
        """Note that a process was found, which somebody else had started."""
        self.starts = max(1, self.starts)
        self._heard = now
        self._enter(State.UP, now)

    def heard(self, now: float) -> None:
        """Note that the process answered."""
        self._heard = now
        if self.state is State.STARTING:
            self._enter(State.UP, now)

    def excuse(self, late: float) -> None:
        """Leave out seconds in which nobody asked, because we ourselves were held up."""
        self._heard += late
        self.since += late

    def stopped(self, now: float) -> None:
        """Note that the process is gone because it was to go."""
        self._pause = self._policy.first_pause
        self.due = now
        self._enter(State.WAIT, now)

    def ended(self, now: float) -> None:
        """Note that the process is gone, and plan the next."""
        if self.state is State.UP and now - self.since >= self._policy.settled:
            self._pause = self._policy.first_pause
        self.due = now + self._pause
        self._pause = min(2 * self._pause, self._policy.last_pause)
        self._enter(State.WAIT, now)

    def complaint(self, now: float, works: bool = False) -> str | None:
        """Say why the process must be killed, None if it need not be.

        One that *works* has much to do, or gets no processor to do it: it is given longer.
        """
        policy = self._policy
        limit = policy.heartbeat * (policy.misses - 0.5)  # the last answer came after its question
        least = policy.busy_timeout if works else 0.0
        if self.state is State.UP and now - self._heard >= max(limit, least):
            return f"hangs: no answer for {now - self._heard:.1f} s"
        if self.state is State.STARTING and now - self.since >= max(policy.start_timeout, least):
            return f"did not answer within {now - self.since:.0f} s of its start"
        return None

    def _enter(self, state: State, now: float) -> None:
        self.state, self.since = state, now
