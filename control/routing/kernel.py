"""What the kernel of a namespace knows, and every change of it, by rtnetlink(7).

All there is is read first.  When the kernel had to drop events, or a list does not fit together,
it is read again: `on_begin` says that all comes again, `on_complete` that all has come.
"""

import asyncio
import errno
import itertools
import logging
import socket
from collections import Counter, deque
from collections.abc import Callable

from .encode import GET_LINK, GET_NEIGHBOUR, GET_ROUTE, dump
from .events import Done, Event
from .namespace import inside
from .netlink import decode

GROUPS = (1, 3, 7, 11, 27)  # RTNLGRP_*: links, neighbours, routes of both families, of labels
DUMPS = (GET_LINK, GET_NEIGHBOUR, GET_ROUTE)  # links first: the rest names them
SOL_NETLINK, ADD_MEMBERSHIP, SO_RCVBUFFORCE = 270, 1, 33
BUFFER = 64 << 20  # bytes of events that wait: 100 000 routes come faster than they are read
MESSAGE = 1 << 18  # bytes; the kernel sends no more at once
READS = 64  # messages in one turn of the loop

log = logging.getLogger(__name__)


def _open() -> socket.socket:
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    try:
        netlink.setblocking(False)
        netlink.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        netlink.bind((0, 0))
        for group in GROUPS:
            netlink.setsockopt(SOL_NETLINK, ADD_MEMBERSHIP, group)
    except OSError:
        netlink.close()
        raise
    return netlink


class Kernel:
    """Listen in a namespace; make it inside a running loop.  OSError: that cannot be done."""

    def __init__(
        self,
        namespace: str,
        on_event: Callable[[Event], None],
        on_begin: Callable[[], None],
        on_complete: Callable[[], None],
    ) -> None:
        self.counters: Counter[str] = Counter()
        self._on_event, self._on_begin, self._on_complete = on_event, on_begin, on_complete
        self._sequences = itertools.count(1)
        self._asked = 0  # the number of the list that is coming
        self._left: deque[int] = deque()
        self._is_spoilt = False
        self._socket = inside(namespace, _open)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._read)
        self._begin()

    def close(self) -> None:
        """Stop listening."""
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def sequence(self) -> int:
        """Return a number for a request."""
        return next(self._sequences)

    def send(self, message: bytes) -> None:
        """Send a request; a failure is counted when it comes back."""
        try:
            self._socket.send(message)
        except OSError as error:
            self.counters["unsent"] += 1
            log.debug("a request was not sent: %s", error)

    def _begin(self) -> None:
        """Read all there is."""
        self._left, self._is_spoilt = deque(DUMPS), False
        self._on_begin()
        self._ask()

    def _ask(self) -> None:
        self._asked = self.sequence()
        self.send(dump(self._left[0], self._asked))

    def _read(self) -> None:
        for _ in range(READS):
            try:
                data = self._socket.recv(MESSAGE)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                self.counters["overruns"] += 1
                self._is_spoilt = True
                if not self._left:
                    self._begin()
                continue
            self._take(data)

    def _take(self, data: bytes) -> None:
        events: list[Event] = []
        ignored, malformed = decode(data, events)
        self.counters["events"] += len(events)
        self.counters["ignored"] += ignored
        self.counters["malformed"] += malformed
        for event in events:
            if isinstance(event, Done):
                self._end(event)
            else:
                self._on_event(event)

    def _end(self, event: Done) -> None:
        if event.error:
            self.counters["refused"] += 1
            log.debug("the kernel refuses a request: %s", errno.errorcode.get(event.error))
        if event.sequence != self._asked or not self._left:
            return
        self._is_spoilt |= event.interrupted
        self._left.popleft()
        if self._left:
            self._ask()
        elif self._is_spoilt:
            self.counters["again"] += 1
            self._begin()
        else:
            self._on_complete()
