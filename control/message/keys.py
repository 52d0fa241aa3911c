"""Who may talk: CURVE keys of a switch and of its clients, and what roles may do.

A folder of keys has

    switch.key, switch.key_secret   the switch itself: what all its components have
    allowed                         a line for each client: public key, role, name
    client.key_secret               instead of the switch's secret, where a client is

The role of whoever has the secret of the switch is COMPONENT.  A reader may ask
and hear, and gets REFUSED for what would change something.  Without keys nobody
is asked who he is, and only files in the run directory are listened on.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import zmq
import zmq.auth

from . import datastore, notices, statistics, types
from .envelope import Message

COMPONENT, OPERATOR, READER = "component", "operator", "read-only"
ROLES = (OPERATOR, READER)  # that a client can have
ALLOWED, SWITCH, CLIENT = "allowed", "switch", "client"
PUBLISH = "publish"  # the domain of the socket that publishers connect to

#: What a reader may ask.
READS: tuple[type[Message], ...] = (
    *(types.Ping, types.Info, types.Schema, types.Get, types.Stats),
    *(datastore.Lookup, datastore.ListRegistry, datastore.Describe),
    *(datastore.GetConfig, datastore.GetHistory, datastore.Diff, datastore.Validate),
    *(notices.GetSnapshot, statistics.GetSample),
)
BULK_READS = frozenset(
    (
        *("multipart", "features", "get_config", "queue_config", "sample"),
        *("routes", "next_hops", "neighbours", "trees", "nat_sessions", "forwards"),
    )
)
_TABLE_FEATURES = (12).to_bytes(2, "big")  # the multipart request that sets what it is given
_MULTIPART_HEAD = 4  # bytes in front of its body


def may_read(op: str, payload: bytes) -> bool:
    """Tell whether a reader may ask this of a bulk endpoint."""
    sets = payload.startswith(_TABLE_FEATURES) and len(payload) > _MULTIPART_HEAD
    return op in BULK_READS and not (op == "multipart" and sets)


class BadKeys(OSError):
    """A folder of keys that cannot be used."""


class Keys(msgspec.Struct, frozen=True):
    """Our own pair, the public key of the switch, and who is allowed: role by public key."""

    public: bytes
    secret: bytes
    switch: bytes
    allowed: dict[bytes, str] = {}

    def role_of(self, key: bytes, domain: str) -> str | None:
        """Return the role of a public key in a domain; None if it has none there."""
        role = COMPONENT if key == self.switch else self.allowed.get(key)
        return None if role == READER and domain == PUBLISH else role


class Context(zmq.Context[zmq.SyncSocket]):
    """A ZeroMQ context whose sockets use *keys*."""

    keys: Keys | None = None


def context_with(keys: Keys | None) -> Context:
    """Return a context; without keys, one that encrypts nothing."""
    context = Context()
    context.keys = keys
    return context


def load(folder: Path | None) -> Keys | None:
    """Read a folder of keys, None if there is none; raise BadKeys."""
    if folder is None:
        return None
    switch, _ = _certificate(folder / f"{SWITCH}.key")
    secrets = (folder / f"{name}.key_secret" for name in (SWITCH, CLIENT))
    path = next((path for path in secrets if path.exists()), None)
    if path is None:
        raise BadKeys(f"{folder} has neither {SWITCH}.key_secret nor {CLIENT}.key_secret")
    _check_mode(path, 0o077, "read")
    public, secret = _certificate(path)
    if secret is None:
        raise BadKeys(f"{path} has no secret key")
    return Keys(public, secret, switch, allowed_in(folder))


def allowed_in(folder: Path) -> dict[bytes, str]:
    """Read who is allowed, role by public key; raise BadKeys."""
    return dict(_allowed(folder / ALLOWED))


def create(folder: Path) -> None:
    """Make the keys of a switch, and nobody is allowed yet; raise BadKeys if there are some."""
    if (folder / f"{SWITCH}.key_secret").exists():
        raise BadKeys(f"{folder} has the keys of a switch already")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _make(folder, SWITCH)
    (folder / ALLOWED).touch(0o600)


def allow(folder: Path, client: Path, name: str, role: str) -> None:
    """Make keys in the folder *client*, and allow them at the switch of *folder*."""
    client.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (client / f"{CLIENT}.key_secret").exists():
        raise BadKeys(f"{client} has the keys of a client already")
    public = _make(client, CLIENT)
    (client / f"{SWITCH}.key").write_bytes((folder / f"{SWITCH}.key").read_bytes())
    with (folder / ALLOWED).open("a") as file:
        file.write(f"{public.decode()} {role} {name}\n")


def _make(folder: Path, name: str) -> bytes:
    before = os.umask(0o077)
    try:
        public, _ = zmq.auth.create_certificates(folder, name)
    finally:
        os.umask(before)
    return _certificate(Path(public))[0]


def _certificate(path: Path) -> tuple[bytes, bytes | None]:
    try:
        return zmq.auth.load_certificate(path)
    except (OSError, ValueError) as error:
        raise BadKeys(f"{path} is no certificate: {error}") from error


def _allowed(path: Path) -> Iterator[tuple[bytes, str]]:
    if not path.exists():
        return
    _check_mode(path, 0o022, "written")
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        words = line.split()
        if words[:1] == ["#"]:  # a key may have the sign within it
            continue
        if words and (len(words) < 2 or len(words[0]) != 40 or words[1] not in ROLES):
            wanted = f"a public key of 40 letters, a role ({' or '.join(ROLES)}) and a name"
            raise BadKeys(f"{path}:{number}: {line.strip()!r} is not {wanted}")
        if words:
            yield words[0].encode(), words[1]


def _check_mode(path: Path, wrong: int, what: str) -> None:
    mode = path.stat().st_mode & 0o777
    if mode & wrong:
        raise BadKeys(f"{path} may be {what} by others (mode {mode:04o}); `chmod 600 {path}`")
