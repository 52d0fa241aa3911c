/* Trees: what becomes of packets to groups, by RFC 7761, section 4.2, and RFC 1812 (P4: TIB; P1). */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "fragment.h"
#include "offload.h"
#include "routes.h"
#include "trees.h"
#include "vlan.h"

static uint64_t
dropped(const struct routing_rig *r, enum drop_reason reason)
{
    return r->rig->worker->totals.drops[reason];
}

static uint64_t
punted(const struct routing_rig *r)
{
    return r->rig->worker->totals.punted;
}

/* Puts a packet in and returns by which interfaces it left: bit i is that on port i. */
static unsigned
leaves_by(struct routing_rig *r, unsigned port, const struct frame *f)
{
    unsigned ports = 0;

    routing_put(r, port, f);
    for (unsigned i = 1; i <= RIG_PORTS; i++) {
        unsigned n = rig_take(r->rig, i, NULL);
        assert_in_range(n, 0, 1);
        ports |= n << i;
    }
    return ports;
}

/* --- Which tree (RFC 7761, 4.2) --- */

static void
to_all_of_the_others(void **state)
{
    ROUTER;
    struct frame f, out;

    assert_int_equal(TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(2) | BY(3)), ROUTE_DONE);
    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(1), 64, 30);
    routing_put(r, 1, &f);
    for (unsigned i = 2; i <= 3; i++) {
        assert_int_equal(rig_take(r->rig, i, &out), 1);
        assert_int_equal(out.len, f.len);
        assert_frame(&out, 0x01005e010101, MAC_OF(i), 63);
        assert_memory_equal(out.data + ETH_SIZE + 12, f.data + ETH_SIZE + 12, f.len - ETH_SIZE - 12);
    }
    assert_int_equal(rig_take(r->rig, 1, NULL), 0);

    assert_int_equal(TREE(.family = IP_V6, .group = GROUP6(0x1234567), .incoming = 1, .outgoing = BY(2) | BY(3)),
                     ROUTE_DONE);
    group_packet(&f, 1, IP_V6, V6(1, 9), GROUP6(0x1234567), 64, 30);
    routing_put(r, 1, &f);
    for (unsigned i = 2; i <= 3; i++) {
        assert_int_equal(rig_take(r->rig, i, &out), 1);
        assert_frame(&out, 0x333301234567 | 0x10000, MAC_OF(i), 63);
    }
}

/* RFC 1112, 6.4: 23 bits of the group; RFC 2464, 7: 32 of them. */
static void
the_frame_has_the_address_of_the_group(void **state)
{
    ROUTER;
    struct frame f, out;

    TREE(.group = V4(239, 129, 2, 3), .incoming = 1, .outgoing = BY(2));
    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(239, 129, 2, 3), 64, 30);
    put_be48(f.data, MAC_OF(1));                /* To us alone: it is a group's all the same. */
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, &out), 1);
    assert_int_equal(get_be48(out.data), 0x01005e010203);
}

static void
of_the_source_before_that_of_any(void **state)
{
    ROUTER;
    struct frame mine, other;

    group_packet(&mine, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(1), 64, 30);
    group_packet(&other, 1, IP_V4, V4(10, 0, 1, 8), GROUP4(1), 64, 30);
    TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(2));
    TREE(.group = GROUP4(1), .from = V4(10, 0, 1, 9), .incoming = 1, .outgoing = BY(3));
    assert_int_equal(leaves_by(r, 1, &mine), BY(3));
    assert_int_equal(leaves_by(r, 1, &other), BY(2));
    assert_int_equal(TREE(.op = 2, .group = GROUP4(1)), ROUTE_DONE);
    assert_int_equal(leaves_by(r, 1, &mine), BY(3));
    assert_int_equal(leaves_by(r, 1, &other), 0);
    TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(2));
    assert_int_equal(TREE(.op = 2, .group = GROUP4(1), .from = V4(10, 0, 1, 9)), ROUTE_DONE);
    assert_int_equal(TREE(.op = 2, .group = GROUP4(1), .from = V4(10, 0, 1, 9)), ROUTE_NOT_FOUND);
    assert_int_equal(leaves_by(r, 1, &mine), BY(2));
}

