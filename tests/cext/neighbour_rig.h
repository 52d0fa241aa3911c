#ifndef TEST_NEIGHBOUR_RIG_H
#define TEST_NEIGHBOUR_RIG_H

/* A link with the interface of a router, whose owner writes down what it is told.
 *
 * The interface has 10.0.0.1/24, fe80::1 and 2001:db8::1/64, and answers for 10.0.0.200 and 2001:db8::200. */

#include <stdio.h>
#include <stdlib.h>

#include "neighbour.h"
#include "packets.h"

#define RIG_MAC UINT64_C(0x0200000000aa)
#define RIG_HOST_MAC UINT64_C(0x0200000000bb)
#define RIG_OTHER_MAC UINT64_C(0x0200000000cc)

enum { RIG_INTERFACE = 7, RIG_START = 1000000, RIG_SENT = 8 };

struct neighbour_rig {
    struct neighbours neighbours;
    struct neighbour_link link;
    uint64_t now;                       /* ms */
    bool has_addresses;

    struct frame sent[RIG_SENT];        /* The last ones, at their number modulo RIG_SENT. */
    unsigned n_sent, n_resolved, n_lost, n_removed, n_unreachable, n_conflicts;
    uint8_t refused;                    /* Last byte of the last packet that could not be delivered. */
    uint64_t conflict_mac;
    uint64_t used_ms[256];              /* By the last byte of the address. */
};

static inline struct ip_address
rig_v4(unsigned host)
{
    return ip_from_v4(0x0a000000 | host);
}

static inline struct ip_address
rig_v6(unsigned host)
{
    return (struct ip_address) { { UINT64_C(0x20010db800000000), host } };
}

static inline struct ip_address
rig_link_local(unsigned host)
{
    return (struct ip_address) { { UINT64_C(0xfe80) << 48, host } };
}

static inline struct ip_address
rig_address(uint8_t family, unsigned host)
{
    return family == IP_V4 ? rig_v4(host) : rig_v6(host);
}

static inline bool
rig_is(const struct ip_address *address, struct ip_address other)
{
    return ip_equal(address, &other);
}

static inline enum neighbour_role
rig_answers_for(void *rig_, struct neighbour_link *link, uint8_t family,
                const struct ip_address *address)
{
    struct neighbour_rig *rig = rig_;

    (void)link;
    if (rig_is(address, rig_address(family, 200))) {
        return NEIGHBOUR_PROXY;
    }
    return rig->has_addresses && (rig_is(address, rig_address(family, 1))
                                  || (family == IP_V6 && rig_is(address, rig_link_local(1))))
           ? NEIGHBOUR_OWN : NEIGHBOUR_NONE;
}

static inline bool
rig_on_link(void *rig, struct neighbour_link *link, uint8_t family, const struct ip_address *address)
{
    (void)rig;
    (void)link;
    return family == IP_V4 ? address->word[1] >> 8 == 0x0a0000
                           : address->word[0] == UINT64_C(0xfe80) << 48
                             || address->word[0] == UINT64_C(0x20010db800000000);
}

static inline bool
rig_source(void *rig_, struct neighbour_link *link, uint8_t family, const struct ip_address *target,
           struct ip_address *source)
{
    struct neighbour_rig *rig = rig_;

    (void)link;
    (void)target;
    *source = family == IP_V4 ? rig_v4(1) : rig_link_local(1);
    return rig->has_addresses;
}

static inline void
rig_send(void *rig_, struct neighbour_link *link, const uint8_t *frame, size_t len)
{
    struct neighbour_rig *rig = rig_;
    struct frame *sent = &rig->sent[rig->n_sent++ % RIG_SENT];

    (void)link;
    sent->len = sent->ip = 0;
    frame_add(sent, frame, len < sizeof sent->data ? len : sizeof sent->data);
}

/* The last frame that was sent but 'i'. */
static inline struct frame *
rig_sent(struct neighbour_rig *rig, unsigned i)
{
    return &rig->sent[(rig->n_sent - 1 - i) % RIG_SENT];
}

static inline void
rig_resolved(void *rig, struct neighbour *neighbour)
{
    (void)neighbour;
    ((struct neighbour_rig *)rig)->n_resolved++;
}

static inline void
rig_lost(void *rig, struct neighbour *neighbour)
{
    (void)neighbour;
    ((struct neighbour_rig *)rig)->n_lost++;
}

static inline void
rig_removed(void *rig, struct neighbour *neighbour)
{
    (void)neighbour;
    ((struct neighbour_rig *)rig)->n_removed++;
}

