"""Pings that go on in the background, and what became of them."""

import re
import threading
from dataclasses import dataclass
from typing import Self

from .lab import Namespace, wait_until

SUMMARY = re.compile(r"(\d+) packets transmitted, (\d+) received")
RUN = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Counted:
    """How many pings were sent and answered."""

    sent: int
    answered: int

    @property
    def lost(self) -> int:
        return self.sent - self.answered


def ping(host: Namespace, address: str, *options: str, timeout: float = 120) -> Counted:
    """Run ping to its own end, so that the last answer is waited for."""
    text = host.run("ping", "-q", "-W", "2", *options, address, check=False, timeout=timeout)
    found = SUMMARY.search(text)
    assert found, text
    return Counted(int(found[1]), int(found[2]))


def reached(host: Namespace, address: str) -> bool:
    """Ping until the first answer, for a second at most."""
    return ping(host, address, "-c", "1", "-w", "1", "-i", "0.1").answered == 1


class Pinging:
    """Ping every 10 ms, in runs that each come to their end, until the block is left.

    Or *every* so many seconds; runs take half a second.
    """

    def __init__(self, host: Namespace, address: str, every: float = 0.01) -> None:
        self._arguments = (host, address, "-i", str(every), "-c", str(round(RUN / every)))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._error: BaseException | None = None
        self.counted = Counted(0, 0)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                more = ping(*self._arguments)
                so_far = self.counted
                self.counted = Counted(so_far.sent + more.sent, so_far.answered + more.answered)
        except BaseException as error:
            self._error = error

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
        if self._error:
            raise self._error


def wait_more(pings: Pinging, count: int = 100) -> None:
    """Wait for so many more pings."""
    target = pings.counted.sent + count
    wait_until(lambda: pings.counted.sent >= target, "more pings")
