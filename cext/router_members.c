/* Members on the links of a router: what hosts say of groups (IGMP, MLD) makes trees.
 *
 * An interface that listens asks on its link who is in which group, and what of which sources they want.  A group
 * has a tree, from wherever a route leads to its senders, by every interface with members that want all sources but
 * some.  A source that anybody names, and that is not wanted by just the same interfaces, has a tree of its own.  That
 * takes packets away from the one of the group (tib.h), so what others say of the group holds for it too.  To a tree
 * that a source has because others say so, the interfaces with members come that want it, and nothing else.
 *
 * Reference: RFC 9776, section 6, and RFC 9777, section 7 (states); RFC 7761, section 4.1.6 (what a source inherits) */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "headers.h"
#include "router_private.h"
#include "snoop.h"

enum { THE_PORT = 1 /* A link of a router has one. */ };

/* --- Trees ------------------------------------------------------------------------------------- */

/* What hosts say of a tree, as large as it can be. */
union said {
    struct tree_share share;
    uint8_t room[sizeof(struct tree_share) + TIB_OUTGOING * sizeof(uint32_t)];
};

/* The next member of a group behind 'own', of the links of a router; null: there are no more. */
static const struct membership_member *
next_member(const struct router *router, const struct router_interface **own, uint8_t family,
            const struct ip_address *group)
{
    const struct router_interface *at = *own ? (*own)->next_listening : router->dataplane->routing.listening;

    for (; at; at = at->next_listening) {
        const struct membership_group *found =
            at->router == router ? membership_find(at->members, family, group) : NULL;
        if (found) {
            *own = at;
            return found->members;
        }
    }
    return NULL;
}

/* Fills in the interfaces with members that want a source; null: whatever the source. */
static void
ask_members(const struct router *router, uint8_t family, const struct ip_address *group,
            const struct ip_address *source, struct tree_share *share)
{
    const struct router_interface *own = NULL;
    const struct membership_member *member;

    *share = (struct tree_share) { .source = ROUTE_MEMBERSHIP };
    while ((member = next_member(router, &own, family, group))) {
        if (share->n < TIB_OUTGOING && (source ? membership_member_wants(member, source) : member->is_exclude)) {
            share->outgoing[share->n++] = own->index;
        }
    }
}

/* Adds what others than hosts say of the group. */
static void
inherit(const struct router *router, const struct ip_address *group, struct tree_share *share)
{
    const struct tree_key key = { .group = *group };

    for (const struct tree_share *other = tib_shares(&router->tib, &key); other; other = other->next) {
        if (other->source == ROUTE_MEMBERSHIP) {
            continue;
        }
        share->incoming = share->incoming ? share->incoming : other->incoming;
        share->is_local |= other->is_local;
        for (uint32_t i = 0; i < other->n && share->n < TIB_OUTGOING; i++) {
            share->outgoing[share->n++] = other->outgoing[i];
        }
    }
}

/* Whether hosts say something of a tree, or others do. */
static bool
is_said(const struct router *router, const struct tree_key *key, bool by_hosts)
{
    const struct tree_share *share = tib_shares(&router->tib, key);

    while (share && (share->source == ROUTE_MEMBERSHIP) != by_hosts) {
        share = share->next;
    }
    return share;
}

static bool
is_by_the_same(const struct tree_share *a, const struct tree_share *b)
{
    return a->n == b->n && !memcmp(a->outgoing, b->outgoing, a->n * sizeof a->outgoing[0]);
}

/* Lets a source have a tree for hosts, or none: the members come to one that it has anyway, and else it needs one
 * unless just the links want it that want all of the group. */
static void
follow_source(struct router *router, uint8_t family, const struct tree_key *key, const struct tree_share *all)
{
    bool has_one = is_said(router, key, false), is_new = !is_said(router, key, true);
    union said how;

    ask_members(router, family, &key->group, &key->source, &how.share);
    if (has_one ? !how.share.n : is_by_the_same(&how.share, all)) {
        tib_remove(&router->tib, ROUTE_MEMBERSHIP, key);
        return;
    }
    if (!has_one && router->tib.n_member_trees + is_new > ROUTER_MEMBER_TREES) {
        tib_remove(&router->tib, ROUTE_MEMBERSHIP, key);        /* It is one too many since others left it. */
        router->members_refused++;
        return;
    }
    if (!has_one) {
        inherit(router, &key->group, &how.share);
    }
    if (tib_put(&router->tib, family, key, &how.share)) {
        router->members_refused++;
    }
}

static bool
is_any(const struct ip_address *source)
{
    return !source->word[0] && !source->word[1];
}