/* A tree of a source that leads nowhere keeps its packets from that of the group: it was pruned. */
static void
nowhere(void **state)
{
    ROUTER;
    struct frame f;

    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(1), 64, 30);
    TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(2));
    TREE(.group = GROUP4(1), .from = V4(10, 0, 1, 9), .incoming = 1);
    assert_int_equal(leaves_by(r, 1, &f), 0);
    assert_int_equal(dropped(r, DROP_tree_outgoing), 1);
}

/* --- By which interface (RFC 7761, 4.2) --- */

static struct counter_sum
count_of(const struct routing_rig *r, struct ip_address group, bool strayed)
{
    const struct tree *tree = tib_find(&r->router->tib, &(const struct tree_key) { group, any_source });

    CHECK(tree);
    return counter_read(&r->rig->dataplane.counters, strayed ? tree->strayed : tree->taken);
}

static void
what_strays_is_counted_and_told(void **state)
{
    ROUTER;
    struct frame f;

    TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(2) | BY(3));
    group_packet(&f, 3, IP_V4, V4(10, 0, 3, 9), GROUP4(1), 64, 30);
    assert_int_equal(leaves_by(r, 3, &f), 0);
    assert_int_equal(dropped(r, DROP_tree_incoming), 1);
    assert_int_equal(punted(r), 1);
    assert_int_equal(count_of(r, GROUP4(1), true).packets, 1);
    assert_int_equal(count_of(r, GROUP4(1), false).packets, 0);
    group_packet(&f, 1, IP_V4, V4(10, 0, 3, 9), GROUP4(1), 64, 30);
    assert_int_equal(leaves_by(r, 1, &f), BY(2) | BY(3));
    assert_int_equal(count_of(r, GROUP4(1), false).packets, 1);
    assert_int_equal(count_of(r, GROUP4(1), false).bytes, f.len);
}

/* However many stray, the control thread gets some of them. */
static void
what_strays_does_not_flood_us(void **state)
{
    ROUTER;
    struct frame f;
    unsigned n = 2000;

    TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(2));
    group_packet(&f, 3, IP_V4, V4(10, 0, 3, 9), GROUP4(1), 64, 30);
    for (unsigned i = 0; i < n; i++) {
        routing_put(r, 3, &f);
    }
    assert_int_equal(dropped(r, DROP_tree_incoming), n);
    assert_in_range(punted(r), 1, n - 1);
}

static void
not_where_it_came_from(void **state)
{
    ROUTER;
    struct frame f;

    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(1), 64, 30);
    TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(1) | BY(2));
    assert_int_equal(leaves_by(r, 1, &f), BY(2));
    TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(1));
    assert_int_equal(leaves_by(r, 1, &f), 0);
    assert_int_equal(dropped(r, DROP_tree_outgoing), 1);
}

