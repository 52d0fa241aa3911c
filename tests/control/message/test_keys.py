"""Keys and roles: the folder of keys, and a component that is started with one."""

from pathlib import Path

import pytest
import zmq

from raicho.control.component import Bootstrap, Component
from raicho.control.message import (
    CallError,
    ControlClient,
    Ping,
)
from raicho.control.message.keys import (
    OPERATOR,
    READER,
    BadKeys,
    allow,
    context_with,
    create,
    load,
)

PATIENCE = 20.0


class Lamp(Component):
    name = "lamp"
    registers = False


async def test_a_network_is_listened_to_with_keys_only(tmp_path: Path) -> None:
    """G4: ipc by default; tcp asks for keys, and is encrypted."""
    store = f"ipc://{tmp_path}/none"
    plain = Bootstrap(tmp_path / "run", store, "lamp", listen="tcp://127.0.0.1:*")
    with pytest.raises(OSError, match="takes keys"):
        await Lamp(plain).start()
    create(tmp_path / "keys")
    with zmq.Context() as context, context.socket(zmq.ROUTER) as probe:
        port = probe.bind_to_random_port("tcp://127.0.0.1")
    where = f"tcp://127.0.0.1:{port}"
    lamp = Lamp(Bootstrap(tmp_path / "run", store, "lamp", keys=tmp_path / "keys", listen=where))
    await lamp.start()
    client = ControlClient(lamp.context, where)
    assert (await client.call(Ping(), PATIENCE)).instance == lamp.instance
    client.close()
    await lamp.stop()


async def test_a_change_of_who_is_allowed_holds_for_whoever_comes_next(tmp_path: Path) -> None:
    """G4: without a restart; a list that is wrong changes nothing."""
    keys = tmp_path / "keys"
    create(keys)
    lamp = Lamp(Bootstrap(tmp_path / "run", f"ipc://{tmp_path}/none", "lamp", keys=keys))
    await lamp.start()

    async def is_heard(name: str) -> bool:
        context = context_with(load(tmp_path / name))
        client = ControlClient(context, lamp.endpoint)
        try:
            return bool((await client.call(Ping(), 3)).instance)
        except CallError:
            return False
        finally:
            client.close()
            context.destroy(linger=0)

    allow(keys, tmp_path / "ann", "ann", OPERATOR)
    assert await is_heard("ann")
    allowed = keys / "allowed"
    good = allowed.read_text()
    allowed.write_text("nonsense\n")
    assert await is_heard("ann")
    allowed.write_text("")
    assert not await is_heard("ann")
    allowed.write_text(good)
    assert await is_heard("ann")
    await lamp.stop()


def test_without_keys_nothing_is_bound_but_files(tmp_path: Path) -> None:
    """G4: the default."""
    bootstrap = Bootstrap(tmp_path, "ipc://none", "lamp")
    assert bootstrap.endpoint("x").startswith("ipc://")
    assert (bootstrap.listen, bootstrap.keys) == ("", None)
    with context_with(load(None)) as context:
        assert context.keys is None


def test_secrets_that_others_may_read_are_refused(tmp_path: Path) -> None:
    create(tmp_path)
    (tmp_path / "switch.key_secret").chmod(0o640)
    with pytest.raises(BadKeys, match="may be read by others"):
        load(tmp_path)


def test_an_allow_list_that_others_may_write_is_refused(tmp_path: Path) -> None:
    create(tmp_path)
    (tmp_path / "allowed").chmod(0o666)
    with pytest.raises(BadKeys, match="may be written by others"):
        load(tmp_path)


@pytest.mark.parametrize("line", ["x read-only bob", f"{'a' * 40} god bob", f"{'a' * 40}"])
def test_a_line_that_is_none_is_told_with_its_place(tmp_path: Path, line: str) -> None:
    create(tmp_path)
    (tmp_path / "allowed").write_text(f"# who\n\n{line}\n")
    with pytest.raises(BadKeys, match=r"allowed:3: .* is not a public key"):
        load(tmp_path)


def test_keys_with_the_sign_of_comments_are_keys(tmp_path: Path) -> None:
    create(tmp_path)
    (tmp_path / "allowed").write_text(f"{'#' * 40} read-only bob\n")
    keys = load(tmp_path)
    assert keys and keys.allowed == {b"#" * 40: READER}


@pytest.mark.parametrize("missing", ["switch.key", "switch.key_secret"])
def test_a_folder_that_lacks_something_is_refused(tmp_path: Path, missing: str) -> None:
    create(tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(BadKeys, match=r"is no certificate|has neither"):
        load(tmp_path)


def test_keys_are_not_overwritten(tmp_path: Path) -> None:
    create(tmp_path / "a")
    with pytest.raises(BadKeys, match="has the keys of a switch already"):
        create(tmp_path / "a")
    allow(tmp_path / "a", tmp_path / "b", "bob", READER)
    with pytest.raises(BadKeys, match="has the keys of a client already"):
        allow(tmp_path / "a", tmp_path / "b", "bob", READER)
