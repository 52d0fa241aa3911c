"""Tables that are full: what found no room since somebody last looked."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from .switch import Switch
from .worker import former_totals


class Full(NamedTuple):
    """A table that has refused something."""

    table: str  # flow, mac, route, neighbour or nat
    owner: str  # the bridge or router whose it is; "" for what all share
    refused: int  # since the last look


class Fullness:
    """Watches the tables of a switch."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._seen: Counter[tuple[str, str]] = Counter()

    def look(self) -> Iterator[Full]:
        """Tell of each table that has refused something since the last look."""
        now = Counter(dict(_refused(self._switch)))
        for key, refused in (now - self._seen).items():
            yield Full(*key, refused)
        self._seen = now


def _refused(switch: Switch) -> Iterator[tuple[tuple[str, str], int]]:
    """Count what each table has refused so far."""
    for name, bridge in switch.bridges.items():
        yield ("flow", name), bridge.flows_refused
        yield ("mac", name), bridge.macs()["refused"]
    for name, there in switch.routers.open.items():
        yield ("route", name), there.router.counts()["routes_refused"]
    yield ("neighbour", ""), switch.dataplane.neighbours()["refused"]
    totals = [runner.worker.totals() for runner in switch.runners.values()]
    totals.append(former_totals(switch.dataplane))
    yield ("nat", ""), sum(each["drops"]["nat_full"] for each in totals)
