"""Whom the components run as: users of their own, who share what they talk through by a group.

The run directory belongs to the group and hands it on to what is made in it, and nothing there is
open to others.  setpriv(1) makes a component its user, without a way back.
"""

import grp
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from ..component import Bootstrap
from ..component.lock import path_of
from .services import Service

UMASK = 0o007
RUN_MODE = 0o2770  # what is made in it belongs to its group


class Users:
    """Who runs what; ValueError: there is no such user, group or component."""

    def __init__(self, text: str, group: str, services: Sequence[Service]) -> None:
        """Read `USER` (all that can) and `COMPONENT=USER`, with commas between."""
        named = dict(_pairs(text))
        able = {service.identity for service in services if not service.needs_root}
        if strange := named.keys() - able - {""}:
            can = ", ".join(sorted(able))
            raise ValueError(f"{sorted(strange)[0]} cannot have a user of its own; {can} can")
        everybody = named.pop("", None)
        self.names = {name: everybody for name in able if everybody} | named
        for user in self.names.values():
            _entry(pwd.getpwnam, "user", user)
        if group:
            self.gid = _entry(grp.getgrnam, "group", group).gr_gid
        elif self.names:
            first = next(user for _, user in _pairs(text))
            self.gid = pwd.getpwnam(first).pw_gid

    @property
    def group(self) -> str:
        """Return the name of the group that they share."""
        return grp.getgrgid(self.gid).gr_name

    def prefix(self, service: Service) -> list[str]:
        """Return the words before a command that let it run as the user of a service."""
        user = self.names.get(service.identity)
        if user is None:
            return []
        kept = ",".join(f"+{name}" for name in service.capabilities)
        capabilities = [f"--inh-caps={kept}", f"--ambient-caps={kept}"] if kept else []
        return [
            *("setpriv", f"--reuid={user}", f"--regid={self.gid}", "--clear-groups"),
            *("--no-new-privs", *capabilities, "--"),
        ]

    def prepare(self, bootstrap: Bootstrap, services: Iterable[Service]) -> None:
        """Let all reach the run directory, and see that each reaches what it needs.

        Raise OSError that names what one cannot reach, and how it could.
        """
        if not self.names:
            return
        if shutil.which("setpriv") is None:
            raise OSError("users of their own take setpriv, of util-linux")
        os.umask(UMASK)
        os.chown(bootstrap.run_dir, -1, self.gid)
        bootstrap.run_dir.chmod(RUN_MODE)
        for service in services:
            if user := self.names.get(service.identity):
                self._prepare_for(service, user, bootstrap)

    def _prepare_for(self, service: Service, user: str, bootstrap: Bootstrap) -> None:
        left = path_of(bootstrap.run_dir, service.identity)
        if left.exists():  # perhaps of another user, who had it before
            shutil.chown(left, user)
        self._check(service, user, "run", Path(sys.executable), [sys.executable, "-S", "-c", ""])
        wanted = [("write", bootstrap.run_dir)]
        if bootstrap.keys:
            wanted.append(("read", bootstrap.keys))
        data = bootstrap.options.get("data", "")
        if "{data}" in service.arguments and "://" not in data:
            wanted += _data(Path(data.removeprefix("sqlite:")), user)
        for verb, path in wanted:
            self._check(service, user, verb, path, ["test", f"-{verb[0]}", str(path)])

    def _check(
        self, service: Service, user: str, verb: str, path: Path, trial: Sequence[str]
    ) -> None:
        """Let the kernel say whether the user can do so."""
        done = subprocess.run(
            [*self.prefix(service), *trial], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if done.returncode:
            raise OSError(
                f"{service.identity} cannot run as {user}, who cannot {verb} {path}; "
                f"look who owns it and the folders above it, and what they let others do"
            )


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    for item in filter(None, text.split(",")):
        component, equals, user = item.partition("=")
        yield (component, user) if equals else ("", component)


def _entry(get, kind: str, name: str):  # type: ignore[no-untyped-def]  # of pwd or grp
    try:
        return get(name)
    except KeyError:
        raise ValueError(f"there is no {kind} {name}") from None


def _data(file: Path, user: str) -> list[tuple[str, Path]]:
    """Make the folder of the data, if it is not there; return what must be writable."""
    if not file.parent.exists():
        file.parent.mkdir(mode=0o700, parents=True)
        shutil.chown(file.parent, user)
    return [("write", each) for each in (file.parent, file) if each.exists()]
