"""The last sample of each source of statistics: in memory, replaced whole, never on disk."""

import msgspec

from ..message import CallError, Code, Failure
from ..message.statistics import PutSample, Sampled

MAX_SOURCES = 64


class _Held(msgspec.Struct):
    """A sample, and when its counters were read at the latest."""

    sample: PutSample
    number: int
    read_at: float
    stale: bool = False


class Statistics:
    """Samples by source; times are monotonic seconds."""

    def __init__(self) -> None:
        self._held: dict[str, _Held] = {}

    def put(self, sample: PutSample, now: float) -> None:
        """Take a sample in the place of the last one of its source."""
        last = self._held.get(sample.source)
        if last is None and len(self._held) >= MAX_SOURCES:
            reason = f"there are samples of {MAX_SOURCES} sources, which is all there can be"
            raise CallError(Failure(Code.REFUSED, reason))
        number = last.number + 1 if last else 1
        self._held[sample.source] = _Held(sample, number, now - sample.age)

    def mark_stale(self, source: str) -> None:
        """Note that the process that counted is gone."""
        if held := self._held.get(source):
            held.stale = True

    def get(self, source: str, names: list[str], now: float) -> Sampled:
        """Return the last sample, of all sets or of those with *names*."""
        held = self._held.get(source)
        if held is None:
            known = ", ".join(sorted(self._held)) or "no source"
            reason = f"no sample of {source!r}; there are samples of {known}"
            raise CallError(Failure(Code.NOT_FOUND, reason))
        sets = held.sample.sets
        wanted = {name: sets[name] for name in names if name in sets} if names else sets
        age = max(0.0, now - held.read_at)
        return Sampled(source, held.sample.instance, held.number, age, held.stale, wanted)
