"""A bulk endpoint that is found by the name of its API, and found again.

The endpoint comes from the registry and is kept: when the datastore is away,
the last one is used.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

import zmq

from ..message import (
    BulkClient,
    BulkEvent,
    BulkReply,
    BulkRequest,
    CallError,
    Code,
    ControlClient,
    Failure,
)
from ..message.bulk import Outcome
from ..message.finding import lookup

LOOKUP_TIMEOUT = 2.0
HANDSHAKE = 0.5  # seconds that a peer which is there takes at most to appear

log = logging.getLogger(__name__)


class BulkPeer:
    """The server of *api*; the hooks are those of BulkClient."""

    def __init__(
        self,
        context: zmq.SyncContext,
        datastore: ControlClient,
        api: str,
        *,
        on_event: Callable[[BulkEvent, list[bytes]], None] | None = None,
        on_link: Callable[[bool], None] | None = None,
    ) -> None:
        self.api = api
        self._context = context
        self._datastore = datastore
        self._on_event = on_event
        self._on_link = on_link
        self._client: BulkClient | None = None
        self._linked = asyncio.Event()

    @property
    def up(self) -> bool:
        """Whether it can be asked."""
        return self._client is not None and self._client.up

    async def find(self) -> bool:
        """Take the endpoint from the registry, unless the known one works; tell if it is up."""
        if self.up:
            return True
        try:
            found = await lookup(self._datastore, self.api, LOOKUP_TIMEOUT)
        except CallError as error:
            log.debug("cannot look up %s: %s", self.api, error)
            return self.up
        if self._client is None or self._client.endpoint != found.endpoint:
            self._connect(found.endpoint)
            with suppress(TimeoutError):
                async with asyncio.timeout(HANDSHAKE):
                    await self._linked.wait()
        return self.up

    async def request(
        self, request: BulkRequest, payload: bytes, timeout: float
    ) -> tuple[BulkReply, list[bytes]]:
        """Return the reply and its payload; raise CallError if there is none."""
        return await self._there().request(request, payload, timeout=timeout)

    def post(
        self,
        request: BulkRequest,
        payload: bytes,
        done: Callable[[Outcome], None],
        timeout: float,
    ) -> None:
        """As BulkClient's; raise CallError if nobody is there."""
        self._there().post(request, payload, done=done, timeout=timeout)

    def _there(self) -> BulkClient:
        if self._client is None or not self._client.up:
            raise CallError(Failure(Code.UNAVAILABLE, f"nobody serves {self.api}"))
        return self._client

    def close(self) -> None:
        """Close the socket; requests that wait fail."""
        if self._client:
            self._client.close()

    def _connect(self, endpoint: str) -> None:
        self.close()
        self._linked.clear()
        self._client = BulkClient(
            self._context, endpoint, on_event=self._on_event, on_link=self._note
        )

    def _note(self, up: bool) -> None:
        (self._linked.set if up else self._linked.clear)()
        if self._on_link:
            self._on_link(up)
