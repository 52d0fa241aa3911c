"""Debian's Open vSwitch in userspace, with daemons, database and sockets of its own."""

from collections.abc import Sequence
from pathlib import Path

from system.lab import Lab, Namespace, run, wait_until

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
PROGRAMS = ("ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl")


class OpenVswitch:
    """One switch. Two of them cannot be in one namespace: both want the device `ovs-netdev`."""

    def __init__(self, lab: Lab, inside: Namespace, folder: Path) -> None:
        self.lab = lab
        self.inside = inside
        self.folder = folder
        self.log = folder / "log"
        self._database = f"unix:{folder}/db.sock"

    def start(self) -> None:
        """Start the daemons and wait until they answer."""
        self.folder.mkdir()
        database = str(self.folder / "conf.db")
        run("ovsdb-tool", "create", database, SCHEMA)
        control = f"--unixctl={self.folder}"
        self._daemon(
            *("ovsdb-server", database, f"--remote=p{self._database}", f"{control}/db.ctl")
        )
        wait_until((self.folder / "db.sock").exists, "ovsdb-server")
        self._set("--no-wait", "init")
        self._daemon("ovs-vswitchd", self._database, f"{control}/switch.ctl", "--disable-system")
        self._set("set", "open", ".", "external_ids:ready=yes")  # waits for ovs-vswitchd

    def bridge(self, datapath_id: int, devices: Sequence[str], controller: str) -> None:
        """Make the bridge br0 with its ports numbered from 1, and its controller."""
        what = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"]
        what += [f"other_config:datapath-id={datapath_id:016x}", "protocols=OpenFlow13"]
        what += ["fail_mode=secure", "other_config:disable-in-band=true"]
        for number, device in enumerate(devices, 1):
            what += ["--", "add-port", "br0", device]
            what += ["--", "set", "interface", device, f"ofport_request={number}"]
        what += ["--", "set-controller", "br0", controller]
        what += ["--", "set", "controller", "br0", "inactivity_probe=0", "max_backoff=1000"]
        self._set(*what)

    def _set(self, *arguments: str) -> None:
        run("ovs-vsctl", f"--db={self._database}", "--timeout=20", *arguments)

    def _daemon(self, *argv: str) -> None:
        """Start a daemon in the namespace; it finds its own directories by the environment."""
        here = str(self.folder)
        own = {f"OVS_{name}DIR": here for name in ("RUN", "LOG", "DB", "SYSCONF")}
        self.lab.start(argv, self.log, self.inside, {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"} | own)


def version() -> str:
    """Return the version as the program says it."""
    return run("ovs-vswitchd", "--version").splitlines()[0]