/* Follows the sources that have trees, and then those that hosts name. */
static void
follow_sources(struct router *router, uint8_t family, const struct ip_address *group,
               const struct tree_share *all)
{
    const struct router_interface *own = NULL;
    const struct membership_member *member;
    struct tree_entry *next, *entry = tib_next_of_group(&router->tib, NULL, group);

    for (; entry; entry = next) {
        next = tib_next_of_group(&router->tib, entry, group);
        if (!is_any(&entry->key.source)) {
            follow_source(router, family, &entry->key, all);
        }
    }
    while ((member = next_member(router, &own, family, group))) {
        for (unsigned i = 0; i < member->n_sources; i++) {
            const struct tree_key key = { *group, member->sources[i].address };
            if (!is_any(&key.source) && !tib_shares(&router->tib, &key)) {
                follow_source(router, family, &key, all);
            }
        }
    }
}

static void
follow_group(struct router *router, uint8_t family, const struct ip_address *group)
{
    const struct tree_key key = { .group = *group };
    union said how;

    ask_members(router, family, group, NULL, &how.share);
    if (!how.share.n) {
        tib_remove(&router->tib, ROUTE_MEMBERSHIP, &key);
    } else if (tib_put(&router->tib, family, &key, &how.share)) {
        router->members_refused++;
    }
    follow_sources(router, family, group, &how.share);
}

void
router_tree_changed(void *router_, uint8_t source, uint8_t family, const struct tree_key *key)
{
    struct router *router = router_;
    union said all;

    if (source == ROUTE_MEMBERSHIP || !router->dataplane->routing.listening) {
        return;
    }
    if (is_any(&key->source)) {
        follow_group(router, family, &key->group);
    } else {
        ask_members(router, family, &key->group, NULL, &all.share);
        follow_source(router, family, key, &all.share);
    }
}

static void
members_changed(void *own_, uint8_t family, const struct ip_address *group)
{
    const struct router_interface *own = own_;

    if (tib_is_routed(family, group)) {         /* Not about routers: they tell each other what they want. */
        follow_group(own->router, family, group);
    }
}

/* --- Packets ----------------------------------------------------------------------------------- */

static void
send_query(void *own_, uint32_t port, uint8_t family, const uint8_t *packet, size_t len)
{
    const struct router_interface *own = own_;
    uint8_t frame[ETH_SIZE + MEMBERSHIP_QUERY_MAX];

    (void) port;
    put_be48(frame, ip_group_mac(family, get_be32(packet + (family == IP_V4 ? 16 : 36))));
    put_be48(frame + 6, interface_view(own)->mac);
    put_be16(frame + ETH_TYPE_AT, family == IP_V4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
    memcpy(frame + ETH_SIZE, packet, len);
    router_send(own->router->dataplane, own->index, frame, ETH_SIZE + len);
}

static const struct membership_owner owner = { .send = send_query, .changed = members_changed };

void
router_hear_members(struct router_interface *own, const uint8_t *packet, size_t len, uint64_t now_ms)
{
    if (own->members && snoop_kind(packet, len) != SNOOP_DATA) {
        membership_receive(own->members, THE_PORT, packet, len, now_ms);
    }
}

/* Asks from the addresses that the interface has now; from none while it has none. */
static void
set_sources(struct router_interface *own)
{
    static const struct ip_address nobody, link_local = { { UINT64_C(0xfe80) << 48, 0 } };
    const struct ip_address *v4 = interface_source(own, IP_V4, &nobody);

    membership_set_source(own->members, IP_V4, v4 ? v4 : &nobody);
    membership_set_source(own->members, IP_V6, interface_source(own, IP_V6, &link_local));
}

void
router_advance_members(struct routing *routing, uint64_t now_ms)
{
    for (struct router_interface *own = routing->listening; own; own = own->next_listening) {
        if (interface_view(own)->up) {
            set_sources(own);
        } else {
            membership_remove_port(own->members, THE_PORT);
        }
        membership_advance(own->members, now_ms);
    }
}

/* --- Interfaces -------------------------------------------------------------------------------- */

static void
stop(struct router_interface *own)
{
    struct router_interface **link = &own->router->dataplane->routing.listening;

    membership_remove_port(own->members, THE_PORT);
    while (*link != own) {
        link = &(*link)->next_listening;
    }
    *link = own->next_listening;
    membership_close(own->members);
    free(own->members);
    own->members = NULL;
}

static int
start(struct router_interface *own, uint64_t now_ms)
{
    struct routing *routing = &own->router->dataplane->routing;
    struct membership_config config = membership_defaults;

    config.is_querier = true;
    own->members = malloc(sizeof *own->members);
    if (!own->members) {
        return ENOMEM;
    }
    membership_open(own->members, &config, &owner, own, now_ms);
    own->next_listening = routing->listening;
    routing->listening = own;
    return 0;
}

int
router_set_listening(struct router *router, uint32_t index, bool listens, uint64_t now_ms)
{
    struct router_interface *own = interface_own(router->dataplane, index);

    if (!own || own->router != router) {
        return ENOENT;
    }
    if (own->members && !listens) {
        stop(own);
    }
    return listens && !own->members ? start(own, now_ms) : 0;
}
