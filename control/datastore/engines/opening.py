"""From the address of a store to its engine, which is imported only when it is wanted.

PATH, sqlite:PATH          a file of this host
redis://HOST:PORT/NUMBER   a Redis database
etcd://HOST:PORT/NAME      keys below NAME in etcd
zookeeper://HOST:PORT/NAME nodes below NAME in ZooKeeper
"""

from importlib import import_module
from pathlib import Path
from typing import Any

from . import Engine, EngineError

SHARED = {"redis": "RedisEngine", "etcd": "EtcdEngine", "zookeeper": "ZookeeperEngine"}


def open_engine(address: str) -> Engine:
    """Open a store; raise EngineError if that cannot be done."""
    kind, colon, rest = address.partition(":")
    if kind in SHARED and rest.startswith("//"):
        return _shared(kind, address)
    if colon and rest.startswith("//"):
        raise EngineError(f"no store {kind}://; right is a path, {', '.join(SHARED)}")
    from .sqlite import SqliteEngine

    return SqliteEngine(Path(rest if kind == "sqlite" and colon else address))


def _shared(kind: str, address: str) -> Engine:
    try:
        module: Any = import_module(f".{kind}", __package__)
    except ModuleNotFoundError as missing:
        reason = f"{missing.name} is not installed; `pip install raicho[{kind}]` does it"
        raise EngineError(f"{address} cannot be opened: {reason}") from missing
    engine: Engine = getattr(module, SHARED[kind])(address)
    return engine
