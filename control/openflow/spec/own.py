"""raicho's own actions: what is in an experimenter's action of its number (docs/openflow.md).

FlowMod(match=..., instructions=(ApplyActions((sent(Route(7)),)),))
"""

from ..codec import pack_part, record, unpack_part
from ..errors import RemoteError
from .actions import Action, ActionExperimenter
from .families import BAD_LEN, Item
from .templates import RAICHO

SUBTYPE = 2  # bytes of it, in front


class OwnAction(Item, frozen=True):
    """What is behind the subtype."""


@record("BxI", bad_len=BAD_LEN)
class Nat(OwnAction, frozen=True):
    """Translate by NAT number *nat*, as what goes out (0) or comes in (1)."""

    direction: int
    nat: int


@record("2xI", bad_len=BAD_LEN)
class Route(OwnAction, frozen=True):
    """Route as if the packet had come by the router interface of this number."""

    interface: int


SUBTYPES: dict[int, type[OwnAction]] = {1: Nat, 2: Route}
_NUMBERS = {cls: subtype for subtype, cls in SUBTYPES.items()}


def sent(action: OwnAction) -> ActionExperimenter:
    """Return an action as it goes on the wire."""
    subtype = _NUMBERS[type(action)].to_bytes(SUBTYPE)
    return ActionExperimenter(RAICHO, subtype + pack_part(action))


def told(action: Action) -> Item:
    """Return what an action says if it is one of ours, else the action."""
    if not isinstance(action, ActionExperimenter) or action.experimenter != RAICHO:
        return action
    cls = SUBTYPES.get(int.from_bytes(action.data[:SUBTYPE]))
    try:
        found = unpack_part(cls, action.data[SUBTYPE:]) if cls else None
    except RemoteError:
        return action
    return found if found and sent(found) == action else action
