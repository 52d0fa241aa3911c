/* Members on the links of a router: what hosts say of groups (IGMP, MLD) makes trees.
 *
 * An interface that listens asks on its link who is in which group.  A group with members has a tree, from
 * wherever a route leads to its senders, by every interface with members.  Sources are not told apart.
 *
 * Reference: RFC 3376, section 6; RFC 3810, section 7 */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "headers.h"
#include "router_private.h"
#include "snoop.h"

enum { THE_PORT = 1 /* A link of a router has one. */ };

/* --- Trees ------------------------------------------------------------------------------------- */

/* Lets the tree of a group lead to all links of a router that have members. */
static void
follow(struct router *router, uint8_t family, const struct ip_address *group)
{
    union {
        struct tree_share share;
        uint8_t room[sizeof(struct tree_share) + TIB_OUTGOING * sizeof(uint32_t)];
    } how = { .share = { .source = ROUTE_MEMBERSHIP } };
    const struct tree_key key = { .group = *group };

    for (const struct router_interface *own = router->dataplane->routing.listening; own;
         own = own->next_listening) {
        if (own->router == router && how.share.n < TIB_OUTGOING
            && membership_find(own->members, family, group)) {
            how.share.outgoing[how.share.n++] = own->index;
        }
    }
    if (!how.share.n) {
        tib_remove(&router->tib, ROUTE_MEMBERSHIP, &key);
    } else if (tib_put(&router->tib, family, &key, &how.share)) {
        router->members_refused++;
    }
}

static void
members_changed(void *own_, uint8_t family, const struct ip_address *group)
{
    const struct router_interface *own = own_;

    if (tib_is_routed(family, group)) {         /* Not about routers: they tell each other what they want. */
        follow(own->router, family, group);
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
