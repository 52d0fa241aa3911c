"""The last sample of each source of statistics: in memory, replaced whole, never on disk.

Beside each row stands the number of the sample in which it came to be what it is, so that
a reader who says what it holds gets the rest.  Who reads page by page reads one sample: it
is kept a while when the next one comes.
"""

import secrets
from collections.abc import Iterator
from itertools import islice

import msgspec

from ..message import CallError, Code, Failure, GetSample
from ..message.statistics import PutSample, Sampled, Sets

MAX_SOURCES = 64
MAX_GONE = 10_000  # rows of a source that are no more, and known to have been
MAX_KEPT, KEPT_FOR = 8, 30.0  # older samples for those who read them by pages; seconds

Numbers = dict[str, dict[str, int]]


class _Held(msgspec.Struct, frozen=True):
    """A sample, and when its counters were read at the latest."""

    sample: PutSample
    number: int
    read_at: float
    changed: Numbers  # in which sample each row came to be what it is


class _Page(msgspec.Struct, frozen=True):
    """Where an answer begins: in which sample, at which row of those that changed *since*."""

    number: int
    since: int
    start: int = 0

    def __str__(self) -> str:
        return f"{self.number}.{self.since}.{self.start}"


class _Source:
    """The last sample of a source, and the rows that earlier ones had."""

    def __init__(self, sample: PutSample) -> None:
        empty = msgspec.structs.replace(sample, sets={})
        self.last = _Held(empty, 0, 0.0, {})
        self.stale = False
        self.gone: dict[tuple[str, str], int] = {}  # the sample without them; in order
        self.known_since = 0  # what went before this sample is not known any more

    def put(self, sample: PutSample, now: float) -> None:
        last, number = self.last, self.last.number + 1
        changed = {name: _numbers(name, rows, last, number) for name, rows in sample.sets.items()}
        self.last = _Held(sample, number, now - sample.age, changed)
        self.stale = False
        for place in _missing(last.sample.sets, sample.sets):
            self.gone[place] = number
        for place in _missing(sample.sets, last.sample.sets):
            self.gone.pop(place, None)
        while len(self.gone) > MAX_GONE:
            self.known_since = self.gone.pop(next(iter(self.gone)))

    def since(self, number: int) -> int:
        """Return the sample whose successors tell what a reader of it lacks; 0: it lacks all."""
        return number if self.known_since <= number <= self.last.number else 0

    def gone_since(self, number: int, names: list[str]) -> dict[str, list[str]]:
        """Return the keys, by set, of the rows that a reader has too much."""
        found: dict[str, list[str]] = {}
        for (name, key), when in self.gone.items():
            if when > number and (not names or name in names):
                found.setdefault(name, []).append(key)
        return found


class Statistics:
    """Samples by source; times are monotonic seconds."""

    def __init__(self) -> None:
        self._sources: dict[str, _Source] = {}
        self._kept: dict[tuple[str, int], tuple[float, _Held]] = {}  # with the end of its time
        self._life = secrets.token_hex(4)  # marks of another one mean nothing

    def put(self, sample: PutSample, now: float) -> None:
        """Take a sample in the place of the last one of its source."""
        source = self._sources.get(sample.source)
        if source is None:
            if len(self._sources) >= MAX_SOURCES:
                reason = f"there are samples of {MAX_SOURCES} sources, which is all there can be"
                raise CallError(Failure(Code.REFUSED, reason))
            source = self._sources[sample.source] = _Source(sample)
        source.put(sample, now)
        self._forget(now)

    def mark_stale(self, name: str) -> None:
        """Note that the process that counted is gone."""
        if source := self._sources.get(name):
            source.stale = True

    def get(self, request: GetSample, now: float) -> Sampled:
        """Return what a reader asks for of the last sample, or of the one that it has begun."""
        source = self._sources.get(request.source)
        if source is None:
            known = ", ".join(sorted(self._sources)) or "no source"
            reason = f"no sample of {request.source!r}; there are samples of {known}"
            raise CallError(Failure(Code.NOT_FOUND, reason))
        page = self._page(source, request)
        held = self._held(source, request, page)
        names = request.sets
        sets = {
            name: _differing(rows, held.changed[name], page.since)
            for name, rows in held.sample.sets.items()
            if not names or name in names
        }
        following = ""
        if request.limit:
            end = page.start + request.limit
            if end < sum(map(len, sets.values())):
                following = str(_Page(held.number, page.since, end))
                self._keep(request.source, held, now)
            sets = _cut(sets, page.start, request.limit)
        is_first = bool(page.since) and not page.start
        return Sampled(
            request.source,
            held.sample.instance,
            held.number,
            max(0.0, now - held.read_at),
            source.stale,
            sets,
            f"{self._life}.{held.number}",
            not page.since,
            source.gone_since(page.since, names) if is_first else {},
            following,
        )

    def _page(self, source: _Source, request: GetSample) -> _Page:
        if request.limit < 0:
            raise _invalid(f"a limit of {request.limit} rows; 0 is none")
        if not request.page:
            life, _, number = request.since.partition(".")
            is_ours = life == self._life and number.isdecimal()
            return _Page(source.last.number, source.since(int(number)) if is_ours else 0)
        numbers = request.page.split(".")
        if len(numbers) != 3 or not all(number.isdecimal() for number in numbers):
            raise _invalid(f"no page {request.page!r} was ever named")
        return _Page(*map(int, numbers))

    def _held(self, source: _Source, request: GetSample, page: _Page) -> _Held:
        if page.number == source.last.number:
            return source.last
        if kept := self._kept.get((request.source, page.number)):
            return kept[1]
        reason = f"sample {page.number} of {request.source} is not kept any more; begin anew"
        raise CallError(Failure(Code.CONFLICT, reason))

    def _keep(self, name: str, held: _Held, now: float) -> None:
        self._kept.pop((name, held.number), None)
        self._kept[name, held.number] = now + KEPT_FOR, held
        self._forget(now)

    def _forget(self, now: float) -> None:
        over = [place for place, (end, _) in self._kept.items() if end < now]
        too_many = list(self._kept)[: max(0, len(self._kept) - MAX_KEPT)]
        for place in {*over, *too_many}:
            del self._kept[place]


def _numbers(name: str, rows: dict[str, msgspec.Raw], last: _Held, number: int) -> dict[str, int]:
    """Return in which sample each row came to be what it is."""
    before, changed = last.sample.sets.get(name, {}), last.changed.get(name, {})
    return {key: changed[key] if before.get(key) == row else number for key, row in rows.items()}


def _missing(sets: Sets, among: Sets) -> Iterator[tuple[str, str]]:
    """Yield which rows are not there."""
    for name, rows in sets.items():
        for key in rows.keys() - among.get(name, {}).keys():
            yield name, key


def _differing(
    rows: dict[str, msgspec.Raw], changed: dict[str, int], since: int
) -> dict[str, msgspec.Raw]:
    if not since:
        return rows
    return {key: row for key, row in rows.items() if changed[key] > since}


def _cut(sets: Sets, start: int, limit: int) -> Sets:
    """Return so many rows of all sets, from one on."""
    found: Sets = {}
    for name, rows in sets.items():
        found[name] = dict(islice(rows.items(), start, start + limit))
        start, limit = max(0, start - len(rows)), limit - len(found[name])
    return found


def _invalid(reason: str) -> CallError:
    return CallError(Failure(Code.INVALID, reason))
