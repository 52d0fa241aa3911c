"""What hosts on a link are told follows from the configuration (RFC 4861, 6.2.1)."""

from ipaddress import ip_network

from raicho.dataplane.advertising import advertised, read_advertise

ADDRESSES = (
    "192.0.2.1/24",
    "2001:db8:1::1/64",
    "2001:db8:1::2/64",
    "fe80::7/64",
    "2001:db8:2::1/56",
)


def prefixes(**leaves: object) -> dict[str, bool]:
    """Return what is told, and of which prefixes hosts make addresses."""
    told = advertised(read_advertise({"enabled": True, **leaves}), 1500, ADDRESSES)
    assert told
    return {str(ip_network(prefix[:2])): prefix[2] for prefix in told.prefixes}


def test_prefixes_are_those_of_the_addresses_unless_they_are_given() -> None:
    assert prefixes() == {"2001:db8:1::/64": True, "2001:db8:2::/56": False}
    assert prefixes(prefix=["2001:db8:9::/64"]) == {"2001:db8:9::/64": True}
    assert advertised(read_advertise({}), 1500, ADDRESSES) is None


def test_times_follow_from_the_greatest_interval() -> None:
    """RFC 4861, 6.2.1: MinRtrAdvInterval and AdvDefaultLifetime."""
    for most, least, lifetime in ((600, 198, 1800), (1800, 594, 5400), (4, 3, 12)):
        config = read_advertise({"max-interval": most})
        assert (config.least, config.router_lifetime) == (least, lifetime)
    config = read_advertise({"max-interval": 600, "min-interval": 7, "lifetime": 0})
    assert (config.least, config.router_lifetime) == (7, 0)
