"""The servers behind each kind of store: started on free ports, in a directory of their own."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from loopback import HOST, free_port

from raicho.control.datastore.engines import Engine, EngineError
from raicho.control.datastore.engines.opening import open_engine

PATIENCE = 180.0  # seconds until a server must answer

Command = Callable[[Path, int], list[str]]


def redis_server(folder: Path, port: int) -> list[str]:
    return [
        *("redis-server", "--bind", HOST, "--port", str(port), "--dir", str(folder)),
        *("--appendonly", "yes", "--appendfsync", "always", "--save", ""),
    ]


def etcd(folder: Path, port: int) -> list[str]:
    client, peer = f"http://{HOST}:{port}", f"http://{HOST}:{free_port()}"
    return [
        *("etcd", "--name", "one", "--data-dir", str(folder / "etcd")),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
        *("--initial-cluster", f"one={peer}", "--auto-compaction-retention", "1s"),
    ]


def zookeeper(folder: Path, port: int) -> list[str]:
    settings = folder / "zoo.cfg"
    settings.write_text(
        f"dataDir={folder}\nclientPort={port}\nclientPortAddress={HOST}\n"
        "tickTime=500\nadmin.enableServer=false\nmaxClientCnxns=0\n"
    )
    paths = "/etc/zookeeper/conf:/usr/share/java/zookeeper.jar:/usr/share/java/*"
    main = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
    return ["java", "-Xmx256m", "-cp", paths, main, str(settings)]


SERVERS: dict[str, Command] = {"redis": redis_server, "etcd": etcd, "zookeeper": zookeeper}
KINDS = ("sqlite", *SERVERS)


class Server:
    """A server that can be killed and started again with what it has on disk."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self._folder = folder
        self._port = free_port()
        self._command = SERVERS[kind](folder, self._port)
        if shutil.which(self._command[0]) is None:
            raise FileNotFoundError(f"{self._command[0]} is missing; see .ci/packages")
        self.start()

    def address(self, name: str) -> str:
        """Return the address of a store that nobody else has."""
        return f"{self.kind}://{HOST}:{self._port}/{name}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(self._command, stdout=output, stderr=output)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return open_engine(self.address("probe")).close()
            except EngineError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    self.kill()
                    said = (self._folder / "output").read_text()[-1000:]
                    raise AssertionError(f"{self._command[0]} does not start: {said}") from None
                time.sleep(0.1)

    def pause(self) -> None:
        """Let it neither answer nor die."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after a pause."""
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        self._process.kill()
        self._process.wait()


class Store:
    """One store, empty at first, of any kind."""

    def __init__(self, address: str, server: Server | None) -> None:
        self.address, self.server = address, server
        self._engines: list[Engine] = []

    def open(self) -> Engine:
        """Return an engine; it is closed at the end of the test."""
        engine = open_engine(self.address)
        self._engines.append(engine)
        return engine

    def crash(self) -> None:
        """Kill the server and start it again; a file has none."""
        if self.server:
            self.server.kill()
            self.server.start()

    def close(self) -> None:
        for engine in self._engines:
            engine.close()
