"""Events: one publisher, any number of subscribers, nothing resent.

A message is two frames, the topic and those events of it which one turn of the
event loop brought, behind what they have in common.  Each publisher numbers its
events per topic from 1, and says which start of it (incarnation) counts, so that
a subscriber sees what it missed and asks the datastore for a snapshot.
"""

from typing import TYPE_CHECKING, Annotated, Any, Union

import msgspec

from .catalogue import MESSAGES
from .envelope import Message

BATCH = 256  # events in a message
BACKLOG = 10_000  # events that wait for a subscriber's handler


if TYPE_CHECKING:
    Body = Message | dict[str, Any]
else:  # what msgspec can tell apart
    Body = Union[(*MESSAGES, dict[str, Any])]


Number = Annotated[int, msgspec.Meta(ge=1, le=2**62)]


class Batch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Events as they travel; the topic is the frame in front of them."""

    version: int
    source: str
    incarnation: str
    first: Number  # of the first event; the others follow it without a gap
    events: list[tuple[float, Body]]  # what each has of its own: its Unix time, and its body


class Gap(msgspec.Struct, frozen=True):
    """Events of a topic that a subscriber did not get."""

    source: str
    topic: str
    missed: int
