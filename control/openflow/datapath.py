"""The way to the dataplane: find its bulk endpoint, ask, stay attached.

The endpoint comes from the registry and is kept: when the datastore is away,
the last one is used.  When the dataplane is away, every question is answered
AWAY at once.  When it is back, the bridges are attached again; if it is a new
process, they are filled again with what the old one held.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial

import zmq

from ..component import BulkPeer
from ..message import (
    BulkEvent,
    BulkRequest,
    CallError,
    ControlClient,
    Ping,
)
from ..message.bulk import Outcome
from ..message.finding import lookup
from . import framing
from .answers import AWAY, Answer, Ask
from .asking import Then, answer_to

BULK, CONTROL = "dataplane.bulk", "dataplane.control"
TIMEOUT = 30.0  # seconds for a batch; the link tells sooner when the dataplane dies
CALL_TIMEOUT = 2.0
RETRY = 0.1  # seconds until something that is missing is tried again
REFRESH = 5.0  # seconds between attachments of what is attached already
NO_OPENFLOW_ERROR = 0xFFFE  # from this type on, a code is not one of OpenFlow

log = logging.getLogger(__name__)


class Datapath:
    """The dataplane, as the agent sees it."""

    def __init__(
        self,
        context: zmq.SyncContext,
        datastore: ControlClient,
        *,
        on_event: Callable[[str, str, bytes], None],
        on_attached: Callable[[str], Awaitable[None]],
        on_lost: Callable[[bool], None],
    ) -> None:
        """Hooks: an event (bridge, kind, messages); a bridge attached, once and again; all away.

        The last hears True when the dataplane is another process, whose tables are empty.
        """
        self.bridges: set[str] = set()
        self.attached: set[str] = set()
        self._context = context
        self._datastore = datastore
        self._on_event = on_event
        self._on_attached = on_attached
        self._on_lost = on_lost
        self._bulk = BulkPeer(context, datastore, BULK, on_event=self._event, on_link=self._link)
        self._control: ControlClient | None = None
        self._instance = ""
        self._wake = asyncio.Event()

    @property
    def up(self) -> bool:
        """Whether the dataplane can be asked."""
        return self._bulk.up

    async def ask(self, bridge: str, ask: Ask) -> Answer:
        """Ask about one bridge; what cannot be asked is AWAY."""
        return await answer_to(partial(self.post, bridge), ask)

    def post(self, bridge: str, ask: Ask, then: Then) -> None:
        """Ask about one bridge; *then* hears the answer."""
        if not self.up:
            asyncio.get_running_loop().call_soon(then, Answer(AWAY))
            return
        done = partial(self._answered, bridge, ask.op, then)
        self._bulk.post(BulkRequest(ask.op, bridge), ask.payload, done, TIMEOUT)

    def _answered(self, bridge: str, op: str, then: Then, outcome: Outcome) -> None:
        if isinstance(outcome, CallError):
            log.warning("%s of %s: %s", op, bridge, outcome)
            then(Answer(AWAY))
            return
        reply, frames = outcome
        if reply.code != framing.DONE and reply.code >> 16 >= NO_OPENFLOW_ERROR:
            log.warning("%s of %s: %s", op, bridge, reply.text or hex(reply.code))
            then(Answer(AWAY))
        else:
            then(Answer(reply.code, tuple(frames)))

    def want(self, bridges: set[str]) -> None:
        """Say which bridges to be attached to."""
        gone = self.bridges - bridges
        self.bridges = set(bridges)
        self.attached -= gone
        self._wake.set()

    async def detach(self, bridge: str) -> None:
        """Ask for no more messages of a bridge."""
        await self.ask(bridge, Ask("detach", b""))

    async def keep(self) -> None:
        """Find the dataplane, and stay attached; never return."""
        while True:
            await self._find()
            if self.up and await self._recognise():
                await self._attach()
            complete = self.up and self.bridges <= self.attached
            await self._sleep(REFRESH if complete else RETRY)

    def close(self) -> None:
        """Close the sockets."""
        self._bulk.close()
        if self._control:
            self._control.close()

    async def _sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            pass
        self._wake.clear()

    async def _find(self) -> None:
        """Take the endpoints from the registry, unless what is known works."""
        if await self._bulk.find() and self._control:
            return
        try:
            found = await lookup(self._datastore, CONTROL, CALL_TIMEOUT)
        except CallError as error:
            log.debug("cannot look up %s: %s", CONTROL, error)
            return
        if self._control is None or self._control.endpoint != found.endpoint:
            if self._control:
                self._control.close()
            self._control = ControlClient(self._context, found.endpoint)

    async def _recognise(self) -> bool:
        """Notice that another process is the dataplane now: its tables are empty.

        Return whether it is known which one it is: only then something is to be told to it.
        """
        if self._control is None:
            return False
        try:
            instance = (await self._control.call(Ping(), CALL_TIMEOUT)).instance
        except CallError as error:
            log.debug("the dataplane does not say who it is: %s", error)
            return False
        if self._instance and instance != self._instance:
            log.warning("the dataplane was started again")
            self.attached.clear()
            self._on_lost(True)
        self._instance = instance
        return True

    async def _attach(self) -> None:
        for bridge in sorted(self.bridges):
            answer = await self.ask(bridge, Ask("attach", b""))
            if answer.code == framing.DONE and bridge in self.bridges:
                self.attached.add(bridge)
                await self._on_attached(bridge)
            else:
                self.attached.discard(bridge)

    def _event(self, event: BulkEvent, frames: list[bytes]) -> None:
        self._on_event(event.bridge, event.kind, b"".join(frames))

    def _link(self, up: bool) -> None:
        log.info("the dataplane is %s", "there" if up else "away")
        if not up:
            self.attached.clear()
            self._on_lost(False)
        self._wake.set()