/* RPF_interface(S): where nobody says by which interface, routes do. */
static void
by_the_route_to_the_source(void **state)
{
    ROUTER;

    for (unsigned v6 = 0; v6 < 2; v6++) {
        uint8_t family = v6 ? IP_V6 : IP_V4;
        struct ip_address far = v6 ? V6(77, 1) : V4(192, 0, 2, 1), group = v6 ? GROUP6(1) : GROUP4(1);
        struct ip_address by_1 = v6 ? V6(1, 9) : V4(10, 0, 1, 9), by_3 = v6 ? V6(3, 9) : V4(10, 0, 3, 9);
        struct next_hop hops[] = { gateway(r, 1, family, by_1), gateway(r, 3, family, by_3) };
        struct frame f[4];

        for (unsigned i = 1; i <= 3; i++) {
            group_packet(&f[i], i, family, far, group, 64, 30);
        }
        TREE(.family = family, .group = group, .outgoing = BY(1) | BY(2) | BY(3));
        assert_int_equal(leaves_by(r, 1, &f[1]), 0);        /* No route. */
        put_group(r, family, hops, 1);
        put_route(r, far, family, v6 ? 128 : 32, family);
        assert_int_equal(leaves_by(r, 1, &f[1]), BY(2) | BY(3));
        assert_int_equal(leaves_by(r, 3, &f[3]), 0);
        put_group(r, family, hops + 1, 1);
        assert_int_equal(leaves_by(r, 1, &f[1]), 0);
        assert_int_equal(leaves_by(r, 3, &f[3]), BY(1) | BY(2));
        put_group(r, family, hops, 2);                      /* Either will do. */
        assert_int_equal(leaves_by(r, 1, &f[1]), BY(2) | BY(3));
        assert_int_equal(leaves_by(r, 3, &f[3]), BY(1) | BY(2));
        assert_int_equal(leaves_by(r, 2, &f[2]), 0);
        group_packet(&f[2], 2, family, v6 ? V6(2, 5) : V4(10, 0, 2, 5), group, 64, 30);
        assert_int_equal(leaves_by(r, 2, &f[2]), BY(1) | BY(3));    /* On its own link. */
    }
}

/* --- What is not forwarded --- */

/* RFC 5771, 4; RFC 4291, 2.7: what is of the link stays there, whatever the trees. */
static void
groups_of_the_link(void **state)
{
    ROUTER;
    const struct ip_address v4[] = { V4(224, 0, 0, 1), V4(224, 0, 0, 251) };
    struct ip_address v6[] = { { { UINT64_C(0xff02) << 48, 1 } }, { { UINT64_C(0xff01) << 48, 5 } },
                               { { UINT64_C(0xff12) << 48, 5 } }, { { UINT64_C(0xff00) << 48, 5 } } };
    struct frame f;

    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(TREE(.group = v4[i], .incoming = 1, .outgoing = BY(2)), ROUTE_BAD);
        group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), v4[i], 64, 30);
        assert_int_equal(leaves_by(r, 1, &f), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(TREE(.family = IP_V6, .group = v6[i], .incoming = 1, .outgoing = BY(2)), ROUTE_BAD);
        group_packet(&f, 1, IP_V6, V6(1, 9), v6[i], 64, 30);
        assert_int_equal(leaves_by(r, 1, &f), 0);
    }
    assert_int_equal(punted(r), 6);
}

/* RFC 1812, 5.3.7; RFC 4291, 2.5.2, 2.5.6: from nobody, or from an address of the link. */
static void
sources_of_the_link(void **state)
{
    ROUTER;
    struct frame f;

    TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(2));
    TREE(.family = IP_V6, .group = GROUP6(1), .incoming = 1, .outgoing = BY(2));
    group_packet(&f, 1, IP_V4, V4(0, 0, 0, 0), GROUP4(1), 64, 30);
    assert_int_equal(leaves_by(r, 1, &f), 0);
    group_packet(&f, 1, IP_V6, any_source, GROUP6(1), 64, 30);
    assert_int_equal(leaves_by(r, 1, &f), 0);
    group_packet(&f, 1, IP_V6, (struct ip_address) { { UINT64_C(0xfe80) << 48, 9 } }, GROUP6(1), 64, 30);
    assert_int_equal(leaves_by(r, 1, &f), 0);
    group_packet(&f, 1, IP_V4, V4(127, 0, 0, 1), GROUP4(1), 64, 30);
    assert_int_equal(leaves_by(r, 1, &f), 0);
    assert_int_equal(dropped(r, DROP_martian), 1);
}

