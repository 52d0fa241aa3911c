"""Which actions a flow entry may have, given what it matches (6.4, 7.2.4).

A set-field needs the prerequisites of its field; other actions must only not contradict the match.
What an action list has done so far counts.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from . import actions as act
from .fields import FIELDS, IP_TYPES, PRESENT
from .match import Match
from .packet import MPLS_TYPES, PBB_TYPE


@dataclass(frozen=True)
class Known:
    """What is certain about every packet that comes here; None where nothing is."""

    eth_type: int | None = None
    tagged: bool | None = None
    ip_proto: int | None = None
    icmpv6_type: int | None = None


def known(match: Match) -> Known:
    """Say what a match makes certain."""

    def exact(name: str) -> int | None:
        return match[name][0] if name in match else None

    vid, mask = match.get("vlan_vid", (0, 0))
    tagged = bool(vid & PRESENT) if mask & PRESENT else None
    return Known(exact("eth_type"), tagged, exact("ip_proto"), exact("icmpv6_type"))


def _may_set(action: act.SetField, now: Known) -> bool:
    for name, values in FIELDS[action.name].needs:
        if values and getattr(now, name) not in values:
            return False
    needs_tag = action.name in ("vlan_vid", "vlan_pcp")
    return now.tagged is True if needs_tag else True


def _of_type(*eth_types: int) -> Callable[[act.Action, Known], bool]:
    return lambda _, now: now.eth_type is None or now.eth_type in eth_types


def _may_load(action: act.RegLoad, now: Known) -> bool:
    return _may_set(act.SetField(action.name, 0), now)


def _may_move(action: act.RegMove, now: Known) -> bool:
    source, target = (act.SetField(name, 0) for name in (action.source, action.name))
    return _may_set(source, now) and _may_set(target, now)


_ALLOWED: dict[type[act.Action], Callable[..., bool]] = {
    act.SetField: _may_set,
    act.RegLoad: _may_load,
    act.RegMove: _may_move,
    act.PopVlan: lambda _, now: now.tagged is not False,
    act.PopMpls: _of_type(*MPLS_TYPES),
    act.PopPbb: _of_type(PBB_TYPE),
    act.SetNwTtl: _of_type(*IP_TYPES),
    act.DecNwTtl: _of_type(*IP_TYPES),
    act.SetMplsTtl: _of_type(*MPLS_TYPES),
    act.DecMplsTtl: _of_type(*MPLS_TYPES),
    act.CopyTtlOut: _of_type(*MPLS_TYPES),
    act.CopyTtlIn: _of_type(*MPLS_TYPES),
}


def allowed(action: act.Action, now: Known) -> bool:
    """Tell if a switch must accept *action* where so much is known."""
    check = _ALLOWED.get(type(action))
    return check is None or check(action, now)


def after(action: act.Action, now: Known) -> Known:
    """Say what is known after *action*."""
    match action:
        case act.SetField("eth_type", value):
            return Known(value, now.tagged)
        case act.SetField("ip_proto", value):
            return replace(now, ip_proto=value, icmpv6_type=None)
        case act.SetField("icmpv6_type", value):
            return replace(now, icmpv6_type=value)
        case act.PushVlan():
            return replace(now, tagged=True)
        case act.PopVlan():
            return replace(now, tagged=None)
        case act.PushMpls(eth_type) | act.PopMpls(eth_type):
            return Known(eth_type, now.tagged)
        case act.PushPbb(eth_type):
            return Known(eth_type, False)
        case act.PopPbb() | act.Resubmit():
            return Known()
    return now
