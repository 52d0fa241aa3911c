"""keepalived in a namespace of a lab, which starts `raicho vrrp follow` beside itself."""

import os
import shlex
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from .lab import Lab, Namespace
from .switch import environment

GROUP = "gateways"


class Keepalived:
    """One that tells the switch in *run_dir*."""

    def __init__(self, lab: Lab, folder: Path, run_dir: Path, *, priority: int) -> None:
        folder.mkdir()
        self._lab, self._folder = lab, folder
        self._run_dir, self._priority = run_dir, priority

    def start(self, inside: Namespace, addresses: Mapping[str, str]) -> None:
        """Start in a namespace, with an instance for each interface, all in one group.

        *addresses* are the virtual ones, by interface.
        """
        config = self._folder / "keepalived.conf"
        config.write_text(self._configuration(addresses))
        argv = ["keepalived", "--vrrp", "--dont-fork", "--log-console", "--log-detail"]
        argv += ["--use-file", str(config), "--pid", str(self._pids[0])]
        argv += ["--vrrp_pid", str(self._pids[1])]
        self.process = self._lab.start(argv, self._folder / "log", inside, environment())

    @property
    def _pids(self) -> tuple[Path, Path]:
        """Return where it says who it is: the process that was started, and the one that speaks."""
        return self._folder / "pid", self._folder / "vrrp_pid"

    def _configuration(self, addresses: Mapping[str, str]) -> str:
        # keepalived follows links, and a Python that is called by its own name has no packages.
        raicho = Path(sys.executable).with_name("raicho")
        follow = [str(raicho), "vrrp", "follow", "--run-dir", str(self._run_dir)]
        instances = "".join(
            f"""
            vrrp_instance {name} {{
                interface {name}
                state BACKUP
                virtual_router_id {number}
                priority {self._priority}
                advert_int 1
                virtual_ipaddress {{ {address} }}
            }}
            """
            for number, (name, address) in enumerate(addresses.items(), 1)
        )
        return f"""
            global_defs {{
                vrrp_notify_fifo {self._folder}/fifo
                vrrp_notify_fifo_script "{shlex.join(follow)}" root
            }}
            vrrp_sync_group {GROUP} {{
                group {{ {" ".join(addresses)} }}
            }}
            {instances}"""

    def kill(self) -> None:
        """Kill -9 both of its processes."""
        for file in self._pids:
            with suppress(ProcessLookupError):
                os.kill(int(file.read_text()), signal.SIGKILL)
        self.process.wait()

    def log(self) -> str:
        """Return what it said, nothing if it was never started."""
        log = self._folder / "log"
        return log.read_text() if log.exists() else ""