static inline void
rig_unreachable(void *rig_, struct neighbour *neighbour, uint16_t eth_type, const uint8_t *packet,
                size_t len)
{
    struct neighbour_rig *rig = rig_;

    (void)neighbour;
    (void)eth_type;
    rig->n_unreachable++;
    rig->refused = packet[len - 1];
}

static inline uint64_t
rig_used(void *rig, const struct neighbour *neighbour)
{
    return ((struct neighbour_rig *)rig)->used_ms[neighbour->address.word[1] & 0xff];
}

static inline void
rig_conflict(void *rig_, struct neighbour_link *link, uint8_t family,
             const struct ip_address *address, uint64_t mac)
{
    struct neighbour_rig *rig = rig_;

    (void)link;
    (void)family;
    (void)address;
    rig->n_conflicts++;
    rig->conflict_mac = mac;
}

static const struct neighbour_owner rig_owner = {
    .answers_for = rig_answers_for, .on_link = rig_on_link, .source = rig_source, .send = rig_send,
    .resolved = rig_resolved, .lost = rig_lost, .removed = rig_removed,
    .unreachable = rig_unreachable, .used = rig_used, .conflict = rig_conflict,
};

static inline struct neighbour_rig *
rig_open(const struct neighbour_config *config)
{
    struct neighbour_rig *rig = calloc(1, sizeof *rig);

    if (!rig) {
        abort();
    }
    rig->now = RIG_START;
    rig->has_addresses = true;
    rig->link = (struct neighbour_link) { .interface = RIG_INTERFACE, .mac = RIG_MAC };
    if (neighbours_open(&rig->neighbours, config, &rig_owner, rig, 1, rig->now)) {
        abort();
    }
    return rig;
}

static inline void
rig_close(struct neighbour_rig *rig)
{
    neighbours_close(&rig->neighbours);
    if (rig->neighbours.n || rig->neighbours.n_waiting || rig->link.n || rig->link.resolved.oldest
        || rig->link.unresolved.oldest || rig->neighbours.wheel.n_running) {
        fprintf(stderr, "neighbours are left over\n");
        abort();
    }
    free(rig);
}

static inline int
rig_set_up(void **state)
{
    *state = rig_open(&neighbour_defaults);
    return 0;
}

static inline int
rig_tear_down(void **state)
{
    rig_close(*state);
    return 0;
}

#define RIG_TEST(NAME) cmocka_unit_test_setup_teardown(NAME, rig_set_up, rig_tear_down)

static inline struct neighbour *
rig_find(const struct neighbour_rig *rig, uint8_t family, unsigned host)
{
    struct ip_address address = rig_address(family, host);

    return neighbour_find(&rig->neighbours, RIG_INTERFACE, family, &address);
}

static inline struct neighbour *
rig_get(struct neighbour_rig *rig, uint8_t family, unsigned host)
{
    struct ip_address address = rig_address(family, host);

    return neighbour_get(&rig->neighbours, &rig->link, family, &address, rig->now);
}

/* Sends a packet whose last byte is 'mark'. */
static inline void
rig_send_to(struct neighbour_rig *rig, uint8_t family, unsigned host, uint8_t mark)
{
    const uint8_t packet[IPV4_SIZE] = { [0] = 0x45, [IPV4_SIZE - 1] = mark };
    struct neighbour *neighbour = rig_get(rig, family, host);

    if (neighbour) {
        neighbour_send(&rig->neighbours, neighbour, ETH_TYPE_IPV4, packet, sizeof packet, rig->now);
    }
}

static inline void
rig_answer(struct neighbour_rig *rig, uint8_t family, unsigned host, uint64_t mac, unsigned flags)
{
    struct ip_address address = rig_address(family, host);

    neighbour_answered(&rig->neighbours, &rig->link, family, &address, mac, flags, rig->now);
}

static inline void
rig_hear(struct neighbour_rig *rig, uint8_t family, unsigned host, uint64_t mac)
{
    struct ip_address address = rig_address(family, host);

    neighbour_heard(&rig->neighbours, &rig->link, family, &address, mac, rig->now);
}

/* Lets time pass in steps of 10 ms. */
static inline void
rig_pass(struct neighbour_rig *rig, uint64_t ms)
{
    for (uint64_t end = rig->now + ms; rig->now < end;) {
        rig->now += 10;
        neighbours_advance(&rig->neighbours, rig->now);
    }
}

#endif