/* RFC 1812, 5.3.4: a packet to one host in a frame to many. */
static void
to_one_in_a_frame_to_many(void **state)
{
    ROUTER;
    struct frame f;

    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), V4(10, 0, 2, 9), 64, 30);
    assert_int_equal(leaves_by(r, 1, &f), 0);
}

/* What hosts say of a group they say to routers, not to who is in it. */
static void
reports_are_for_us(void **state)
{
    ROUTER;
    struct frame f;

    TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(2));
    frame_eth(&f, ETH_TYPE_IPV4);
    frame_ipv4(&f, IP_PROTO_IGMP, 0, 0);
    put_be32(f.data + f.ip + 12, 0x0a000109);
    put_be32(f.data + f.ip + 16, 0xef010101);
    f.data[f.ip + 8] = 1;
    frame_add32(&f, 0x16000000);                /* IGMPv2 report. */
    frame_add32(&f, 0xef010101);
    uint16_t sum = csum_fold(csum_add(0, f.data + f.len - 8, 8));
    memcpy(f.data + f.len - 6, &sum, sizeof sum);
    frame_end(&f);
    csum_ipv4(f.data + f.ip);
    put_be48(f.data, 0x01005e010101);
    assert_int_equal(leaves_by(r, 1, &f), 0);
    assert_int_equal(punted(r), 1);
    assert_int_equal(count_of(r, GROUP4(1), false).packets, 0);
}

/* Without a tree it is as before: for us, if for anybody. */
static void
without_a_tree(void **state)
{
    ROUTER;
    struct frame f;

    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(1), 64, 30);
    assert_int_equal(leaves_by(r, 1, &f), 0);
    assert_int_equal(punted(r), 1);
    TREE(.group = GROUP4(2), .incoming = 1, .outgoing = BY(2));
    assert_int_equal(leaves_by(r, 1, &f), 0);
    assert_int_equal(punted(r), 2);
}

/* RFC 1812, 5.3.1 and 4.3.2.7: a time to live of 1 is used up, and nobody is told. */
static void
that_are_too_old(void **state)
{
    ROUTER;
    struct frame f;

    TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(2));
    TREE(.family = IP_V6, .group = GROUP6(1), .incoming = 1, .outgoing = BY(2));
    for (unsigned ttl = 0; ttl < 3; ttl++) {
        group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(1), ttl, 30);
        assert_int_equal(leaves_by(r, 1, &f), ttl > 1 ? BY(2) : 0);
        group_packet(&f, 1, IP_V6, V6(1, 9), GROUP6(1), ttl, 30);
        assert_int_equal(leaves_by(r, 1, &f), ttl > 1 ? BY(2) : 0);
    }
    assert_int_equal(dropped(r, DROP_ttl), 4);
    assert_int_equal(punted(r), 0);
}

/* --- We are in it too --- */

static void
we_get_a_copy(void **state)
{
    ROUTER;
    struct frame f;

    TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(2), .is_local = true);
    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(1), 64, 30);
    assert_int_equal(leaves_by(r, 1, &f), BY(2));
    assert_int_equal(punted(r), 1);
    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(1), 1, 30);      /* It has come to where it goes. */
    assert_int_equal(leaves_by(r, 1, &f), 0);
    assert_int_equal(punted(r), 2);
    assert_int_equal(rig_dropped(r->rig->worker), 0);
}

