/* Routes and groups of next hops.
 *
 * How
 * ===
 * A group has an adjacency id of its own, which is the value of its routes, so that it changes for all of
 * them at once.  With one member the id stands for the very adjacency of the member, so that a packet takes one
 * step; the group is then in the list of those that follow the member's id. */

#include <stdlib.h>
#include <string.h>

#include "ecmp.h"
#include "push.h"
#include "router_private.h"

/* The groups that follow an adjacency. */
struct followers {
    uint32_t adjacency;                 /* First, for idmap.h. */
    struct next_hop_group *first;
};

/* --- Following -------------------------------------------------------------------------------- */

static void
stop_following(struct routing *routing, struct next_hop_group *group)
{
    if (!group->follows) {
        return;
    }
    struct followers *followers = idmap_find(&routing->users, group->follows);
    *group->follower_link = group->next_follower;
    if (group->next_follower) {
        group->next_follower->follower_link = group->follower_link;
    }
    group->follows = 0;
    if (!followers->first) {
        idmap_remove(&routing->users, followers);
        free(followers);
    }
}

static bool
follow(struct dataplane *dataplane, struct next_hop_group *group, uint32_t adjacency)
{
    struct idmap *users = &dataplane->routing.users;
    struct followers *followers = idmap_find(users, adjacency);

    if (!followers) {
        followers = calloc(1, sizeof *followers);
        if (!followers) {
            return false;
        }
        followers->adjacency = adjacency;
        if (idmap_insert(users, &dataplane->epoch, followers)) {
            free(followers);
            return false;
        }
    }
    group->follows = adjacency;
    group->next_follower = followers->first;
    group->follower_link = &followers->first;
    if (followers->first) {
        followers->first->follower_link = &group->next_follower;
    }
    followers->first = group;
    return true;
}

void
router_follow(struct dataplane *dataplane, uint32_t adjacency)
{
    struct routing *routing = &dataplane->routing;
    struct followers *followers = idmap_find(&routing->users, adjacency);
    struct adjacency *now = adjacency_at(&routing->adjacencies, adjacency);

    for (struct next_hop_group *group = followers ? followers->first : NULL; group;
         group = group->next_follower) {
        adjacency_publish(&routing->adjacencies, group->adjacency, now);
    }
}

/* --- What a group leads to ---------------------------------------------------------------------- */

struct ways {
    struct ecmp_member members[ECMP_MAX_MEMBERS];
    unsigned n;
};

/* The same adjacency twice is one way with more weight. */
static void
add_way(struct ways *ways, uint32_t id, uint16_t weight)
{
    for (unsigned i = 0; i < ways->n; i++) {
        if (ways->members[i].id == id) {
            unsigned sum = ways->members[i].weight + weight;
            ways->members[i].weight = sum < UINT16_MAX ? sum : UINT16_MAX;
            return;
        }
    }
    if (ways->n < ECMP_MAX_MEMBERS) {
        ways->members[ways->n++] = (struct ecmp_member) { id, weight };
    }
}

static void
let_go_neighbour(struct dataplane *dataplane, struct group_member *member)
{
    if (member->neighbour) {
        router_release_neighbour(dataplane, member->neighbour);
        member->neighbour = NULL;
    }
}

static void
let_go_push(struct dataplane *dataplane, struct group_member *member)
{
    if (member->push) {
        push_release(dataplane, member->push);
        member->push = NULL;
    }
}

static void
let_go(struct dataplane *dataplane, struct group_member *member)
{
    let_go_neighbour(dataplane, member);
    let_go_push(dataplane, member);
}

/* Holds the neighbour at the gateway on an interface instead of the one it held; 0 if the interface is
 * down or there is no room, else its adjacency. */
static uint32_t
hold(struct dataplane *dataplane, struct group_member *member, uint32_t interface)
{
    struct router_interface *own = interface_own(dataplane, interface);
    struct neighbour *neighbour = own && interface_view(own)->up
        ? router_hold_neighbour(own, member->hop.family, &member->hop.gateway) : NULL;

    let_go_neighbour(dataplane, member);
    member->neighbour = neighbour;
    return neighbour ? neighbour->adjacency : 0;
}

/* The labels of a next hop that are in packets.  Returns how many. */
static unsigned
labels_of(const struct next_hop *hop, uint32_t labels[NEXT_HOP_LABELS])
{
    unsigned n = 0;

    for (unsigned i = 0; i < hop->n_labels; i++) {
        if (hop->labels[i] != LABEL_IMPLICIT_NULL) {
            labels[n++] = hop->labels[i];
        }
    }
    return n;
}

