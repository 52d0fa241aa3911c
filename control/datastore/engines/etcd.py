"""The store of several hosts, in etcd: its keys are the nodes of a log.

It needs nothing of what etcd compacts, and of a transaction two operations.
aetcd works in an event loop; it has one of its own, in a thread.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import TypeVar

import aetcd

from . import EngineError
from .address import Address, parse_address
from .log import LogEngine

log = logging.getLogger(__name__)

TIMEOUT = 3  # seconds that the server has to answer

T = TypeVar("T")
Work = Callable[[aetcd.Client], Awaitable[T]]


class EtcdEngine(LogEngine):
    """See engines.Engine."""

    def __init__(self, address: str) -> None:
        super().__init__(EtcdNodes(parse_address(address)))


class EtcdNodes:
    """See log.Nodes."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._client: aetcd.Client | None = None
        self._gate = threading.Lock()
        self._closed = False
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with self._gate:
            if self._closed:
                return
            self._closed = True
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def get(self, name: str) -> bytes | None:
        async def work(client: aetcd.Client) -> bytes | None:
            found = await client.get(self._at(name))
            data: bytes | None = found and found.value
            return data

        return self._do(work)

    def put(self, name: str, data: bytes) -> None:
        key = self._at(name)

        async def work(client: aetcd.Client) -> None:
            absent = client.transactions.version(key) == 0
            await client.transaction([absent], [client.transactions.put(key, data)], [])

        self._do(work)

    def append(self, name: str, data: bytes, after: str) -> bool:
        key = self._at(name)

        async def work(client: aetcd.Client) -> bool:
            when = [
                client.transactions.version(key) == 0,
                client.transactions.version(self._at(after)) > 0,
            ]
            put = client.transactions.put(key, data)
            done, _ = await client.transaction(when, [put], [])
            return bool(done)

        return self._do(work)

    def remove(self, name: str) -> None:
        self._do(lambda client: client.delete(self._at(name)))

    def names(self, folder: str) -> list[str]:
        top = self._at(folder + "/")
        found = self._do(lambda client: client.get_prefix(top, keys_only=True))
        return [it.key.removeprefix(top).decode() for it in found]

    def wait(self, name: str, seconds: float) -> None:
        key = self._at(name)

        async def work(client: aetcd.Client) -> None:
            watch = await client.watch(key)  # first, so that nothing falls between
            try:
                if await client.get(key) is None:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(anext(aiter(watch)), seconds)
            finally:
                await asyncio.wait_for(watch.cancel(), 1.0)

        self._do(work, seconds)

    def _at(self, name: str) -> bytes:
        return f"/{self._address.name}/{name}".encode()

    def _do(self, work: Work[T], extra: float = 0.0) -> T:
        """Carry out *work* in the other thread; an error ends the client."""
        with self._gate:
            if self._closed:
                raise EngineError(f"the store {self._address.text} is closed")
            future = asyncio.run_coroutine_threadsafe(self._work(work, TIMEOUT + extra), self._loop)
        try:
            return future.result()
        except (aetcd.ClientError, TimeoutError, CancelledError) as error:
            reason = str(error) or type(error).__name__
            raise EngineError(
                f"the store {self._address.text} does not answer: {reason}"
            ) from error

    async def _work(self, work: Work[T], seconds: float) -> T:
        try:
            async with asyncio.timeout(seconds):
                if self._client is None:
                    it = self._address
                    self._client = aetcd.Client(it.host, it.port, timeout=TIMEOUT)
                return await work(self._client)
        except (aetcd.ClientError, TimeoutError):
            await self._leave()
            raise

    async def _end(self) -> None:
        """Cancel what other threads wait for."""
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await self._leave()

    async def _leave(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            try:
                await asyncio.wait_for(client.close(), 1.0)
            except Exception:  # one whose watch is broken waits for itself; it is given up anyway
                log.debug("a connection to etcd did not close", exc_info=True)
