"""The datastore as a component: requests in, replies and events out."""

import asyncio
import contextlib
import sqlite3
import time
import uuid
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .. import __version__
from ..component import Bootstrap, Component, logs
from ..message import Abort, Api, CallError, Code, Done, Failure, Message
from ..message import datastore as messages
from .coordinator import Finish, Logged, Timeouts, Transaction
from .delivery import Delivery
from .engines import Stamp
from .engines.sqlite import SqliteEngine
from .fault import Invalid
from .nodes import describe, locate
from .path import parse_path
from .registry import Member
from .scope import config_seen, scope_of
from .store import Plan, Store, refusal

COMMITTED, DIVERGED = "config.committed", "config.diverged"

SYNC_TIMEOUTS = Timeouts(prepare=5.0, commit=5.0)
LOOK = 0.5  # seconds between looks for those that diverged

DATA = "/var/lib/raicho/config.db"


class Datastore(Component):
    """Answer for schema, configuration, transactions and the registry."""

    name = "datastore"
    registers = False

    def __init__(self, bootstrap: Bootstrap) -> None:
        super().__init__(bootstrap)
        self.timeouts = Timeouts()
        self._engine: SqliteEngine | None = None
        self._delivery: Delivery | None = None
        self._one_transaction = asyncio.Lock()
        self._committing: set[str] = set()
        self.answers |= {
            messages.Register: self._on_register,
            messages.Heartbeat: self._on_heartbeat,
            messages.Unregister: self._on_unregister,
            messages.Lookup: self._on_lookup,
            messages.ListRegistry: self._on_list,
            messages.Edit: self._on_edit,
            messages.Diff: self._on_diff,
            messages.Validate: self._on_validate,
            messages.CommitSession: self._on_commit,
            messages.Discard: self._on_discard,
            messages.GetConfig: self._on_get,
            messages.GetHistory: self._on_history,
            messages.Describe: self._on_describe,
        }

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Add where the data file lies."""
        parser.add_argument("--data", default=DATA, help=f"the data file (default {DATA})")

    async def open(self) -> None:
        """Open the data file and finish what a crash has left."""
        self._engine = SqliteEngine(Path(self.bootstrap.options.get("data", DATA)))
        self._delivery = Delivery(self.context)
        self.store = Store(self._engine)
        self.yang = [module.text for module in self.store.library.modules.values()]
        self._register_itself()
        self._take_own_settings()
        self.spawn(self._bring_back())

    async def close(self) -> None:
        """Stop the transaction under way and close the file."""
        if self._delivery:
            self._delivery.close()
        if self._engine:
            self._engine.close()

    def state(self, path: str) -> Any:
        """Return the current configuration, which is the datastore's state."""
        return self.store.read(path, "current", "", defaults=False)

    def stats(self, names: list[str]) -> dict[str, Any]:
        """Return how much there is."""
        store = self.store
        return {
            "datastore": {
                "revision": store.revision,
                "cells": len(store.cells),
                "sessions": len(store.sessions),
                "components": len(list(store.registry)),
            }
        }

    @property
    def delivery(self) -> Delivery:
        """What carries transactions out, from open() on."""
        assert self._delivery
        return self._delivery

    # The registry.

    def _register_itself(self) -> None:
        registration = messages.Register(
            self.identity,
            __version__,
            apis=[Api("datastore.control", self.endpoint)],
            ttl=float("inf"),
        )
        self.store.register(registration, time.monotonic())

    async def _on_register(self, peer: bytes, request: messages.Register) -> Message:
        if request.component == self.identity:
            raise CallError(Failure(Code.CONFLICT, f"{self.identity} is the datastore itself"))
        member, outcomes = self.store.register(request, time.monotonic())
        self.yang = [module.text for module in self.store.library.modules.values()]
        self.delivery.lost(member.name, "it was started again")
        if member.is_participant:
            async with self._one_transaction:
                await self._synchronise(member)
        return messages.Registered(member.lease, outcomes, self.store.revision)

    async def _on_heartbeat(self, peer: bytes, request: messages.Heartbeat) -> Message:
        if self.store.registry.heartbeat(request.component, request.lease, time.monotonic()):
            return Done()
        raise CallError(Failure(Code.NOT_FOUND, f"{request.component} has no such lease"))

    async def _on_unregister(self, peer: bytes, request: messages.Unregister) -> Message:
        if self.store.unregister(request.component, request.lease):
            return Done()
        raise CallError(Failure(Code.NOT_FOUND, f"{request.component} has no such lease"))

    async def _on_lookup(self, peer: bytes, request: messages.Lookup) -> Message:
        now = time.monotonic()
        offers = self.store.registry.lookup(request.api, now)
        if not offers:
            known = ", ".join(self.store.registry.api_names(now))
            raise CallError(Failure(Code.NOT_FOUND, f"no API {request.api!r}; there is {known}"))
        for offer in offers:
            if request.version in (None, offer.version):
                return offer
        versions = ", ".join(offer.version for offer in offers)
        reason = f"{request.api} is there in version {versions}, not {request.version}"
        raise CallError(Failure(Code.UNSUPPORTED, reason))

    async def _on_list(self, peer: bytes, request: messages.ListRegistry) -> Message:
        now = time.monotonic()
        return messages.Registry([member.entry(now) for member in self.store.registry])

    # Sessions.

    async def _on_edit(self, peer: bytes, request: messages.Edit) -> Message:
        self._refuse_while_committing(request.session)
        return messages.Changes(self.store.changes(self.store.edit(request.session, request.ops)))

    async def _on_diff(self, peer: bytes, request: messages.Diff) -> Message:
        return messages.Changes(self.store.changes(self.store.session(request.session)))

    async def _on_validate(self, peer: bytes, request: messages.Validate) -> Message:
        faults = self.store.faults(self.store.session(request.session))
        return messages.Faults([messages.Fault(f.path, f.rule, f.reason) for f in faults])

    async def _on_discard(self, peer: bytes, request: messages.Discard) -> Message:
        self._refuse_while_committing(request.session)
        self.store.discard(request.session)
        return Done()

    async def _on_get(self, peer: bytes, request: messages.GetConfig) -> Message:
        data = self.store.read(request.path, request.side, request.session, request.defaults)
        return messages.Config(data, self.store.revision)

    async def _on_history(self, peer: bytes, request: messages.GetHistory) -> Message:
        return messages.History(
            [
                messages.Revision(
                    past.number,
                    past.stamp.txid,
                    past.stamp.who,
                    past.stamp.when,
                    past.stamp.comment,
                    past.changes,
                )
                for past in self.store.engine.history(request.limit)
            ]
        )

    async def _on_describe(self, peer: bytes, request: messages.Describe) -> Message:
        try:
            node = locate(self.store.library.root, parse_path(request.path))
        except Invalid as invalid:
            raise refusal(invalid) from invalid
        return messages.Description(describe(node))

    def _refuse_while_committing(self, session: str) -> None:
        if session in self._committing:
            reason = f"session {session!r} is being committed"
            raise CallError(Failure(Code.CONFLICT, reason))

    # Transactions.

    async def _on_commit(self, peer: bytes, request: messages.CommitSession) -> Message:
        self._refuse_while_committing(request.session)
        self.store.session(request.session)
        self._committing.add(request.session)
        try:
            async with self._one_transaction:
                return await self._commit_session(request)
        finally:
            self._committing.discard(request.session)

    async def _commit_session(self, request: messages.CommitSession) -> messages.CommitResult:
        stamp = Stamp(uuid.uuid4().hex, request.session, time.time(), request.comment)
        plan = self.store.plan(self.store.session(request.session), stamp, time.monotonic())
        revision = self.store.revision
        if plan.changes:
            finish = await self._run(plan, request.dry_run)
            if finish.failure:
                raise CallError(_with_outcome(finish, revision))
            if not request.dry_run:
                revision = self._conclude(plan)
        if not request.dry_run:
            self.store.discard(request.session)
        return messages.CommitResult(stamp.txid, revision, plan.changes, list(plan.parts))

    async def _run(self, plan: Plan, dry_run: bool) -> Finish:
        transaction = Transaction(plan.stamp.txid, plan.parts, self.timeouts, dry_run)
        endpoints = self._endpoints(plan)
        finish = await self.delivery.run(
            transaction, endpoints, lambda state: self._log(state, plan)
        )
        if finish.failure and not dry_run:
            with self._stopping_on_failure():
                self.store.engine.end(plan.stamp.txid)
        for name, reason in finish.diverged.items():
            self._diverged(name, reason)
        return finish

    def _log(self, state: Logged, plan: Plan) -> None:
        """Write to the log; before anybody was asked, a failure is only a refusal."""
        if state is not Logged.PREPARE:
            with self._stopping_on_failure():
                return self.store.engine.log(state, plan.record)
        try:
            self.store.engine.log(state, plan.record)
        except sqlite3.Error as error:
            reason = f"the data file cannot be written: {error}; nothing was changed"
            raise CallError(Failure(Code.UNAVAILABLE, reason)) from error

    @contextlib.contextmanager
    def _stopping_on_failure(self) -> Iterator[None]:
        """Stop if the file fails in the middle: at the next start, the log decides."""
        try:
            yield
        except sqlite3.Error:
            self.exit_code = 1
            self.stopping.set()
            raise

    def _endpoints(self, plan: Plan) -> dict[str, str]:
        members = (self.store.registry.get(name) for name in plan.parts)
        return {member.name: member.registration.endpoint for member in members if member}

    def _conclude(self, plan: Plan) -> int:
        with self._stopping_on_failure():
            revision = self.store.conclude(plan)
        self._take_own_settings()
        event = messages.Committed(plan.stamp.txid, revision, plan.changes)
        self.publisher.publish(COMMITTED, event)
        return revision

    def _take_own_settings(self) -> None:
        """Follow the one setting that the datastore has itself."""
        root = self.store.library.root
        scope = scope_of(root, ["/raicho/log"], set())
        level = logs.level_in(config_seen(root, scope, self.store.working), self.identity)
        logs.set_level(level or self.bootstrap.log_level)

    # Participants that do not hold what is current.

    async def _synchronise(self, member: Member) -> None:
        """Bring a participant to what is current; note it if that fails."""
        now = time.monotonic()
        if self.store.registry.get(member.name) is not member or not member.is_alive(now):
            return  # it has left, or come again, since
        member.postpone(now)
        endpoint = {member.name: member.registration.endpoint}
        await self._abort_what_is_in_doubt(member.registration.endpoint)
        txid = f"sync-{uuid.uuid4().hex}"
        part = {member.name: self.store.part_of_sync(member)}
        transaction = Transaction(txid, part, SYNC_TIMEOUTS)
        finish = await self.delivery.run(transaction, endpoint, _log_nothing)
        if finish.failure:
            self._diverged(member.name, str(finish.failure))
        else:
            self.store.mark(member.name, "")

    async def _abort_what_is_in_doubt(self, endpoint: str) -> None:
        """Tell a participant about transactions that a crash of the datastore has ended."""
        for txid in self.store.in_doubt:
            await self.delivery.tell(endpoint, Abort(txid))

    def _diverged(self, name: str, reason: str) -> None:
        member = self.store.registry.get(name)
        if member is None or member.trouble == reason:
            return
        self.store.mark(name, reason)
        self.publisher.publish(DIVERGED, messages.Diverged(name, reason))

    async def _bring_back(self) -> None:
        """Try again and again with those that diverged."""
        while True:
            await asyncio.sleep(LOOK)
            for member in list(self.store.registry):
                if member.wants_to_synchronise(time.monotonic()):
                    async with self._one_transaction:
                        await self._synchronise(member)


def _log_nothing(state: Logged) -> None:
    """A synchronisation needs no log: it is done again after a crash."""


def _with_outcome(finish: Finish, revision: int) -> Failure:
    """Say beside the failure where everybody is now."""
    assert finish.failure
    failure = finish.failure
    astray = [f"{name} did not go back ({why})" for name, why in finish.diverged.items()]
    outcome = "; ".join(astray) if astray else f"all are at revision {revision}"
    reason = f"{failure.reason}; nothing was changed, {outcome}"
    return Failure(failure.code, reason, failure.path, failure.participant)
