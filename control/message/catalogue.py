"""Every control message of this version, as one union to decode."""

from collections.abc import Iterable
from typing import Any, Union

import msgspec

from . import causes, datastore, notices, statistics, trace, types, vrrp
from .envelope import Message
from .failure import Failure


def _all_of(*modules: Any) -> list[type[Message]]:
    return [
        item
        for module in modules
        for item in vars(module).values()
        if isinstance(item, type)
        and issubclass(item, Message)
        and item.__module__ == module.__name__
    ]


MESSAGES: tuple[type[Message], ...] = (
    Failure,
    *_all_of(types, datastore, notices, statistics, trace, causes, vrrp),
)


def decoder(extra: Iterable[type[Message]] = ()) -> msgspec.msgpack.Decoder[Message]:
    """Return a decoder of every message of the set and of *extra* ones."""
    return msgspec.msgpack.Decoder(Union[(*MESSAGES, *extra)])
