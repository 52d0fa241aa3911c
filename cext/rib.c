/* RIB: see rib.h. */

#include "rib.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hash.h"

enum {
    MIN_NODES = 64,
    MIN_LOG = 6,                    /* Of slots. */
    MAX_LOG = 31,
    HUGE_PAGE = 2 << 20,
};

struct rib_node {
    struct rib_route route;
    uint32_t next;                  /* The next best route of the prefix; of a free node, the next one. */
    uint32_t older, newer;          /* Routes of the same source. */
    uint32_t generation;            /* Of the source, when it was put last. */
};

/* --- Nodes --------------------------------------------------------------------------------------- */

void
rib_open(struct rib *rib, const struct rib_ops *ops)
{
    *rib = (struct rib) { .ops = *ops };
}

void
rib_close(struct rib *rib)
{
    free(rib->nodes);
    free(rib->slots);
}

size_t
rib_memory(const struct rib *rib)
{
    return rib->max_nodes * sizeof *rib->nodes
           + (rib->slots ? sizeof *rib->slots << rib->log_slots : 0);
}

/* Makes room for one more node.  Returns 0 or ENOMEM. */
static int
reserve_node(struct rib *rib)
{
    if (rib->free || rib->n_nodes < rib->max_nodes) {
        return 0;
    }
    const uint32_t max = rib->max_nodes ? rib->max_nodes * 2 : MIN_NODES;
    struct rib_node *nodes = max > rib->max_nodes ? realloc(rib->nodes, max * sizeof *nodes) : NULL;
    if (!nodes) {
        return ENOMEM;
    }
    rib->nodes = nodes;
    rib->max_nodes = max;
    rib->n_nodes += !rib->n_nodes;      /* Node 0 is none. */
    return 0;
}

/* Takes a node that was reserved. */
static uint32_t
take_node(struct rib *rib)
{
    const uint32_t node = rib->free;

    if (!node) {
        return rib->n_nodes++;
    }
    rib->free = rib->nodes[node].next;
    return node;
}

static void
give_node(struct rib *rib, uint32_t node)
{
    rib->nodes[node].route.source = 0;
    rib->nodes[node].next = rib->free;
    rib->free = node;
}

/* --- Prefixes by hash ------------------------------------------------------------------------------- */

/* A slot is looked for from the place that the highest bits of the hash say: when there are twice as many,
 * they come in the order in which they lie. */

static uint32_t
prefix_hash(const struct ip_prefix *prefix)
{
    uint64_t hash = hash_word(prefix->family << 8 | prefix->len, prefix->address.word[0]);

    return hash_finish(hash_word(hash, prefix->address.word[1]));
}

static uint32_t
slot_hash(uint64_t slot)
{
    return (uint32_t) (slot >> 32);
}

static uint32_t
slot_node(uint64_t slot)
{
    return (uint32_t) slot;
}

static uint32_t
last_slot(const struct rib *rib)
{
    return (UINT32_C(1) << rib->log_slots) - 1;
}

static uint32_t
home_of(const struct rib *rib, uint32_t hash)
{
    return hash >> (32 - rib->log_slots);
}

static bool
is_same(const struct ip_prefix *a, const struct ip_prefix *b)
{
    return a->len == b->len && a->family == b->family && ip_equal(&a->address, &b->address);
}

/* The slot of a prefix, or the free one in which it is to be put. */
static uint64_t *
find_slot(const struct rib *rib, const struct ip_prefix *prefix, uint32_t hash)
{
    for (uint32_t i = home_of(rib, hash);; i = (i + 1) & last_slot(rib)) {
        uint64_t *slot = &rib->slots[i];
        if (!*slot || (slot_hash(*slot) == hash
                       && is_same(&rib->nodes[slot_node(*slot)].route.prefix, prefix))) {
            return slot;
        }
    }
}

void
rib_prefetch(const struct rib *rib, const struct ip_prefix *prefix)
{
    if (rib->slots) {
        __builtin_prefetch(&rib->slots[home_of(rib, prefix_hash(prefix))]);
    }
}

/* Puts what is in a slot into one of an array that has room. */
static void
move_slot(struct rib *rib, uint64_t slot)
{
    uint32_t i = home_of(rib, slot_hash(slot));

    while (rib->slots[i]) {
        i = (i + 1) & last_slot(rib);
    }
    rib->slots[i] = slot;
}

/* Many of them lie in huge pages: each prefix is anywhere in them.  Null without memory. */
static uint64_t *
slots_new(size_t n)
{
    const size_t size = n * sizeof(uint64_t);
    uint64_t *slots = size < HUGE_PAGE ? calloc(1, size) : aligned_alloc(HUGE_PAGE, size);

    if (slots && size >= HUGE_PAGE) {
        madvise(slots, size, MADV_HUGEPAGE);        /* A wish; it works without. */
        memset(slots, 0, size);
    }
    return slots;
}

