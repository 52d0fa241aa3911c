"""The store of several hosts, in ZooKeeper: its nodes are a log's."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from kazoo.client import KazooClient
from kazoo.exceptions import ConnectionLoss, KazooException, NodeExistsError, NoNodeError
from kazoo.handlers.threading import KazooTimeoutError

from . import EngineError
from .address import Address, parse_address
from .log import LogEngine

TIMEOUT = 3.0  # seconds to connect


class ZookeeperEngine(LogEngine):
    """See engines.Engine; kazoo has threads of its own."""

    def __init__(self, address: str) -> None:
        super().__init__(ZookeeperNodes(parse_address(address)))


class ZookeeperNodes:
    """See log.Nodes."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._happened = threading.Event()
        self._client = KazooClient(f"{address.host}:{address.port}", timeout=TIMEOUT)
        with self._errors():
            self._client.start(TIMEOUT)
            for folder in ("log", "chunk", "snapshot"):
                self._client.ensure_path(self._at(folder))

    def close(self) -> None:
        self._client.stop()
        self._client.close()

    def get(self, name: str) -> bytes | None:
        try:
            data: bytes = self._do(self._client.get_async, self._at(name))[0]
            return data
        except NoNodeError:
            return None

    def put(self, name: str, data: bytes) -> None:
        with suppress(NodeExistsError):
            self._do(self._client.create_async, self._at(name), data)

    def append(self, name: str, data: bytes, after: str) -> bool:
        both = self._client.transaction()
        both.check(self._at(after), 0)  # its version: it is there
        both.create(self._at(name), data)
        results = self._do(both.commit_async)
        return not any(isinstance(result, Exception) for result in results)

    def remove(self, name: str) -> None:
        with suppress(NoNodeError):
            self._do(self._client.delete_async, self._at(name))

    def names(self, folder: str) -> list[str]:
        found: list[str] = self._do(self._client.get_children_async, self._at(folder))
        return found

    def wait(self, name: str, seconds: float) -> None:
        self._happened.clear()
        # The same watcher is kept once for a node, however often it is set.
        if not self._do(self._client.exists_async, self._at(name), self._happen):
            self._happened.wait(seconds)

    def _happen(self, event: object) -> None:
        self._happened.set()

    def _at(self, name: str) -> str:
        return f"/{self._address.name}/{name}"

    def _do(self, ask: Callable[..., Any], *arguments: object) -> Any:
        """Return the answer; without a connection kazoo would wait for one."""
        with self._errors():
            if not self._client.connected:
                raise ConnectionLoss("there is no connection")
            return ask(*arguments).get(timeout=TIMEOUT)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (NoNodeError, NodeExistsError):
            raise
        except (KazooException, KazooTimeoutError) as error:
            reason = str(error) or type(error).__name__
            raise EngineError(
                f"the store {self._address.text} does not answer: {reason}"
            ) from error
