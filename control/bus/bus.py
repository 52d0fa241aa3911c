"""The forwarder: XSUB where publishers connect, XPUB where subscribers do.

It keeps no event and waits for nobody: a subscriber that does not read loses
events once its queue is full, and sees the gap in their numbers.
"""

from collections import Counter
from typing import Any

import zmq

from ..component import Component
from ..message import CallError, Code, Failure
from ..message.drain import Drain, open_socket
from ..message.keys import PUBLISH
from .topics import LOOK_EVERY, Topics

QUEUE = 10_000  # messages that wait for one subscriber
SUBSCRIBE, UNSUBSCRIBE = 1, 0  # first byte of what XPUB receives
BUDGET = 256  # messages at a time
COUNTED = ("messages", "bytes", "malformed")


class _Publishers(Drain):
    """Reads what is published, and sends it on to all who subscribed."""

    def __init__(
        self, socket: zmq.SyncSocket, to: Drain, topics: Topics, counters: Counter[str]
    ) -> None:
        super().__init__(socket, lambda frames: None)
        self._to, self._topics, self._counters = to, topics, counters

    def take(self) -> None:
        """Send on what there is, within the budget."""
        topics = self._topics
        done = self.raw.forward(self._to.raw, topics.messages, topics.look, LOOK_EVERY, BUDGET)
        for name, count in zip(COUNTED, done, strict=True):
            self._counters[name] += count
        if any(done):
            self._to.read_soon()


class Bus(Component):
    """Forward events; know the topics."""

    name = "bus"

    async def open(self) -> None:
        """Bind both sides."""
        self.topics = Topics()
        self.counters: Counter[str] = Counter()
        publishers = open_socket(self.context, zmq.XSUB, domain=PUBLISH, RCVHWM=QUEUE)
        subscribers = open_socket(
            self.context, zmq.XPUB, domain="subscribe", SNDHWM=QUEUE, XPUB_VERBOSER=1
        )
        self._subscribers = Drain(subscribers, self._subscribe)
        self._publishers = _Publishers(publishers, self._subscribers, self.topics, self.counters)
        for number, (api, socket) in enumerate(
            (("bus.pub", publishers), ("bus.sub", subscribers)), 1
        ):
            for endpoint in self.offer(api, number):
                socket.bind(endpoint)

    async def close(self) -> None:
        """Close both sides."""
        self._publishers.close()
        self._subscribers.close()

    def state(self, path: str) -> Any:
        """Return the rows of /topics or of /subscriptions."""
        match path.strip("/"):
            case "topics":
                return self.topics.listing()
            case "subscriptions":
                return self.topics.interests()
        reason = "no such state; the bus has /topics and /subscriptions"
        raise CallError(Failure(Code.NOT_FOUND, reason, path))

    def stats(self, names: list[str]) -> dict[str, Any]:
        """Return what was forwarded and what was not."""
        return {"bus": {name: self.counters[name] for name in COUNTED}}

    def _subscribe(self, frames: list[bytes]) -> None:
        frame = frames[0]
        if not frame or frame[0] not in (SUBSCRIBE, UNSUBSCRIBE):
            self.counters["malformed"] += 1
            return
        note = self.topics.subscribe if frame[0] == SUBSCRIBE else self.topics.unsubscribe
        if note(frame[1:]):
            self._publishers.send([frame])