/* Makes room for one more prefix: half of the slots stay free.  Returns 0 or ENOMEM. */
static int
reserve_slot(struct rib *rib)
{
    uint64_t *old = rib->slots;
    const uint32_t n_old = old ? last_slot(rib) + 1 : 0;

    if (rib->n_prefixes < n_old / 2) {
        return 0;
    }
    const uint8_t log = old ? rib->log_slots + 1 : MIN_LOG;
    uint64_t *slots = log <= MAX_LOG ? slots_new((size_t) 1 << log) : NULL;
    if (!slots) {
        return ENOMEM;
    }
    rib->slots = slots;
    rib->log_slots = log;
    for (uint32_t i = 0; i < n_old; i++) {
        if (old[i]) {
            move_slot(rib, old[i]);
        }
    }
    free(old);
    return 0;
}

/* Frees a slot, and lets those behind it close up that would else not be found. */
static void
free_slot(struct rib *rib, uint64_t *slot)
{
    uint32_t hole = (uint32_t) (slot - rib->slots);

    for (uint32_t i = (hole + 1) & last_slot(rib); rib->slots[i]; i = (i + 1) & last_slot(rib)) {
        const uint32_t home = home_of(rib, slot_hash(rib->slots[i]));
        if (((i - home) & last_slot(rib)) >= ((i - hole) & last_slot(rib))) {
            rib->slots[hole] = rib->slots[i];
            hole = i;
        }
    }
    rib->slots[hole] = 0;
}

/* --- Routes of a source ------------------------------------------------------------------------------- */

static struct rib_source *
source_of(struct rib *rib, uint32_t node)
{
    return &rib->sources[rib->nodes[node].route.source];
}

static void
unlink_route(struct rib *rib, uint32_t node)
{
    struct rib_source *source = source_of(rib, node);
    const uint32_t older = rib->nodes[node].older, newer = rib->nodes[node].newer;

    *(older ? &rib->nodes[older].newer : &source->oldest) = newer;
    *(newer ? &rib->nodes[newer].older : &source->newest) = older;
    source->n--;
}

/* Makes it the newest. */
static void
link_route(struct rib *rib, uint32_t node)
{
    struct rib_source *source = source_of(rib, node);

    rib->nodes[node].older = source->newest;
    rib->nodes[node].newer = 0;
    rib->nodes[node].generation = source->generation;
    *(source->newest ? &rib->nodes[source->newest].newer : &source->oldest) = node;
    source->newest = node;
    source->n++;
}

/* --- Routes of a prefix ------------------------------------------------------------------------------- */

static bool
is_better(const struct rib_route *a, const struct rib_route *b)
{
    return a->distance != b->distance ? a->distance < b->distance
           : a->metric != b->metric ? a->metric < b->metric : a->source < b->source;
}

/* From the link to the best route of a prefix: the link to that of a source, or the last one. */
static uint32_t *
find_link(const struct rib *rib, uint32_t *link, uint8_t source)
{
    while (*link && rib->nodes[*link].route.source != source) {
        link = &rib->nodes[*link].next;
    }
    return link;
}

/* Where a prefix has its routes, while its slot stays: a copy of what is in the slot, and back. */
struct routes {
    uint64_t *slot;
    uint32_t hash;
    uint32_t best;
};

/* There must be slots. */
static struct routes
routes_of(const struct rib *rib, const struct ip_prefix *prefix)
{
    struct routes routes = { .hash = prefix_hash(prefix) };

    routes.slot = find_slot(rib, prefix, routes.hash);
    routes.best = slot_node(*routes.slot);
    return routes;
}

static void
write_routes(struct rib *rib, const struct routes *routes)
{
    const bool was = *routes->slot, is = routes->best;

    if (was && !is) {
        free_slot(rib, routes->slot);
    } else {
        *routes->slot = (uint64_t) routes->hash << 32 | routes->best;
    }
    rib->n_prefixes += is - was;
}

static const struct rib_route *
route_at(const struct rib *rib, uint32_t node)
{
    return node ? &rib->nodes[node].route : NULL;
}

/* The best of the routes to a prefix that are not from this source; null if there are none. */
static const struct rib_route *
best_other(const struct rib *rib, const struct routes *routes, uint8_t source)
{
    const uint32_t best = routes->best;

    return best && rib->nodes[best].route.source == source ? route_at(rib, rib->nodes[best].next)
                                                           : route_at(rib, best);
}

static bool
says_the_same(const struct rib_route *a, const struct rib_route *b)
{
    return a->distance == b->distance && a->metric == b->metric && a->via == b->via;
}

