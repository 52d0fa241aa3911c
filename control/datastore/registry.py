"""Who is there: components, their APIs, and the participants among them.

A component is alive until its time to live has passed without a heartbeat.
Then its APIs are gone from lookup; as a participant it stays known, so that
what it holds is not changed behind its back, until it leaves or returns.
"""

import math
import secrets
from collections.abc import Iterator

import msgspec

from ..message.datastore import Endpoint, Entry, Register
from .scope import Scope

FIRST_PAUSE, LAST_PAUSE = 1.0, 30.0  # seconds between attempts to synchronise


class Member(msgspec.Struct):
    """A component as it last registered."""

    registration: Register
    scope: Scope
    modules: frozenset[str] = frozenset()  # that it brought
    lease: str = ""
    expires: float = -math.inf
    synchronised: bool = False
    trouble: str = ""
    pause: float = FIRST_PAUSE
    retry_at: float = -math.inf

    @property
    def name(self) -> str:
        """The identity of the component."""
        return self.registration.component

    @property
    def is_participant(self) -> bool:
        """Whether it is asked about changes."""
        return bool(self.registration.endpoint and self.registration.subscriptions)

    def is_alive(self, now: float) -> bool:
        """Tell whether it has been heard of lately."""
        return now < self.expires

    def wants_to_synchronise(self, now: float) -> bool:
        """Tell whether it is time to bring it to the current configuration."""
        behind = self.is_participant and not self.synchronised
        return behind and self.is_alive(now) and now >= self.retry_at

    def postpone(self, now: float) -> None:
        """Wait a while longer each time before the next attempt."""
        self.retry_at, self.pause = now + self.pause, min(2 * self.pause, LAST_PAUSE)

    def leave(self, reason: str) -> None:
        """Be away, and hold nothing, until the next registration."""
        self.lease, self.expires = "", -math.inf
        self.synchronised, self.trouble = False, reason

    def entry(self, now: float) -> Entry:
        """Return the member as others see it."""
        it = self.registration
        return Entry(
            it.component,
            it.version,
            it.endpoint,
            it.apis,
            it.subscriptions,
            self.is_alive(now),
            self.synchronised,
            self.trouble,
        )


class Registry:
    """The members by name, in the order in which they came."""

    def __init__(self) -> None:
        self._members: dict[str, Member] = {}

    def __iter__(self) -> Iterator[Member]:
        return iter(self._members.values())

    def get(self, name: str) -> Member | None:
        """Return a member, alive or not."""
        return self._members.get(name)

    def expect(self, registration: Register, scope: Scope, modules: frozenset[str]) -> None:
        """Know a participant of an earlier life of the datastore; it is not there yet."""
        reason = "it has not registered since the datastore started"
        self._members[registration.component] = Member(registration, scope, modules, trouble=reason)

    def register(
        self, registration: Register, scope: Scope, modules: frozenset[str], now: float
    ) -> Member:
        """Take a component in, in the place of what was known of it."""
        lease = secrets.token_hex(8)
        expires = now + registration.ttl
        member = Member(registration, scope, modules, lease=lease, expires=expires)
        member.synchronised = not member.is_participant
        self._members[registration.component] = member
        return member

    def heartbeat(self, name: str, lease: str, now: float) -> bool:
        """Renew a lease; tell whether it was known and still good."""
        member = self._members.get(name)
        if member is None or member.lease != lease or not member.is_alive(now):
            return False
        member.expires = now + member.registration.ttl
        return True

    def remove(self, name: str, lease: str) -> bool:
        """Forget a member that leaves; tell whether the lease was its own.

        A member that is expected and has not come has no lease, and anybody
        may remove it.
        """
        member = self._members.get(name)
        if member is None or member.lease != lease:
            return False
        del self._members[name]
        return True

    def lookup(self, api: str, now: float) -> list[Endpoint]:
        """Return where an API is served by members that are alive."""
        return [
            Endpoint(offer.name, offer.endpoint, offer.version, member.name)
            for member in self
            if member.is_alive(now)
            for offer in member.registration.apis
            if offer.name == api
        ]

    def api_names(self, now: float) -> list[str]:
        """Return every API that lookup would find."""
        alive = (member for member in self if member.is_alive(now))
        return sorted({offer.name for member in alive for offer in member.registration.apis})
