"""Faucet, and a network for it: four hosts, two VLANs, a router and an ACL."""

import json
import os
import re
import signal
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from raicho.control.message import Set

from .lab import Lab, Namespace, wait_until
from .packages import environment_of
from .switch import CONTROLLER_PORT, Switch, environment

TRUNK_VLAN = 200
EARLY = "send_flow_msgs: DP not up"  # of every cold start: it looks at the ports before it is ready
GUARDED = "10.0.100.22"  # the second address of h2, which the ACL keeps from h1

CHANGING = ("duration", "packets", "bytes", "text")  # of a flow

CONFIGURATION = """
acls:
  guard:
    - rule: {{dl_type: 0x0800, nw_proto: 1, nw_dst: {guarded}, actions: {{allow: {allow}}}}}
    - rule: {{actions: {{allow: true}}}}
vlans:
  office: {{vid: 100, faucet_mac: "0e:00:00:00:10:01",
           faucet_vips: ["10.0.100.254/24", "fc00::1:254/112"]}}
  laboratory: {{vid: 200, faucet_mac: "0e:00:00:00:20:01",
               faucet_vips: ["10.0.200.254/24", "fc00::2:254/112"]}}
routers:
  all: {{vlans: [office, laboratory]}}
dps:
  br0:
    dp_id: 0xfa
    hardware: {hardware}
    interfaces:
      1: {{native_vlan: office, acls_in: [guard]}}
      2: {{native_vlan: office}}
      3: {{native_vlan: laboratory}}
      4: {{tagged_vlans: [laboratory]}}
"""


@dataclass(frozen=True)
class Host:
    """A host: its number is that of its port."""

    number: int
    vlan: int  # 1 or 2
    space: Namespace

    @property
    def ipv4(self) -> str:
        return f"10.0.{self.vlan}00.{self.number}"

    @property
    def ipv6(self) -> str:
        return f"fc00::{self.vlan}:{self.number}"

    def connect(self, device: str) -> None:
        """Give the device its addresses and routes."""
        self.space.ip("link", "set", device, "up")
        for address in (f"{self.ipv4}/24", f"{self.ipv6}/112"):
            nodad = ("nodad",) if ":" in address else ()
            self.space.ip("address", "add", address, "dev", device, *nodad)
        self.space.ip("route", "add", "default", "via", f"10.0.{self.vlan}00.254")
        self.space.ip("-6", "route", "add", "default", "via", f"fc00::{self.vlan}:254")


@dataclass
class Faucet:
    """The controller, beside the switch; each start of it has a log of its own."""

    lab: Lab
    inside: Namespace
    folder: Path
    hardware: str
    starts: int = field(default=0, init=False)

    def start(self) -> None:
        programs = environment_of("faucet")
        self.starts += 1
        self.output = self.folder / f"faucet{self.starts}.out"
        self.log = self.folder / f"faucet{self.starts}.log"
        settings = {
            "PATH": f"{programs}:{os.environ['PATH']}",  # it starts osken-manager by its name
            "FAUCET_CONFIG": str(self.folder / "faucet.yaml"),
            "FAUCET_LOG": str(self.log),
            "FAUCET_EXCEPTION_LOG": str(self.folder / "faucet.exceptions"),
            "FAUCET_PROMETHEUS_ADDR": "127.0.0.1",
            "FAUCET_EVENT_SOCK": "0",
        }
        options = [
            "--ryu-ofp-listen-host=127.0.0.1",
            f"--ryu-ofp-tcp-listen-port={CONTROLLER_PORT}",
        ]
        command = [str(programs / "faucet"), *options]
        self.process = self.lab.start(command, self.output, self.inside, settings)

    def configure(self, allow: bool = False) -> None:
        """Write the configuration: the ACL allows, or denies."""
        text = CONFIGURATION.format(
            hardware=self.hardware, guarded=GUARDED, allow=str(allow).lower()
        )
        (self.folder / "faucet.yaml").write_text(text)

    def read_again(self) -> None:
        """Let it take over a changed configuration."""
        self.process.send_signal(signal.SIGHUP)

    def said(self, words: str) -> list[str]:
        text = self.log.read_text() if self.log.exists() else ""
        return [line for line in text.splitlines() if re.search(words, line)]

    def wait_for(self, words: str, times: int = 1) -> None:
        try:
            wait_until(lambda: len(self.said(words)) >= times, f"Faucet to say {words!r}")
        except TimeoutError as error:
            logs = [path.read_text() for path in (self.log, self.output) if path.exists()]
            raise TimeoutError("\n".join([str(error), *logs])) from None

    def complaints(self) -> list[str]:
        """Return what Faucet did not like: errors of the switch and exceptions of its own."""
        exceptions = self.folder / "faucet.exceptions"
        own = exceptions.read_text().splitlines() if exceptions.exists() else []
        return own + [line for line in self.said("ERROR|OFPError|OFPET") if EARLY not in line]

    def end(self) -> None:
        """Kill it, as a controller's machine dies."""
        self.process.kill()
        self.process.wait(30)


@dataclass
class Network:
    """What stands: a switch with four hosts, and Faucet that has set it up."""

    lab: Lab
    switch: Switch
    faucet: Faucet
    hosts: list[Host]

    def flows(self) -> list[dict[str, Any]]:
        """Return the flows in their order, without their counters."""
        rows = json.loads(self.switch.cli("show", "flows", "--json"))
        return [{name: row[name] for name in row if name not in CHANGING} for row in rows]


def build(lab: Lab, folder: Path, hardware: str) -> Network:
    """Start everything; return when Faucet has written its flows."""
    place = lab.namespace("sw")
    hosts = [
        Host(n, vlan, lab.namespace(f"h{n}", ipv6=True)) for n, vlan in enumerate((1, 1, 2, 2), 1)
    ]
    for host in hosts:
        lab.cable(host.space, "eth0", place, f"p{host.number}")
    for host in hosts[:3]:
        host.connect("eth0")
    hosts[1].space.ip("address", "add", f"{GUARDED}/24", "dev", "eth0")
    _tagged(lab, folder, hosts[3])
    switch, faucet = Switch(lab, place, folder), Faucet(lab, place, folder, hardware)
    faucet.configure()
    faucet.start()
    switch.up()
    switch.commit(Set("/raicho/bridge[name='br0']/datapath-id", "0xfa"))
    switch.bridge([f"p{host.number}" for host in hosts])
    faucet.wait_for("Cold start configuring DP")
    return Network(lab, switch, faucet, hosts)


def _tagged(lab: Lab, folder: Path, host: Host) -> None:
    """Put a host behind a tag."""
    log = folder / "tagging.log"
    argv = [sys.executable, "-m", "system.tagging", "eth0", "tap0", str(TRUNK_VLAN)]
    lab.start(argv, log, host.space, environment())
    wait_until(lambda: "ready" in log.read_text(), "the tap")
    host.connect("tap0")
