"""Carry out the items of a batch, and try again those that another try may help.

Whoever is called does an item once, answers, and leaves the rest to the caller: this is the
caller's side, and it is used only where the caller says so.

An item must be such that doing it twice is doing it once, as putting and removing are, since after
a time-out nobody knows whether it was done.  (A removal that was, is not there the next time.)
Items with the same key keep their order: each is sent when it is settled what became of the one
before it.  Items with different keys may overtake one another.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence

import msgspec

from .backoff import Backoff
from .failure import CallError, Code

#: Failures that may be none the next time, and why.
PASSING = {
    Code.UNAVAILABLE: "full, in use, starting, stopping or away",
    Code.TIMEOUT: "it may have happened or not",
}


class Result(msgspec.Struct, frozen=True):
    """What became of an item: what is wrong with it, or nothing if *code* is None."""

    index: int  # of the item in the batch
    code: Code | None = None
    text: str = ""
    tries: int = 1


class Retry(msgspec.Struct, frozen=True):
    """How often an item is sent at most, and the pauses in seconds, each twice the one before."""

    tries: int = 5
    first: float = 0.05
    most: float = 2.0


ONCE = Retry(tries=1)

Send = Callable[[Sequence[bytes]], Awaitable[Sequence[Result]]]


async def carry_out(
    send: Send,
    items: Sequence[bytes],
    key: Callable[[bytes], Hashable],
    retry: Retry = ONCE,
    batch: int = sys.maxsize,
) -> list[Result]:
    """Return the last result of each item, in their order.

    *send* gets at most *batch* items and answers for each, or raises CallError, an answer for all.
    """
    results = [Result(i, tries=0) for i in range(len(items))]
    queues: dict[Hashable, deque[int]] = {}
    for i, item in enumerate(items):
        queues.setdefault(key(item), deque()).append(i)
    backoff = Backoff(retry.most, retry.first)
    while queues:
        wave = sorted((queue[0], name) for name, queue in queues.items())
        sent = [items[i] for i, _ in wave]
        parts = [sent[at : at + batch] for at in range(0, len(sent), batch)]
        told = [each for part in parts for each in await _tell(send, part)]
        failed = False
        for (i, name), result in zip(wave, told, strict=True):
            tries = results[i].tries + 1
            results[i] = msgspec.structs.replace(result, index=i, tries=tries)
            if result.code in PASSING and tries < retry.tries:
                failed = True
                continue
            queues[name].popleft()
            if not queues[name]:
                del queues[name]
        if failed:
            await asyncio.sleep(backoff.failed())
    return results


async def _tell(send: Send, items: list[bytes]) -> Sequence[Result]:
    try:
        return await send(items)
    except CallError as error:
        return [Result(i, error.failure.code, str(error)) for i in range(len(items))]
