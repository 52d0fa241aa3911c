"""A program on another host: `python -m system.distant TCP_ENDPOINT KEYS` knows no more than that.

It hears of the next commit on the bus, and writes what it found in the registry.
"""

import asyncio
import json
import sys
from pathlib import Path

from raicho.control.message import ControlClient, Event, Get, Subscriber
from raicho.control.message.finding import lookup
from raicho.control.message.keys import context_with, load

PATIENCE = 60.0
APIS = ("bus.pub", "bus.sub", "bus.control", "dataplane.bulk", "dataplane.control")


async def main(endpoint: str, keys: str) -> None:
    context = context_with(load(Path(keys)))
    datastore = ControlClient(context, endpoint)
    found = {api: (await lookup(datastore, api, PATIENCE)).endpoint for api in APIS}
    heard: asyncio.Queue[Event] = asyncio.Queue()
    subscriber = Subscriber(context, found["bus.sub"], ["config."], heard.put_nowait)
    bus = ControlClient(context, found["bus.control"])
    async with asyncio.timeout(PATIENCE):
        while "config." not in {row["prefix"] for row in await _interests(bus)}:
            await asyncio.sleep(0.05)
        print("listening", flush=True)
        event = await heard.get()
    print(json.dumps({"found": found, "topic": event.topic, "source": event.source}), flush=True)
    for client in (subscriber, bus, datastore):
        client.close()
    context.destroy(linger=0)


async def _interests(bus: ControlClient) -> list[dict[str, str]]:
    rows: list[dict[str, str]] = (await bus.call(Get("/subscriptions"), PATIENCE)).data
    return rows


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
