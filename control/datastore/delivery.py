"""Carries out what the coordinator says: requests to participants, over control sockets."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import zmq

from ..message import Abort, CallError, Code, ControlClient, Failure
from ..message.client import FIRST_RETRY
from ..message.types import Restart
from .coordinator import Action, Finish, Log, Logged, Send, Transaction

Answer = tuple[str, Any, Failure | None]  # of whom, to which request; to none: lost


class Delivery:
    """Runs transactions, one at a time, over clients that it keeps open."""

    def __init__(self, context: zmq.SyncContext, retry: float = FIRST_RETRY) -> None:
        self._context = context
        self._retry = retry
        self._clients: dict[str, ControlClient] = {}
        self._calls: set[asyncio.Task[None]] = set()
        self._answers: asyncio.Queue[Answer] = asyncio.Queue()

    async def run(
        self,
        transaction: Transaction,
        endpoints: Mapping[str, str],
        log: Callable[[Logged], None],
    ) -> Finish:
        """Return how a transaction ended; *log* must have written when it returns."""
        self._answers = asyncio.Queue()
        actions = transaction.start(_now())
        while True:
            for action in actions:
                if isinstance(action, Finish):
                    return action
                self._carry_out(action, endpoints, log)
            actions = await self._next(transaction)

    async def tell(self, endpoint: str, request: Abort) -> None:
        """Send what needs no answer to go on."""
        with contextlib.suppress(CallError):
            await self._client(endpoint).call(request, 0.5)

    def lost(self, participant: str, reason: str) -> None:
        """Tell the transaction under way that a participant has started anew."""
        self._answers.put_nowait((participant, None, Failure(Code.UNAVAILABLE, reason)))

    def close(self) -> None:
        """Give up what is under way."""
        for call in self._calls:
            call.cancel()
        for client in self._clients.values():
            client.close()

    def _carry_out(
        self, action: Action, endpoints: Mapping[str, str], log: Callable[[Logged], None]
    ) -> None:
        if isinstance(action, Log):
            log(action.state)
        elif isinstance(action, Send):
            call = asyncio.create_task(
                self._call(endpoints[action.participant], action, self._answers)
            )
            self._calls.add(call)
            call.add_done_callback(self._calls.discard)

    async def _call(self, endpoint: str, send: Send, answers: asyncio.Queue[Answer]) -> None:
        failure: Failure | None = None
        urgent = isinstance(send.request, Restart)  # not behind what may hang
        client = self._new_client(endpoint) if urgent else self._client(endpoint)
        try:
            await client.call(send.request, send.timeout)
        except CallError as error:
            failure = error.failure
        finally:
            if urgent:
                client.close()
        answers.put_nowait((send.participant, send.request, failure))

    async def _next(self, transaction: Transaction) -> list[Action]:
        deadline = transaction.deadline
        assert deadline is not None, "a transaction that waits for nobody is over"
        try:
            async with asyncio.timeout_at(deadline):
                name, request, failure = await self._answers.get()
        except TimeoutError:
            return transaction.tick(_now())
        if request is None and failure is not None:
            return transaction.lost(name, failure.reason, _now())
        return transaction.answered(name, request, failure, _now())

    def _client(self, endpoint: str) -> ControlClient:
        client = self._clients.get(endpoint)
        if client is None:
            client = self._clients[endpoint] = self._new_client(endpoint)
        return client

    def _new_client(self, endpoint: str) -> ControlClient:
        return ControlClient(self._context, endpoint, retry=self._retry)


def _now() -> float:
    return asyncio.get_running_loop().time()
