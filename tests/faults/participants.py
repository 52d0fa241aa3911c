"""Participants as processes of their own, which the datastore reaches through a relay.

python -m faults.participants dataplane|openflow|holder soft|reinit --run-dir ...
"""

import sys
from typing import Any

import msgspec

from raicho.control.component import Bootstrap, Component, run
from raicho.control.message import Change
from raicho.control.message.datastore import Register
from raicho.control.openflow.agent import Agent
from raicho.dataplane.service import DataplaneComponent

SYNC = "sync-"


class Holder(Component):
    """Holds what it is told of all configuration, made of changes alone."""

    name = "holder"

    def __init__(self, bootstrap: Bootstrap) -> None:
        super().__init__(bootstrap)
        self.subscriptions = ["/raicho/bridge"]
        self.held: dict[str, Any] = {}
        self._changes: list[Change] = []

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        """Keep the changes."""
        self._changes = changes

    async def commit(self, txid: str) -> None:
        """Change to what is next: at one stroke, as it has both sides."""
        begin = {} if txid.startswith(SYNC) else self.held
        self.held = self._changed(dict(begin))

    def _changed(self, held: dict[str, Any]) -> dict[str, Any]:
        for change in self._changes:
            if change.new is None:
                held.pop(change.path, None)
            else:
                held[change.path] = change.new
        return held

    def state(self, path: str) -> Any:
        """Return what it holds."""
        return self.held


class OneSidedHolder(Holder):
    """Changes what it holds in place, and knows no way back."""

    async def commit(self, txid: str) -> None:
        """Apply the changes one by one."""
        assert not (txid.startswith(SYNC) and self.held), "told everything while it holds something"
        self._changed(self.held)


HOLDERS = {"soft": Holder, "reinit": OneSidedHolder}


def relayed(kind: type[Component], rollback: str) -> type[Component]:
    """Return *kind*, reached through a relay and coming back as *rollback* says."""

    class Relayed(kind):  # type: ignore[misc,valid-type]
        def _register(self) -> Register:
            endpoint = self.bootstrap.endpoint(f"{self.identity}.relay")
            return msgspec.structs.replace(super()._register(), endpoint=endpoint)

    Relayed.__module__ = kind.__module__
    Relayed.rollback = rollback
    return Relayed


if __name__ == "__main__":
    _, name, rollback, *arguments = sys.argv
    kinds = {"dataplane": DataplaneComponent, "openflow": Agent, "holder": HOLDERS[rollback]}
    sys.exit(run(relayed(kinds[name], rollback), arguments))
