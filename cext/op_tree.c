/* Trees: what a router does with packets that go to many.
 *
 * How
 * ===
 * A packet to a group that is forwarded takes the tree of its source and group (tib.h): it has to come
 * by the tree's interface and leaves by each of the others, a copy by all but the last.  What is of the
 * link only, or has no tree, goes to the control thread.
 *
 * Nobody is told of a time to live that is used up (RFC 1812, 4.3.2.7).
 *
 * Reference: RFC 7761, section 4.2; RFC 1812, section 5.2.1; RFC 1112, section 6.4; RFC 2464, section 7 */

#include "csum.h"
#include "forward.h"
#include "router.h"
#include "snoop.h"

static uint8_t
ttl_of(const struct packet *p, bool v6)
{
    return p->data[p->l3 + (v6 ? 7 : 8)];
}

/* --- In -------------------------------------------------------------------------------------- */

static struct tree_key
key_of(const struct packet *p, bool v6)
{
    const uint64_t *word = packet_walk(p)->key.word;

    return v6 ? (struct tree_key) {
        .group = { { word[W_IPV6_DST], word[W_IPV6_DST_LOW] } },
        .source = { { word[W_IPV6_SRC], word[W_IPV6_SRC_LOW] } },
    } : (struct tree_key) {
        .group = ip_from_v4((uint32_t) word[W_IPV4]), .source = ip_from_v4(word[W_IPV4] >> 32),
    };
}

/* Whether packets from there leave their link (RFC 1122, 3.2.1.3; RFC 4291, 2.5.2 and 2.5.6). */
static bool
is_routed_source(const struct ip_address *source, bool v6)
{
    return v6 ? source->word[0] >> 54 != 0xfe80 >> 6 && (source->word[0] || source->word[1])
              : source->word[1] >> 24 != 0;
}

/* Whether it is for all routers' forwarding, rather than about the group. */
static bool
is_forwarded(const struct packet *p, const struct tree_key *key, bool v6)
{
    return tib_is_routed(v6 ? IP_V6 : IP_V4, &key->group) && is_routed_source(&key->source, v6)
           && snoop_kind(p->data + p->l3, p->len - p->l3) == SNOOP_DATA;
}

/* Whether packets of a tree come by an interface. */
static bool
comes_by(const struct worker *worker, const struct interface *from, const struct tree *tree,
         const struct ip_address *source, bool v6)
{
    if (tree->incoming) {
        return tree->incoming == from->index;
    }
    uint32_t id = fib_lookup(&from->router->fib, v6 ? IP_V6 : IP_V4, source);
    return route_leads_to(&worker->dataplane->routing.adjacencies, id, from, false);
}

/* --- Out ------------------------------------------------------------------------------------- */

/* Ends a packet that goes no further: of which copies went out, or that is dropped. */
static void
end(struct worker *worker, struct packet *p, enum drop_reason reason)
{
    if (p->copied) {
        worker_end(worker, &p, 1);
    } else {
        worker_drop(worker, &p, 1, reason);
    }
}

/* Gives the control thread a copy. */
static void
punt_copy(struct worker *worker, const struct packet *p, enum route_reason reason, uint64_t cookie)
{
    struct packet *copy = worker_copy(worker, p);

    if (copy) {
        worker_punt_route(worker, copy, reason, cookie);
    }
}

/* Sends a packet by an interface, behind the header for its group; takes it. */
static void
leave(struct worker *worker, struct packet *p, const struct interface *to, bool v6)
{
    struct attachment *by = to->port == PORT_LOCAL ? NULL : bridge_port(to->bridge, to->port);
    uint32_t last = get_be32(p->data + p->l3 + (v6 ? 36 : 16));         /* Of the group. */
    uint8_t header[ETH_SIZE + VLAN_SIZE], *end = header + ETH_TYPE_AT;

    put_be48(header, ip_group_mac(v6 ? IP_V6 : IP_V4, last));
    put_be48(header + 6, to->mac);
    if (to->vlan) {
        put_be16(end, ETH_TYPE_VLAN);
        put_be16(end + 2, to->vlan);
        end += VLAN_SIZE;
    }
    if ((!by && to->port != PORT_LOCAL) || !forward_behind(p, header, (uint8_t) (end + 2 - header), v6)) {
        worker_drop(worker, &p, 1, !by && to->port != PORT_LOCAL ? DROP_no_port : DROP_no_room);
        return;
    }
    counter_add(&worker->counters, to->sent, 1, p->len, worker->now_ms);
    if (by) {
        worker_send(worker, by, p);
    } else {
        forward_to_bridge(worker, p, to->bridge);
    }
}

/* An interface of a tree by which a packet can leave; null: it is the one by which it came, or not there. */
static const struct interface *
way_out(const struct worker *worker, const struct interface *from, uint32_t index)
{
    const struct interface *to = interface_at(&worker->dataplane->routing, index);

    return to && to->up && to->router == from->router && index != from->index ? to : NULL;
}

/* Sends a packet on by the interfaces of a tree; takes it. */
static void
spread(struct worker *worker, const struct interface *from, struct packet *p, const struct tree *tree, bool v6)
{
    uint32_t len = forward_length(p);
    const struct interface *last = NULL;

    forward_count_down(p->data + p->l3, v6);
    for (uint32_t i = 0; i < tree->n; i++) {
        const struct interface *to = way_out(worker, from, tree->outgoing[i]);

        if (!to) {
            continue;
        }
        if (len > to->mtu) {
            punt_copy(worker, p, ROUTE_GROUP_TOO_BIG, forward_cookie(to->index, from));
            p->copied = true;
            continue;
        }
        struct packet *copy = last ? worker_copy(worker, p) : NULL;
        if (copy) {
            leave(worker, copy, last, v6);
        }
        last = to;
    }
    if (last) {
        leave(worker, p, last, v6);
    } else {
        end(worker, p, DROP_tree_outgoing);
    }
}

/* A packet that came by another interface than its tree says: whoever makes trees may want to know (RFC 7761,
 * section 4.6: asserts). */
static void
stray(struct worker *worker, const struct interface *from, struct packet *p, const struct tree *tree)
{
    counter_add(&worker->counters, tree->strayed, 1, p->len, worker->now_ms);
    worker_tell_route(worker, p, ROUTE_GROUP, forward_cookie(0, from));
    worker_drop(worker, &p, 1, DROP_tree_incoming);
}

void
worker_route_group(struct worker *worker, const struct interface *from, struct packet *p, bool v6)
{
    const struct tree_key key = key_of(p, v6);

    if (!is_forwarded(p, &key, v6)) {
        worker_punt_route(worker, p, ROUTE_LOCAL, forward_cookie(0, from));
        return;
    }
    const struct tree *tree = tib_find(&from->router->tib, &key);
    if (!tree) {
        worker_punt_route(worker, p, ROUTE_GROUP, forward_cookie(0, from));
        return;
    }
    if (!comes_by(worker, from, tree, &key.source, v6)) {
        stray(worker, from, p, tree);
        return;
    }
    forward_trim(p, v6);
    counter_add(&worker->counters, tree->taken, 1, p->len, worker->now_ms);
    if (tree->is_local) {
        punt_copy(worker, p, ROUTE_LOCAL, forward_cookie(0, from));
        p->copied = true;
    }
    if (ttl_of(p, v6) <= 1) {
        end(worker, p, DROP_ttl);
    } else {
        spread(worker, from, p, tree, v6);
    }
}
