"""Copying what a bridge holds, and giving it back to a dataplane that was started again."""

import asyncio
from collections.abc import Awaitable, Callable

from . import framing
from .answers import Answer, Ask
from .replica import CHUNK, QUESTIONS, Replica

Asker = Callable[[Ask], Awaitable[Answer]]


async def copy(replica: Replica, ask: Asker) -> bool:
    """Let the dataplane say what it holds; return whether it did."""
    clock = asyncio.get_running_loop().time
    mark, began = replica.mark(), clock()
    answers = await asyncio.gather(
        *map(ask, QUESTIONS)
    )  # one after the other, with nothing between
    return replica.take(mark, answers, began, clock())


async def give_back(replica: Replica, ask: Asker) -> bool:
    """Set everything again; return whether all of it is as it was."""
    if replica.copy is None:
        return False
    whole = replica.copy.is_complete
    for step in replica.steps(asyncio.get_running_loop().time()):
        done = await asyncio.gather(*(_apply(messages, ask) for messages in chunks(step)))
        whole = whole and all(done)
    for again in list(replica.journal()):
        whole = (await ask(again)).code == framing.DONE and whole
    return whole


def chunks(parts: list[bytes]) -> list[bytes]:
    """Join messages to requests of some size."""
    found: list[bytes] = []
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        waiting.append(part)
        size += len(part)
        if size >= CHUNK:
            found.append(b"".join(waiting))
            waiting, size = [], 0
    return [chunk for chunk in (*found, b"".join(waiting)) if chunk]


async def _apply(messages: bytes, ask: Asker) -> bool:
    """Apply messages, and again those that failed as long as fewer do: groups need one another."""
    while True:
        answer = await ask(Ask("apply", messages))
        if answer.code != framing.DONE or not answer.frames:
            return False
        results = memoryview(answer.frames[0]).cast("I")
        if len(failed := [i for i, code in enumerate(results) if code != framing.DONE]) == 0:
            return True
        if len(failed) == len(results):
            return False
        found, _ = framing.scan(messages, 4, bytes(256))
        messages = b"".join(messages[found[i][1] : found[i][2]] for i in failed)