/* An echo request to a group that we are in is answered (RFC 1122, 3.2.2.6). */
static void
a_ping_to_all(void **state)
{
    ROUTER;
    struct frame f, out;

    set_neighbour(r, 1, IP_V4, V4(10, 0, 1, 9), MAC_OF_HOST(1, 9));
    TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(2), .is_local = true);
    frame_eth(&f, ETH_TYPE_IPV4);
    frame_ipv4(&f, IP_PROTO_ICMPV4, 0, 0);
    put_be32(f.data + f.ip + 12, 0x0a000109);
    put_be32(f.data + f.ip + 16, 0xef010101);
    frame_icmp(&f, 8, 0, 32);
    frame_end(&f);
    csum_ipv4(f.data + f.ip);
    uint8_t *icmp = f.data + f.ip + IPV4_SIZE;
    put_be16(icmp + 2, 0);
    uint16_t sum = csum_fold(csum_add(0, icmp, f.len - f.ip - IPV4_SIZE));
    memcpy(icmp + 2, &sum, sizeof sum);
    put_be48(f.data, 0x01005e010101);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 1, &out), 1);
    assert_frame(&out, MAC_OF_HOST(1, 9), MAC_OF(1), 64);
    assert_int_equal(get_be32(out.data + ETH_SIZE + 12), 0x0a000101);
    assert_int_equal(rig_take(r->rig, 2, &out), 1);
    assert_frame(&out, 0x01005e010101, MAC_OF(2), f.data[f.ip + 8] - 1u);
}

/* --- Links --- */

/* RFC 1812, 5.2.6; RFC 8201, 4: each interface has an MTU of its own. */
static void
what_is_too_long_for_one_of_them(void **state)
{
    ROUTER;
    struct frame f, out;
    enum { PAYLOAD = 1400 };

    narrow(r, 3, 1280, true);
    TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(2) | BY(3));
    TREE(.family = IP_V6, .group = GROUP6(1), .incoming = 1, .outgoing = BY(2) | BY(3));
    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(1), 64, PAYLOAD);
    put_be16(f.data + ETH_SIZE + 6, 0);         /* It may be fragmented. */
    csum_ipv4(f.data + ETH_SIZE);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, &out), 1);
    assert_int_equal(out.len, f.len);
    size_t bytes = 0;
    for (unsigned i = 0; i < 2; i++) {
        out.len = port_memory_take(&r->rig->ports[3], out.data, sizeof out.data, NULL);
        assert_in_range(out.len, ETH_SIZE + IPV4_SIZE + 1, ETH_SIZE + 1280);
        assert_frame(&out, 0x01005e010101, MAC_OF(3), 63);
        assert_memory_equal(out.data + ETH_SIZE + IPV4_SIZE, f.data + ETH_SIZE + IPV4_SIZE + bytes,
                            out.len - ETH_SIZE - IPV4_SIZE);
        bytes += out.len - ETH_SIZE - IPV4_SIZE;
    }
    assert_int_equal(bytes, PAYLOAD + UDP_SIZE);
    assert_int_equal(rig_take(r->rig, 3, NULL), 0);

    put_be16(f.data + ETH_SIZE + 6, 0x4000);
    csum_ipv4(f.data + ETH_SIZE);
    assert_int_equal(leaves_by(r, 1, &f), BY(2));       /* Nobody is told (RFC 1812, 4.3.2.7). */

    set_neighbour(r, 1, IP_V6, V6(1, 9), MAC_OF_HOST(1, 9));
    group_packet(&f, 1, IP_V6, V6(1, 9), GROUP6(1), 64, PAYLOAD);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, &out), 1);
    assert_int_equal(rig_take(r->rig, 3, NULL), 0);
    assert_int_equal(rig_take(r->rig, 1, &out), 1);     /* RFC 4443, 3.2: even so. */
    assert_frame(&out, MAC_OF_HOST(1, 9), MAC_OF(1), 64);
    assert_int_equal(out.data[ETH_SIZE + IPV6_SIZE], 2);
    assert_int_equal(get_be32(out.data + ETH_SIZE + IPV6_SIZE + 4), 1280);
}

