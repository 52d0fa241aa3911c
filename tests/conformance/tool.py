"""The application of Ryu's switch tester, in its own process and its own environment.

python -m conformance.tool JOB, where JOB is a JSON object (see `Job`). For each case a line of
JSON goes to the file that the job names.

The tool itself is used as it was published. What it does wrong on today's Python, and what it
assumes about the switch that plays the tester, is put right here:

  - its checksum of SCTP is wrong on Python 3;
  - it expects frames and packet-ins of 60 bytes at least, to which Ethernet pads and veth does not;
  - it removes and writes again the flow of the tester before each case, faster than Open vSwitch's
    caches follow, and then misses packets. The flow stays until a case has changed it;
  - it sends load as PACKET_OUTs, which no Python program can do evenly at 20 000 a second.
    `load.py` sends it on the device of the tester;
  - it divides what the tester has counted by the time of its two questions, but the counters of
    Open vSwitch are half a second late. They get time, and the load's own duration counts;
  - after an assertion of its own it fails all cases that follow.
"""

import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eventlet.green import subprocess
from os_ken import cfg, log
from os_ken.base.app_manager import AppManager
from os_ken.controller import controller, ofp_event
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls
from os_ken.lib import hub
from os_ken.lib.packet import sctp
from os_ken.tests.switch import tester

from .crc32c import sctp_checksum
from .load import pack

CASES = Path(tester.__file__).parent / "of13"
MIN_FRAME = 60  # bytes, without the frame check sequence
DISTINCT = 8192  # frames at most that stand for a stream of random ones
TESTER_SETTLE = 0.3  # seconds until the caches of the tester follow its flows
COUNTERS_SETTLE = 1.0  # ... and until its counters have counted what went through
SEND_MARGIN = 30  # seconds a sender may take beyond the duration of its load


@dataclass(frozen=True)
class Job:
    """What to run, as the driver says it."""

    files: list[str]  # relative to the folder of the cases
    verdicts: str  # the file to write to
    port: int  # where the target finds its controller
    socket: str  # ... and the tester
    target: int  # datapath ids
    tester: int
    settle: float  # seconds between a barrier of the target and the next packet
    sender: list[str]  # command line, up to the rate
    load_seconds: float | None = None  # instead of what the case says


class UnixStream:
    """A Unix socket for a library that knows only those of TCP."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket

    def setsockopt(self, *option: int) -> None:
        """Take the options of TCP for set."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


def serve_unix(path: str) -> None:
    """Take the tester's connection at a Unix socket."""
    hub.StreamServer(
        (path, None),
        lambda stream, _: controller.datapath_connection_factory(UnixStream(stream), path),
    ).serve_forever()


def pad(frame: bytes) -> bytes:
    return frame + bytes(max(0, MIN_FRAME - len(frame)))


def compose(packets: dict[str, Any], count: int) -> list[bytes]:
    """Return the frames of a load: one, or up to 'count' if the case wants random ones."""
    if not packets["randomize"]:
        return [packets["packet_binary"]]
    text = compile("/".join(packets["packet_text"]), "case", "eval")
    frames = []
    for _ in range(min(count, DISTINCT)):
        packet = eval(text, vars(tester))
        packet.serialize()
        frames.append(bytes(packet.data))
    return frames


class Application(tester.OfTester):
    """The tester, with its flaws put right and its verdicts in JSON."""

    job: Job

    def __init__(self) -> None:
        self._reason = ""
        self._load: list[dict[str, float]] = []  # what the sender said in this case
        self._tester_flow: Any = None  # the connection on which the tester has its only flow
        super().__init__()
        hub.spawn(serve_unix, self.job.socket)

    def _test_sequential_execute(self, test_dir: str) -> None:
        for name in self.job.files:
            cases = tester.TestFile(os.path.join(test_dir, name), self.logger)
            for number, case in enumerate(cases.tests, 1):
                self._run(name, number, case, cases.description if number == 1 else None)
        self.test_thread = None
        os._exit(0)  # the tool knows no end but a signal

    def _run(self, name: str, number: int, case: Any, title: str | None) -> None:
        """Run one case and print its verdict."""
        self.waiter = None
        self._reason, self._load = "", []
        start = time.monotonic()
        try:
            passed = self._test_execute(case, title) == tester.TEST_OK
        except Exception as error:  # a flaw of the tool must not take the run with it
            passed = False
            self._reason = f"the tool failed: {error!r} in state {self.state}"
        self._say(
            file=name,
            number=number,
            name=case.description,
            passed=passed,
            reason="" if passed else self._reason,
            seconds=round(time.monotonic() - start, 3),
            load=self._load,
        )

    def _test(self, state: int, *args: Any) -> Any:
        try:
            return super()._test(state, *args)
        except tester.TestMessageBase as error:
            self._reason = str(error)
            raise

    def _test_initialize_flow(self, datapath: Any) -> None:
        if datapath is self.tester_sw and self._tester_flow is datapath.dp:
            return
        super()._test_initialize_flow(datapath)
        if datapath is self.tester_sw:
            self._tester_flow = datapath.dp
            hub.sleep(TESTER_SETTLE)

    def _test_msg_install(self, datapath: Any, message: Any) -> None:
        if datapath is self.tester_sw:
            self._tester_flow = None
        super()._test_msg_install(datapath, message)
        if datapath is self.tester_sw:
            hub.sleep(TESTER_SETTLE)

    def _one_time_packet_send(self, pkt: dict[str, Any]) -> None:
        hub.sleep(self.job.settle)
        super()._one_time_packet_send(pkt)

    def _continuous_packet_send(self, pkt: dict[str, Any]) -> None:
        packets = pkt[tester.KEY_PACKETS]
        seconds = self.job.load_seconds or packets[tester.KEY_DURATION_TIME]
        rate = packets[tester.KEY_PKTPS]
        frames = pack(compose(packets, round(rate * seconds)))
        hub.sleep(self.job.settle)
        self._load.append(self._send(frames, rate, seconds))
        hub.sleep(COUNTERS_SETTLE)

    def _test_get_throughput(self) -> tuple[float, dict[str, tuple[int, int]]]:
        _, counted = super()._test_get_throughput()
        return sum(load["seconds"] for load in self._load), counted

    def _send(self, frames: bytes, rate: float, seconds: float) -> dict[str, float]:
        """Let the sender send; other greenlets go on."""
        command = [*self.job.sender, str(rate), str(seconds)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with hub.Timeout(seconds + SEND_MARGIN):
            out, _ = process.communicate(frames)
        counted: dict[str, float] = json.loads(out)
        return counted

    def _say(self, **facts: Any) -> None:
        with open(self.job.verdicts, "a") as out:
            print(json.dumps(facts), file=out)

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def packet_in_handler(self, ev: Any) -> None:
        ev.msg.data = pad(ev.msg.data)
        super().packet_in_handler(ev)


def main() -> None:
    job = Job(**json.loads(sys.argv[1]))
    sctp.sctp._checksum = lambda self, data: sctp_checksum(bytes(data))
    log.early_init_log()
    options = {
        "ofp-listen-host": "127.0.0.1",
        "ofp-tcp-listen-port": job.port,
        "test-switch-target": f"{job.target:016x}",
        "test-switch-tester": f"{job.tester:016x}",
        "test-switch-dir": CASES,
    }
    cfg.CONF(args=[f"--{name}={value}" for name, value in options.items()], project="os_ken")
    Application.job = job
    AppManager.run_apps([__name__])


if __name__ == "__main__":
    # The manager of applications imports this module by its name and looks for classes there.
    from conformance import tool

    tool.main()