/* The adjacency that puts a member's labels in front of what 'under' gets: that one itself if there are none.
 * 0 for 0, or without memory. */
static uint32_t
behind_labels(struct dataplane *dataplane, struct group_member *member, uint32_t under)
{
    uint32_t labels[NEXT_HOP_LABELS];
    unsigned n = labels_of(&member->hop, labels);
    struct push *push = under && n ? push_hold(dataplane, under, labels, n) : NULL;

    let_go_push(dataplane, member);
    member->push = push;
    return !n ? under : push ? push->id : 0;
}

static void
add_recursive(struct router *router, struct next_hop_group *group, struct group_member *member,
              struct ways *ways)
{
    struct dataplane *dataplane = router->dataplane;
    struct adjacency_table *table = &dataplane->routing.adjacencies;
    uint32_t id = fib_lookup(&router->fib, member->hop.family, &member->hop.gateway);
    const struct adjacency *by = adjacency_at(table, id);

    if (by->kind == ADJACENCY_LINK) {
        id = behind_labels(dataplane, member, hold(dataplane, member, by->interface));
    } else {
        bool leads_on = id != group->adjacency && by->kind != ADJACENCY_LOCAL;
        let_go_neighbour(dataplane, member);
        id = behind_labels(dataplane, member, leads_on ? id : 0);
    }
    if (id && by->kind == ADJACENCY_GROUP && !member->push) {
        for (uint32_t i = 0; i < by->n_buckets; i++) {
            add_way(ways, by->buckets[i], member->hop.weight);
        }
    } else if (id) {
        add_way(ways, id, member->hop.weight);
    }
}

static void
add_member(struct router *router, struct next_hop_group *group, struct group_member *member,
           struct ways *ways)
{
    struct dataplane *dataplane = router->dataplane;
    struct routing *routing = &dataplane->routing;
    const struct router_interface *own = interface_own(dataplane, member->hop.interface);
    const uint32_t always[] = {
        [NEXT_HOP_BLACKHOLE] = routing->blackhole, [NEXT_HOP_UNREACHABLE] = routing->unreachable,
        [NEXT_HOP_PROHIBIT] = routing->prohibit, [NEXT_HOP_LOCAL] = routing->local,
    };
    uint32_t id = 0;

    switch (member->hop.kind) {
    case NEXT_HOP_GATEWAY:
        id = behind_labels(dataplane, member, hold(dataplane, member, member->hop.interface));
        break;
    case NEXT_HOP_LINK:
        id = own && interface_view(own)->up ? own->link : 0;
        break;
    case NEXT_HOP_RECURSIVE:
        add_recursive(router, group, member, ways);
        break;
    default:
        id = always[member->hop.kind];
    }
    if (id) {
        add_way(ways, id, member->hop.weight);
    }
}

/* An adjacency that shares flows among several ways, as near to the one so far as can be. */
static struct adjacency *
make_group(const struct adjacency *old, const struct ways *ways)
{
    unsigned n = ecmp_buckets(ways->members, ways->n);
    bool was_group = old->kind == ADJACENCY_GROUP;

    if (was_group && old->n_buckets > n) {
        n = old->n_buckets;
    }
    struct adjacency *made = adjacency_make(ADJACENCY_GROUP, n);
    if (made) {
        ecmp_fill(made->buckets, n, was_group ? old->buckets : NULL, was_group ? old->n_buckets : 0,
                  ways->members, ways->n);
    }
    return made;
}

/* Lets the adjacency of a group say what its members are now.  Returns false without memory. */
static bool
refresh(struct router *router, struct next_hop_group *group)
{
    struct dataplane *dataplane = router->dataplane;
    struct routing *routing = &dataplane->routing;
    struct adjacency_table *table = &routing->adjacencies;
    struct adjacency *now;
    struct ways ways = { .n = 0 };

    for (uint32_t i = 0; i < group->n; i++) {
        add_member(router, group, &group->members[i], &ways);
    }
    if (ways.n > 1) {
        now = make_group(adjacency_at(table, group->adjacency), &ways);
    } else {
        now = adjacency_at(table, ways.n ? ways.members[0].id : routing->unreachable);
    }
    if (!now) {
        return false;
    }
    stop_following(routing, group);
    if (ways.n == 1 && !follow(dataplane, group, ways.members[0].id)) {
        return false;
    }
    adjacency_publish(table, group->adjacency, now);
    return true;
}

static void
refresh_thing(void *group_, void *router_)
{
    struct next_hop_group *group = group_;
    struct router *router = router_;

    while (!refresh(router, group)) {
        epoch_synchronize(&router->dataplane->epoch);
    }
}