static void
links_that_go_and_come(void **state)
{
    ROUTER;
    struct frame f;

    TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(2) | BY(3));
    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(1), 64, 30);
    narrow(r, 2, MTU, false);
    assert_int_equal(leaves_by(r, 1, &f), BY(3));
    narrow(r, 3, MTU, false);
    assert_int_equal(leaves_by(r, 1, &f), 0);
    assert_int_equal(dropped(r, DROP_tree_outgoing), 1);
    narrow(r, 2, MTU, true);
    assert_int_equal(leaves_by(r, 1, &f), BY(2));
    router_remove_interface(r->router, r->index[2]);
    assert_int_equal(leaves_by(r, 1, &f), 0);
}

/* By a VLAN of a port, and by a bridge as if the router were one more of its ports. */
static void
on_vlans_and_bridges(void **state)
{
    ROUTER;
    enum { VLAN = 9 };
    struct frame f, out;
    struct bridging access = { .mode = VLAN_ACCESS, .vlan = VLAN }, other = { .mode = VLAN_ACCESS, .vlan = 8 };
    struct interface_config tagged = interface_on(r->rig, 2), bridged = interface_on(r->rig, PORT_LOCAL);
    uint8_t record[TREE_RECORD + 8], result[4];
    uint32_t index[2];

    vlan_add(&access.vlans, VLAN);
    assert_int_equal(bridge_set_bridging(r->rig->at[4], &access), 0);
    bridge_set_pipeline(r->rig->at[4], PIPELINE_bridge);
    vlan_add(&other.vlans, 8);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(bridge_set_bridging(r->rig->at[i], &other), 0);
    }
    tagged.vlan = 7;
    bridged.vlan = VLAN;
    tagged.mac = MAC_OF(7);
    bridged.mac = MAC_OF(9);
    assert_int_equal(router_add_interface(r->router, &tagged, &index[0]), 0);
    assert_int_equal(router_add_interface(r->router, &bridged, &index[1]), 0);
    tree_write(r, &(const struct tree_words) { .group = GROUP4(1), .incoming = 1 }, record);
    put_be16(record + 4, 2);
    put_be32(record + TREE_RECORD, index[0]);
    put_be32(record + TREE_RECORD + 4, index[1]);
    assert_int_equal(router_tree_mod(r->router, record, sizeof record, result, 1), 1);
    assert_int_equal(get_be32(result), ROUTE_DONE);
    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(1), 64, 30);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, &out), 1);
    assert_int_equal(get_be48(out.data + 6), MAC_OF(7));
    assert_int_equal(get_be32(out.data + 12), 0x81000007);
    assert_int_equal(rig_take(r->rig, 4, &out), 1);
    assert_frame(&out, 0x01005e010101, MAC_OF(9), 63);
    assert_int_equal(out.len, f.len);
}

/* What is to be cut into segments stays whole, if each of them fits. */
static void
segments(void **state)
{
    ROUTER;
    enum { HEADERS = ETH_SIZE + IPV4_SIZE + UDP_SIZE };
    struct frame f, out;
    struct offload offload = { .flags = OFFLOAD_NEEDS_CSUM, .gso_type = OFFLOAD_GSO_UDP_L4,
                               .hdr_len = HEADERS, .gso_size = 1300, .csum_start = ETH_SIZE + IPV4_SIZE,
                               .csum_offset = 6 }, given;

    narrow(r, 3, 1280, true);
    TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(2) | BY(3));
    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(1), 64, 3000);
    for (unsigned i = 0; i < 2; i++, offload.gso_size = 1000) {
        assert_int_equal(port_memory_put(&r->rig->ports[1], f.data, f.len, &offload), 0);
        routing_run(r);
        out.len = port_memory_take(&r->rig->ports[2], out.data, sizeof out.data, &given);
        assert_int_equal(out.len, f.len);
        assert_frame(&out, 0x01005e010101, MAC_OF(2), 63);
        assert_int_equal(given.gso_size, offload.gso_size);
        assert_int_equal(given.hdr_len, HEADERS);
        assert_int_equal(rig_take(r->rig, 3, &out), 1);
        assert_int_equal(out.len, i ? f.len : HEADERS + 3000 % 1300);   /* Those that fit. */
    }
}

