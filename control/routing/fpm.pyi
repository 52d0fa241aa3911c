"""The stream of zebra's forwarding plane manager, cut into messages and decoded."""

from collections import Counter

from .events import Event

class BadFrame(ValueError):
    """A frame after which no other can be found, or of what is not spoken here."""

class Framer:
    """Take a stream, however it arrives."""

    def feed(self, data: bytes, events: list[Event], counters: Counter[str]) -> None:
        """Add what the messages say that are whole now, as netlink.decode() does.

        Those *ignored* and *malformed* are counted.  BadFrame: what came before was taken.
        """
