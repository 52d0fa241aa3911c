"""A controller made with os-ken that speaks OpenFlow 1.0: it says on its output what it learns.

    python osken_controller_10.py PORT

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
from os_ken.ofproto import ofproto_v1_0

assert controller  # it registers the options

ANY_STATE = [CONFIG_DISPATCHER, MAIN_DISPATCHER]


def say(**what: Any) -> None:
    print(json.dumps(what), flush=True)


class Visitor(app_manager.OSKenApp):
    """Add a flow, wait for the barrier, ask for flows and description."""

    OFP_VERSIONS = (ofproto_v1_0.OFP_VERSION,)

    @on(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def on_features(self, event: Any) -> None:
        datapath, parser = event.msg.datapath, event.msg.datapath.ofproto_parser
        ports = {str(number): port.name.decode() for number, port in event.msg.ports.items()}
        say(event="features", datapath_id=event.msg.datapath_id, ports=ports)
        wild = ofproto_v1_0.OFPFW_ALL & ~ofproto_v1_0.OFPFW_DL_TYPE & ~(63 << 14) | 24 << 14
        match = parser.OFPMatch(wildcards=wild, dl_type=0x0800, nw_dst=0x0A000000)
        actions = [parser.OFPActionOutput(ofproto_v1_0.OFPP_CONTROLLER, 0xFFFF)]
        mod = parser.OFPFlowMod(datapath, match, 5, ofproto_v1_0.OFPFC_ADD, actions=actions)
        datapath.send_msg(mod)
        datapath.send_msg(parser.OFPBarrierRequest(datapath))

    @on(ofp_event.EventOFPBarrierReply, ANY_STATE)
    def on_barrier(self, event: Any) -> None:
        say(event="barrier")
        datapath, parser = event.msg.datapath, event.msg.datapath.ofproto_parser
        datapath.send_msg(parser.OFPDescStatsRequest(datapath, 0))
        match = parser.OFPMatch()
        datapath.send_msg(parser.OFPFlowStatsRequest(datapath, 0, match, 0xFF, 0xFFFF))

    @on(ofp_event.EventOFPDescStatsReply, ANY_STATE)
    def on_desc(self, event: Any) -> None:
        say(event="desc", datapath=event.msg.body.dp_desc.decode().rstrip("\0"))

    @on(ofp_event.EventOFPFlowStatsReply, ANY_STATE)
    def on_flows(self, event: Any) -> None:
        [flow] = event.msg.body
        say(event="flows", priority=flow.priority, dst=flow.match.nw_dst, out=flow.actions[0].port)

    @on(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def on_packet_in(self, event: Any) -> None:
        say(event="packet_in", data=event.msg.data.decode(), port=event.msg.in_port)


if __name__ == "__main__":
    options = ["--ofp-tcp-listen-port", sys.argv[1], "--ofp-listen-host", "127.0.0.1"]
    cfg.CONF(args=options, project="os_ken")
    app_manager.AppManager.run_apps([__file__])