/* Padding of Ethernet is not part of a packet. */
static void
padding_ends_here(void **state)
{
    ROUTER;
    struct frame f, out;

    TREE(.group = GROUP4(1), .incoming = 1, .outgoing = BY(2));
    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(1), 64, 1);
    size_t len = f.len;
    frame_payload(&f, 60 - f.len);
    routing_put(r, 1, &f);
    assert_int_equal(rig_take(r->rig, 2, &out), 1);
    assert_int_equal(out.len, len);
}

/* --- Who says so --- */

static void
several_say_something_of_a_tree(void **state)
{
    ROUTER;
    struct frame f;

    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(1), 64, 30);
    TREE(.group = GROUP4(1), .source = ROUTE_FPM, .outgoing = BY(2));
    TREE(.group = GROUP4(1), .source = ROUTE_FREE, .incoming = 3, .outgoing = BY(2) | BY(3));
    assert_int_equal(leaves_by(r, 1, &f), 0);           /* It comes by 3. */
    TREE(.group = GROUP4(1), .source = ROUTE_STATIC, .incoming = 1);
    assert_int_equal(leaves_by(r, 1, &f), BY(2) | BY(3));
    uint64_t before = count_of(r, GROUP4(1), false).packets;
    assert_int_equal(TREE(.op = 2, .group = GROUP4(1), .source = ROUTE_FREE), ROUTE_DONE);
    assert_int_equal(leaves_by(r, 1, &f), BY(2));
    assert_int_equal(count_of(r, GROUP4(1), false).packets, before + 1);
    assert_int_equal(TREE(.op = 2, .group = GROUP4(1), .source = ROUTE_FPM), ROUTE_DONE);
    assert_int_equal(leaves_by(r, 1, &f), 0);
    assert_int_equal(TREE(.op = 2, .group = GROUP4(1), .source = ROUTE_FPM), ROUTE_NOT_FOUND);
    assert_int_equal(TREE(.op = 2, .group = GROUP4(1)), ROUTE_DONE);
    assert_int_equal(r->router->tib.n, 0);
}

static void
mark_and_sweep(void **state)
{
    ROUTER;
    struct frame f;

    for (unsigned i = 0; i < 10; i++) {
        TREE(.group = GROUP4(i), .source = ROUTE_FPM, .incoming = 1, .outgoing = BY(2));
    }
    TREE(.group = GROUP4(9), .incoming = 1, .outgoing = BY(3));
    tib_begin(&r->router->tib, ROUTE_FPM);
    for (unsigned i = 0; i < 4; i++) {
        TREE(.group = GROUP4(i), .source = ROUTE_FPM, .incoming = 1, .outgoing = i % 2 ? BY(2) : BY(3));
    }
    assert_int_equal(tib_sweep(&r->router->tib, ROUTE_FPM), 6);
    assert_int_equal(tib_sweep(&r->router->tib, ROUTE_FPM), 0);
    assert_int_equal(r->router->tib.n, 5);
    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(9), 64, 30);
    assert_int_equal(leaves_by(r, 1, &f), BY(3));
    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(2), 64, 30);
    assert_int_equal(leaves_by(r, 1, &f), BY(3));
}