/* Tells of the best route when a source's becomes 'route' (null: goes).  Returns what is answered. */
static int
tell(const struct rib *rib, const struct routes *routes, uint8_t source,
     const struct rib_route *route)
{
    const struct rib_route *old = route_at(rib, routes->best);
    const struct rib_route *other = best_other(rib, routes, source);
    const struct rib_route *new = other && (!route || is_better(other, route)) ? other : route;

    return new == old ? 0 : rib->ops.best_changed(old, new, rib->ops.context);
}

/* Puts a node where it belongs among the routes of its prefix. */
static void
insert(struct rib *rib, struct routes *routes, uint32_t node)
{
    uint32_t *link = &routes->best;

    while (*link && is_better(&rib->nodes[*link].route, &rib->nodes[node].route)) {
        link = &rib->nodes[*link].next;
    }
    rib->nodes[node].next = *link;
    *link = node;
}

/* --- Changes ------------------------------------------------------------------------------------------ */

/* A route that its source has not. */
static int
add(struct rib *rib, struct routes *routes, const struct rib_route *route)
{
    int error = tell(rib, routes, route->source, route);

    if (error) {
        return error;
    }
    const uint32_t node = take_node(rib);
    rib->nodes[node].route = *route;
    insert(rib, routes, node);
    link_route(rib, node);
    write_routes(rib, routes);
    rib->n_routes++;
    return 0;
}

static void
tell_removed(const struct rib *rib, const struct rib_route *was)
{
    if (rib->ops.removed) {
        rib->ops.removed(was, rib->ops.context);
    }
}

/* A route that its source has, at 'link'. */
static int
replace(struct rib *rib, struct routes *routes, uint32_t *link, const struct rib_route *route)
{
    const uint32_t node = *link;
    const struct rib_route was = rib->nodes[node].route;
    const bool same = says_the_same(&was, route);
    int error = same ? 0 : tell(rib, routes, route->source, route);

    if (error) {
        return error;
    }
    if (!same) {
        *link = rib->nodes[node].next;
        rib->nodes[node].route = *route;
        insert(rib, routes, node);
        write_routes(rib, routes);
    }
    unlink_route(rib, node);
    link_route(rib, node);
    tell_removed(rib, &was);
    return 0;
}

int
rib_put(struct rib *rib, const struct rib_route *route)
{
    if (!ip_prefix_is_valid(&route->prefix) || !route->source) {
        return EINVAL;
    }
    if (reserve_node(rib) || reserve_slot(rib)) {
        return ENOMEM;
    }
    struct routes routes = routes_of(rib, &route->prefix);
    uint32_t *link = find_link(rib, &routes.best, route->source);
    return *link ? replace(rib, &routes, link, route) : add(rib, &routes, route);
}

static void
take_out(struct rib *rib, struct routes *routes, uint32_t *link)
{
    const uint32_t node = *link;
    const struct rib_route was = rib->nodes[node].route;

    tell(rib, routes, was.source, NULL);
    *link = rib->nodes[node].next;
    unlink_route(rib, node);
    write_routes(rib, routes);
    give_node(rib, node);
    rib->n_routes--;
    tell_removed(rib, &was);
}

int
rib_remove(struct rib *rib, const struct ip_prefix *prefix, uint8_t source)
{
    if (!rib->slots || !source) {
        return ENOENT;
    }
    struct routes routes = routes_of(rib, prefix);
    uint32_t *link = find_link(rib, &routes.best, source);
    if (!*link) {
        return ENOENT;
    }
    take_out(rib, &routes, link);
    return 0;
}

const struct rib_route *
rib_get(const struct rib *rib, const struct ip_prefix *prefix, uint8_t source)
{
    if (!rib->slots) {
        return NULL;
    }
    struct routes routes = routes_of(rib, prefix);
    return route_at(rib, source ? *find_link(rib, &routes.best, source) : routes.best);
}

void
rib_begin(struct rib *rib, uint8_t source)
{
    rib->sources[source].generation++;
}

uint32_t
rib_sweep(struct rib *rib, uint8_t source, uint32_t limit)
{
    const struct rib_source *from = &rib->sources[source];
    uint32_t n = 0;

    while (n < limit && from->oldest && rib->nodes[from->oldest].generation != from->generation) {
        const struct ip_prefix prefix = rib->nodes[from->oldest].route.prefix;
        rib_remove(rib, &prefix, source);
        n++;
    }
    return n;
}

const struct rib_route *
rib_next(const struct rib *rib, uint8_t source, uint32_t *cursor)
{
    const bool any = source ? rib->sources[source].n != 0 : rib->n_routes != 0;

    for (uint32_t node = *cursor + 1; any && node && node < rib->n_nodes; node++) {
        const uint8_t from = rib->nodes[node].route.source;
        if (from && (!source || from == source)) {
            *cursor = node;
            return &rib->nodes[node].route;
        }
    }
    return NULL;
}
