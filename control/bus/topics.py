"""Who publishes and who subscribes what, as far as a forwarder can see."""

from collections import Counter
from contextlib import suppress
from typing import Any

import msgspec

MAX_TOPICS = 4096  # what is beyond is forwarded, not listed
LOOK_EVERY = 64  # messages of a topic between looks at who sent them


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """The beginning of an event; the rest is none of the bus's business."""

    version: int
    source: str


class Topic:
    """What was seen of one topic."""

    def __init__(self) -> None:
        self.messages = 0
        self.publishers: set[str] = set()


_heads = msgspec.msgpack.Decoder(list[_Head])


class Topics:
    """Count messages by topic and subscriptions by prefix."""

    def __init__(self) -> None:
        self.subscriptions: Counter[bytes] = Counter()
        self._topics: dict[bytes, Topic] = {}

    def subscribe(self, prefix: bytes) -> bool:
        """Note a subscription; return True if it is the first of its prefix."""
        self.subscriptions[prefix] += 1
        return self.subscriptions[prefix] == 1

    def unsubscribe(self, prefix: bytes) -> bool:
        """Note that one is gone; return True if it was the last of its prefix."""
        if prefix not in self.subscriptions:
            return False
        self.subscriptions[prefix] -= 1
        if self.subscriptions[prefix] > 0:
            return False
        del self.subscriptions[prefix]
        return True

    def publish(self, name: bytes, batch: bytes) -> None:
        """Note a message."""
        topic = self._topics.get(name)
        if topic is None:
            if len(self._topics) >= MAX_TOPICS:
                return
            topic = self._topics[name] = Topic()
        if topic.messages % LOOK_EVERY == 0:
            with suppress(ValueError, RecursionError):  # the subscribers will say so
                topic.publishers.update(head.source for head in _heads.decode(batch))
        topic.messages += 1

    def listing(self) -> list[dict[str, Any]]:
        """Return one row a topic, with the subscriptions that cover it."""
        return [
            {
                "topic": _text(name),
                "publishers": sorted(topic.publishers),
                "subscribers": sum(
                    count for prefix, count in self.subscriptions.items() if name.startswith(prefix)
                ),
                "messages": topic.messages,
            }
            for name, topic in sorted(self._topics.items())
        ]

    def interests(self) -> list[dict[str, Any]]:
        """Return one row a subscribed prefix."""
        rows = sorted(self.subscriptions.items())
        return [{"prefix": _text(prefix), "subscribers": count} for prefix, count in rows]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
