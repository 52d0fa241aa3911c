"""Who publishes and who subscribes what, as far as a forwarder can see."""

from collections import Counter
from contextlib import suppress
from typing import Any

import msgspec

MAX_TOPICS = 4096  # what is beyond is forwarded, not listed
LOOK_EVERY = 64  # messages of a topic between looks at who sent them


class _Head(msgspec.Struct, frozen=True, array_like=True):
    """The beginning of a message; the rest is none of the bus's business."""

    version: int
    source: str


_heads = msgspec.msgpack.Decoder(_Head)


class Topics:
    """Count messages by topic and subscriptions by prefix."""

    def __init__(self) -> None:
        self.subscriptions: Counter[bytes] = Counter()
        self.messages: dict[bytes, int] = {}  # by topic
        self._publishers: dict[bytes, set[str]] = {}

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

    def look(self, name: bytes, batch: bytes) -> None:
        """Note who sent a message; of a topic that is new, if there is room, that it is there."""
        if name not in self.messages:
            if len(self.messages) >= MAX_TOPICS:
                return
            self.messages[name], self._publishers[name] = 0, set()
        with suppress(ValueError, RecursionError):  # the subscribers will say so
            self._publishers[name].add(_heads.decode(batch).source)

    def listing(self) -> list[dict[str, Any]]:
        """Return one row a topic, with the subscriptions that cover it."""
        return [
            {
                "topic": _text(name),
                "publishers": sorted(self._publishers[name]),
                "subscribers": sum(
                    count for prefix, count in self.subscriptions.items() if name.startswith(prefix)
                ),
                "messages": messages,
            }
            for name, messages in sorted(self.messages.items())
        ]

    def interests(self) -> list[dict[str, Any]]:
        """Return one row a subscribed prefix."""
        rows = sorted(self.subscriptions.items())
        return [{"prefix": _text(prefix), "subscribers": count} for prefix, count in rows]


def _text(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")
