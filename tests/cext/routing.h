#ifndef TEST_ROUTING_H
#define TEST_ROUTING_H

/* A router on the ports of a rig: interface i (1 to 3) is on port i, with 10.0.i.1/24 and 2001:db8:i::1/64. */

#include "csum.h"
#include "icmp.h"
#include "packets.h"
#include "rig.h"
#include "router.h"
#include "router_wire.h"

enum { MTU = 1500 };

#define V4(A, B, C, D) ip_from_v4((uint32_t) (A) << 24 | (B) << 16 | (C) << 8 | (D))
#define V6(NET, HOST) ((struct ip_address) { { 0x20010db800000000u | (uint64_t) (NET) << 16, HOST } })
#define MAC_OF(I) (UINT64_C(0x02aa00000000) | (I))
#define MAC_OF_HOST(I, HOST) (UINT64_C(0x02bb00000000) | (I) << 8 | (HOST))

struct routing_rig {
    struct rig *rig;
    struct router *router;
    uint32_t index[RIG_PORTS + 1];
};

static inline struct interface_config
interface_of_bridge(struct bridge *bridge, unsigned port)
{
    return (struct interface_config) {
        .name = "if", .bridge = bridge, .port = port, .mtu = MTU, .mac = MAC_OF(port), .up = true,
    };
}

static inline struct interface_config
interface_on(struct rig *rig, unsigned port)
{
    return interface_of_bridge(rig->bridge, port);
}

static inline void
add_addresses(struct routing_rig *r, unsigned i)
{
    const struct ip_prefix v4 = { V4(10, 0, i, 1), IP_V4, 24 }, v6 = { V6(i, 1), IP_V6, 64 };

    CHECK(!router_add_address(r->router, r->index[i], &v4));
    CHECK(!router_add_address(r->router, r->index[i], &v6));
}

/* Puts interface i on port i, which is 'at'. */
static inline void
add_interface(struct routing_rig *r, struct bridge *bridge, struct attachment *at, unsigned i)
{
    const struct interface_config config = interface_of_bridge(bridge, i);

    bridge_set_pipeline(at, PIPELINE_route);
    CHECK(!router_add_interface(r->router, &config, &r->index[i]));
    add_addresses(r, i);
}

static inline struct routing_rig *
routing_new(void)
{
    struct routing_rig *r = calloc(1, sizeof *r);

    CHECK(r);
    r->rig = rig_new();
    CHECK((r->router = router_open(&r->rig->dataplane, "r")));
    for (unsigned i = 1; i <= 3; i++) {
        add_interface(r, r->rig->bridge, r->rig->at[i], i);
    }
    return r;
}

/* Runs workers and the control thread until there is nothing left to do. */
static inline void
routing_run(struct routing_rig *r)
{
    struct punt *punt;

    do {
        rig_run(r->rig);
        while ((punt = worker_punt_peek(r->rig->worker))) {
            router_punt(&r->rig->dataplane, punt, r->rig->now);
            worker_punt_consume(r->rig->worker);
        }
    } while (!ring_empty(&r->rig->worker->injects));
}

static inline void
routing_free(struct routing_rig *r)
{
    routing_run(r);
    router_close(r->router);
    rig_free(r->rig);
    free(r);
}

/* Around each test of cmocka's, whose state it is. */
static inline int
routing_set_up(void **state)
{
    *state = routing_new();
    return 0;
}

static inline int
routing_tear_down(void **state)
{
    routing_free(*state);
    return 0;
}

#define ROUTER struct routing_rig *r = *state

static inline void
routing_tick(struct routing_rig *r, uint64_t ms)
{
    rig_tick(r->rig, ms);
    routing_run(r);
}

static inline void
routing_put(struct routing_rig *r, unsigned port, const struct frame *f)
{
    rig_put(r->rig, port, f);
    routing_run(r);
}

/* Says what the MAC address of a host on the link of an interface is. */
static inline void
set_neighbour_at(struct routing_rig *r, unsigned i, uint8_t family, struct ip_address address, uint64_t mac,
                 uint64_t now_ms)
{
    uint8_t record[NEIGHBOUR_RECORD] = { 1, family }, result[4];

    put_be32(record + 4, r->index[i]);
    ip_write(family, &address, record + 8);
    put_be48(record + 24, mac);
    CHECK(router_neighbour_mod(r->router, record, sizeof record, result, now_ms) == 1);
    CHECK(!get_be32(result));
}

static inline void
set_neighbour(struct routing_rig *r, unsigned i, uint8_t family, struct ip_address address, uint64_t mac)
{
    set_neighbour_at(r, i, family, address, mac, r->rig->now);
}

static inline void
put_group(struct routing_rig *r, uint32_t id, const struct next_hop *members, uint32_t n)
{
    CHECK(router_put_group(r->router, ROUTE_STATIC, id, members, n) == ROUTE_DONE);
}

static inline void
put_route(struct routing_rig *r, struct ip_address address, uint8_t family, uint8_t len, uint32_t group)
{
    const struct ip_prefix prefix = { address, family, len };

    CHECK(router_put_route(r->router, ROUTE_STATIC, &prefix, 1, 0, group) == ROUTE_DONE);
}

static inline struct next_hop
gateway(struct routing_rig *r, unsigned i, uint8_t family, struct ip_address address)
{
    return (struct next_hop) {
        .kind = NEXT_HOP_GATEWAY, .family = family, .weight = 1, .interface = r->index[i],
        .gateway = address,
    };
}

/* A UDP packet that comes in by an interface. */
static inline void
udp_packet(struct frame *f, unsigned i, uint8_t family, struct ip_address from, struct ip_address to,
           unsigned ttl, size_t payload)
{
    frame_eth(f, family == IP_V4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
    put_be48(f->data, MAC_OF(i));
    put_be48(f->data + 6, MAC_OF_HOST(i, 9));
    if (family == IP_V4) {
        frame_ipv4(f, IP_PROTO_UDP, 0x4000, 0);
        ip_write(IP_V4, &from, f->data + f->ip + 12);
        ip_write(IP_V4, &to, f->data + f->ip + 16);
        f->data[f->ip + 8] = (uint8_t) ttl;
    } else {
        frame_ipv6(f, IP_PROTO_UDP);
        ip_write(IP_V6, &from, f->data + f->ip + 8);
        ip_write(IP_V6, &to, f->data + f->ip + 24);
        f->data[f->ip + 7] = (uint8_t) ttl;
    }
    frame_udp(f, payload);
    frame_end(f);
    if (family == IP_V4) {
        csum_ipv4(f->data + f->ip);
    }
}

#endif
