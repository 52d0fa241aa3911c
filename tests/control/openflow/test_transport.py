"""Transports: Unix sockets, and TLS with certificates on both sides."""

import asyncio
import shutil
import stat
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from raicho.control.openflow.identity import Identity
from raicho.control.openflow.transport import Binder, Bound, pssl, punix, tls

HOST = "127.0.0.1"
SUBJECT = "/O=raicho test/CN="


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def authority(folder: Path, name: str) -> str:
    """Make an authority; return the file of its certificate."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")
    files = ("-keyout", f"{name}.key", "-out", f"{name}.pem")
    _openssl(folder, "req", "-x509", *key, *files, "-days", "2", "-subj", SUBJECT + name)
    return str(folder / f"{name}.pem")


def signed(folder: Path, name: str, by: str) -> tuple[str, str]:
    """Make a key and a certificate signed by an authority; return both files."""
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc")
    files = ("-keyout", f"{name}.key", "-out", f"{name}.csr")
    _openssl(folder, "req", "-new", *key, *files, "-subj", SUBJECT + name)
    signer = ("-CA", f"{by}.pem", "-CAkey", f"{by}.key", "-CAcreateserial", "-days", "2")
    _openssl(folder, "x509", "-req", "-in", f"{name}.csr", *signer, "-out", f"{name}.pem")
    return str(folder / f"{name}.key"), str(folder / f"{name}.pem")


pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


class Peer(asyncio.Protocol):
    """One end of a connection."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def hang_up(self) -> None:
        if self.transport:
            self.transport.abort()

    def extra(self, name: str) -> Any:
        assert self.transport
        return self.transport.get_extra_info(name)

    def data_received(self, data: bytes) -> None:
        self.heard.put_nowait(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.heard.put_nowait(b"")


class Site:
    """A folder of certificates: two authorities, a switch and a controller of the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca, self.other_ca = authority(folder, "ca"), authority(folder, "other")
        self.switch = Identity(*signed(folder, "switch", "ca"), self.ca)
        self.controller = Identity(*signed(folder, "controller", "ca"), self.ca)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(tmp_path_factory.mktemp("certificates"))


@asynccontextmanager
async def bound(binder: Binder, callers: list[Peer]) -> AsyncIterator[Bound]:
    def factory() -> Peer:
        callers.append(Peer())
        return callers[-1]

    server = await binder(factory)
    try:
        yield server
    finally:
        await server.close()
        for caller in callers:
            caller.hang_up()


async def say(port: int, identity: Identity, text: bytes) -> Peer:
    peer = Peer()
    await tls(HOST, port, identity)(peer)
    assert peer.transport
    peer.transport.write(text)
    return peer


async def test_a_unix_socket_is_for_its_owner_only_and_goes_away(tmp_path: Path) -> None:
    path, callers = tmp_path / "br0.mgmt", list[Peer]()
    path.touch()  # as a process leaves it that was killed
    async with bound(punix(path), callers) as server:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        _, writer = await asyncio.open_unix_connection(path)
        writer.write(b"hello")
        while not callers:
            await asyncio.sleep(0.005)
        assert await callers[0].heard.get() == b"hello"
        assert server.port == 0
        writer.close()
    assert not path.exists()


async def test_both_sides_of_tls_show_certificates(site: Site) -> None:
    """F8: a controller with a certificate of the authority is served."""
    callers: list[Peer] = []
    async with bound(pssl(HOST, 0, site.switch), callers) as server:
        peer = await say(server.port, site.controller, b"hello")
        while not callers:
            await asyncio.sleep(0.005)
        assert await callers[0].heard.get() == b"hello"
        assert callers[0].extra("peercert")
        peer.hang_up()


async def test_a_controller_of_another_authority_is_not_served(site: Site) -> None:
    stranger = Identity(*signed(site.folder, "stranger", "other"), site.ca)
    callers: list[Peer] = []
    async with bound(pssl(HOST, 0, site.switch), callers) as server:
        try:
            peer = await say(server.port, stranger, b"hello")
        except OSError:
            return
        assert await peer.heard.get() == b""
        assert callers == [] or callers[0].heard.empty()


async def test_a_listener_of_another_authority_is_not_talked_to(site: Site) -> None:
    stranger = Identity(*signed(site.folder, "impostor", "other"), site.ca)
    async with bound(pssl(HOST, 0, stranger), []) as server:
        with pytest.raises(OSError, match="certificate verify failed"):
            await say(server.port, site.switch, b"hello")


async def test_certificates_are_read_again_when_they_have_changed(site: Site) -> None:
    """F8: the listener stays open, the next caller sees the new certificate."""
    mine = [shutil.copy(f, site.folder / f"renewed{i}") for i, f in enumerate(site_files(site))]
    identity, callers = Identity(*map(str, mine)), list[Peer]()
    async with bound(pssl(HOST, 0, identity), callers) as server:
        first = await say(server.port, site.controller, b"1")
        for old, new in zip(mine, signed(site.folder, "again", "ca"), strict=False):
            shutil.copy(new, old)
        second = await say(server.port, site.controller, b"2")
        serials = [peer.extra("peercert")["subject"][-1][0][1] for peer in (first, second)]
        assert serials == ["switch", "again"]
        for peer in (first, second):
            peer.hang_up()


def site_files(site: Site) -> tuple[str, str, str]:
    return site.switch.private_key, site.switch.certificate, site.ca


def test_files_that_are_unchanged_are_read_once(site: Site) -> None:
    assert site.switch.context(server=True) is site.switch.context(server=True)
    assert site.switch.context(server=True) is not site.switch.context(server=False)


def test_a_file_that_is_no_certificate_is_an_error(site: Site, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing")
    with pytest.raises(OSError, match="PEM"):
        Identity(site.switch.private_key, str(wrong), site.ca).context(server=True)
