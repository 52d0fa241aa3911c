/* Escalation: see escalation.h. */

#include "escalation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "headers.h"
#include "parse.h"
#include "router_private.h"
#include "worker.h"

#define REASON(NAME) (UINT32_C(1) << (ROUTE_##NAME - ROUTE_LOCAL))

/* --- Matching --------------------------------------------------------------------------------------- */

static bool
has_ports(uint8_t protocol)
{
    return protocol == IP_PROTO_TCP || protocol == IP_PROTO_UDP || protocol == IP_PROTO_SCTP;
}

static bool
can_be(const struct escalation_match *match)
{
    bool ip = !match->eth_type || match->eth_type == ETH_TYPE_IPV4 || match->eth_type == ETH_TYPE_IPV6;

    return match->reasons && !(match->reasons >> (ROUTE_SEEN + 1 - ROUTE_LOCAL))
           && (!match->protocol || ip) && (!match->port || has_ports(match->protocol));
}

static bool
matches(const struct escalation_match *match, const struct flow_key *key)
{
    uint64_t l4 = key->word[W_L4];
    uint16_t eth_type = (uint16_t) key->word[W_ETH_DST];
    bool ip = eth_type == ETH_TYPE_IPV4 || eth_type == ETH_TYPE_IPV6;

    return (!match->eth_type || match->eth_type == eth_type)
           && (!match->protocol || (ip && match->protocol == (uint8_t) (l4 >> 24)))
           && (!match->port || match->port == l4 >> 48 || match->port == (uint16_t) (l4 >> 32));
}

/* --- Subscriptions ---------------------------------------------------------------------------------- */

/* Lets workers look for what is subscribed now.  Returns 0 or ENOMEM. */
static int
publish(struct router *router)
{
    struct escalation_watch *watch = NULL, *old;
    uint32_t n = 0;

    for (const struct escalation *each = router->escalations; each; each = each->next) {
        n += !!(each->match.reasons & REASON(SEEN));
    }
    if (n && !(watch = malloc(sizeof *watch + n * sizeof watch->at[0]))) {
        return ENOMEM;
    }
    if (watch) {
        watch->n = 0;
        for (const struct escalation *each = router->escalations; each; each = each->next) {
            if (each->match.reasons & REASON(SEEN)) {
                watch->at[watch->n++] = each->match;
            }
        }
    }
    old = atomic_load_explicit(&router->watch, memory_order_relaxed);
    atomic_store_explicit(&router->watch, watch, memory_order_release);
    epoch_free(&router->dataplane->epoch, old);
    return 0;
}

int
escalation_add(struct router *router, const struct escalation_match *match, uint32_t per_second, uint32_t *id)
{
    if (!can_be(match) || !per_second) {
        return EINVAL;
    }
    if (router->n_escalations == ESCALATIONS_MAX) {
        return ENOSPC;
    }
    struct escalation *new = calloc(1, sizeof *new);
    if (!new) {
        return ENOMEM;
    }
    new->match = *match;
    new->rate = (struct bucket_rate) { per_second, per_second / 10 + 1 };
    new->next = router->escalations;
    router->escalations = new;
    if (publish(router)) {
        router->escalations = new->next;
        free(new);
        return ENOMEM;
    }
    router->n_escalations++;
    new->id = *id = ++router->dataplane->routing.last_escalation;
    return 0;
}

int
escalation_remove(struct router *router, uint32_t id)
{
    struct escalation **link = &router->escalations, *gone;

    while (*link && (*link)->id != id) {
        link = &(*link)->next;
    }
    if (!(gone = *link)) {
        return ENOENT;
    }
    *link = gone->next;
    if (publish(router)) {
        *link = gone;
        return ENOMEM;
    }
    router->n_escalations--;
    free(gone);
    return 0;
}

void
escalation_close(struct router *router)
{
    struct escalation *next;

    for (struct escalation *each = router->escalations; each; each = next) {
        next = each->next;
        free(each);
    }
    router->escalations = NULL;
    free(atomic_load_explicit(&router->watch, memory_order_relaxed));
}

/* --- Copies ----------------------------------------------------------------------------------------- */

static bool
put_copy(struct buffer *out, const struct escalation *to, const struct escalated *head, const uint8_t *frame)
{
    size_t size = (sizeof *head + head->len + 7) & ~(size_t) 7;
    uint8_t *at = out->len + size <= ESCALATED_BYTES ? buffer_put(out, size) : NULL;

    if (!at) {
        out->failed = false;            /* What is in it is whole. */
        return false;
    }
    struct escalated copy = *head;
    copy.id = to->id;
    copy.dropped = to->dropped;
    memcpy(at, &copy, sizeof copy);
    memcpy(at + offsetof(struct escalated, frame), frame, head->len);
    return true;
}

bool
escalation_tell(const struct router_interface *own, unsigned reason, const uint8_t *frame, size_t len,
                uint64_t now_ms)
{
    struct router *router = own->router;
    struct packet packet = { .data = (uint8_t *) frame, .len = (uint32_t) len };
    const struct escalated head = { .interface = own->index, .len = (uint32_t) len, .reason = (uint8_t) reason };
    struct flow_key key = { { 0 } };
    bool any = false;

    if (!router->escalations) {
        return false;
    }
    parse(&packet, &key);
    for (struct escalation *each = router->escalations; each; each = each->next) {
        if (!(each->match.reasons >> (reason - ROUTE_LOCAL) & 1) || !matches(&each->match, &key)) {
            continue;
        }
        any = true;
        if (bucket_take(&each->bucket, &each->rate, now_ms)
            && put_copy(&router->dataplane->routing.escalated, each, &head, frame)) {
            each->sent++;
        } else {
            each->dropped++;
        }
    }
    return any;
}

/* --- The worker's part ------------------------------------------------------------------------------- */

static bool
is_watched(const struct escalation_watch *watch, const struct flow_key *key)
{
    for (uint32_t i = 0; i < watch->n; i++) {
        if (matches(&watch->at[i], key)) {
            return true;
        }
    }
    return false;
}

void
escalation_watch(struct worker *worker, const struct interface *from, const struct escalation_watch *watch,
                 struct packet *const *packets, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct flow_key *key = &packet_walk(packets[i])->key;
        uint64_t to = key->word[W_ETH_DST] >> 16;
        struct packet *copy;

        if ((to == from->mac || to >> 40 & 1) && is_watched(watch, key)
            && (copy = worker_copy(worker, packets[i]))) {
            worker_punt_route(worker, copy, ROUTE_SEEN, from->index);
        }
    }
}
