"""The datastore as a component: requests in, replies and events out."""

import asyncio
import socket
import time
from argparse import ArgumentParser
from functools import partial
from typing import Any

from .. import __version__
from ..component import Bootstrap, Component
from ..message import Api, CallError, Code, Done, Failure, Message, Request, notices
from ..message import datastore as messages
from ..message import statistics as samples
from ..message.client import FIRST_RETRY
from .archive import Archive
from .commits import TRIGGER, Commits
from .coordinator import Timeouts
from .delivery import Delivery
from .engines import Engine, EngineError, Unreadable
from .engines.opening import open_engine
from .fault import Invalid, SchemaError
from .interchange import to_ietf
from .nodes import describe, locate, resolve
from .path import Step
from .presence import PERIOD, PresenceWatch
from .scope import config_seen, scope_of
from .snapshots import Snapshots
from .statistics import Statistics
from .store import Store, refusal
from .tree import is_large, plain

DATA = "/var/lib/raicho/config.db"
APIS = ("datastore.control", "datastore.statistics")
OBJECTS = (Step("raicho"),)


class Datastore(Component):
    """Answer for schema, configuration, transactions and the registry."""

    name = "datastore"
    registers = False

    def __init__(self, bootstrap: Bootstrap) -> None:
        super().__init__(bootstrap)
        self.timeouts = Timeouts()
        self.retry = FIRST_RETRY  # seconds until a participant is sent the same again
        self._engine: Engine | None = None
        self._delivery: Delivery | None = None
        self._committing: set[str] = set()
        self._statistics = Statistics()
        self._snapshots = Snapshots()
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
            messages.Settle: self._on_settle,
            messages.Restore: self._on_restore,
            messages.Discard: self._on_discard,
            messages.GetConfig: self._on_get,
            notices.GetSnapshot: self._on_snapshot,
            notices.SetTriggers: self._on_set_triggers,
            messages.GetHistory: self._on_history,
            messages.Describe: self._on_describe,
            samples.PutSample: self._on_put_sample,
            samples.MarkStale: self._on_mark_stale,
            samples.GetSample: self._on_get_sample,
        }

    @classmethod
    def add_arguments(cls, parser: ArgumentParser) -> None:
        """Add where everything is kept."""
        parser.add_argument("--data", default=DATA, help=f"file or address (default {DATA})")
        parser.add_argument(
            "--without-features", metavar="MODULE:FEATURE,...", help="YANG features that are off"
        )
        parser.add_argument("--host", help="its name among those that share an address")

    async def open(self) -> None:
        """Open the store and finish what a crash has left."""
        address = self.bootstrap.options.get("data", DATA)
        host = self.bootstrap.options.get("host") or socket.gethostname()
        off = self.bootstrap.options.get("without_features")
        self._engine = open_engine(address)
        try:
            archive = Archive(self._engine, host if self._engine.shared else "")
            self.store = Store(archive, off=frozenset(off.split(",") if off else ()))
        except (Invalid, SchemaError) as error:
            raise Unreadable(f"{address} does not fit the schema: {error}") from error
        self._delivery = Delivery(self.context, self.retry)
        self.commits = Commits(
            self.store, self._delivery, self.publisher.publish, self._give_up, self.timeouts
        )
        self.yang = [module.text for module in self.store.library.modules.values()]
        self._register_itself()
        self._take_own_settings()
        self._presence = PresenceWatch(self.publisher.publish)
        self.spawn(self.commits.bring_back())
        self.spawn(self._watch_who_is_there())
        self.spawn(self.commits.expire(self._take_own_settings))
        if self._engine.shared:
            self.spawn(self.commits.follow(self._changed_elsewhere))

    def _changed_elsewhere(self) -> None:
        self._register_itself()
        self.yang = [module.text for module in self.store.library.modules.values()]
        self._take_own_settings()

    async def close(self) -> None:
        """Stop the transaction under way and close the store."""
        if self._delivery:
            self._delivery.close()
        if self._engine:
            self._engine.close()

    async def handle(self, peer: bytes, request: Request[Any]) -> Message:
        """Answer a request; that the store does not answer is an answer too."""
        try:
            return await super().handle(peer, request)
        except EngineError as error:
            raise CallError(Failure(Code.UNAVAILABLE, str(error))) from error

    def _require_store(self) -> None:
        """Raise CallError while what is in memory may not be what is current."""
        if self.commits.trouble:
            raise CallError(Failure(Code.UNAVAILABLE, self.commits.trouble))

    def state(self, path: str) -> Any:
        """Return the current configuration, which is the datastore's state."""
        return plain(self.store.library.root, *self.store.find(path, "current", "", False))

    def stats(self, names: list[str]) -> dict[str, Any]:
        """Return how much there is."""
        store = self.store
        return {
            "datastore": {
                "revision": store.revision,
                "cells": len(store.archive.cells),
                "sessions": len(store.sessions),
                "components": len(list(store.registry)),
            }
        }

    # The registry.

    def _register_itself(self) -> None:
        registration = messages.Register(
            self.identity,
            __version__,
            apis=[
                Api(name, endpoint)
                for name in (*APIS, *self._configured())
                for endpoint in self.apis[f"{self.identity}.control"]
            ],
            ttl=float("inf"),
        )
        self.store.register(registration, time.monotonic())

    def _configured(self) -> list[str]:
        """Name the API of each object that can be configured: bridge.config and so on."""
        return [f"{name}.config" for name in locate(self.store.library.root, OBJECTS).children]

    async def _on_register(self, peer: bytes, request: messages.Register) -> Message:
        if request.component == self.identity:
            raise CallError(Failure(Code.CONFLICT, f"{self.identity} is the datastore itself"))
        member, outcomes = self.store.register(request, time.monotonic())
        self._register_itself()
        self._look_who_is_there()
        self.yang = [module.text for module in self.store.library.modules.values()]
        self.commits.restarted(member.name)
        if member.is_participant:
            await self.commits.synchronise(member)
        return messages.Registered(member.lease, outcomes, self.store.revision)

    async def _on_heartbeat(self, peer: bytes, request: messages.Heartbeat) -> Message:
        if self.store.registry.heartbeat(request.component, request.lease, time.monotonic()):
            return Done()
        raise CallError(Failure(Code.NOT_FOUND, f"{request.component} has no such lease"))

    async def _on_unregister(self, peer: bytes, request: messages.Unregister) -> Message:
        if self.store.unregister(request.component, request.lease):
            self._look_who_is_there()
            return Done()
        raise CallError(Failure(Code.NOT_FOUND, f"{request.component} has no such lease"))

    def _look_who_is_there(self) -> None:
        self._presence.look(self.store.registry, time.monotonic())

    async def _watch_who_is_there(self) -> None:
        while True:
            self._look_who_is_there()
            await asyncio.sleep(PERIOD)

    async def _on_lookup(self, peer: bytes, request: messages.Lookup) -> Message:
        now = time.monotonic()
        offers = self.store.registry.lookup(request.api, now)
        if not offers:
            known = ", ".join(self.store.registry.api_names(now))
            raise CallError(Failure(Code.NOT_FOUND, f"no API {request.api!r}; there is {known}"))
        offers = [offer for offer in offers if offer.endpoint.startswith(request.transport)]
        if not offers:
            reason = (
                f"{request.api} is there, but nobody hears it by {request.transport} (--listen)"
            )
            raise CallError(Failure(Code.NOT_FOUND, reason))
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
        return messages.Faults(self.store.faults(self.store.session(request.session)))

    async def _on_restore(self, peer: bytes, request: messages.Restore) -> Message:
        self._refuse_while_committing(request.session)
        session = self.store.restore(request.session, request.revision)
        return messages.Changes(self.store.changes(session))

    async def _on_discard(self, peer: bytes, request: messages.Discard) -> Message:
        self._refuse_while_committing(request.session)
        self.store.discard(request.session)
        return Done()

    async def _on_get(self, peer: bytes, request: messages.GetConfig) -> Message:
        self._require_store()
        found = self.store.find(request.path, request.side, request.session, request.defaults)
        write = partial(plain, self.store.library.root, *found, to_ietf if request.ietf else None)
        revision = self.store.revision
        if request.side == "current":
            for owner, triggered in self.store.was_read(request.path, time.monotonic()):
                self.publisher.publish(TRIGGER.format(owner), triggered)
        # A tree never changes: what is long is written beside all else that is asked.
        data = await asyncio.to_thread(write) if is_large(found[1]) else write()
        return messages.Config(data, revision)

    async def _on_snapshot(self, peer: bytes, request: notices.GetSnapshot) -> Message:
        now = time.monotonic()
        if request.page:
            return self._snapshots.follow(request.page, now)
        self._require_store()
        store = self.store
        txid = store.newest.txid if store.newest else ""
        if txid and request.known == txid:
            return notices.Snapshot(store.revision, txid, None)
        return self._snapshots.begin(store.revision, txid, store.snapshot(request.path), now)

    async def _on_set_triggers(self, peer: bytes, request: notices.SetTriggers) -> Message:
        self.store.set_triggers(request, time.monotonic())
        return Done()

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
                    past.stamp.confirm_by,
                )
                for past in self.store.archive.history(request.limit)
            ]
        )

    async def _on_describe(self, peer: bytes, request: messages.Describe) -> Message:
        try:
            root = self.store.library.root
            node = locate(root, resolve(root, request.path))
        except Invalid as invalid:
            raise refusal(invalid) from invalid
        return messages.Description(describe(node))

    # Statistics.

    async def _on_put_sample(self, peer: bytes, request: samples.PutSample) -> Message:
        self._statistics.put(request, time.monotonic())
        return Done()

    async def _on_mark_stale(self, peer: bytes, request: samples.MarkStale) -> Message:
        self._statistics.mark_stale(request.source)
        return Done()

    async def _on_get_sample(self, peer: bytes, request: samples.GetSample) -> Message:
        return self._statistics.get(request, time.monotonic())

    def _refuse_while_committing(self, session: str) -> None:
        if session in self._committing:
            reason = f"session {session!r} is being committed"
            raise CallError(Failure(Code.CONFLICT, reason))

    # Transactions.

    async def _on_commit(self, peer: bytes, request: messages.CommitSession) -> Message:
        self._refuse_while_committing(request.session)
        if request.session not in self.store.sessions and (
            done := self.commits.committed(request.txid)
        ):
            return done
        self.store.session(request.session)
        self._committing.add(request.session)
        try:
            result = await self.commits.commit(request)
        finally:
            self._committing.discard(request.session)
        self._take_own_settings()
        return result

    async def _on_settle(self, peer: bytes, request: messages.Settle) -> Message:
        result = await self.commits.settle(request)
        self._take_own_settings()
        return result

    def _take_own_settings(self) -> None:
        """Follow the settings that the datastore has itself."""
        root = self.store.library.root
        scope = scope_of(root, ["/raicho/log", "/raicho/process"], set())
        self.take_common_settings(config_seen(root, scope, self.store.working))

    def _give_up(self) -> None:
        """Stop, because the store failed in the middle; at the next start its log decides."""
        self.exit_code = 1
        self.stopping.set()
