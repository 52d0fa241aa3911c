"""What tests of the control plane share: coroutine tests and a ZeroMQ context."""

import asyncio
import inspect
from collections.abc import Iterator

import pytest
import zmq


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a coroutine test in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(pyfuncitem.obj(**arguments))
    return True


@pytest.fixture
def context() -> Iterator[zmq.SyncContext]:
    """Give a context that closes what a test leaves open."""
    context = zmq.Context()
    yield context
    context.destroy(linger=0)
