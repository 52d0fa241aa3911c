"""Queues hold real traffic to their rates, and Open vSwitch's own tool reads them (F6, M14)."""

import re
import sys
from typing import Any

from raicho.control.message import Set

from .conftest import ADDRESSES, DEVICES, Site
from .lab import wait_until
from .needs import needs
from .pinging import ping
from .switch import CONTROLLER_PORT, environment

pytestmark = needs("ping", "ovs-ofctl")

RATES = {1: 4_000_000, 2: 16_000_000}  # bit/s by queue
PORTS = {1: 9001, 2: 9002}  # UDP, by queue
SIZE = 1000

# Sends to both ports about as fast as three times their rates, for a while.
SEND = f"""
import socket, sys, time
rates = {RATES}
ports = {PORTS}
sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
end = time.monotonic() + 60
while time.monotonic() < end:
    for queue, rate in rates.items():
        for _ in range(3 * rate // 8 // {SIZE} // 50):
            sender.sendto(bytes({SIZE}), (sys.argv[1], ports[queue]))
    time.sleep(0.02)
"""


def _ofctl(site: Site, command: str, *arguments: str) -> str:
    target = f"tcp:127.0.0.1:{CONTROLLER_PORT + 1}"
    tool = ("ovs-ofctl", "-O", "OpenFlow13", "--no-names")
    return site.place.run(*tool, command, target, *arguments)


def _queued(site: Site, **port: Any) -> None:
    """Forward by way of a queue for each UDP port; everything else by queue 0."""
    site.switch.bridge(DEVICES, controller=False)
    queues = [
        {"id": queue, "max-rate": rate, "burst": rate // 8 // 20} for queue, rate in RATES.items()
    ]
    value = {"kind": "af_packet", "device": DEVICES[1], "queue": queues, **port}
    site.switch.commit(Set(f"/raicho/port[name='{DEVICES[1]}']", value))
    _ofctl(site, "add-flow", "priority=5,in_port=1,actions=output:2")
    _ofctl(site, "add-flow", "priority=5,in_port=2,actions=output:1")
    for queue, port_number in PORTS.items():
        match = f"priority=9,in_port=1,udp,tp_dst={port_number}"
        _ofctl(site, "add-flow", f"{match},actions=set_queue:{queue},output:2")
    assert ping(site.hosts[0], ADDRESSES[1], "-c", "3", "-i", "0.01").lost == 0


def _counted(site: Site) -> dict[int, tuple[int, int, int, float]]:
    """Return bytes, packets, errors and age of each queue, from one reply."""
    text = _ofctl(site, "queue-stats", "2")
    rows = re.findall(
        r"queue (\d+): bytes=(\d+), pkts=(\d+), errors=(\d+), duration=([\d.]+)s", text
    )
    assert rows, text
    return {int(q): (int(b), int(p), int(e), float(s)) for q, b, p, e, s in rows}


def test_two_queues_send_at_their_own_rates(site: Site) -> None:
    """F6: by the queues' own counters and clock, so that a slow machine does not matter."""
    _queued(site)
    argv = [sys.executable, "-c", SEND, ADDRESSES[1]]
    log = site.folder / "sender"
    sender = site.lab.start(argv, log, site.hosts[0], environment())
    wait_until(lambda: all(row[2] for row in _counted(site).values()), "both queues to be full")
    before = _counted(site)
    wait_until(lambda: _counted(site)[1][3] - before[1][3] > 2, "two seconds to pass")
    after = _counted(site)
    sender.terminate()
    for queue, rate in RATES.items():
        sent, seconds = (after[queue][i] - before[queue][i] for i in (0, 3))
        measured = sent * 8 / seconds
        off = 100 * measured / rate - 100
        print(f"queue {queue}: {measured:.0f} of {rate} bit/s, {off:+.2f} %")
        assert abs(off) < 10
    assert ping(site.hosts[0], ADDRESSES[1], "-c", "3", "-i", "0.01").lost == 0


def test_ofctl_reads_queues_and_their_rates(site: Site) -> None:
    _queued(site)
    shown = _ofctl(site, "queue-get-config", "2")
    speed = 10_000  # Mbit/s, of a veth
    for queue, rate in RATES.items():
        share = max(1, round(rate / (speed * 1000)))
        assert re.search(rf"queue {queue}:\s+max_rate:{share / 10:.1f}%", shown), shown
    assert "queue 0" not in shown
    assert set(_counted(site)) == set(RATES)


def test_queues_stay_when_the_dataplane_is_restarted(site: Site) -> None:
    _queued(site)
    site.switch.kill("dataplane")
    site.switch.wait_ready("dataplane")
    wait_until(lambda: "queue 2" in _ofctl(site, "queue-get-config", "2"), "the queues")
