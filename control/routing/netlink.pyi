"""Messages of rtnetlink(7), decoded."""

from .events import Event

def decode(data: bytes, events: list[Event]) -> tuple[int, int]:
    """Add what messages, one after the other, say; return how many were ignored, and malformed.

    Routes that follow each other and differ in their prefixes only are one event.

    Ignored are kinds that are not known, and routes of other families or with a source or a
    type of service.  What follows a message whose size is wrong cannot be found; it counts as one.
    """
