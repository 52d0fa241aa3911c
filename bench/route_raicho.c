/* raicho's tables, as a router has them: a RIB, and the FIB that follows it. */

#include <stdio.h>

#include "epoch.h"
#include "fib.h"
#include "rib.h"
#include "route.h"

enum {
    TICK = 1000,                /* Puts between two looks at what can be freed. */
    AHEAD = 8,                  /* Puts for which the cache is asked, as the router does. */
    SOURCE = 1,
    DISTANCE = 20,
};

static struct epoch epoch;
static struct fib fib;
static struct rib rib;
static uint8_t family;
static size_t n_put;
static uint32_t ipv4[AT_ONCE], values[AT_ONCE];
static struct ip_address ipv6[AT_ONCE];

static int
best_changed(const struct rib_route *old, const struct rib_route *new, void *unused)
{
    (void) old, (void) unused;
    return fib_put(&fib, &new->prefix, new->via);
}

bool
routes_open(unsigned family_, size_t n, size_t n_long)
{
    (void) n, (void) n_long;
    family = family_;
    epoch_init(&epoch);
    fib_open(&fib, &epoch);
    rib_open(&rib, &(const struct rib_ops) { .best_changed = best_changed });
    return true;
}

void
routes_close(void)
{
    rib_close(&rib);
    fib_close(&fib);
    epoch_close(&epoch);
}

static struct ip_address
address_of(const struct address *address)
{
    return family == IP_V4 ? ip_from_v4(address->high >> 32)
                           : (struct ip_address){ { address->high, address->low } };
}

void
routes_settle(void)
{
    epoch_reclaim(&epoch);
}

static struct ip_prefix
prefix_of(const struct prefix *prefix)
{
    return (struct ip_prefix){ address_of(&prefix->address), family, prefix->len };
}

bool
routes_put(const struct prefix *prefixes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct ip_prefix next = prefix_of(&prefixes[i + AHEAD < n ? i + AHEAD : i]);
        const struct rib_route route = {
            .prefix = prefix_of(&prefixes[i]),
            .source = SOURCE, .distance = DISTANCE, .via = prefixes[i].value,
        };
        rib_prefetch(&rib, &next);
        fib_prefetch(&fib, &next);
        if (rib_put(&rib, &route)) {
            return false;
        }
        if (++n_put % TICK == 0) {
            routes_settle();
        }
    }
    return true;
}

void
routes_prepare(const struct address *addresses, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        ipv6[i] = address_of(&addresses[i]);
        ipv4[i] = ipv6[i].word[1];
    }
}

const uint32_t *
routes_find(unsigned n)
{
    if (family == IP_V4) {
        fib_lookup_ipv4(&fib, ipv4, n, values);
    } else {
        fib_lookup_ipv6(&fib, ipv6, n, values);
    }
    return values;
}

void
routes_facts(struct route_facts *facts)
{
    snprintf(facts->name, sizeof facts->name, "fib");
    facts->bytes = fib_memory(&fib) + rib_memory(&rib);
}
