"""A subscriber as a process: `python -m faults.listener ENDPOINT TOPIC`.

It says "listening" when the first event has come, and what it received and
missed when an event says that it is the last.
"""

import asyncio
import json
import sys

import zmq

from raicho.control.message import Event, Subscriber


async def listen(endpoint: str, topic: str) -> None:
    """Receive until the last event."""
    has_begun, is_over = asyncio.Event(), asyncio.Event()

    def hear(event: Event) -> None:
        if not has_begun.is_set():
            has_begun.set()
            print("listening", flush=True)
        if isinstance(event.body, dict) and event.body.get("last"):
            is_over.set()

    subscriber = Subscriber(zmq.Context.instance(), endpoint, [topic], hear)
    await is_over.wait()
    counters = {name: subscriber.counters[name] for name in ("received", "missed", "dropped")}
    print(json.dumps(counters), flush=True)
    subscriber.close()


if __name__ == "__main__":
    asyncio.run(listen(*sys.argv[1:]))
