"""What the bus knows of topics."""

import msgspec

from raicho.control.bus.topics import MAX_TOPICS, Topics
from raicho.control.message import VERSION
from raicho.control.message.events import Batch


def batch(source: str) -> bytes:
    return msgspec.msgpack.encode(Batch(VERSION, source, "i", 1, [(0.0, {"a": 1})]))


def test_publishers_and_subscribers_of_a_topic_are_listed() -> None:
    """K13."""
    topics = Topics()
    topics.look(b"alert.a", batch("supervisor"))
    topics.look(b"config.committed", batch("datastore"))
    for prefix in (b"alert.", b"alert.", b"", b"port."):
        topics.subscribe(prefix)
    assert topics.listing() == [
        {"topic": "alert.a", "publishers": ["supervisor"], "subscribers": 3, "messages": 0},
        {"topic": "config.committed", "publishers": ["datastore"], "subscribers": 1, "messages": 0},
    ]
    assert topics.interests() == [
        {"prefix": "", "subscribers": 1},
        {"prefix": "alert.", "subscribers": 2},
        {"prefix": "port.", "subscribers": 1},
    ]


def test_only_the_first_and_the_last_subscription_of_a_prefix_matter_upstream() -> None:
    topics = Topics()
    assert [topics.subscribe(b"a"), topics.subscribe(b"a")] == [True, False]
    assert [topics.unsubscribe(b"a"), topics.unsubscribe(b"a")] == [False, True]
    assert topics.unsubscribe(b"a") is False
    assert topics.interests() == []


def test_topics_are_bounded_and_noise_is_no_publisher() -> None:
    """C14."""
    topics = Topics()
    for number in range(MAX_TOPICS + 10):
        topics.look(b"\xff%d" % number, b"\xc1noise")
    listing = topics.listing()
    assert len(listing) == MAX_TOPICS
    assert listing[0]["publishers"] == []
