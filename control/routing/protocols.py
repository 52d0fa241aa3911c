"""Who installs routes, by the numbers of rtnetlink, and how far they are trusted.

Reference: linux/rtnetlink.h (RTPROT_*), FRRouting zebra/rt_netlink.h
"""

KERNEL = 2
ZEBRA = frozenset((11, *range(186, 199)))  # what zebra writes into the kernel
FARTHEST = 250  # the distance of protocols that are not below

#: The administrative distances that routing daemons use.
DISTANCES = {
    KERNEL: 0,
    3: 1,  # boot: ip-route(8)
    4: 1,  # static
    9: 5,  # router advertisements
    12: 115,  # BIRD does not say which protocol
    42: 100,  # Babel
    186: 20,  # BGP
    187: 115,  # IS-IS
    188: 110,  # OSPF
    189: 120,  # RIP
    190: 120,  # RIPng
    191: 10,  # NHRP
    192: 90,  # EIGRP
    195: 200,  # policy
    196: 1,  # zebra's own static routes
    197: 115,  # OpenFabric
}


def distance_of(protocol: int) -> int:
    """Return the distance of a protocol; the least wins."""
    return DISTANCES.get(protocol, FARTHEST)
