"""raicho between two interfaces, as a process: `python -m bench.carrier CORE KIND XDP-MODE
DEVICE DEVICE`.

A worker on a core carries what comes by one port to the other. The process says when it
is ready, and then reads modes of its worker (poll, adaptive, interrupt), one in a line.
"""

import select
import sys
import threading
import time

from raicho.dataplane.datapath import Dataplane
from raicho.dataplane.port import Port

from . import cores
from . import openflow as of

TICK = 0.01  # seconds between two looks at what the tables have to do


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


def main(core: str, kind: str, xdp_mode: str, *devices: str) -> None:
    """Carry packets until the input ends."""
    dataplane = Dataplane()
    worker = dataplane.add_worker(0)
    bridge = dataplane.add_bridge("bench", 1, _now_ms())
    ports = [Port(kind, device, device, xdp_mode=xdp_mode) for device in devices]
    for number, port in enumerate(ports, 1):
        bridge.attach(port, number, 0, _now_ms())
    for ingress, egress in ((1, 2), (2, 1)):
        rule = of.flow_mod({"in_port": ingress}, of.apply(of.output(egress)), priority=1)
        bridge.apply(rule, _now_ms())

    def run() -> None:
        cores.pin(int(core))
        worker.run()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([sys.stdin], [], [], TICK)
        if readable:
            mode = sys.stdin.readline().strip()
            if not mode:
                break
            worker.mode = mode
        dataplane.tick(_now_ms())
    while thread.is_alive():
        worker.stop()
        thread.join(0.01)
    bridge.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
