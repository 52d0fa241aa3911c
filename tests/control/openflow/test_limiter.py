"""The token buckets of packet-ins, with a clock that the test moves."""

from raicho.control.openflow import framing
from raicho.control.openflow.limiter import Bucket, Limiter, in_port
from raicho.control.openflow.settings import PacketInLimit
from raicho.control.openflow.spec import pack
from raicho.control.openflow.spec.match import match
from raicho.control.openflow.spec.messages import PacketIn


def packets(port: int, n: int) -> bytes:
    return pack(PacketIn(match=match(in_port=port), data=b"x" * 60)) * n


def kept(limiter: Limiter, data: bytes, now: float) -> int:
    return framing.count(limiter.filter(data, now))


def test_a_burst_goes_and_then_what_the_rate_lets() -> None:
    """K17: in total."""
    limiter = Limiter(PacketInLimit(rate=10, burst=5), 0)
    assert kept(limiter, packets(1, 20), 0) == 5
    assert kept(limiter, packets(2, 20), 1) == 5
    assert kept(limiter, packets(1, 20), 1.25) == 2
    assert limiter.dropped == {"bridge": 48}


def test_one_port_does_not_take_what_is_for_the_others() -> None:
    """K17: per port."""
    limiter = Limiter(PacketInLimit(rate=100, burst=100, port_rate=10, port_burst=10), 0)
    assert kept(limiter, packets(1, 1000), 0) == 10
    assert kept(limiter, packets(2, 7), 0) == 7
    assert limiter.dropped == {"port": 990}


def test_over_a_long_time_the_rate_is_kept() -> None:
    limiter = Limiter(PacketInLimit(rate=64, burst=1), 0)
    sent = sum(kept(limiter, packets(1, 3), tick / 128) for tick in range(1280))
    assert sent == 640


def test_without_a_rate_everything_goes() -> None:
    limiter = Limiter(PacketInLimit(), 0)
    assert kept(limiter, packets(1, 5000), 0) == 5000


def test_what_goes_is_what_came() -> None:
    limiter = Limiter(PacketInLimit(rate=1, burst=2), 0)
    first, second, third = (pack(PacketIn(cookie=i, match=match(in_port=i))) for i in (1, 2, 3))
    assert limiter.filter(first + second + third, 0) == first + second


def test_a_bucket_is_never_fuller_than_its_burst() -> None:
    bucket = Bucket(1000, 1, 0)
    assert bucket.has_token(100)
    bucket.take()
    assert not bucket.has_token(100)


def test_the_port_of_a_packet_is_found() -> None:
    assert in_port(packets(7, 1)) == 7
    assert in_port(pack(PacketIn())) == 0
    assert in_port(pack(PacketIn(match=match(eth_type=0x0800)))) == 0
