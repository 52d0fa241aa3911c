#ifndef TEST_LABELS_H
#define TEST_LABELS_H

/* Stacks of labels in frames, and routes of labels on the rig of routing.h. */

#include "routing.h"

enum { STACK_MAX = 24 };

struct shim {
    uint32_t label;
    unsigned tc, ttl;
};

/* The outermost first. */
struct stack {
    unsigned n;
    struct shim at[STACK_MAX];
};

/* Puts a stack between the Ethernet header and what follows. */
static inline void
add_stack(struct frame *f, const struct stack *stack)
{
    size_t size = stack->n * MPLS_SIZE;

    if (!size) {
        return;
    }
    memmove(f->data + ETH_SIZE + size, f->data + ETH_SIZE, f->len - ETH_SIZE);
    f->len += size;
    put_be16(f->data + ETH_TYPE_AT, ETH_TYPE_MPLS);
    for (unsigned i = 0; i < stack->n; i++) {
        const struct shim *shim = &stack->at[i];
        put_be32(f->data + ETH_SIZE + i * MPLS_SIZE, shim->label << 12 | shim->tc << 9
                                                    | (i + 1 == stack->n ? 0x100 : 0) | shim->ttl);
    }
}

/* Takes it out again: what is left is a frame of IP, if the stack is whole and IP is below it. */
static inline void
take_stack(struct frame *f, struct stack *stack)
{
    uint8_t *at = f->data + ETH_SIZE;

    stack->n = 0;
    if (get_be16(f->data + ETH_TYPE_AT) != ETH_TYPE_MPLS) {
        return;
    }
    for (bool bottom = false; !bottom; at += MPLS_SIZE) {
        CHECK(stack->n < STACK_MAX && at + MPLS_SIZE <= f->data + f->len);
        uint32_t shim = get_be32(at);
        stack->at[stack->n++] = (struct shim) { shim >> 12, shim >> 9 & 7, shim & 0xff };
        bottom = shim & 0x100;
    }
    put_be16(f->data + ETH_TYPE_AT, at[0] >> 4 == 4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
    f->len -= (size_t) (at - f->data) - ETH_SIZE;
    memmove(f->data + ETH_SIZE, at, f->len - ETH_SIZE);
}

/* A way by the neighbour 9 of an interface, behind labels, the outermost first. */
static inline struct next_hop
behind(struct next_hop hop, unsigned n, const uint32_t *labels)
{
    hop.n_labels = (uint8_t) n;
    for (unsigned i = 0; i < n; i++) {
        hop.labels[i] = labels[i];
    }
    return hop;
}

#define BEHIND(HOP, ...) behind(HOP, sizeof (uint32_t[]) { __VA_ARGS__ } / sizeof (uint32_t), \
                                (uint32_t[]) { __VA_ARGS__ })

static inline struct ip_prefix
prefix_of_label(uint32_t label)
{
    return (struct ip_prefix) { { { 0, label } }, IP_LABEL, IP_LABEL_LEN };
}

static inline void
put_label(struct routing_rig *r, uint32_t label, uint32_t group)
{
    const struct ip_prefix prefix = prefix_of_label(label);

    CHECK(router_put_route(r->router, ROUTE_STATIC, &prefix, 1, 0, group) == ROUTE_DONE);
}

/* Neighbour 9 of interface i is known. */
static inline void
know_neighbours(struct routing_rig *r, unsigned i)
{
    set_neighbour(r, i, IP_V4, V4(10, 0, i, 9), MAC_OF_HOST(i, 9));
    set_neighbour(r, i, IP_V6, V6(i, 9), MAC_OF_HOST(i, 9));
}

#endif
