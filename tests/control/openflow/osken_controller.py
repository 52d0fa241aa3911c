"""A controller made with os-ken, run as a process: it says on its output what it learns.

    python osken_controller.py PORT

Each line is one JSON object with the name of an event and what os-ken read in it.
"""

import json
import sys
from typing import Any

from os_ken import cfg
from os_ken.base import app_manager
from os_ken.controller import controller, ofp_event
from os_ken.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER
from os_ken.controller.handler import set_ev_cls as on
from os_ken.ofproto import ofproto_v1_3

assert controller  # it registers the options

ANY_STATE = [CONFIG_DISPATCHER, MAIN_DISPATCHER]


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


class Visitor(app_manager.OSKenApp):
    """Add a flow, wait for the barrier, ask for ports and description."""

    OFP_VERSIONS = (ofproto_v1_3.OFP_VERSION,)

    @on(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def on_features(self, event: Any) -> None:
        datapath, parser = event.msg.datapath, event.msg.datapath.ofproto_parser
        say(event="features", datapath_id=event.msg.datapath_id, n_tables=event.msg.n_tables)
        output = parser.OFPActionOutput(ofproto_v1_3.OFPP_CONTROLLER, 0xFFFF)
        apply = parser.OFPInstructionActions(ofproto_v1_3.OFPIT_APPLY_ACTIONS, [output])
        match = parser.OFPMatch(eth_type=0x0800, ipv4_dst=("10.0.0.0", "255.0.0.0"))
        datapath.send_msg(parser.OFPFlowMod(datapath, match=match, instructions=[apply]))
        datapath.send_msg(parser.OFPRoleRequest(datapath, ofproto_v1_3.OFPCR_ROLE_MASTER, 1))
        datapath.send_msg(parser.OFPBarrierRequest(datapath))

    @on(ofp_event.EventOFPRoleReply, ANY_STATE)
    def on_role(self, event: Any) -> None:
        say(event="role", role=event.msg.role, generation=event.msg.generation_id)

    @on(ofp_event.EventOFPBarrierReply, ANY_STATE)
    def on_barrier(self, event: Any) -> None:
        say(event="barrier")
        datapath, parser = event.msg.datapath, event.msg.datapath.ofproto_parser
        datapath.send_msg(parser.OFPDescStatsRequest(datapath, 0))
        datapath.send_msg(parser.OFPGroupFeaturesStatsRequest(datapath, 0))

    @on(ofp_event.EventOFPDescStatsReply, ANY_STATE)
    def on_desc(self, event: Any) -> None:
        say(event="desc", datapath=event.msg.body.dp_desc.decode().rstrip("\0"))

    @on(ofp_event.EventOFPPortDescStatsReply, ANY_STATE)
    def on_ports(self, event: Any) -> None:
        say(event="ports", names=[port.name.decode() for port in event.msg.body])

    @on(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def on_packet_in(self, event: Any) -> None:
        say(event="packet_in", data=event.msg.data.decode(), port=event.msg.match["in_port"])

    @on(ofp_event.EventOFPErrorMsg, ANY_STATE)
    def on_error(self, event: Any) -> None:
        say(event="error", type=event.msg.type, code=event.msg.code)


if __name__ == "__main__":
    options = ["--ofp-tcp-listen-port", sys.argv[1], "--ofp-listen-host", "127.0.0.1"]
    cfg.CONF(args=options, project="os_ken")
    app_manager.AppManager.run_apps([__file__])
