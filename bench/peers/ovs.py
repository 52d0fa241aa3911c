"""Debian's Open vSwitch in userspace, with daemons, database and sockets of its own."""

import subprocess
from collections.abc import Mapping, Sequence

from .processes import Processes, resident

SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


class OpenVswitch:
    """Two daemons; both of two switches would want the device `ovs-netdev`: one a namespace."""

    PROGRAM = "ovs-vswitchd"
    OPTIONS: Mapping[str, str] = {}  # other_config before the switch starts
    ENTER: Sequence[str] = ()  # words before the command of a daemon: where it is to run

    def __init__(self) -> None:
        self._processes = Processes()
        self._folder = self._processes.folder
        self._database = f"unix:{self._folder}/db.sock"
        self._switch = 0

    def start(self, port: int) -> None:
        """Start the daemons and make a bridge with a controller."""
        file, control = str(self._folder / "conf.db"), f"--unixctl={self._folder}"
        subprocess.run(["ovsdb-tool", "create", file, SCHEMA], check=True)
        self._daemon("ovsdb-server", file, f"--remote=p{self._database}", f"{control}/db.ctl")
        self._processes.wait((self._folder / "db.sock").exists, "ovsdb-server")
        self._set("--no-wait", "init")
        if self.OPTIONS:
            self._set("--no-wait", *configure(self.OPTIONS))
        self._switch = self._daemon(
            self.PROGRAM, self._database, f"{control}/switch.ctl", "--disable-system"
        )
        self._set(
            *("add-br", "bench", "--", "set", "bridge", "bench", "datapath_type=netdev"),
            *("protocols=OpenFlow13", "fail_mode=secure", "other_config:disable-in-band=true"),
            *("--", "set-controller", "bench", f"tcp:127.0.0.1:{port}"),
            *("--", "set", "controller", "bench", "inactivity_probe=0", "max_backoff=1000"),
        )

    def resident(self) -> int:
        """Return the bytes of memory of ovs-vswitchd."""
        return resident(self._switch)

    def close(self) -> None:
        """End the daemons."""
        self._processes.close()

    def _set(self, *arguments: str) -> None:
        subprocess.run(
            ["ovs-vsctl", f"--db={self._database}", "--timeout=20", *arguments], check=True
        )

    def _daemon(self, *command: str) -> int:
        own = {f"OVS_{name}DIR": str(self._folder) for name in ("RUN", "LOG", "DB", "SYSCONF")}
        return self._processes.start((*self.ENTER, *command), own)


def configure(options: Mapping[str, str]) -> list[str]:
    """Write the ovs-vsctl command that sets what concerns the whole switch."""
    settings = [f"other_config:{name}={value}" for name, value in options.items()]
    return ["set", "Open_vSwitch", ".", *settings]
