"""The handler of toy frames: a component that brings a leaf, and a program that it has compiled.

A frame of type TOY to the address of a station goes to the port that the configuration says, with
the address of the bridge's toy side as its sender, and counted by an instruction of our own.
All of that is one template; a station is an entry that has its port for an argument.
"""

import struct
from pathlib import Path
from typing import Any

from raicho.control.component import Bootstrap, Component
from raicho.control.message import (
    DONE,
    BulkClient,
    BulkRequest,
    Change,
    ConfigError,
    Lookup,
)
from raicho.control.openflow.spec import Message, pack, templates
from raicho.control.openflow.spec.actions import ActionExperimenter, Output, SetField
from raicho.control.openflow.spec.flows import FlowCommand
from raicho.control.openflow.spec.instructions import ApplyActions
from raicho.control.openflow.spec.match import Oxm, match
from raicho.control.openflow.spec.messages import FlowMod

TOY = 0x88B5  # IEEE 802: local experimental Ethernet type 1
STATION = 0x0600_0000_0000  # a station's address, but for its number
SELF = STATION | 0xFF
TEMPLATE, PRIORITY = 0x746F79, 1000
COUNT = ActionExperimenter(templates.RAICHO, bytes([0x80, 0x79, 1, 0, 0, 0, 0, 0]))  # instruction.c
FORWARD = ApplyActions((COUNT, SetField(Oxm("eth_src", SELF)), Output(1)))
PARAMETERS = 1 << 2  # the port

Stations = dict[str, dict[int, int]]  # number of the port by that of the station, by bridge


def address(station: int) -> bytes:
    """Return the MAC address of a station."""
    return (STATION | station).to_bytes(6)


class Toy(Component):
    """Keeps the tables of bridges what the stations of the configuration need."""

    name = "toy"

    def __init__(self, bootstrap: Bootstrap) -> None:
        super().__init__(bootstrap)
        self.yang = [(Path(__file__).parent / "toy.yang").read_text()]
        self.subscriptions = ["/raicho/bridge"]
        self._stations: Stations = {}
        self._next: Stations = {}
        self._bulk: BulkClient | None = None

    async def close(self) -> None:
        """Leave the tables as they are."""
        if self._bulk:
            self._bulk.close()

    async def prepare(self, txid: str, changes: list[Change], config: dict[str, Any]) -> None:
        """Refuse a number that two stations of a bridge have."""
        self._next = {}
        for bridge in config.get("raicho", {}).get("bridge", ()):
            stations = self._next.setdefault(bridge["name"], {})
            for port in bridge.get("port", ()):
                if number := port.get("toy-station"):
                    if number in stations:
                        path = (
                            f"/raicho/bridge[name='{bridge['name']}']/port[name='{port['name']}']"
                        )
                        raise ConfigError(f"{path}/toy-station", f"station {number} is there twice")
                    stations[number] = port["number"]

    async def commit(self, txid: str) -> None:
        """Define the template, and make the entries what they are to be."""
        for bridge, stations in self._next.items():
            if stations or self._stations.get(bridge):
                await self._settle(bridge, stations)
        self._stations = self._next

    async def _settle(self, bridge: str, stations: dict[int, int]) -> None:
        forget = FlowMod(command=FlowCommand.DELETE, table_id=0xFF, match=match(eth_type=TOY))
        command = templates.TemplateCommand
        define = (
            templates.TemplateMod(command.DELETE, TEMPLATE),
            templates.TemplateMod(command.ADD, TEMPLATE, PARAMETERS, "toy", (FORWARD,)),
        )
        entries = [
            FlowMod(
                match=match(eth_type=TOY, eth_dst=STATION | station),
                priority=PRIORITY,
                instructions=(templates.use(TEMPLATE, Output(port)),),
            )
            for station, port in stations.items()
        ]
        await self._bundle(bridge, forget, *map(templates.message, define), *entries)

    async def _bundle(self, bridge: str, *messages: Message) -> None:
        """Apply all or none, at once for every packet."""
        if self._bulk is None:
            found = await self.datastore.call(Lookup("dataplane.bulk"))
            self._bulk = BulkClient(self.context, found.endpoint)
        payload = (1).to_bytes(4) + b"".join(map(pack, messages))
        reply, frames = await self._bulk.request(BulkRequest("bundle", bridge), payload)
        failed = struct.unpack("=II", frames[0])[1] if frames else reply.code
        if failed != DONE:
            raise ConfigError(
                f"/raicho/bridge[name='{bridge}']", f"error {failed:#x}: {reply.text}"
            )
