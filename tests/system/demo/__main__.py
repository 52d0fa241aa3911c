"""Two hosts, a switch between them, a controller above it: the whole of raicho in one run.

Everything happens in network namespaces of its own, which are gone at the end. Needs root.
"""

import sys
import tempfile
import time
from pathlib import Path

from ..lab import Lab, Namespace, wait_until
from ..needs import missing
from ..pinging import Counted, ping
from ..switch import Controller, Switch

HOSTS = {"h1": "10.9.0.1", "h2": "10.9.0.2"}
PINGS = 20

# The bridge, as an operator would write it: all of it takes effect at once, or nothing.
CONFIGURATION = (
    ("port", "add", "p1", "--device", "p1"),
    ("port", "add", "p2", "--device", "p2"),
    ("bridge", "add", "br0"),
    ("bridge", "add-port", "br0", "p1", "1"),
    ("bridge", "add-port", "br0", "p2", "2"),
    ("bridge", "add-controller", "br0", "127.0.0.1"),
)
SESSION = ("--session", "demo")
SHOWN = (("status",), ("show", "flows"), ("show", "ports"))


class Stage:
    """Prints what happens, with the seconds since the start."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        print(f"[{time.monotonic() - self._start:5.1f} s] {text}", flush=True)

    def cli(self, switch: Switch, *argv: str, quiet: bool = False) -> None:
        """Run a command of raicho and show it as in a shell."""
        print(f"          # raicho {' '.join(argv)}", flush=True)
        for line in switch.cli(*argv).splitlines():
            if not quiet:
                print(f"          {line}", flush=True)

    def pings(self, host: str, to: str, counted: Counted) -> None:
        self.say(f"{host} pinged {to}: {counted.answered} of {counted.sent} answered")
        if counted.lost:
            raise SystemExit(f"{counted.lost} pings from {host} to {to} were lost")


def build(lab: Lab) -> tuple[Namespace, dict[str, Namespace]]:
    """Make the hosts, the place of the switch, and the cables between them."""
    place = lab.namespace("sw")
    hosts = {name: lab.namespace(name) for name in HOSTS}
    for number, (name, address) in enumerate(HOSTS.items(), 1):
        lab.cable(hosts[name], "eth0", place, f"p{number}")
        hosts[name].ip("address", "add", f"{address}/24", "dev", "eth0")
    return place, hosts


def show(stage: Stage, lab: Lab, folder: Path) -> None:
    """Play the whole piece."""
    stage.say("two network namespaces as hosts, cabled to a third one for the switch")
    place, hosts = build(lab)
    switch = Switch(lab, place, folder)
    stage.say("raicho up: supervisor, bus, datastore, dataplane, openflow agent")
    switch.up()
    stage.say("a learning switch on os-ken, listening at 127.0.0.1:6653")
    controller = Controller(lab, place, folder)
    stage.say("the configuration, in one transaction")
    for command in CONFIGURATION:
        stage.cli(switch, *command, *SESSION, quiet=True)
    stage.cli(switch, "config", "commit", *SESSION)
    controller.wait_for_switch()
    stage.say(f"connected to the controller as {controller.events('switch')[0]['datapath_id']:#x}")
    h1, h2 = HOSTS.values()
    wait_until(lambda: ping(hosts["h1"], h2, "-c", "1").answered, "the first ping")
    for host, address in (("h1", h2), ("h2", h1)):
        stage.pings(host, address, ping(hosts[host], address, "-c", str(PINGS), "-i", "0.02"))
    stage.say("what the controller wrote, and what was counted")
    for shown in SHOWN:
        stage.cli(switch, *shown)


def main() -> int:
    if reason := missing("ping"):
        print(f"the demo {reason}", file=sys.stderr)
        return 1
    stage = Stage()
    with tempfile.TemporaryDirectory(prefix="rch") as folder, Lab() as lab:
        show(stage, lab, Path(folder))
        stage.say("cleaning up")
    stage.say("done: nothing is left behind")
    return 0


if __name__ == "__main__":
    sys.exit(main())
