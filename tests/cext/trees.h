#ifndef TEST_TREES_H
#define TEST_TREES_H

/* Trees by records, and packets to groups, for a router on a rig. */

#include "csum.h"
#include "routing.h"
#include "tib_wire.h"

/* 239.1.1.n and ff0e::1:n, which are routed. */
#define GROUP4(N) V4(239, 1, 1, N)
#define GROUP6(N) ((struct ip_address) { { UINT64_C(0xff0e) << 48, 0x10000u | (N) } })

static const struct ip_address any_source;

#define BY(I) (1u << (I))

struct tree_words {
    uint8_t op, source, family;         /* 0: put, static, IPv4. */
    bool is_local;
    unsigned incoming;                  /* Interfaces by the number of their port; 0: none. */
    unsigned outgoing;                  /* Bit i: that on port i. */
    struct ip_address group, from;
};

/* Writes a record; returns its size. */
static inline size_t
tree_write(const struct routing_rig *r, const struct tree_words *words, uint8_t *record)
{
    uint8_t family = words->family ? words->family : IP_V4;
    size_t size = TREE_RECORD;

    memset(record, 0, TREE_RECORD);
    record[0] = words->op ? words->op : 1;
    record[1] = words->source ? words->source : ROUTE_STATIC;
    record[2] = family;
    record[3] = words->is_local;
    put_be32(record + 8, words->incoming ? r->index[words->incoming] : 0);
    ip_write(family, &words->group, record + 12);
    ip_write(family, &words->from, record + 28);
    for (unsigned i = 1; i <= RIG_PORTS; i++) {
        if (words->outgoing >> i & 1) {
            put_be32(record + size, r->index[i]);
            size += 4;
        }
    }
    put_be16(record + 4, (uint16_t) ((size - TREE_RECORD) / 4));
    return size;
}

static inline uint32_t
tree_mod(struct routing_rig *r, const struct tree_words *words)
{
    uint8_t record[TREE_RECORD + 4 * RIG_PORTS], result[4];
    size_t size = tree_write(r, words, record);

    CHECK(router_tree_mod(r->router, record, size, result, 1) == 1);
    return get_be32(result);
}

#define TREE(...) tree_mod(r, &(const struct tree_words) { __VA_ARGS__ })

/* A packet that comes by an interface, in a frame to its group. */
static inline void
group_packet(struct frame *f, unsigned i, uint8_t family, struct ip_address from, struct ip_address group,
             unsigned ttl, size_t payload)
{
    udp_packet(f, i, family, from, group, ttl, payload);
    put_be48(f->data, family == IP_V4 ? 0x01005e000000 | (group.word[1] & 0x7fffff)
                                      : 0x333300000000 | (group.word[1] & 0xffffffff));
}

/* What every frame of a router has: addresses, type, time to live, a right checksum. */
static inline void
assert_frame(const struct frame *f, uint64_t to, uint64_t from, unsigned ttl)
{
    const uint8_t *ip = f->data + ETH_SIZE;
    uint8_t family = ip[0] >> 4;

    CHECK(get_be48(f->data) == to);
    CHECK(get_be48(f->data + 6) == from);
    CHECK(get_be16(f->data + 12) == (family == IP_V4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6));
    CHECK(ip[family == IP_V4 ? 8 : 7] == ttl);
    if (family == IP_V4) {
        CHECK(csum_fold(csum_add(0, ip, 20)) == 0);
    }
}

static inline void
narrow(struct routing_rig *r, unsigned i, uint16_t mtu, bool up)
{
    struct interface_config config = interface_on(r->rig, i);

    config.mtu = mtu;
    config.up = up;
    CHECK(!router_set_interface(r->router, r->index[i], &config));
}

#endif
