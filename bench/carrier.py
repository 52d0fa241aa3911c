"""raicho between two interfaces, as a process: `python -m bench.carrier WAY CORE KIND XDP-MODE
DEVICE DEVICE`.

A worker on a core carries what comes by one port to the other: by rules (switch), as a router
(route), or as one that translates (nat). The process says when it is ready, and then reads modes
of its worker (poll, adaptive, interrupt), one in a line.
"""

import select
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from ipaddress import IPv4Address

from raicho.control.message import routes as records
from raicho.dataplane.bridge import Bridge
from raicho.dataplane.datapath import Dataplane
from raicho.dataplane.nat import Nat, NatConfig, Pool
from raicho.dataplane.port import Port
from raicho.dataplane.routers import Settings

from . import cores
from . import openflow as of
from .wires import HOSTS, NOBODY_MAC, PREFIX, ROUTED, ROUTER_MACS

TICK = 0.01  # seconds between two looks at what the tables have to do


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def switch(_dataplane: Dataplane, bridge: Bridge, _closing: ExitStack) -> None:
    """Join the ports by two rules."""
    for ingress, egress in ((1, 2), (2, 1)):
        rule = of.flow_mod({"in_port": ingress}, of.apply(of.output(egress)), priority=1)
        bridge.apply(rule, _now_ms())


def route(dataplane: Dataplane, bridge: Bridge, closing: ExitStack, nat: int = 0) -> None:
    """Make a router whose interfaces are on the ports; the right one is outside of a NAT."""
    router = dataplane.add_router("bench")
    closing.callback(router.close)
    index = 0
    for number, host in enumerate(HOSTS, 1):
        bridge.set_pipeline(number, "route")
        side = ("inside", "outside")[number - 1] if nat else "none"
        mac = int.from_bytes(ROUTER_MACS[host])
        settings = Settings(0, mac, 1500, "off", proxy_arp=False, up=True, nat_side=side, nat=nat)
        index = router.add_interface(host, bridge, number, settings)
        router.add_address(index, IPv4Address(ROUTED.routers[host]).packed, PREFIX)
    nobody = IPv4Address(ROUTED.nobody).packed
    router.neighbour_mod(records.pack_neighbour(nobody, index, NOBODY_MAC), _now_ms())


def translate(dataplane: Dataplane, bridge: Bridge, closing: ExitStack) -> None:
    """Do the same, and hide the left host behind the address of the right interface."""
    nat = Nat(dataplane, 1)
    closing.callback(nat.close)
    outside = IPv4Address(ROUTED.routers["right"])
    nat.configure(NatConfig((Pool(outside, outside, shared=True),)), _now_ms())
    route(dataplane, bridge, closing, nat.number)


WAYS: dict[str, Callable[[Dataplane, Bridge, ExitStack], None]] = {
    "switch": switch,
    "route": route,
    "nat": translate,
}


def main(way: str, core: str, kind: str, xdp_mode: str, *devices: str) -> None:
    """Carry packets until the input ends."""
    dataplane = Dataplane()
    worker = dataplane.add_worker(0)
    bridge = dataplane.add_bridge("bench", 1, _now_ms())
    ports = [Port(kind, device, device, xdp_mode=xdp_mode) for device in devices]
    for number, port in enumerate(ports, 1):
        bridge.attach(port, number, 0, _now_ms())
    closing = ExitStack()
    WAYS[way](dataplane, bridge, closing)

    def run() -> None:
        cores.pin(int(core))
        worker.run()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([sys.stdin, worker.punt_fd()], [], [], TICK)
        worker.punts()  # what the router is asked by ARP
        if sys.stdin in readable:
            mode = sys.stdin.readline().strip()
            if not mode:
                break
            worker.mode = mode
        dataplane.tick(_now_ms())
    while thread.is_alive():
        worker.stop()
        thread.join(0.01)
    closing.close()
    bridge.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
