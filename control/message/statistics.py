"""Samples of statistics: written as a whole by who collects them, read by anybody.

A sample has sets (such as "port" or "table"), a set has rows by key, and a row
is what its source makes of it.  The datastore holds the last sample of each
source, never looks into a row, and answers from what it holds.
"""

import msgspec

from .envelope import Message, Request
from .types import Done

Sets = dict[str, dict[str, msgspec.Raw]]


class PutSample(Request[Done], frozen=True):
    """Replace the sample of *source*; *instance* is the process whose counters these are.

    The counters are no older than *age* seconds.
    """

    source: str
    instance: str
    age: float
    sets: Sets


class MarkStale(Request[Done], frozen=True):
    """Say that the process is gone that the sample of *source* is of; the next one ends it."""

    source: str


class GetSample(Request["Sampled"], frozen=True):
    """Read the last sample of *source*, of all sets or of some; NOT_FOUND if there is none."""

    source: str = "dataplane"
    sets: list[str] = msgspec.field(default_factory=list)


class Sampled(Message, frozen=True):
    """The answer to GetSample: rows of one and the same sample.

    Samples of a source have growing numbers.  *age* is in seconds; *stale* means that the
    process is gone that counted.  What is not collected is not among *sets*.
    """

    source: str
    instance: str
    number: int
    age: float
    stale: bool
    sets: Sets
