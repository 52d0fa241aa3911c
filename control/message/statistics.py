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
    """Read the last sample of *source*, of all sets or of some; NOT_FOUND if there is none.

    *since* is the mark of an earlier answer: rows that are the same as then are left out.
    With a *limit* the answer has so many rows at most, and names the next *page*, which is
    asked for with all else unchanged.  All pages are of one sample; CONFLICT tells that it is
    kept no longer, so that the reader has to begin anew.
    """

    source: str = "dataplane"
    sets: list[str] = msgspec.field(default_factory=list)
    since: str = ""
    limit: int = 0  # 0: none
    page: str = ""


class Sampled(Message, frozen=True):
    """The answer to GetSample: rows of one and the same sample.

    Samples of a source have growing numbers.  *age* is in seconds; *stale* means that the
    process is gone that counted.  What is not collected is not among *sets*.

    Whoever has read all pages, the last of which names no next *page*, holds what *mark* names.
    If they are *whole* that is what they have; otherwise they have what differs from what the
    reader held, and *gone* has the keys of rows, by set, that were there since and are no more.
    """

    source: str
    instance: str
    number: int
    age: float
    stale: bool
    sets: Sets
    mark: str = ""
    whole: bool = True
    gone: dict[str, list[str]] = msgspec.field(default_factory=dict)
    page: str = ""
