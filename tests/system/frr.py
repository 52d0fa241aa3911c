"""Daemons of FRRouting in a namespace of a lab, with sockets and files of their own."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from .lab import Lab, Namespace, run, wait_until

DAEMONS = Path("/usr/lib/frr")


class Frr:
    """The daemons of one router.  The folder is short: the path of a socket has little room."""

    def __init__(self, lab: Lab, inside: Namespace, folder: Path) -> None:
        self._lab, self._inside, self._folder = lab, inside, folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        folder.mkdir(parents=True)
        shutil.chown(folder, "frr", "frr")

    def start(self, daemon: str, *lines: str) -> None:
        """Start a daemon with a configuration, and wait until it can be talked to."""
        config = self._folder / f"{daemon}.conf"
        config.write_text("\n".join((*lines, "")))
        argv = [
            *(str(DAEMONS / daemon), "-f", str(config), "-i", str(self._folder / f"{daemon}.pid")),
            *("-z", str(self._folder / "zserv.api"), "--vty_socket", str(self._folder)),
            *(("-M", "dplane_fpm_nl", "-s", "90000000") if daemon == "zebra" else ()),
        ]
        log = self._folder / f"{daemon}.log"
        self._processes[daemon] = self._lab.start(argv, log, self._inside)
        socket = self._folder / f"{daemon}.vty"
        wait_until(socket.exists, f"{daemon} to start: {log.read_text()}")

    def kill(self, daemon: str) -> None:
        """Kill -9 a daemon."""
        process = self._processes.pop(daemon)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        (self._folder / f"{daemon}.vty").unlink()

    def show(self, *commands: str) -> str:
        """Give commands to the daemons and return what they say."""
        words = [word for command in commands for word in ("-c", command)]
        return run("vtysh", "--vty_socket", str(self._folder), *words)
