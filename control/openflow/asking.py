"""How the dataplane is asked: a question, and who hears the answer to it later."""

import asyncio
from collections.abc import Callable

from .answers import Answer, Ask

Then = Callable[[Answer], None]
Post = Callable[[Ask, Then], None]  # never calls back before it returns


async def answer_to(post: Post, ask: Ask) -> Answer:
    """Ask, and wait for the answer."""
    future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

    def hear(answer: Answer) -> None:
        if not future.done():  # nobody waits any more
            future.set_result(answer)

    post(ask, hear)
    return await future