static void
records_that_are_wrong(void **state)
{
    ROUTER;
    uint8_t record[2 * (TREE_RECORD + 4)], results[8];
    const struct tree_words good = { .group = GROUP4(1), .incoming = 1, .outgoing = BY(2) };
    size_t size = tree_write(r, &good, record);

    assert_int_equal(TREE(.group = V4(10, 0, 0, 1), .outgoing = BY(2)), ROUTE_BAD);
    assert_int_equal(TREE(.group = GROUP4(1), .from = V4(239, 0, 0, 1), .outgoing = BY(2)), ROUTE_BAD);
    assert_int_equal(TREE(.group = GROUP4(1), .op = 3), ROUTE_BAD);
    assert_int_equal(TREE(.group = GROUP4(1), .source = ROUTE_CONNECTED), ROUTE_BAD);
    assert_int_equal(TREE(.group = GROUP4(1), .family = 5), ROUTE_BAD);
    put_be32(record + TREE_RECORD, 77);
    assert_int_equal(router_tree_mod(r->router, record, size, results, 1), 1);
    assert_int_equal(get_be32(results), ROUTE_NO_INTERFACE);
    tree_write(r, &good, record);
    put_be32(record + 8, 77);
    assert_int_equal(router_tree_mod(r->router, record, size, results, 1), 1);
    assert_int_equal(get_be32(results), ROUTE_NO_INTERFACE);
    tree_write(r, &good, record);
    memcpy(record + size, record, size);
    assert_int_equal(router_tree_mod(r->router, record, 2 * size - 1, results, 2), 2);  /* Cut. */
    assert_int_equal(get_be32(results), ROUTE_DONE);
    assert_int_equal(get_be32(results + 4), ROUTE_BAD);
    assert_int_equal(r->router->tib.n, 1);
}

/* What is listed would put the same again. */
static void
a_list_is_records(void **state)
{
    ROUTER;
    uint8_t record[TREE_RECORD + 4 * RIG_PORTS];
    struct frame f;

    for (unsigned i = 0; i < 20; i++) {
        TREE(.group = GROUP4(i), .from = i % 2 ? V4(10, 0, 1, 9) : any_source, .incoming = i % 3,
             .outgoing = BY(2) | BY(3), .is_local = i % 5);
        TREE(.family = IP_V6, .group = GROUP6(i), .source = ROUTE_FPM, .incoming = 1);
    }
    group_packet(&f, 1, IP_V4, V4(10, 0, 1, 9), GROUP4(0), 64, 30);
    routing_put(r, 1, &f);
    for (unsigned source = 0; source <= ROUTE_FPM; source++) {
        struct buffer out = { 0 };
        uint32_t cursor = 0;
        unsigned n = 0;

        do {
            router_list_trees(r->router, (uint8_t) source, &cursor, 7, &out);
        } while (cursor);
        assert_false(out.failed);
        for (size_t at = 0; at < out.len; n++) {
            assert_true(!source || out.data[at + 1] == source);
            at += TREE_RECORD + 4 * get_be16(out.data + at + 4);
        }
        assert_int_equal(n, !source ? 40 : source == ROUTE_STATIC || source == ROUTE_FPM ? 20 : 0);
        if (source == ROUTE_STATIC) {
            size_t size = tree_write(r, &(const struct tree_words) { .group = GROUP4(0),
                                     .outgoing = BY(2) | BY(3) }, record);
            put_be64(record + 44, 1);
            put_be64(record + 52, f.len);
            assert_memory_equal(out.data, record, size);
        }
        buffer_close(&out);
    }
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, routing_set_up, routing_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(to_all_of_the_others), TEST(the_frame_has_the_address_of_the_group),
        TEST(of_the_source_before_that_of_any), TEST(nowhere), TEST(what_strays_is_counted_and_told),
        TEST(what_strays_does_not_flood_us), TEST(not_where_it_came_from), TEST(by_the_route_to_the_source),
        TEST(groups_of_the_link), TEST(sources_of_the_link), TEST(to_one_in_a_frame_to_many),
        TEST(reports_are_for_us), TEST(without_a_tree), TEST(that_are_too_old), TEST(we_get_a_copy),
        TEST(a_ping_to_all), TEST(what_is_too_long_for_one_of_them), TEST(links_that_go_and_come),
        TEST(on_vlans_and_bridges), TEST(segments), TEST(padding_ends_here),
        TEST(several_say_something_of_a_tree), TEST(mark_and_sweep), TEST(records_that_are_wrong),
        TEST(a_list_is_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
