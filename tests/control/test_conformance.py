"""Every component answers the same requests in the same way (C1)."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
import zmq

from raicho.control.message import (
    Abort,
    CallError,
    Code,
    Commit,
    ControlClient,
    Get,
    Info,
    Ping,
    Prepare,
    Prepared,
    Schema,
    Stats,
)
from raicho.control.supervisor.services import SERVICES

NAMES = ["supervisor", *(service.identity for service in SERVICES)]


@pytest.fixture(scope="module")
def run_dir(lasting_processes: Any) -> Any:
    """Start a whole switch for all tests here."""
    data = lasting_processes.run_dir / "config.db"
    lasting_processes.start("raicho.control.supervisor", "--data", data)
    return lasting_processes.run_dir


@pytest.mark.parametrize("name", NAMES)
async def test_a_component_answers_what_all_do(
    run_dir: Any, context: zmq.SyncContext, name: str
) -> None:
    client = ControlClient(context, f"ipc://{run_dir}/{name}.control")
    await ready(client)
    information = await client.call(Info())
    assert (information.component, information.pid > 0) == (name, True)
    assert (await client.call(Ping())).instance == information.instance
    modules = (await client.call(Schema())).yang
    assert all(text.lstrip().startswith("module ") for text in modules)
    assert (await client.call(Get("/log/level"))).data == "info"
    sample = await client.call(Stats())
    assert sample.data["control"]["requests"] >= 4
    assert set((await client.call(Stats(["events"]))).data) == {"events"}
    with pytest.raises(CallError) as caught:
        await client.call(Get("/nothing/of/the/kind"))
    assert caught.value.failure.code is Code.NOT_FOUND

    # The phases: prepared and aborted, nothing has changed, and what is unknown is said.
    held = await client.call(Get("/config"))
    config = held.data["config"] if held.data else {}
    assert await client.call(Prepare("conform", 0, [], config)) == Prepared()
    await client.call(Abort("conform"))
    await client.call(Abort("never heard of"))
    with pytest.raises(CallError, match="transaction conform is not prepared") as caught:
        await client.call(Commit("conform"))
    assert caught.value.failure.participant == name
    assert await client.call(Get("/config")) == held
    client.close()


async def ready(client: ControlClient) -> None:
    async with asyncio.timeout(60):
        while True:
            with suppress(CallError):
                if (await client.call(Info(), 5)).state == "ready":
                    return
            await asyncio.sleep(0.05)
