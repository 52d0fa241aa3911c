"""A learning switch on os-ken: the controller that nobody here wrote the protocol of.

python -m system.demo.controller [--port N] prints one JSON object a line for what it sees.
"""

import argparse
import json
import sys
from typing import Any

from os_ken import cfg
from os_ken.base.app_manager import AppManager, OSKenApp
from os_ken.controller import controller, ofp_event  # the first registers its options
from os_ken.controller.handler import (
    CONFIG_DISPATCHER,
    DEAD_DISPATCHER,
    MAIN_DISPATCHER,
    set_ev_cls,
)
from os_ken.lib.packet import ethernet, packet
from os_ken.ofproto import ofproto_v1_3

assert controller


def say(event: str, **facts: object) -> None:
    print(json.dumps({"event": event, **facts}), flush=True)


class LearningSwitch(OSKenApp):
    """Sends unknown frames everywhere and writes a flow for each pair of hosts it has seen."""

    OFP_VERSIONS = (ofproto_v1_3.OFP_VERSION,)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.ports: dict[tuple[int, str], int] = {}  # (datapath, address) -> port

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def on_features(self, event: Any) -> None:
        datapath = event.msg.datapath
        ofp, parser = datapath.ofproto, datapath.ofproto_parser
        to_controller = [parser.OFPActionOutput(ofp.OFPP_CONTROLLER, ofp.OFPCML_NO_BUFFER)]
        self.add_flow(datapath, 0, parser.OFPMatch(), to_controller)
        say("switch", datapath_id=datapath.id, tables=event.msg.n_tables)

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def on_packet(self, event: Any) -> None:
        message, datapath = event.msg, event.msg.datapath
        ofp, parser = datapath.ofproto, datapath.ofproto_parser
        frame = packet.Packet(message.data).get_protocol(ethernet.ethernet)
        came_from = message.match["in_port"]
        self.ports[datapath.id, frame.src] = came_from
        goes_to = self.ports.get((datapath.id, frame.dst))
        say("packet", port=came_from, source=frame.src, destination=frame.dst, known=goes_to)
        actions = [parser.OFPActionOutput(ofp.OFPP_FLOOD if goes_to is None else goes_to)]
        if goes_to is not None:
            match = parser.OFPMatch(in_port=came_from, eth_src=frame.src, eth_dst=frame.dst)
            self.add_flow(datapath, 10, match, actions)
        datapath.send_msg(
            parser.OFPPacketOut(
                datapath=datapath,
                buffer_id=ofp.OFP_NO_BUFFER,
                in_port=came_from,
                actions=actions,
                data=message.data,
            )
        )

    @set_ev_cls(ofp_event.EventOFPErrorMsg, [CONFIG_DISPATCHER, MAIN_DISPATCHER])
    def on_error(self, event: Any) -> None:
        say("error", type=event.msg.type, code=event.msg.code)

    @set_ev_cls(ofp_event.EventOFPStateChange, DEAD_DISPATCHER)
    def on_gone(self, event: Any) -> None:
        say("gone", datapath_id=event.datapath.id)

    def add_flow(self, datapath: Any, priority: int, match: Any, actions: list[Any]) -> None:
        ofp, parser = datapath.ofproto, datapath.ofproto_parser
        apply = parser.OFPInstructionActions(ofp.OFPIT_APPLY_ACTIONS, actions)
        datapath.send_msg(
            parser.OFPFlowMod(
                datapath=datapath, priority=priority, match=match, instructions=[apply]
            )
        )


def main(argv: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=6653)
    port = parser.parse_args(argv).port
    options = ["--ofp-listen-host", "127.0.0.1", "--ofp-tcp-listen-port", str(port)]
    cfg.CONF(args=options, project="os_ken")
    AppManager.run_apps([__file__])


if __name__ == "__main__":
    main(sys.argv[1:])