void
router_refresh_groups(struct dataplane *dataplane)
{
    for (struct router *router = dataplane->routing.routers; router; router = router->next) {
        for (unsigned i = 0; i < RIB_SOURCES; i++) {
            idmap_each(&router->groups[i], refresh_thing, router);
        }
    }
}

static void
refresh_recursive(void *group_, void *router)
{
    struct next_hop_group *group = group_;

    if (group->recursive) {
        refresh_thing(group, router);
    }
}

void
router_follow_best(struct router *router)
{
    if (router->changed && router->n_recursive) {
        for (unsigned i = 0; i < RIB_SOURCES; i++) {
            idmap_each(&router->groups[i], refresh_recursive, router);
        }
    }
    router->changed = false;
}

/* --- Groups --------------------------------------------------------------------------------------- */

static void
free_group(struct router *router, struct next_hop_group *group)
{
    struct dataplane *dataplane = router->dataplane;

    stop_following(&dataplane->routing, group);
    for (uint32_t i = 0; i < group->n; i++) {
        let_go(dataplane, &group->members[i]);
    }
    router->n_recursive -= group->recursive;
    router->n_groups--;
    free(group);
}

/* RFC 3031, 3.10: a packet with a label goes to a router, not to whatever host is on a link.  Special-purpose
 * labels but the nulls say something else than where a packet goes (RFC 7274). */
static bool
labels_are_good(const struct next_hop *hop)
{
    for (unsigned i = 0; i < hop->n_labels; i++) {
        uint32_t label = hop->labels[i];
        if (label > LABEL_MAX || (label < LABEL_FREE && label != LABEL_IPV4_NULL && label != LABEL_IPV6_NULL
                                  && label != LABEL_IMPLICIT_NULL)) {
            return false;
        }
    }
    return !hop->n_labels || hop->kind == NEXT_HOP_GATEWAY || hop->kind == NEXT_HOP_RECURSIVE;
}

static enum route_result
check_members(struct router *router, const struct next_hop *members, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const struct router_interface *own = interface_own(router->dataplane, members[i].interface);
        bool by_interface = members[i].kind == NEXT_HOP_GATEWAY || members[i].kind == NEXT_HOP_LINK;

        if (members[i].kind < NEXT_HOP_GATEWAY || members[i].kind > NEXT_HOP_LOCAL
            || (!members[i].family && (members[i].kind == NEXT_HOP_GATEWAY
                                       || members[i].kind == NEXT_HOP_RECURSIVE))
            || !labels_are_good(&members[i])) {
            return ROUTE_BAD;
        }
        if (by_interface && !own) {
            return ROUTE_NO_INTERFACE;
        }
    }
    return ROUTE_DONE;
}

static struct next_hop_group *
make_members(struct router *router, uint8_t source, uint32_t id, const struct next_hop *members,
             uint32_t n)
{
    struct next_hop_group *group = calloc(1, sizeof *group + n * sizeof group->members[0]);

    if (!group) {
        return NULL;
    }
    group->id = id;
    group->source = source;
    group->n = n;
    for (uint32_t i = 0; i < n; i++) {
        group->members[i].hop = members[i];
        group->recursive |= members[i].kind == NEXT_HOP_RECURSIVE;
    }
    router->n_groups++;
    router->n_recursive += group->recursive;
    return group;
}

/* Gives a new group an adjacency and puts it in the place of 'old' (or null), whose routes it takes over. */
static bool
enter(struct router *router, struct next_hop_group *group, struct next_hop_group *old)
{
    struct dataplane *dataplane = router->dataplane;
    struct routing *routing = &dataplane->routing;
    struct idmap *map = &router->groups[group->source];

    group->adjacency = old ? old->adjacency
        : adjacency_new(&routing->adjacencies, adjacency_at(&routing->adjacencies, routing->unreachable));
    if (!group->adjacency) {
        return false;
    }
    if (!refresh(router, group)) {
        if (!old) {
            adjacency_free(&routing->adjacencies, group->adjacency);
        }
        return false;
    }
    if (old) {
        group->n_routes = old->n_routes;
        router->changed = true;
        idmap_remove(map, old);
    }
    while (idmap_insert(map, &dataplane->epoch, group)) {
        epoch_synchronize(&dataplane->epoch);
    }
    return true;
}

enum route_result
router_put_group(struct router *router, uint8_t source, uint32_t id, const struct next_hop *members,
                 uint32_t n)
{
    struct next_hop_group *old = idmap_find(&router->groups[source], id);
    enum route_result result = check_members(router, members, n);

    if (result) {
        return result;
    }
    struct next_hop_group *group = make_members(router, source, id, members, n);
    if (!group) {
        return ROUTE_NO_MEMORY;
    }
    if (!enter(router, group, old)) {
        free_group(router, group);
        if (old) {
            refresh_thing(old, router);
        }
        return ROUTE_NO_MEMORY;
    }
    if (old) {
        free_group(router, old);
    }
    return ROUTE_DONE;
}

enum route_result
router_remove_group(struct router *router, uint8_t source, uint32_t id)
{
    struct next_hop_group *group = idmap_find(&router->groups[source], id);

    if (!group) {
        return ROUTE_NOT_FOUND;
    }
    if (group->n_routes) {
        return ROUTE_IN_USE;
    }
    idmap_remove(&router->groups[source], group);
    adjacency_free(&router->dataplane->routing.adjacencies, group->adjacency);
    free_group(router, group);
    return ROUTE_DONE;
}

static void
close_group(void *group_, void *router_)
{
    struct next_hop_group *group = group_;
    struct router *router = router_;

    adjacency_free(&router->dataplane->routing.adjacencies, group->adjacency);
    free_group(router, group);
}

void
router_close_groups(struct router *router)
{
    for (unsigned i = 0; i < RIB_SOURCES; i++) {
        idmap_each(&router->groups[i], close_group, router);
        idmap_close(&router->groups[i]);
    }
}

/* --- Routes ----------------------------------------------------------------------------------------- */

static bool
is_own(uint8_t source)
{
    return source == ROUTE_CONNECTED || source == ROUTE_NEIGHBOUR;
}

static uint32_t
adjacency_of(const struct router *router, const struct rib_route *route)
{
    const struct next_hop_group *group = is_own(route->source)
        ? NULL : idmap_find(&router->groups[route->source], route->via);

    return group ? group->adjacency : route->via;
}

int
router_best_changed(const struct rib_route *old, const struct rib_route *new, void *router_)
{
    const struct ip_prefix *prefix = &(new ? new : old)->prefix;
    struct router *router = router_;

    if (prefix->family == IP_LABEL) {
        return lib_put(&router->lib, (uint32_t) prefix->address.word[1], new ? adjacency_of(router, new) : 0);
    }
    router->changed = true;
    if (!new) {
        fib_remove(&router->fib, &old->prefix);
        return 0;
    }
    return fib_put(&router->fib, &new->prefix, adjacency_of(router, new));
}

void
router_route_removed(const struct rib_route *route, void *router_)
{
    struct router *router = router_;

    if (!is_own(route->source)) {
        struct next_hop_group *group = idmap_find(&router->groups[route->source], route->via);
        group->n_routes--;
    }
}

enum route_result
router_put_own_route(struct router *router, uint8_t source, const struct ip_prefix *prefix,
                     uint32_t adjacency)
{
    /* Whatever else leads to a host is better than that it happens to be on a link. */
    const struct rib_route route = {
        .prefix = *prefix, .source = source, .via = adjacency,
        .distance = source == ROUTE_NEIGHBOUR ? UINT8_MAX : 0,
    };

    return rib_put(&router->rib, &route) ? ROUTE_NO_MEMORY : ROUTE_DONE;
}

enum route_result
router_put_route(struct router *router, uint8_t source, const struct ip_prefix *prefix,
                 uint8_t distance, uint32_t metric, uint32_t via)
{
    struct next_hop_group *group = idmap_find(&router->groups[source], via);
    const struct rib_route route = {
        .prefix = *prefix, .source = source, .distance = distance, .metric = metric, .via = via,
    };

    if (prefix->family == IP_LABEL && prefix->address.word[1] < LABEL_FREE) {
        return ROUTE_BAD;
    }
    if (!group) {
        return ROUTE_NO_GROUP;
    }
    if (rib_put(&router->rib, &route)) {
        return ROUTE_NO_MEMORY;
    }
    group->n_routes++;
    return ROUTE_DONE;
}

enum route_result
router_remove_route(struct router *router, uint8_t source, const struct ip_prefix *prefix)
{
    return rib_remove(&router->rib, prefix, source) ? ROUTE_NOT_FOUND : ROUTE_DONE;
}

void
router_begin(struct router *router, uint8_t source)
{
    rib_begin(&router->rib, source);
}

uint32_t
router_sweep(struct router *router, uint8_t source)
{
    return rib_sweep(&router->rib, source, UINT32_MAX);
}
